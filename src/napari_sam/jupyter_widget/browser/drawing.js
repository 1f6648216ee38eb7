/* Draws a frame: the tiles that are here, the prompts, and what the pointer is about. */

import { tileKey } from "./tiles.js";
import { boxBetween, clamp } from "./view.js";

export class Drawing {
  constructor(canvas, { view, picture, tiles, cursor }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.view = view;
    this.picture = picture;
    this.tiles = tiles;
    this.cursor = cursor;
  }

  /* Pixels of the screen for one of the page. */
  get unit() {
    return window.devicePixelRatio || 1;
  }

  draw() {
    const { context, canvas, picture } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!picture.facts.levels || !picture.state.prompts) return;
    const hasFine = this.isWhole("labels");
    for (const layer of picture.layers()) {
      if (layer.isCoarse && hasFine) continue;
      for (const [row, column] of picture.inView(layer.kind, layer.level, layer.box)) {
        this.drawTile(layer, row, column);
      }
    }
    context.globalAlpha = 1;
    this.drawPrompts();
    this.drawCursor();
  }

  isWhole(kind) {
    const { picture } = this;
    const level = picture.bestLevel(kind);
    return picture
      .inView(kind, level)
      .every(([row, column]) =>
        this.tiles.has(tileKey(kind, picture.plane, level, row, column)),
      );
  }

  drawTile({ kind, level, box }, row, column) {
    const { context, picture } = this;
    const tile = this.tiles.get(tileKey(kind, picture.plane, level, row, column));
    if (!tile) return;
    if (box && tile.version !== picture.state.versions[kind]) return;
    const { labels, opacity } = picture.display;
    const source = this.tiles.drawable(tile, labels);
    if (!source) return;
    context.globalAlpha = kind === "labels" ? opacity : 1;
    const { factors } = picture.levelOf(kind, level);
    context.imageSmoothingEnabled =
      kind === "image" && this.view.scale() * Math.max(...factors) < 1;
    const [y0, x0] = picture.extent(kind, level, row, column);
    const y1 = y0 + tile.height * factors[0];
    this.drawOver(source, [y0, x0, y1, x0 + tile.width * factors[1]], tile);
  }

  /* Whole pixels of the screen, those whose middle is in the box, and for these exactly
   * what lies under them: what is seen is what a click there points at.
   */
  drawOver(source, [y0, x0, y1, x1], tile) {
    const { canvas } = this;
    const [low, left] = this.view.onScreen(y0, x0);
    const [high, right] = this.view.onScreen(y1, x1);
    const top = clamp(Math.round(low), 0, canvas.height);
    const bottom = clamp(Math.round(high), 0, canvas.height);
    const start = clamp(Math.round(left), 0, canvas.width);
    const end = clamp(Math.round(right), 0, canvas.width);
    if (bottom <= top || end <= start) return;
    const stepY = tile.height / (high - low);
    const stepX = tile.width / (right - left);
    this.context.drawImage(
      source,
      (start - left) * stepX,
      (top - low) * stepY,
      (end - start) * stepX,
      (bottom - top) * stepY,
      start,
      top,
      end - start,
      bottom - top,
    );
  }

  drawPrompts() {
    if (!this.picture.showsPrompts) return;
    for (const prompt of this.picture.state.prompts) {
      if (prompt.kind === "click") this.drawClick(prompt);
      else if (prompt.kind === "box") this.drawBox(prompt.box);
    }
  }

  drawClick({ y, x, positive, met }) {
    const { context, unit } = this;
    const [sy, sx] = this.view.onScreen(y, x);
    context.beginPath();
    context.arc(sx, sy, 7 * unit, 0, 2 * Math.PI);
    context.fillStyle = positive ? "#0a7d2c" : "#c4161c";
    context.globalAlpha = met ? 1 : 0.45;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2 * unit;
    context.strokeStyle = "#fff";
    context.stroke();
    // A sign as well as a colour: not everybody sees red and green as different.
    context.beginPath();
    context.moveTo(sx - 3.5 * unit, sy);
    context.lineTo(sx + 3.5 * unit, sy);
    if (positive) {
      context.moveTo(sx, sy - 3.5 * unit);
      context.lineTo(sx, sy + 3.5 * unit);
    }
    context.stroke();
  }

  drawBox([y0, x0, y1, x1]) {
    const { context, unit } = this;
    const [top, left] = this.view.onScreen(y0, x0);
    const [bottom, right] = this.view.onScreen(y1, x1);
    context.lineWidth = 2 * unit;
    for (const [colour, dash] of [["#000", []], ["#fff", [6 * unit, 4 * unit]]]) {
      context.strokeStyle = colour;
      context.setLineDash(dash);
      context.strokeRect(left, top, right - left, bottom - top);
    }
    context.setLineDash([]);
  }

  drawCursor() {
    const { drag, corner, cross } = this.cursor;
    if (drag && drag.kind === "box" && drag.moved) {
      this.drawBox(boxBetween(drag.from, drag.to));
    }
    if (corner && cross) this.drawBox(boxBetween(corner, cross));
    if (cross) this.drawCross(cross);
  }

  drawCross([y, x]) {
    const { context, unit } = this;
    const [sy, sx] = this.view.onScreen(y, x);
    for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * unit;
      context.beginPath();
      context.moveTo(sx - 12 * unit, sy);
      context.lineTo(sx + 12 * unit, sy);
      context.moveTo(sx, sy - 12 * unit);
      context.lineTo(sx, sy + 12 * unit);
      context.stroke();
    }
  }
}
