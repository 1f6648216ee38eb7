/* The canvas of napari_sam.SegmentWidget: draws tiles, and sends what the user does.
 *
 *   kernel   facts, state, display, colours (traits)
 *            tile, stale (messages with bytes)
 *   here     view, arrived, again, click, box, hover, pick, choose, move, command, display
 *
 *   elements, status, controls    the page around the canvas
 *   picture, tiles, requests      which tiles are needed, which are here
 *   drawing                       a frame
 *   pointer, keys, cursor         what the user does
 *   connection, timers            the line to the kernel
 *
 * Coordinates are y, x in pixels of level 0. Nothing is loaded from anywhere: `bundle`
 * in Python joins these modules, and with the style they are all there is.
 */

import { Connection } from "./connection.js";
import { followControls } from "./controls.js";
import { Cursor } from "./cursor.js";
import { Drawing } from "./drawing.js";
import { Elements } from "./elements.js";
import { Keys } from "./keys.js";
import { Picture } from "./picture.js";
import { Pointer } from "./pointer.js";
import { TileRequests } from "./requests.js";
import { describe } from "./status.js";
import { Tiles } from "./tiles.js";
import { Timers } from "./timers.js";
import { View } from "./view.js";

const VIEW_MS = 30;

class SegmentCanvas {
  constructor(model, el) {
    this.model = model;
    this.elements = new Elements(el);
    this.assemble();
    this.hasFitted = false;
    this.undo = [];
    this.connect();
    this.onState();
  }

  assemble() {
    const { model, elements } = this;
    const { canvas } = elements;
    const onChange = () => this.changed();
    this.timers = new Timers();
    this.view = new View(canvas);
    this.picture = new Picture(model, this.view);
    this.tiles = new Tiles(model.get("colours"), (tile) => this.onTile(tile));
    this.connection = new Connection(model, this.timers, elements.hint, () =>
      this.onBack(),
    );
    this.requests = new TileRequests(this);
    this.cursor = new Cursor(this);
    this.drawing = new Drawing(canvas, this);
    this.pointer = new Pointer(canvas, this, onChange, (at) => this.showPosition(at));
    this.keys = new Keys(this, elements, onChange);
    // Where a point of the image is on the page, for whoever drives it from outside.
    canvas.nsamView = this.view;
    canvas.nsamMoveTo = (focus) => this.moveTo(focus);
  }

  connect() {
    const { model } = this;
    const on = (target, type, act, options) => {
      target.addEventListener(type, act, options);
      this.undo.push(() => target.removeEventListener(type, act, options));
    };
    const follow = (name, act) => {
      model.on(name, act);
      this.undo.push(() => model.off(name, act));
    };
    follow("change:facts", () => this.onFacts());
    follow("change:state", () => {
      this.connection.onAnswer();
      this.onState();
    });
    follow("change:display", () => this.onState());
    follow("change:height", () => this.resize());
    follow("change:focus", () => this.moveTo(model.get("focus")));
    follow("msg:custom", (content, buffers) => this.onMessage(content, buffers));
    for (const [type, act] of Object.entries(this.pointer.listeners())) {
      on(this.elements.canvas, type, act, { passive: false });
    }
    // Before the notebook, which listens at the document while events come down.
    on(window, "keydown", (event) => this.keys.onKey(event), true);
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(this.elements.frame);
    this.undo.push(() => observer.disconnect());
    this.followRatio();
    this.onFacts();
  }

  /* Another screen, or the browser's own zoom. */
  followRatio() {
    const query = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    const act = () => {
      this.resize();
      this.followRatio();
    };
    query.addEventListener("change", act, { once: true });
    this.undoRatio = () => query.removeEventListener("change", act);
  }

  close() {
    this.timers.close();
    this.undoRatio();
    for (const undo of this.undo) undo();
    this.elements.root.remove();
  }

  /* -- what comes from the kernel -- */

  onFacts() {
    const { name, marker } = this.picture.facts;
    if (!name) return;
    this.elements.nameImage(name, marker);
    this.resize();
  }

  onState() {
    const { elements, picture } = this;
    const { state, facts, display } = picture;
    this.connection.awaitState(state.pending);
    elements.showError(state.error);
    elements.status.textContent = describe(state, facts);
    elements.root.classList.toggle("nsam-busy", Boolean(state.pending));
    elements.canvas.dataset.tool = display.tool || "prompt";
    this.changed();
  }

  onMessage(content, buffers) {
    this.connection.onAnswer();
    if (content.type === "tile") {
      const { number } = content;
      if (number) this.connection.send({ type: "arrived", number });
      const bytes = buffers && buffers[0];
      const data = bytes
        ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        : new Uint8Array();
      this.tiles.take(content, data);
    } else if (content.type === "stale") {
      this.tiles.markStale(content, (...tile) => this.picture.extent(...tile));
      this.changed();
    }
  }

  onTile(tile) {
    this.requests.onTile(tile);
    this.changed();
  }

  onBack() {
    this.requests.forget();
    this.changed();
  }

  /* -- what is drawn -- */

  resize() {
    if (this.timers.isClosed) return;
    if (!this.elements.fitCanvas(this.model.get("height"))) return;
    if (!this.hasFitted && this.picture.facts.shape) {
      this.hasFitted = true;
      this.view.fit(this.picture.facts.shape);
      this.moveTo(this.model.get("focus") || {});
    }
    this.followControls();
    this.drawing.draw();
    this.requests.send();
  }

  /* The canvas is drawn before it is put beside the controls; it has a size after. */
  followControls() {
    if (this.hasControls) return;
    const end = followControls(this.elements.root);
    this.hasControls = end !== null;
    if (end) this.undo.push(end);
  }

  moveTo(focus) {
    const { shape } = this.picture.facts;
    if (!focus.zoom || !shape) return;
    this.hasFitted = true;
    this.view.moveTo(focus, shape);
    this.changed();
  }

  showPosition(at) {
    const isIn = at && this.picture.facts.shape && this.picture.contains(at);
    this.elements.showPosition(isIn ? at : null);
  }

  changed() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        if (!this.timers.isClosed) this.drawing.draw();
      });
    }
    this.timers.later("view", VIEW_MS, () => this.requests.send());
  }
}

export default {
  render({ model, el }) {
    const canvas = new SegmentCanvas(model, el);
    return () => canvas.close();
  },
};
