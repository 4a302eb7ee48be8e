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
      if (w === width && h === height) words.fill(0);
      else {
        [width, height, words] = [w, h, new Uint32Array(w * h)];
        pixels = new Uint8Array(words.buffer);
      }
    },
    pixels: () => pixels,
    /** Draws points `from` to `to`, those that are faint or the others, as discs with a soft edge; pixel = place · scale + shift. */
    draw({ from, to, faint, opacity, size, scale: [ax, ay], shift: [bx, by] }) {
      const side = Math.ceil(size) + 1;
      const radius = size / 2;
      const made = {}; // opacity of a colour → the discs
      let alpha = -1;
      let discs = null;
      for (let k = from; k < to; k++) {
        const rgba = colour[k];
        const own = rgba >>> 24;
        if (own === 0 || (own < 77) !== faint) continue;
        const x = place[2 * k] * ax + bx - radius;
        const y = place[2 * k + 1] * ay + by - radius;
        const column = Math.floor(x);
        const line = Math.floor(y);
        if (column < 0 || line < 0 || column + side > width || line + side > height) continue;
        if (own !== alpha) {
          alpha = own;
          discs = made[own] ??= discsOf(size, side, width, own * opacity);
        }
        const { starts, steps, covers } = discs;
        // Red with blue and green with opacity, two channels in one number; sums of 255ths are rounded as x / 255 is.
        const odd = rgba & 0xff00ff;
        const even = ((rgba >>> 8) & 0xff) | 0xff0000;
        const corner = line * width + column;
        const at = Math.floor((y - line) * SUB) * SUB + Math.floor((x - column) * SUB);
        const end = starts[at + 1];
        for (let c = starts[at]; c < end; c++) {
          const spot = corner + steps[c];
          const cover = covers[c];
          const under = words[spot];
          const a = (Math.imul(odd, cover) + Math.imul(under & 0xff00ff, 255 - cover) + 0x800080) | 0;
          const b = (Math.imul(even, cover) + Math.imul((under >>> 8) & 0xff00ff, 255 - cover) + 0x800080) | 0;
          words[spot] = (((a + ((a >>> 8) & 0xff00ff)) >>> 8) & 0xff00ff) | ((b + ((b >>> 8) & 0xff00ff)) & 0xff00ff00);
        }
      }
    },
  };
}

/**
 * Returns which pixels a disc covers, for each position of its centre inside a pixel: from `starts[position]` on, how far
 * each is from the corner, `steps`, and by how much it is covered, `covers`, of 255.
 */
function discsOf(size, side, width, strength) {
  const starts = new Uint16Array(SUB * SUB + 1);
  const steps = [];
  const covers = [];
  for (let at = 0; at < SUB * SUB; at++) {
    for (let cell = 0; cell < side * side; cell++) {
      const [u, v] = [cell % side, Math.floor(cell / side)];
      const away = (place, sub) => place + 0.5 - size / 2 - (sub + 0.5) / SUB;
      const cover = Math.floor(Math.min(1, Math.max(0, size / 2 - Math.hypot(away(u, at % SUB), away(v, Math.floor(at / SUB))))) * strength + 0.5);
      if (cover === 0) continue;
      steps.push(v * width + u);
      covers.push(cover);
    }
    starts[at + 1] = steps.length;
  }
  return { starts, steps: Int32Array.from(steps), covers: Uint8Array.from(covers) };
}
