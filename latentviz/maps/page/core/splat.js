// Small points drawn by the processor: where WebGL is emulated it takes a tenth of the time.

const SUB = 8; // positions inside a pixel, along each side, that are distinguished
export const SPLAT_SIZE = 3; // pixels; larger points are left to WebGL

/** Returns what draws points, `place` uint16 (x, y, …) and `colour` as in `paint.rgba`, into premultiplied pixels, bottom row first. */
export function makeSplat(place, colour) {
  let pixels = new Uint8Array(0);
  let [width, height] = [0, 0];
  return {
    /** Starts a picture. */
    clear(w, h) {
      if (w === width && h === height) pixels.fill(0);
      else [width, height, pixels] = [w, h, new Uint8Array(4 * w * h)];
    },
    pixels: () => pixels,
    /** Draws points `from` to `to`, those that are faint or the others, as discs with a soft edge; pixel = place · scale + shift. */
    draw({ from, to, faint, opacity, size, scale: [ax, ay], shift: [bx, by] }) {
      const side = Math.ceil(size) + 1;
      const discs = discsOf(size, side);
      const area = side * side;
      const radius = size / 2;
      for (let k = from; k < to; k++) {
        const rgba = colour[k];
        const alpha = rgba >>> 24;
        if (!alpha || (alpha < 77) !== faint) continue;
        const x = place[2 * k] * ax + bx - radius;
        const y = place[2 * k + 1] * ay + by - radius;
        const column = Math.floor(x);
        const line = Math.floor(y);
        if (column < 0 || line < 0 || column + side > width || line + side > height) continue;
        const strength = alpha * opacity;
        const red = rgba & 255;
        const green = (rgba >> 8) & 255;
        const blue = (rgba >> 16) & 255;
        let at = (Math.floor((y - line) * SUB) * SUB + Math.floor((x - column) * SUB)) * area;
        for (let v = 0; v < side; v++) {
          let to4 = 4 * ((line + v) * width + column);
          for (let u = 0; u < side; u++, at++, to4 += 4) {
            const own = (discs[at] * strength + 0.5) | 0;
            if (!own) continue;
            const rest = 255 - own;
            pixels[to4] = ((red * own + pixels[to4] * rest + 128) * 257) >> 16;
            pixels[to4 + 1] = ((green * own + pixels[to4 + 1] * rest + 128) * 257) >> 16;
            pixels[to4 + 2] = ((blue * own + pixels[to4 + 2] * rest + 128) * 257) >> 16;
            pixels[to4 + 3] = ((255 * own + pixels[to4 + 3] * rest + 128) * 257) >> 16;
          }
        }
      }
    },
  };
}

/** Returns how much of each pixel in a square a disc covers, for each position of its centre inside a pixel. */
function discsOf(size, side) {
  const discs = new Float32Array(SUB * SUB * side * side);
  let at = 0;
  for (let j = 0; j < SUB; j++)
    for (let i = 0; i < SUB; i++)
      for (let v = 0; v < side; v++)
        for (let u = 0; u < side; u++) {
          const away = (cell, sub) => cell + 0.5 - size / 2 - (sub + 0.5) / SUB;
          discs[at++] = Math.min(1, Math.max(0, size / 2 - Math.hypot(away(u, i), away(v, j))));
        }
  return discs;
}
