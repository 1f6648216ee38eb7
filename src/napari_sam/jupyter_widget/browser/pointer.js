/* Mouse, pen and fingers on the canvas. */

import { boxBetween, clamp } from "./view.js";

const DRAG_PX = 4;
const LONG_PRESS_MS = 600;
const MIDDLE_BUTTON = 1;
// A pen's second button and its eraser are negative, as the right button is.
const NEGATIVE_BUTTONS = new Set([2, 5]);

export class Pointer {
  constructor(canvas, { view, picture, timers, cursor }, onChange, showPosition) {
    this.canvas = canvas;
    this.view = view;
    this.picture = picture;
    this.timers = timers;
    this.cursor = cursor;
    this.onChange = onChange;
    this.showPosition = showPosition;
    this.down = new Map(); // where each finger or button is, in pixels of the page
    this.lastPosition = null;
  }

  listeners() {
    return {
      pointerdown: (event) => this.onDown(event),
      pointermove: (event) => this.onMove(event),
      pointerup: (event) => this.onUp(event),
      pointercancel: (event) => this.onCancel(event),
      pointerleave: () => this.onLeave(),
      wheel: (event) => this.onWheel(event),
      contextmenu: (event) => {
        event.preventDefault();
        event.stopPropagation();
      },
    };
  }

  hasFocus() {
    return this.canvas.getRootNode().activeElement === this.canvas;
  }

  onDown(event) {
    const { cursor, canvas } = this;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    cursor.cross = cursor.corner = null;
    this.down.set(event.pointerId, [event.clientX, event.clientY]);
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch (error) {
      // A pointer that is gone already; its moves are not needed then.
    }
    this.timers.stop("press");
    if (this.down.size > 1) {
      cursor.drag = { kind: "pinch", ...this.pinch() };
      return;
    }
    cursor.drag = this.dragOf(event);
    if (event.pointerType === "touch") {
      this.timers.later("press", LONG_PRESS_MS, () => this.onLongPress());
    }
  }

  dragOf(event) {
    const { tool } = this.picture.display;
    const at = this.view.at(event.clientX, event.clientY);
    const isPan = event.button === MIDDLE_BUTTON || event.altKey || tool === "pan";
    return {
      kind: isPan ? "pan" : "box",
      from: at,
      to: at,
      start: [event.clientX, event.clientY],
      last: [event.clientX, event.clientY],
      isNegative:
        NEGATIVE_BUTTONS.has(event.button) || event.shiftKey || tool === "exclude",
      isPick: tool === "pick" || event.ctrlKey || event.metaKey,
      moved: false,
    };
  }

  onLongPress() {
    const { drag } = this.cursor;
    if (!drag || drag.moved || drag.kind !== "box") return;
    this.cursor.drag = null;
    this.cursor.click(drag.from, false);
  }

  pinch() {
    const [a, b] = [...this.down.values()];
    return {
      middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
      distance: Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 1),
    };
  }

  onMove(event) {
    const { cursor } = this;
    const at = this.view.at(event.clientX, event.clientY);
    cursor.mouse = at;
    // A page that scrolls under a mouse at rest sends a move as well.
    const position = `${event.clientX},${event.clientY}`;
    const isMoved = position !== this.lastPosition;
    this.lastPosition = position;
    if (isMoved && cursor.cross && !cursor.corner) {
      // The hand is back at the mouse.
      cursor.cross = null;
      this.onChange();
    }
    this.showPosition(at);
    if (this.down.has(event.pointerId)) {
      this.down.set(event.pointerId, [event.clientX, event.clientY]);
    }
    if (cursor.drag) this.onDrag(cursor.drag, event, at);
    else cursor.hover();
  }

  onDrag(drag, event, at) {
    if (drag.kind === "pinch") {
      if (this.down.size > 1) this.onPinch(drag);
      return;
    }
    const [dx, dy] = [event.clientX - drag.start[0], event.clientY - drag.start[1]];
    drag.moved = drag.moved || Math.hypot(dx, dy) > DRAG_PX;
    if (drag.kind === "pan") {
      this.view.panBy(drag.last[1] - event.clientY, drag.last[0] - event.clientX);
      drag.last = [event.clientX, event.clientY];
    }
    drag.to = at;
    if (drag.moved) this.onChange();
  }

  onPinch(drag) {
    const now = this.pinch();
    this.view.zoomAt(now.middle, now.distance / drag.distance, this.picture.facts.shape);
    this.view.panBy(drag.middle[1] - now.middle[1], drag.middle[0] - now.middle[0]);
    Object.assign(drag, now);
    this.onChange();
  }

  onUp(event) {
    this.timers.stop("press");
    const { cursor } = this;
    const { drag } = cursor;
    this.down.delete(event.pointerId);
    if (this.down.size === 0) cursor.drag = null;
    if (!drag || drag.kind === "pinch") return;
    const at = this.view.at(event.clientX, event.clientY);
    if (drag.kind === "box") {
      if (drag.moved) cursor.box(boxBetween(drag.from, at));
      else if (drag.isPick) cursor.pick(at);
      else cursor.click(at, !drag.isNegative);
    }
    this.onChange();
  }

  onCancel(event) {
    this.timers.stop("press");
    this.down.delete(event.pointerId);
    this.cursor.drag = null;
    this.onChange();
  }

  onLeave() {
    this.showPosition(null);
    this.cursor.leave();
  }

  onWheel(event) {
    const isOurs = document.activeElement === this.canvas || this.hasFocus();
    if (!isOurs && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    const factor = Math.exp(-clamp(step, -240, 240) / 400);
    this.view.zoomAt([event.clientX, event.clientY], factor, this.picture.facts.shape);
    this.onChange();
  }
}
