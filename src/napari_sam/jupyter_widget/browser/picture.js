/* What makes up the picture: the kinds, levels and tiles that the view needs.
 *
 *   image    coarse levels below fine ones, so that something is there at once
 *   labels   the level that fits the view, over the coarsest until it is whole
 *   preview, candidate   at powers of two, where the session has one in this plane
 */

import { clamp } from "./view.js";

export class Picture {
  constructor(model, view) {
    this.model = model;
    this.view = view;
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

  /* Whether the prompts and their candidate are in the plane that is shown. */
  get showsPrompts() {
    return this.plane.join() === (this.state.promptPlane || []).join();
  }

  contains([y, x]) {
    const [rows, columns] = this.facts.shape;
    return y >= 0 && x >= 0 && y < rows && x < columns;
  }

  /* The levels of a kind: shape and size of a pixel in pixels of level 0. */
  levelOf(kind, level) {
    if (kind === "image") return this.facts.levels[level];
    if (kind === "labels") return this.facts.labelLevels[level];
    const step = 2 ** level;
    const shape = this.facts.shape.map((side) => Math.ceil(side / step));
    return { shape, factors: [step, step] };
  }

  /* The box that a tile covers. */
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

  /* The level that is requested first, to have something at once; -1: there is none. */
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

  /* Kinds, levels and boxes, from the bottom to the top. */
  layers() {
    const { facts, state, display } = this;
    const layers = [];
    const best = this.bestLevel("image");
    for (let level = facts.levels.length - 1; level >= best; level -= 1) {
      layers.push({ kind: "image", level });
    }
    if (display.labels !== "off") {
      const last = facts.labelLevels.length - 1;
      const level = this.bestLevel("labels");
      if (last > level) layers.push({ kind: "labels", level: last, isCoarse: true });
      layers.push({ kind: "labels", level });
    }
    for (const kind of ["preview", "candidate"]) {
      const box = state[`${kind}Box`];
      if (box && this.showsPrompts) layers.push({ kind, level: this.bestLevel(kind), box });
    }
    return layers;
  }
}
