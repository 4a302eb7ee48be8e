// The style of every point: a level (0 hidden, 1 faint, 2 shown) and a colour, recomputed when a choice changes.

export const HIDDEN = 0;
export const FAINT = 1;
export const SHOWN = 2;

/** Returns red, green, blue of a colour such as #4269d0. */
export function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Returns a colour that is visible on a dark background: dark colours are lightened. */
export function onDark(colour) {
  const light = (0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]) / 255;
  const lift = Math.min(0.45, Math.max(0, 0.5 - light));
  return colour.map((value) => Math.round(value + (255 - value) * lift));
}

// Viridis, by van der Walt and Smith: perceptually uniform, also with deficient colour vision.
const SCALE = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"].map(rgb);

/** Returns red, green, blue at `t` in [0, 1] of the colour scale; its dark end is lightened on a dark background. */
export function scaleColour(t, dark) {
  const at = (dark ? 0.18 + 0.82 * t : 0.94 * t) * (SCALE.length - 1);
  const low = Math.min(SCALE.length - 2, Math.floor(at));
  return SCALE[low].map((value, c) => Math.round(value + (SCALE[low + 1][c] - value) * (at - low)));
}

/** Returns `level` and `rgba` of all points and a function that updates them. */
export function makePaint(store, state) {
  const { n, group, groups } = store;
  const paint = { level: new Uint8Array(n).fill(SHOWN), rgba: new Uint8Array(4 * n), anyFaint: false, shown: n, crowd: n, version: 0, update };

  function levels() {
    const { hidden, isolated, masks, selection } = state.values;
    const byGroup = groups.map(({ id }) => (hidden.has(id) ? HIDDEN : isolated.size && !isolated.has(id) ? FAINT : SHOWN));
    const all = [...masks.values()];
    paint.anyFaint = false;
    paint.shown = 0;
    for (let i = 0; i < n; i++) {
      let level = byGroup[group[i]];
      for (const mask of all) if (!mask[i]) level = HIDDEN;
      if (level === SHOWN && selection && !selection[i]) level = FAINT;
      paint.level[i] = level;
      if (level === FAINT) paint.anyFaint = true;
      if (level === SHOWN) paint.shown++;
    }
  }

  function update() {
    paint.version++;
    levels();
    // An isolated part gets larger points, but not as large as if it were the whole map.
    paint.crowd = Math.sqrt(Math.max(1, paint.shown) * n);
    const { colour, dark } = state.values;
    const table = groups.map((cluster) => (dark ? onDark(rgb(cluster.colour)) : rgb(cluster.colour)));
    const grey = dark ? [104, 109, 120] : [176, 180, 189];
    const { rgba, level } = paint;
    const of = colour.at ?? ((i) => table[group[i]]);
    for (let i = 0; i < n; i++) {
      const noise = groups[group[i]].id < 0;
      const [r, g, b] = level[i] === FAINT || noise ? grey : of(i);
      rgba[4 * i] = r;
      rgba[4 * i + 1] = g;
      rgba[4 * i + 2] = b;
      rgba[4 * i + 3] = level[i] === HIDDEN ? 0 : level[i] === FAINT ? 64 : noise ? 150 : 255;
    }
  }
  return paint;
}

/** Returns the radius of points in pixels: smaller for more points, larger on zooming in. */
export function pointRadius(n, view) {
  const area = view.width * view.height;
  const base = Math.min(4.2, Math.max(0.75, Math.sqrt((0.16 * area) / (Math.PI * Math.max(n, 1)))));
  return Math.min(7, base * (view.scale / view.home) ** 0.32);
}

/** Returns the opacity of points: lower for many points. */
export function pointOpacity(n, view) {
  const base = n > 300000 ? 0.5 : n > 30000 ? 0.68 : n > 5000 ? 0.8 : 0.88;
  return Math.min(0.92, base * (view.scale / view.home) ** 0.15);
}

/** Returns the opacity of faint points: lower for many points. */
export function faintOpacity(n, view) {
  return pointOpacity(n, view) * Math.min(1, 150 / Math.sqrt(n));
}
