// The style of every point: a level (0 hidden, 1 faint, 2 shown) and a colour, recomputed when a choice changes.

import { el } from "./dom.js";

export const HIDDEN = 0;
export const FAINT = 1;
export const SHOWN = 2;
export const OFF = 128;

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

const grey = (dark) => (dark ? [104, 109, 120] : [176, 180, 189]);

/** Returns the colour of points without a value. */
export const missing = (dark) => (dark ? [74, 79, 90] : [206, 209, 216]);

/** Returns a dot in the colour that points have, in the light and in the dark; null is that of noise. */
export function swatch(colour, className = "") {
  const dot = el("i", { className: `swatch ${className}` });
  dye(dot, colour);
  return dot;
}

/** Gives an element the colour that points have in the light and in the dark, for the style sheet. */
export function dye(element, colour) {
  element.style.setProperty("--light", colour ?? "var(--noise)");
  element.style.setProperty("--dark", colour ? `rgb(${onDark(rgb(colour))})` : "var(--noise)");
}

// Viridis, by van der Walt and Smith: perceptually uniform, also with deficient colour vision.
const SCALE = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"].map(rgb);

/** Returns red, green, blue at `t` in [0, 1] of the colour scale; its dark end is lightened on a dark background. */
export function scaleColour(t, dark) {
  const at = (dark ? 0.18 + 0.82 * t : 0.94 * t) * (SCALE.length - 1);
  const low = Math.min(SCALE.length - 2, Math.floor(at));
  return SCALE[low].map((value, c) => Math.round(value + (SCALE[low + 1][c] - value) * (at - low)));
}

/** Returns red, green, blue and an opacity in 0…255 as `rgba` stores them. */
export function packed([r, g, b], alpha = 255) {
  return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/**
 * Returns `level` and `rgba` of all points and a function that updates them, after which `changed` has the points that are
 * not as before, or null for all. `fails` counts the filters that a point does
 * not pass, and is at least OFF for points of clusters that are hidden; `counts` has the points of each group that pass all
 * filters, and `passing` is how many of those are in clusters that are shown.
 */
export function makePaint(store, state) {
  const { n, group, groups, noise } = store;
  const paint = {
    level: new Uint8Array(n).fill(SHOWN), rgba: new Uint8Array(4 * n), fails: new Uint8Array(n), counts: Uint32Array.from(groups, ({ size }) => size),
    anyFaint: false, shown: n, passing: n, crowd: n, version: 0, update,
  };
  const pixels = new Uint32Array(paint.rgba.buffer);
  const { fails, level } = paint;
  const CHOICES = ["hidden", "isolated", "selection", "colour", "dark"];
  const levels = [0, 0, 0]; // points of each level
  let drawn = null; // the choices that the points were styled by
  let look = null;

  /** Returns what the style of a point depends on: its group's level, the selection, and colours. */
  function lookOf({ hidden, isolated, selection, colour, dark }) {
    const own = Uint8Array.from(groups, ({ id }) => (hidden.has(id) ? HIDDEN : isolated.size && !isolated.has(id) ? FAINT : SHOWN));
    return { own, selection, faint: packed(grey(dark), 64), ...(colour.steps ? colour : byCluster(dark)) };
  }

  /** Returns the colouring by cluster: noise is grey and paler. */
  function byCluster(dark) {
    const table = groups.map(({ id, colour }) => (id < 0 ? packed(grey(dark), 150) : packed(dark ? onDark(rgb(colour)) : rgb(colour))));
    return { steps: group, table: Uint32Array.from(table) };
  }

  /** Styles the points `chosen`, or all, by the filters that they fail. */
  function style(chosen) {
    const { own, selection, faint, steps, table } = look;
    const { counts } = paint;
    const count = chosen ? chosen.length : n;
    for (let k = 0; k < count; k++) {
      const i = chosen ? chosen[k] : k;
      let now = HIDDEN;
      if ((fails[i] & (OFF - 1)) === 0) {
        counts[group[i]]++;
        now = own[group[i]];
        if (now === SHOWN && selection && selection[i] === 0) now = FAINT;
      }
      level[i] = now;
      levels[now]++;
      pixels[i] = now === SHOWN ? table[steps[i]] : now === FAINT ? faint : 0;
    }
  }

  function all(masks) {
    fails.fill(0);
    for (const mask of masks.values()) for (let i = 0; i < n; i++) fails[i] += mask[i] ^ 1;
    const { own } = look;
    for (let i = 0; i < n; i++) if (own[group[i]] !== SHOWN) fails[i] += OFF;
    paint.counts = new Uint32Array(groups.length);
    levels.fill(0);
    style(null);
  }

  /** Styles the points anew that one filter, whose masks these are, now keeps or leaves out; null keeps all. */
  function some(before, after) {
    const changed = [];
    for (let i = 0; i < n; i++) {
      const by = (before ? before[i] : 1) - (after ? after[i] : 1);
      if (by === 0) continue;
      const passed = (fails[i] & (OFF - 1)) === 0;
      fails[i] += by;
      if (!passed && (fails[i] & (OFF - 1)) !== 0) continue;
      if (passed) paint.counts[group[i]]--;
      levels[level[i]]--;
      changed.push(i);
    }
    style(changed);
    return changed;
  }

  /** Styles the points by the choices; `paint.changed` has those that differ, null for all: a brush moves few of them. */
  function update() {
    const { values } = state;
    paint.version++;
    const moved = drawn && CHOICES.every((key) => drawn[key] === values[key]) ? [...new Set([...drawn.masks.keys(), ...values.masks.keys()])].filter((key) => drawn.masks.get(key) !== values.masks.get(key)) : null;
    if (moved?.length === 1) paint.changed = some(drawn.masks.get(moved[0]), values.masks.get(moved[0]));
    else {
      look = lookOf(values);
      all(values.masks);
      paint.changed = null;
    }
    drawn = { ...values };
    const { counts } = paint;
    Object.assign(paint, { anyFaint: levels[FAINT] > 0, shown: levels[SHOWN], passing: counts.reduce((sum, count, g) => sum + (look.own[g] === SHOWN ? count : 0), 0) });
    // An isolated part gets larger points, but not as large as if it were the whole map.
    paint.crowd = Math.sqrt(Math.max(1, paint.shown) * n);
  }
  // Of the radius of the other points; without any, noise is not smaller.
  paint.noiseSize = noise < n ? 0.7 : 1;
  paint.sizeOf = (i) => (i < noise ? paint.noiseSize : 1);
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
