/* Where the user points, by mouse or by keyboard, and the prompts that come of it. */

const HOVER_MS = 60;

export class Cursor {
  constructor({ view, picture, timers, connection }) {
    this.view = view;
    this.picture = picture;
    this.timers = timers;
    this.connection = connection;
    this.drag = null; // what a button that is down does
    this.mouse = null; // y, x where the mouse was last
    this.cross = null; // y, x of the keyboard's cursor
    this.corner = null; // first corner of a box from the keyboard
  }

  here() {
    return this.cross || this.mouse || [this.view.y, this.view.x];
  }

  send(type, content) {
    this.connection.send({ type, plane: this.picture.plane, ...content });
  }

  click([y, x], positive) {
    if (this.picture.contains([y, x])) this.send("click", { y, x, positive });
  }

  pick([y, x]) {
    if (this.picture.contains([y, x])) this.send("pick", { y, x });
  }

  /* A box prompt, of what is in the plane of a box between two corners. */
  box([y0, x0, y1, x1]) {
    const [rows, columns] = this.picture.facts.shape;
    const box = [Math.max(y0, 0), Math.max(x0, 0), Math.min(y1, rows), Math.min(x1, columns)];
    if (box[0] < box[2] && box[1] < box[3]) this.send("box", { box });
  }

  hover() {
    if (!this.picture.display.preview) return;
    this.timers.later("hover", HOVER_MS, () => {
      if (!this.mouse || this.drag) return;
      const [y, x] = this.mouse;
      if (this.picture.contains(this.mouse)) this.send("hover", { y, x });
    });
  }

  leave() {
    this.mouse = null;
    if (this.picture.display.preview) this.send("hover", {});
  }
}
