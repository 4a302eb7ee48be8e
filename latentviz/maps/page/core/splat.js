// Small points drawn by the processor: where WebGL is emulated it takes a tenth of the time.

const SUB = 8; // positions inside a pixel, along each side, that are distinguished
export const SPLAT_SIZE = 3; // pixels; larger points are left to WebGL

/** Returns what draws points, `place` uint16 (x, y, …) and `colour` as in `paint.rgba`, into premultiplied pixels, bottom row first. */
export function makeSplat(place, colour) {
  let pixels = new Uint8Array(0);
  let words = new Uint32Array(0); // the same pixels
  let [width, height] = [0, 0];
  return {
    /** Starts a picture. */
    clear(w, h) {
      if (w === width && h === height) pixels.fill(0);
      else {
        [width, height, words] = [w, h, new Uint32Array(w * h)];
        pixels = new Uint8Array(words.buffer);
      }
    },
    pixels: () => pixels,
    /** Draws points `from` to `to`, those that are faint or the others, as discs with a soft edge; pixel = place · scale + shift. */
    draw({ from, to, faint, opacity, size, scale: [ax, ay], shift: [bx, by] }) {
      const side = Math.ceil(size) + 1;
      const discs = discsOf(size, side);
      const area = side * side;
      const radius = size / 2;
      let strength = -1;
      let covers = new Uint8Array(0);
      const strengths = {}; // alpha → the discs in that strength, of 255
      for (let k = from; k < to; k++) {
        const rgba = colour[k];
        const alpha = rgba >>> 24;
        if (!alpha || (alpha < 77) !== faint) continue;
        const x = place[2 * k] * ax + bx - radius;
        const y = place[2 * k + 1] * ay + by - radius;
        const column = Math.floor(x);
        const line = Math.floor(y);
        if (column < 0 || line < 0 || column + side > width || line + side > height) continue;
        if (alpha !== strength) {
          strength = alpha;
          covers = strengths[alpha] ??= Uint8Array.from(discs, (part) => part * alpha * opacity + 0.5);
        }
        let at = (Math.floor((y - line) * SUB) * SUB + Math.floor((x - column) * SUB)) * area;
        // Red with blue and green with opacity, two channels in one number; sums of 255ths are rounded as x / 255 is.
        const odd = rgba & 0xff00ff;
        const even = ((rgba >>> 8) & 0xff) | 0xff0000;
        for (let v = 0; v < side; v++) {
          let spot = (line + v) * width + column;
          for (let u = 0; u < side; u++, at++, spot++) {
            const own = covers[at];
            const rest = 255 - own;
            const under = words[spot];
            const a = (Math.imul(odd, own) + Math.imul(under & 0xff00ff, rest) + 0x800080) | 0;
            const b = (Math.imul(even, own) + Math.imul((under >>> 8) & 0xff00ff, rest) + 0x800080) | 0;
            words[spot] = (((a + ((a >>> 8) & 0xff00ff)) >>> 8) & 0xff00ff) | ((b + ((b >>> 8) & 0xff00ff)) & 0xff00ff00);
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
