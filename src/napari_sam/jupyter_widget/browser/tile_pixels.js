/* The bytes of a tile as something that a canvas draws. */

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Response(plain).arrayBuffer();
}

function paintPixels(width, height, paint) {
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

/* Label ids, in the style "fill" or "outline", and in the colours of the palette. */
export function drawIds({ ids, width, height }, style, palette) {
  const known = new Map();
  return paintPixels(width, height, (out) => {
    for (let at = 0; at < ids.length; at += 1) {
      const id = ids[at];
      if (id === 0 || (style === "outline" && !isEdge(ids, width, height, at))) continue;
      let colour = known.get(id);
      if (colour === undefined) {
        colour = packed(palette[(id - 1) % palette.length], 255);
        known.set(id, colour);
      }
      out[at] = colour;
    }
  });
}

function drawMask(bits, width, height, colour) {
  const values = new Uint8Array(width * height);
  for (let at = 0; at < values.length; at += 1) {
    values[at] = (bits[at >> 3] >> (7 - (at & 7))) & 1;
  }
  const [inside, edge] = [packed(colour, 90), packed(colour, 255)];
  return paintPixels(width, height, (out) => {
    for (let at = 0; at < values.length; at += 1) {
      if (values[at]) out[at] = isEdge(values, width, height, at) ? edge : inside;
    }
  });
}

/* What a message brought: `ids`, to be coloured when they are first seen, or `plain`,
 * which is drawn as it is; neither, where the kernel could not make the tile.
 */
export async function decodeTile({ kind, encoding, shape }, data, colours) {
  const [height, width] = shape;
  if (encoding === "png" || encoding === "jpeg") {
    const blob = new Blob([data], { type: `image/${encoding}` });
    return { plain: await createImageBitmap(blob) };
  }
  if (encoding === "ids") return { ids: new Uint32Array(await inflate(data)) };
  if (encoding === "bits") {
    const bits = new Uint8Array(await inflate(data));
    return { plain: drawMask(bits, width, height, colours[kind]) };
  }
  return {};
}
