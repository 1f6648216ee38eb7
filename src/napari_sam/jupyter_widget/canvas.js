/* The canvas of napari_sam.SegmentWidget: draws tiles, and says what the hand does.
 *
 *   kernel   facts, state, display, colours (traits)
 *            tiles, stale (messages with bytes)
 *   here     view, arrived, again, click, box, hover, pick, choose, move, command, display
 *
 * Coordinates are y, x in pixels of level 0. The view is kept as its centre and zoom, in
 * pixels of the page, so that neither a resize nor another screen moves what is looked
 * at. Nothing is loaded from anywhere: this file and its style are all there is.
 */

const LIMITS = { image: 160, labels: 80, candidate: 80, preview: 40 };
const DRAG_PX = 4;
const LONG_PRESS_MS = 600;
const HOVER_MS = 60;
const VIEW_MS = 30;
const SILENCE_MS = 8000;
const MOST_ZOOM = 64;
const UNANSWERED = new Set(["view", "arrived", "hover"]); // a view, by its tiles if any

const HELP = [
  ["Click, or Space at the cross", "on the object"],
  ["Right or Shift click, long press, Shift+Space", "not on the object"],
  ["Drag, or B at both corners", "box around the object"],
  ["1 2 3, N", "choose among the candidates"],
  ["Enter", "accept"],
  ["Escape", "discard"],
  ["Ctrl+Z, Ctrl+Shift+Z", "undo, redo"],
  ["E, or Ctrl click", "pick the object there, to change it"],
  ["Delete", "delete the picked object"],
  ["Wheel (after a click here, or with Ctrl), pinch, + -", "zoom"],
  ["Middle or Alt drag, two fingers, Shift+arrows", "move the view"],
  ["0", "see all"],
  ["Arrows", "move the cross"],
  ["Page up and down (with Shift: the other axis)", "next plane"],
  ["O, P", "outlines or fill, preview on or off"],
];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function make(tag, name, parent) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (parent) parent.appendChild(node);
  return node;
}

/* ---- tiles ---------------------------------------------------------------------- */

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Response(plain).arrayBuffer();
}

function picture(width, height, paint) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  paint(new Uint32Array(image.data.buffer));
  context.putImageData(image, 0, 0);
  return canvas;
}

const packed = ([r, g, b], a) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

/* Whether a pixel has another value beside it; what is beyond the tile is not known. */
function isEdge(values, width, height, at) {
  const x = at % width;
  const value = values[at];
  return (
    (x > 0 && values[at - 1] !== value) ||
    (x < width - 1 && values[at + 1] !== value) ||
    (at >= width && values[at - width] !== value) ||
    (at < width * (height - 1) && values[at + width] !== value)
  );
}

function drawIds(ids, width, height, style, colours) {
  const known = new Map();
  return picture(width, height, (out) => {
    for (let at = 0; at < ids.length; at += 1) {
      const id = ids[at];
      if (id === 0 || (style === "outline" && !isEdge(ids, width, height, at))) continue;
      let colour = known.get(id);
      if (colour === undefined) known.set(id, (colour = packed(colours[(id - 1) % colours.length], 255)));
      out[at] = colour;
    }
  });
}

function drawBits(bits, width, height, colour) {
  const values = new Uint8Array(width * height);
  for (let at = 0; at < values.length; at += 1) {
    values[at] = (bits[at >> 3] >> (7 - (at & 7))) & 1;
  }
  const [inside, edge] = [packed(colour, 90), packed(colour, 255)];
  return picture(width, height, (out) => {
    for (let at = 0; at < values.length; at += 1) {
      if (values[at]) out[at] = isEdge(values, width, height, at) ? edge : inside;
    }
  });
}

class Tiles {
  constructor(colours, onReady) {
    this.colours = colours;
    this.onReady = onReady;
    this.held = new Map(); // in order of use
    this.counts = { image: 0, labels: 0, candidate: 0, preview: 0 };
  }

  static key(kind, plane, level, row, column) {
    return `${kind}/${plane.join(",")}/${level}/${row}/${column}`;
  }

  get(key) {
    const tile = this.held.get(key);
    if (tile) {
      this.held.delete(key);
      this.held.set(key, tile);
    }
    return tile;
  }

