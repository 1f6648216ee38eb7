/* Requests the tiles that the view lacks, all of them in one message: the kernel
 * forgets what an earlier message of the same view asked for.
 */

import { tileKey } from "./tiles.js";

// Masks are small and waited for; of the image the coarsest tile comes first.
const ORDER = { candidate: 0, preview: 1, image: 2, labels: 3 };
const MOST_TILES = 1000;

export class TileRequests {
  constructor({ view, picture, tiles, connection }) {
    this.name = `view-${Math.random().toString(36).slice(2, 10)}`;
    this.view = view;
    this.picture = picture;
    this.tiles = tiles;
    this.connection = connection;
    this.requested = new Set();
    this.lastView = null;
  }

  /* What was sent may be lost, as where the connection was. */
  forget() {
    this.lastView = null;
  }

  onTile(tile) {
    const start = `${tile.key}@`;
    for (const key of this.requested) {
      if (key.startsWith(start)) this.requested.delete(key);
    }
  }

  send() {
    const { facts, state, plane } = this.picture;
    if (!facts.levels || !state.versions || !this.view.rect().width) return;
    const missing = this.missing();
    const box = this.view.box();
    const zoom = this.view.scale();
    const view = JSON.stringify([box, zoom, plane]);
    const isKnown = missing.every(({ key }) => this.requested.has(key));
    if (view === this.lastView && isKnown) return;
    this.lastView = view;
    this.requested = new Set(missing.map(({ key }) => key));
    const tiles = missing.map(({ row }) => row);
    this.connection.send({ type: "view", view: this.name, plane, box, zoom, tiles });
    if (missing.length) this.connection.expectAnswer();
  }

  missing() {
    const { picture } = this;
    const missing = [];
    const layers = picture.layers().sort((a, b) => ORDER[a.kind] - ORDER[b.kind]);
    const best = picture.bestLevel("image");
    const last = picture.underlay();
    for (const { kind, level, box } of layers) {
      if (kind === "image" && level !== best && level !== last) continue;
      const version = picture.state.versions[kind];
      for (const [row, column] of picture.inView(kind, level, box)) {
        const key = tileKey(kind, picture.plane, level, row, column);
        const tile = this.tiles.peek(key);
        if (tile && !tile.isStale && tile.version >= version) continue;
        missing.push({ key: `${key}@${version}`, row: [kind, level, row, column] });
      }
    }
    return missing.slice(0, MOST_TILES);
  }
}
