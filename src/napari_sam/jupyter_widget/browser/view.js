/* Which part of a plane is seen, as its centre and zoom: pixels of the page for each
 * pixel of level 0. Neither a resize nor another screen moves what is in the middle.
 */

const MOST_ZOOM = 64;

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/* The box between two corners, whichever came first. */
export function boxBetween([ya, xa], [yb, xb]) {
  return [Math.min(ya, yb), Math.min(xa, xb), Math.max(ya, yb), Math.max(xa, xb)];
}

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.y = 0;
    this.x = 0;
    this.zoom = 1;
  }

  rect() {
    return this.canvas.getBoundingClientRect();
  }

  /* Pixels of the screen for each pixel of level 0. */
  scale() {
    const { width } = this.rect();
    return width ? (this.zoom * this.canvas.width) / width : this.zoom;
  }

  /* The point of the plane that is at a point of the page. */
  at(clientX, clientY) {
    const { left, top, width, height } = this.rect();
    return [
      this.y + (clientY - top - height / 2) / this.zoom,
      this.x + (clientX - left - width / 2) / this.zoom,
    ];
  }

  /* Where a point of the plane is, in pixels of the screen from the canvas's corner. */
  onScreen(y, x) {
    const scale = this.scale();
    return [
      this.canvas.height / 2 + (y - this.y) * scale,
      this.canvas.width / 2 + (x - this.x) * scale,
    ];
  }

  /* What is in view; it may reach beyond the plane. */
  box() {
    const { width, height } = this.rect();
    const [h, w] = [height / 2 / this.zoom, width / 2 / this.zoom];
    return [this.y - h, this.x - w, this.y + h, this.x + w];
  }

  contains([y, x]) {
    const [y0, x0, y1, x1] = this.box();
    return y >= y0 && y <= y1 && x >= x0 && x <= x1;
  }

  /* As small as a plane of this shape may be shown: half of what just fits. */
  leastZoom([rows, columns]) {
    const { width, height } = this.rect();
    return Math.min(height / rows, width / columns, MOST_ZOOM) / 2;
  }

  fit([rows, columns]) {
    const { width, height } = this.rect();
    this.y = rows / 2;
    this.x = columns / 2;
    this.zoom = Math.min(height / rows, width / columns, MOST_ZOOM);
  }

  moveTo({ y, x, zoom }, shape) {
    this.y = y;
    this.x = x;
    this.zoom = clamp(zoom, this.leastZoom(shape), MOST_ZOOM);
  }

  /* Move by so many pixels of the page. */
  panBy(dy, dx) {
    this.y += dy / this.zoom;
    this.x += dx / this.zoom;
  }

  /* What is at a point of the page stays there. */
  zoomAt([clientX, clientY], factor, shape) {
    const [y, x] = this.at(clientX, clientY);
    const zoom = clamp(this.zoom * factor, this.leastZoom(shape), MOST_ZOOM);
    this.y = y + ((this.y - y) * this.zoom) / zoom;
    this.x = x + ((this.x - x) * this.zoom) / zoom;
    this.zoom = zoom;
  }

  zoomBy(factor, shape) {
    const { left, top, width, height } = this.rect();
    this.zoomAt([left + width / 2, top + height / 2], factor, shape);
  }
}