  async take(content, data) {
    const { kind, plane, level, row, column, version, encoding } = content;
    const key = Tiles.key(kind, plane, level, row, column);
    const [height, width] = content.shape;
    const tile = { key, kind, version, width, height, content, drawn: {} };
    if (encoding === "png" || encoding === "jpeg") {
      const blob = new Blob([data], { type: `image/${encoding}` });
      tile.drawn.plain = await createImageBitmap(blob);
    } else if (encoding === "ids") {
      tile.ids = new Uint32Array(await inflate(data));
    } else if (encoding === "bits") {
      const bits = new Uint8Array(await inflate(data));
      tile.drawn.plain = drawBits(bits, width, height, this.colours[kind]);
    }
    tile.failed = encoding === "error";
    const older = this.held.get(key);
    if (older && older.version > version) return;
    if (older) this.held.delete(key);
    else this.counts[kind] += 1;
    this.held.set(key, tile);
    this.evict(kind);
    this.onReady(tile);
  }

  evict(kind) {
    for (const [key, tile] of this.held) {
      if (this.counts[kind] <= LIMITS[kind]) return;
      if (tile.kind !== kind) continue;
      this.held.delete(key);
      this.counts[kind] -= 1;
    }
  }

  /* What to draw of a tile; labels are coloured when they are first seen. */
  drawable(tile, style) {
    if (tile.ids && !tile.drawn[style]) {
      const { ids, width, height } = tile;
      tile.drawn = { [style]: drawIds(ids, width, height, style, this.colours.labels) };
    }
    return tile.ids ? tile.drawn[style] : tile.drawn.plain;
  }
}

/* ---- the view ------------------------------------------------------------------- */

class View {
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

  at(clientX, clientY) {
    const { left, top, width, height } = this.rect();
    return [
      this.y + (clientY - top - height / 2) / this.zoom,
      this.x + (clientX - left - width / 2) / this.zoom,
    ];
  }

  onScreen(y, x) {
    const scale = this.scale();
    return [
      this.canvas.height / 2 + (y - this.y) * scale,
      this.canvas.width / 2 + (x - this.x) * scale,
    ];
  }

  box() {
    const { width, height } = this.rect();
    const [h, w] = [height / 2 / this.zoom, width / 2 / this.zoom];
    return [this.y - h, this.x - w, this.y + h, this.x + w];
  }

  zoomAt(clientX, clientY, factor, least) {
    const [y, x] = this.at(clientX, clientY);
    const zoom = clamp(this.zoom * factor, least, MOST_ZOOM);
    this.y = y + ((this.y - y) * this.zoom) / zoom;
    this.x = x + ((this.x - x) * this.zoom) / zoom;
    this.zoom = zoom;
  }
}

/* ---- the controls around it ---------------------------------------------------- */

/* What ipywidgets do not tell a screen reader: sliders' names, which toggle is down. */
function nameControls(around) {
  const nameOf = (part) => part.querySelector(".widget-label").textContent.trim();
  for (const part of around.querySelectorAll(".widget-slider")) {
    const name = nameOf(part);
    const handles = part.querySelectorAll("[role=slider]");
    handles.forEach((handle, i) => {
      const end = handles.length > 1 ? [", from", ", to"][i] : "";
      handle.setAttribute("aria-label", `${name}${end}`);
    });
    const readout = part.querySelector(".widget-readout");
    if (readout) {
      readout.setAttribute("role", "textbox");
      readout.setAttribute("aria-label", `${name}, as a number`);
    }
  }
  for (const part of around.querySelectorAll(".widget-toggle-buttons")) {
    part.setAttribute("role", "group");
    part.setAttribute("aria-label", nameOf(part));
    for (const button of part.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
    }
  }
}

/* ---- the widget ----------------------------------------------------------------- */

class SegmentCanvas {
  constructor(model, el) {
    this.model = model;
    this.name = `view-${Math.random().toString(36).slice(2, 10)}`;
    this.build(el);
    this.view = new View(this.canvas);
    // Where a point of the image is on the page, for whoever drives it from outside.
    this.canvas.nsamView = this.view;
    this.canvas.nsamLook = (place) => this.lookAt(place);
    this.tiles = new Tiles(model.get("colours"), (tile) => this.onTile(tile));
    this.asked = new Set();
    this.pointers = new Map();
    this.drag = null;
    this.mouse = null; // y, x of the last place of the mouse
    this.cross = null; // y, x of the keyboard's cursor
    this.corner = null; // first corner of a box from the keyboard
    this.hasFitted = false;
    this.timers = {};
    this.undo = [];
    this.connect();
    this.onState();
  }

