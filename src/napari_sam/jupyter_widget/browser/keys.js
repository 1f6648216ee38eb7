/* The keyboard, while the canvas has the focus. */

import { boxBetween, clamp } from "./view.js";

const COMMANDS = { Enter: "accept", Delete: "delete", Backspace: "delete", n: "next" };
const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};
const STYLES = ["fill", "outline", "off"];
const STEP_PX = 8;

export class Keys {
  constructor({ view, picture, cursor, connection, pointer }, elements, onChange) {
    this.view = view;
    this.picture = picture;
    this.cursor = cursor;
    this.connection = connection;
    this.pointer = pointer;
    this.elements = elements;
    this.onChange = onChange;
  }

  onKey(event) {
    if (!this.pointer.hasFocus() || event.isComposing) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const act = isCommand ? this.commandKey(event) : this.plainKey(event);
    // Save and the like are the notebook's; of plain keys only Tab goes on, since a
    // letter that means nothing here may cut or delete a cell there.
    if (!act && (isCommand || event.key === "Tab" || /^F\d+$/.test(event.key))) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (act && this.picture.facts.shape) act();
  }

  command(name) {
    return () => this.connection.send({ type: "command", command: name });
  }

  commandKey(event) {
    const key = event.key.toLowerCase();
    if (key === "z") return this.command(event.shiftKey ? "redo" : "undo");
    if (key === "y") return this.command("redo");
    return null;
  }

  plainKey({ key, shiftKey }) {
    if (COMMANDS[key]) return this.command(COMMANDS[key]);
    if (ARROWS[key]) {
      return () => (shiftKey ? this.panBy(ARROWS[key]) : this.step(ARROWS[key]));
    }
    if (["1", "2", "3"].includes(key)) {
      return () => this.connection.send({ type: "choose", index: Number(key) - 1 });
    }
    const acts = this.acts(shiftKey);
    return acts[key.length === 1 ? key.toLowerCase() : key] || null;
  }

  acts(isShift) {
    const { cursor, picture } = this;
    const { display } = picture;
    return {
      Escape: () => this.escape(),
      " ": () => cursor.click(cursor.here(), !isShift && display.tool !== "exclude"),
      b: () => this.cornerHere(),
      e: () => cursor.pick(cursor.here()),
      o: () => this.nextStyle(),
      p: () => this.connection.send({ type: "display", preview: !display.preview }),
      0: () => this.fit(),
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(0.8),
      PageUp: () => this.movePlane(-1, isShift),
      PageDown: () => this.movePlane(1, isShift),
      "?": () => this.elements.toggleHelp(),
    };
  }

  step([dy, dx]) {
    const { cursor, view } = this;
    const [rows, columns] = this.picture.facts.shape;
    const [y, x] = cursor.here();
    const far = Math.max(1, STEP_PX / view.zoom);
    const at = [clamp(y + dy * far, 0, rows - 0.5), clamp(x + dx * far, 0, columns - 0.5)];
    cursor.cross = cursor.mouse = at;
    if (!view.contains(at)) [view.y, view.x] = at;
    this.elements.showPosition(at);
    cursor.hover();
    this.onChange();
  }

  panBy([dy, dx]) {
    const { width, height } = this.view.rect();
    this.view.panBy((dy * height) / 8, (dx * width) / 8);
    this.onChange();
  }

  zoomBy(factor) {
    this.view.zoomBy(factor, this.picture.facts.shape);
    this.onChange();
  }

  fit() {
    this.view.fit(this.picture.facts.shape);
    this.onChange();
  }

  cornerHere() {
    const { cursor } = this;
    const here = cursor.here();
    if (cursor.corner) {
      cursor.box(boxBetween(cursor.corner, here));
      cursor.corner = null;
    } else {
      cursor.corner = cursor.cross = here;
    }
    this.onChange();
  }

  escape() {
    const { cursor } = this;
    if (cursor.corner || (cursor.drag && cursor.drag.moved)) {
      cursor.corner = cursor.cross = cursor.drag = null;
      this.onChange();
    } else {
      this.command("discard")();
    }
  }

  nextStyle() {
    const at = STYLES.indexOf(this.picture.display.labels);
    const labels = STYLES[(at + 1) % STYLES.length];
    this.connection.send({ type: "display", labels });
  }

  movePlane(step, isOther) {
    const count = (this.picture.facts.axes || "").length;
    if (!count) return;
    const axis = isOther && count > 1 ? count - 2 : count - 1;
    this.connection.send({ type: "move", axis, step });
  }
}
