/* The tiles that are here: so many of each kind, those that were drawn last. */

import { decodeTile, drawIds } from "./tile_pixels.js";

const LIMITS = { image: 160, labels: 80, candidate: 80, preview: 40 };

export function tileKey(kind, plane, level, row, column) {
  return `${kind}/${plane.join(",")}/${level}/${row}/${column}`;
}

export class Tiles {
  /* `colours` are those of the labels, of the candidate and of the preview. */
  constructor(colours, onTile) {
    this.colours = colours;
    this.onTile = onTile;
    this.held = new Map(); // in order of use
    this.counts = { image: 0, labels: 0, candidate: 0, preview: 0 };
  }

  has(key) {
    return this.held.has(key);
  }

  /* To draw it; `peek` is for those who only compare versions. */
  get(key) {
    const tile = this.held.get(key);
    if (tile) {
      this.held.delete(key);
      this.held.set(key, tile);
    }
    return tile;
  }

  peek(key) {
    return this.held.get(key);
  }

  async take(content, data) {
    const { kind, plane, level, row, column, version } = content;
    const key = tileKey(kind, plane, level, row, column);
    const [height, width] = content.shape;
    const pixels = await decodeTile(content, data, this.colours);
    const older = this.held.get(key);
    if (older && older.version > version) return;
    if (older) this.held.delete(key);
    else this.counts[kind] += 1;
    const tile = { key, kind, version, width, height, content, ...pixels };
    this.held.set(key, tile);
    this.evict(kind);
    this.onTile(tile);
  }

  evict(kind) {
    for (const [key, tile] of this.held) {
      if (this.counts[kind] <= LIMITS[kind]) return;
      if (tile.kind !== kind) continue;
      this.held.delete(key);
      this.counts[kind] -= 1;
    }
  }

  /* Labels have changed in a box of some planes: what they touch is old, and all else
   * is as good as new. `extent` says which box a tile covers.
   */
  markStale({ planes, box, version }, extent) {
    const among = new Set(planes.map((plane) => plane.join(",")));
    for (const tile of this.held.values()) {
      if (tile.kind !== "labels" || tile.version >= version) continue;
      const { plane, level, row, column } = tile.content;
      const [y0, x0, y1, x1] = extent("labels", level, row, column);
      const touches = y0 < box[2] && box[0] < y1 && x0 < box[3] && box[1] < x1;
      if (among.has(plane.join(",")) && touches) tile.isStale = true;
      else tile.version = version;
    }
  }

  /* What to draw of a tile, if there is anything. */
  drawable(tile, style) {
    if (!tile.ids) return tile.plain;
    if (tile.style !== style) {
      tile.style = style;
      tile.coloured = drawIds(tile, style, this.colours.labels);
    }
    return tile.coloured;
  }
}