  get facts() {
    return this.model.get("facts");
  }

  get state() {
    return this.model.get("state");
  }

  get display() {
    return this.model.get("display");
  }

  get plane() {
    return this.state.plane || [];
  }

  build(el) {
    this.root = make("div", "napari-sam", el);
    this.stage = make("div", "nsam-stage", this.root);
    this.canvas = make("canvas", "nsam-canvas", this.stage);
    this.context = this.canvas.getContext("2d");
    this.hint = make("div", "nsam-hint", this.stage);
    this.hint.hidden = true;
    this.place = make("div", "nsam-place", this.stage);
    this.status = make("div", "nsam-status", this.root);
    this.status.setAttribute("role", "status");
    this.error = make("div", "nsam-error", this.root);
    this.error.setAttribute("role", "alert");
    const help = make("details", "nsam-help", this.root);
    make("summary", "", help).textContent = "Mouse and keys";
    const table = make("table", "", help);
    for (const [keys, what] of HELP) {
      const row = make("tr", "", table);
      make("th", "", row).textContent = keys;
      make("td", "", row).textContent = what;
    }
    this.help = help;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.style = make("style", "", this.root);
  }

  connect() {
    const { model, canvas } = this;
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
      this.hearKernel();
      this.onState();
    });
    follow("change:display", () => this.onState());
    follow("change:height", () => this.resize());
    follow("change:focus", () => this.lookAt(model.get("focus")));
    follow("msg:custom", (content, buffers) => this.onMessage(content, buffers));
    on(canvas, "pointerdown", (event) => this.onDown(event));
    on(canvas, "pointermove", (event) => this.onMove(event));
    on(canvas, "pointerup", (event) => this.onUp(event));
    on(canvas, "pointercancel", (event) => this.onCancel(event));
    on(canvas, "pointerleave", () => this.onLeave());
    on(canvas, "wheel", (event) => this.onWheel(event), { passive: false });
    on(canvas, "contextmenu", (event) => {
      event.preventDefault();
      event.stopPropagation();
    });
    // Before the notebook, which listens at the document while events come down.
    on(window, "keydown", (event) => this.onKey(event), true);
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(this.stage);
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
    this.isClosed = true;
    this.undoRatio();
    for (const undo of this.undo) undo();
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
    this.root.remove();
  }

  send(content) {
    if (!UNANSWERED.has(content.type)) this.expectAnswer();
    try {
      this.model.send(content);
    } catch (error) {
      this.showSilence();
    }
  }

  later(name, delay, act) {
    if (this.timers[name]) return;
    this.timers[name] = setTimeout(() => {
      this.timers[name] = null;
      if (!this.isClosed) act();
    }, delay);
  }

  stop(name) {
    clearTimeout(this.timers[name]);
    this.timers[name] = null;
  }

  /* -- what comes from the kernel -- */

  onFacts() {
    const { name, marker } = this.facts;
    if (!name) return;
    this.canvas.setAttribute(
      "aria-label",
      `Image ${name}. Click objects to segment them; the arrow keys move a cross, ` +
        "Space clicks there, Enter accepts. All keys are listed below.",
    );
    // The picture for pages without a kernel is not needed beside the real thing.
    this.style.textContent = marker ? `.${marker} { display: none; }` : "";
    this.resize();
  }

  onState() {
    const { state } = this;
    if (state.pending) this.askAgain();
    else this.stop("again");
    this.error.textContent = state.error || "";
    this.error.hidden = !state.error;
    this.status.textContent = this.describe();
    this.root.classList.toggle("nsam-busy", Boolean(state.pending));
    this.canvas.dataset.tool = this.display.tool || "prompt";
    this.changed();
  }

  describe() {
    const { state, facts } = this;
    if (!state.prompts) return "Opening...";
    const parts = [];
    [...(facts.axes || "")].forEach((axis, i) => {
      // Counted as by the slider and by widget.plane.
      parts.push(`${axis} ${state.plane[i]} (0 to ${facts.counts[i] - 1})`);
    });
    if (state.pending) parts.push("segmenting...");
    else if (state.scores.length) {
      const count = state.scores.length;
      const score = state.scores[state.chosen].toFixed(2);
      const which = count > 1 ? `candidate ${state.chosen + 1} of ${count}` : "candidate";
      parts.push(`${which}, score ${score}: Enter accepts`);
    } else if (state.prompts.length) parts.push("no object seen there");
    if (state.target) parts.push(`changing object ${state.target}`);
    parts.push(state.objects === 1 ? "1 object" : `${state.objects} objects`);
    if (state.notice) parts.push(state.notice);
    return parts.join(" · ");
  }

  onMessage(content, buffers) {
    this.hearKernel();
    if (content.type === "tile") {
      if (content.number) this.send({ type: "arrived", number: content.number });
      const view = buffers && buffers[0];
      const data = view
        ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
        : new Uint8Array();
      this.tiles.take(content, data);
    } else if (content.type === "stale") {
      this.markStale(content);
    }
  }

  markStale({ planes, box, version }) {
    const among = new Set(planes.map((plane) => plane.join(",")));
    for (const tile of this.tiles.held.values()) {
      if (tile.kind !== "labels" || tile.version >= version) continue;
      const { plane, level, row, column } = tile.content;
      const [y0, x0, y1, x1] = this.extent("labels", level, row, column);
      const touches = y0 < box[2] && box[0] < y1 && x0 < box[3] && box[1] < x1;
      if (among.has(plane.join(",")) && touches) tile.isStale = true;
      else tile.version = version;
    }
    this.changed();
  }

  onTile(tile) {
    const start = `${tile.key}@`;
    for (const key of this.asked) if (key.startsWith(start)) this.asked.delete(key);
    this.changed();
  }

  expectAnswer() {
    this.later("silence", SILENCE_MS, () => this.showSilence());
  }

  hearKernel() {
    this.stop("silence");
    if (this.hint.hidden) return;
    this.hint.hidden = true;
    // What was sent meanwhile may be lost, as where the connection was.
    this.askedPlace = null;
    this.changed();
  }

  showSilence() {
    this.hint.hidden = false;
    this.hint.textContent =
      "The kernel does not answer: it is busy, or it was restarted. If it was, run " +
      "this cell again; it goes on from the labels on disk.";
    this.askAgain();
  }

  /* A line that broke may have swallowed the state for which the page still waits. */
  askAgain() {
    this.later("again", SILENCE_MS, () => {
      this.send({ type: "again" });
      if (this.state.pending || !this.hint.hidden) this.askAgain();
    });
  }

  /* -- drawing -- */

  resize() {
    if (this.isClosed) return;
    this.stage.style.height = `${this.model.get("height")}px`;
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(Math.round(width * ratio), 1);
    this.canvas.height = Math.max(Math.round(height * ratio), 1);
    if (!this.hasFitted && this.facts.shape) {
      this.hasFitted = true;
      this.fit();
      const focus = this.model.get("focus");
      if (focus && focus.zoom) this.lookAt(focus);
    }
    this.followControls();
    this.draw();
    this.ask();
  }

  /* The canvas is drawn before it is put beside the controls; it has a size after. */
  followControls() {
    const around = this.root.closest(".nsam-widget");
    if (!around || this.hasControls) return;
    this.hasControls = true;
    const observer = new MutationObserver(() => nameControls(around));
    const options = { subtree: true, childList: true, attributeFilter: ["class"] };
    observer.observe(around, options);
    this.undo.push(() => observer.disconnect());
    nameControls(around);
  }

  fit() {
    const { width, height } = this.view.rect();
    const [rows, columns] = this.facts.shape;
    this.view.y = rows / 2;
    this.view.x = columns / 2;
    this.view.zoom = Math.min(this.leastZoom() * 2, MOST_ZOOM, height / rows, width / columns);
    this.changed();
  }

  leastZoom() {
    const { width, height } = this.view.rect();
    const [rows, columns] = this.facts.shape;
    return Math.min(height / rows, width / columns, MOST_ZOOM) / 2;
  }

  lookAt({ y, x, zoom }) {
    if (!zoom || !this.facts.shape) return;
    this.hasFitted = true;
    this.view.y = y;
    this.view.x = x;
    this.view.zoom = clamp(zoom, this.leastZoom(), MOST_ZOOM);
    this.changed();
  }

  changed() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = null;
        if (!this.isClosed) this.draw();
      });
    }
    this.later("ask", VIEW_MS, () => this.ask());
  }

  /* The levels of a kind: shape and size of a pixel in pixels of level 0. */
  levelOf(kind, level) {
    if (kind === "image") return this.facts.levels[level];
    if (kind === "labels") return this.facts.labelLevels[level];
    const step = 2 ** level;
    const shape = this.facts.shape.map((side) => Math.ceil(side / step));
    return { shape, factors: [step, step] };
  }

  extent(kind, level, row, column) {
    const { factors, shape } = this.levelOf(kind, level);
    const side = this.facts.tile;
    return [
      row * side * factors[0],
      column * side * factors[1],
      Math.min((row + 1) * side, shape[0]) * factors[0],
      Math.min((column + 1) * side, shape[1]) * factors[1],
    ];
  }

  /* The level whose pixels are at most about as large as those of the screen. */
  bestLevel(kind) {
    const most = 1.0001 / this.view.scale();
    if (kind === "candidate" || kind === "preview") {
      return clamp(Math.floor(Math.log2(most)), 0, 30);
    }
    const levels = kind === "image" ? this.facts.levels : this.facts.labelLevels;
    let best = 0;
    levels.forEach((level, i) => {
      if (Math.max(...level.factors) <= most && level.isCheap !== false) best = i;
    });
    return best;
  }

  /* The level that is asked for first, to have something at once; -1: there is none. */
  underlay() {
    const { levels, tile } = this.facts;
    const last = levels.length - 1;
    return levels[last].isCheap && Math.max(...levels[last].shape) <= 2 * tile ? last : -1;
  }

  /* Rows and columns of the tiles of a level in view, from the middle outwards. */
  inView(kind, level, within) {
    const [y0, x0, y1, x1] = this.view.box();
    const { shape, factors } = this.levelOf(kind, level);
    const [fy, fx] = factors.map((factor) => factor * this.facts.tile);
    const limit = within || [0, 0, shape[0] * factors[0], shape[1] * factors[1]];
    const [low, left] = [Math.max(y0, limit[0], 0), Math.max(x0, limit[1], 0)];
    const high = Math.min(y1, limit[2], shape[0] * factors[0]);
    const right = Math.min(x1, limit[3], shape[1] * factors[1]);
    const found = [];
    for (let row = Math.floor(low / fy); row * fy < high; row += 1) {
      for (let column = Math.floor(left / fx); column * fx < right; column += 1) {
        const dy = (row + 0.5) * fy - this.view.y;
        const dx = (column + 0.5) * fx - this.view.x;
        found.push([dy * dy + dx * dx, row, column]);
      }
    }
    return found.sort((a, b) => a[0] - b[0]).map(([, row, column]) => [row, column]);
  }

  /* Kinds, levels and boxes that make up the picture, from the bottom to the top. */
  layers() {
    const { facts, state, display } = this;
    const layers = [];
    const best = this.bestLevel("image");
    for (let level = facts.levels.length - 1; level >= best; level -= 1) {
      layers.push({ kind: "image", level, alpha: 1 });
    }
    if (display.labels !== "off") {
      const last = facts.labelLevels.length - 1;
      const level = this.bestLevel("labels");
      if (last > level) layers.push({ kind: "labels", level: last, isCoarse: true });
      layers.push({ kind: "labels", level });
    }
    const isThere = this.plane.join() === (state.draftPlane || []).join();
    for (const kind of ["preview", "candidate"]) {
      const box = state[`${kind}Box`];
      if (box && isThere) layers.push({ kind, level: this.bestLevel(kind), box });
    }
    return layers;
  }

  draw() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.facts.levels || !this.state.prompts) return;
    const hasFine = this.isWhole("labels");
    for (const layer of this.layers()) {
      if (layer.isCoarse && hasFine) continue;
      for (const [row, column] of this.inView(layer.kind, layer.level, layer.box)) {
        this.drawTile(layer, row, column);
      }
    }
    context.globalAlpha = 1;
    this.drawPrompts();
    this.drawHand();
  }

  isWhole(kind) {
    const level = this.bestLevel(kind);
    return this.inView(kind, level).every(([row, column]) =>
      this.tiles.held.has(Tiles.key(kind, this.plane, level, row, column)),
    );
  }

  drawTile({ kind, level, box }, row, column) {
    const tile = this.tiles.get(Tiles.key(kind, this.plane, level, row, column));
    if (!tile) return;
    if (box && tile.version !== this.state.versions[kind]) return;
    const { labels, opacity } = this.display;
    const source = this.tiles.drawable(tile, labels);
    if (!source) return;
    this.context.globalAlpha = kind === "labels" ? opacity : 1;
    const { factors } = this.levelOf(kind, level);
    const [y0, x0] = this.extent(kind, level, row, column);
    const [y1, x1] = [y0 + tile.height * factors[0], x0 + tile.width * factors[1]];
    // Whole pixels of the screen, those whose middle is in the tile, and for these
    // exactly what lies under them: what is seen is what a click there points at.
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
    this.context.imageSmoothingEnabled =
      kind === "image" && this.view.scale() * Math.max(...factors) < 1;
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
    const { state } = this;
    if (this.plane.join() !== state.draftPlane.join()) return;
    for (const prompt of state.prompts) {
      if (prompt.kind === "click") this.drawClick(prompt);
      else if (prompt.kind === "box") this.drawBox(prompt.box);
    }
  }

  drawClick({ y, x, positive, met }) {
    const { context } = this;
    const unit = window.devicePixelRatio || 1;
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
    const { context } = this;
    const unit = window.devicePixelRatio || 1;
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

  drawHand() {
    const { drag, corner, cross } = this;
    if (drag && drag.kind === "box" && drag.moved) this.drawBox(sorted(drag.from, drag.to));
    if (corner && cross) this.drawBox(sorted(corner, cross));
    if (!cross) return;
    const { context } = this;
    const unit = window.devicePixelRatio || 1;
    const [sy, sx] = this.view.onScreen(...cross);
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

  /* -- asking for tiles -- */

  wanted() {
    const wanted = [];
    const layers = this.layers();
    // Masks are small and waited for; of the image the coarsest tile comes first.
    const order = { candidate: 0, preview: 1, image: 2, labels: 3 };
    layers.sort((a, b) => order[a.kind] - order[b.kind]);
    const best = this.bestLevel("image");
    const last = this.underlay();
    for (const { kind, level, box } of layers) {
      if (kind === "image" && level !== best && level !== last) continue;
      const version = this.state.versions[kind];
      for (const [row, column] of this.inView(kind, level, box)) {
        const key = Tiles.key(kind, this.plane, level, row, column);
        const tile = this.tiles.held.get(key);
        if (tile && !tile.isStale && tile.version >= version) continue;
        wanted.push({ key: `${key}@${version}`, row: [kind, level, row, column] });
      }
    }
    return wanted.slice(0, 1000);
  }

  ask() {
    if (!this.facts.levels || !this.state.versions || !this.view.rect().width) return;
    const wanted = this.wanted();
    const box = this.view.box();
    const scale = this.view.scale();
    const place = JSON.stringify([box, scale, this.plane]);
    const isKnown = wanted.every(({ key }) => this.asked.has(key));
    if (place === this.askedPlace && isKnown) return;
    this.askedPlace = place;
    this.asked = new Set(wanted.map(({ key }) => key));
    this.send({
      type: "view",
      view: this.name,
      plane: this.plane,
      box,
      zoom: scale,
      tiles: wanted.map(({ row }) => row),
    });
    if (wanted.length) this.expectAnswer();
  }

  /* -- the hand -- */

  isInside([y, x]) {
    const [rows, columns] = this.facts.shape;
    return y >= 0 && x >= 0 && y < rows && x < columns;
  }

  onDown(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.cross = this.corner = null;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch (error) {
      // A pointer that is gone already; its moves are not needed then.
    }
    const at = this.view.at(event.clientX, event.clientY);
    this.stop("press");
    if (this.pointers.size > 1) {
      this.drag = { kind: "pinch", ...this.pinch() };
      return;
    }
    const { tool } = this.display;
    const isPan = event.button === 1 || event.altKey || tool === "pan";
    this.drag = {
      kind: isPan ? "pan" : "box",
      from: at,
      to: at,
      start: [event.clientX, event.clientY],
      last: [event.clientX, event.clientY],
      // A pen's second button, or its eraser, says no as the right button does.
      isNegative:
        event.button === 2 || event.button === 5 || event.shiftKey || tool === "exclude",
      isPick: tool === "pick" || event.ctrlKey || event.metaKey,
      moved: false,
    };
    if (event.pointerType === "touch") {
      this.later("press", LONG_PRESS_MS, () => this.onLongPress());
    }
  }

  onLongPress() {
    if (!this.drag || this.drag.moved || this.drag.kind !== "box") return;
    const { from } = this.drag;
    this.drag = null;
    this.click(from, false);
  }

  pinch() {
    const [a, b] = [...this.pointers.values()];
    return {
      middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
      distance: Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 1),
    };
  }

  onMove(event) {
    const at = this.view.at(event.clientX, event.clientY);
    this.mouse = at;
    // A page that scrolls under a mouse at rest tells of a move as well.
    const place = `${event.clientX},${event.clientY}`;
    const isMoved = place !== this.lastPlace;
    this.lastPlace = place;
    if (isMoved && this.cross && !this.corner) {
      // The hand is back at the mouse.
      this.cross = null;
      this.changed();
    }
    this.showPlace(at);
    if (this.pointers.has(event.pointerId)) {
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    }
    const { drag } = this;
    if (!drag) {
      this.hover();
    } else if (drag.kind === "pinch" && this.pointers.size > 1) {
      this.onPinch(drag);
    } else if (drag.start) {
      const [dx, dy] = [event.clientX - drag.start[0], event.clientY - drag.start[1]];
      drag.moved = drag.moved || Math.hypot(dx, dy) > DRAG_PX;
      if (drag.kind === "pan") this.pan(drag, event);
      drag.to = at;
      if (drag.moved) this.changed();
    }
  }

  onPinch(drag) {
    const now = this.pinch();
    this.view.zoomAt(...now.middle, now.distance / drag.distance, this.leastZoom());
    this.view.x -= (now.middle[0] - drag.middle[0]) / this.view.zoom;
    this.view.y -= (now.middle[1] - drag.middle[1]) / this.view.zoom;
    Object.assign(drag, now);
    this.changed();
  }

  pan(drag, event) {
    this.view.x -= (event.clientX - drag.last[0]) / this.view.zoom;
    this.view.y -= (event.clientY - drag.last[1]) / this.view.zoom;
    drag.last = [event.clientX, event.clientY];
  }

  onUp(event) {
    this.stop("press");
    const { drag } = this;
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.drag = null;
    if (!drag || drag.kind === "pinch") return;
    const at = this.view.at(event.clientX, event.clientY);
    if (drag.kind === "box" && drag.moved) this.box(drag.from, at);
    else if (!drag.moved && drag.kind === "box" && drag.isPick) this.pick(at);
    else if (!drag.moved && drag.kind === "box") this.click(at, !drag.isNegative);
    this.changed();
  }

  onCancel(event) {
    this.stop("press");
    this.pointers.delete(event.pointerId);
    this.drag = null;
    this.changed();
  }

  onLeave() {
    this.mouse = null;
    this.place.textContent = "";
    if (this.display.preview) this.send({ type: "hover", plane: this.plane });
  }

  onWheel(event) {
    const isOurs = document.activeElement === this.canvas || this.hasFocus();
    if (!isOurs && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    const factor = Math.exp(-clamp(step, -240, 240) / 400);
    this.view.zoomAt(event.clientX, event.clientY, factor, this.leastZoom());
    this.changed();
  }

  hasFocus() {
    return this.root.getRootNode().activeElement === this.canvas;
  }

  showPlace(at) {
    const isIn = this.facts.shape && this.isInside(at);
    this.place.textContent = isIn ? `y ${Math.floor(at[0])}, x ${Math.floor(at[1])}` : "";
  }

  hover() {
    if (!this.display.preview) return;
    this.later("hover", HOVER_MS, () => {
      if (!this.mouse || this.drag) return;
      const [y, x] = this.mouse;
      if (this.isInside(this.mouse)) this.send({ type: "hover", plane: this.plane, y, x });
    });
  }

  click([y, x], positive) {
    if (this.isInside([y, x])) {
      this.send({ type: "click", plane: this.plane, y, x, positive });
    }
  }

  pick([y, x]) {
    if (this.isInside([y, x])) this.send({ type: "pick", plane: this.plane, y, x });
  }

  box(from, to) {
    const [rows, columns] = this.facts.shape;
    const [y0, x0, y1, x1] = sorted(from, to);
    const box = [Math.max(y0, 0), Math.max(x0, 0), Math.min(y1, rows), Math.min(x1, columns)];
    if (box[0] < box[2] && box[1] < box[3]) {
      this.send({ type: "box", plane: this.plane, box });
    }
  }

  /* -- the keyboard -- */

  onKey(event) {
    if (!this.hasFocus() || event.isComposing) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const act = isCommand ? this.commandKey(event) : this.plainKey(event);
    // Save and the like are the notebook's; of plain keys only Tab goes on, since a
    // letter that means nothing here may cut or delete a cell there.
    if (!act && (isCommand || event.key === "Tab" || /^F\d+$/.test(event.key))) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (act && this.facts.shape) act();
  }

  commandKey(event) {
    const command = (name) => () => this.send({ type: "command", command: name });
    const key = event.key.toLowerCase();
    if (key === "z") return command(event.shiftKey ? "redo" : "undo");
    if (key === "y") return command("redo");
    return null;
  }

  plainKey(event) {
    const { key, shiftKey } = event;
    const command = (name) => () => this.send({ type: "command", command: name });
    const commands = { Enter: "accept", Delete: "delete", Backspace: "delete", n: "next" };
    const arrows = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    if (commands[key]) return command(commands[key]);
    if (arrows[key]) return () => (shiftKey ? this.panBy : this.step).call(this, arrows[key]);
    if (["1", "2", "3"].includes(key)) {
      return () => this.send({ type: "choose", index: Number(key) - 1 });
    }
    const acts = {
      Escape: () => this.escape(),
      " ": () => this.click(this.here(), !shiftKey && this.display.tool !== "exclude"),
      b: () => this.cornerHere(),
      e: () => this.pick(this.here()),
      o: () => this.nextStyle(),
      p: () => this.send({ type: "display", preview: !this.display.preview }),
      0: () => this.fit(),
      "+": () => this.zoomBy(1.25),
      "=": () => this.zoomBy(1.25),
      "-": () => this.zoomBy(0.8),
      PageUp: () => this.movePlane(-1, shiftKey),
      PageDown: () => this.movePlane(1, shiftKey),
      "?": () => {
        this.help.open = !this.help.open;
      },
    };
    return acts[key.length === 1 ? key.toLowerCase() : key] || null;
  }

  here() {
    return this.cross || this.mouse || [this.view.y, this.view.x];
  }

  step([dy, dx]) {
    const [rows, columns] = this.facts.shape;
    const [y, x] = this.here();
    const far = Math.max(1, 8 / this.view.zoom);
    this.cross = [clamp(y + dy * far, 0, rows - 0.5), clamp(x + dx * far, 0, columns - 0.5)];
    const [y0, x0, y1, x1] = this.view.box();
    const [cy, cx] = this.cross;
    if (cy < y0 || cy > y1 || cx < x0 || cx > x1) [this.view.y, this.view.x] = this.cross;
    this.showPlace(this.cross);
    this.mouse = this.cross;
    this.hover();
    this.changed();
  }

  panBy([dy, dx]) {
    const { width, height } = this.view.rect();
    this.view.y += (dy * height) / 8 / this.view.zoom;
    this.view.x += (dx * width) / 8 / this.view.zoom;
    this.changed();
  }

  zoomBy(factor) {
    const { left, top, width, height } = this.view.rect();
    this.view.zoomAt(left + width / 2, top + height / 2, factor, this.leastZoom());
    this.changed();
  }

  cornerHere() {
    const here = this.here();
    if (this.corner) {
      this.box(this.corner, here);
      this.corner = null;
    } else {
      this.corner = here;
      this.cross = here;
    }
    this.changed();
  }

  escape() {
    if (this.corner || (this.drag && this.drag.moved)) {
      this.corner = this.cross = this.drag = null;
      this.changed();
    } else {
      this.send({ type: "command", command: "discard" });
    }
  }

  nextStyle() {
    const styles = ["fill", "outline", "off"];
    const labels = styles[(styles.indexOf(this.display.labels) + 1) % styles.length];
    this.send({ type: "display", labels });
  }

  movePlane(step, isOther) {
    const count = (this.facts.axes || "").length;
    if (!count) return;
    const axis = isOther && count > 1 ? count - 2 : count - 1;
    this.send({ type: "move", axis, step });
  }
}

function sorted([ya, xa], [yb, xb]) {
  return [Math.min(ya, yb), Math.min(xa, xb), Math.max(ya, yb), Math.max(xa, xb)];
}

export default {
  render({ model, el }) {
    const canvas = new SegmentCanvas(model, el);
    return () => canvas.close();
  },
};
