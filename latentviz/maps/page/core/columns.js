// The columns that points can be coloured, filtered and counted by, and the bins of their values.

import { readNumbers } from "./store.js";

const BINS = 40;
const WHOLE = 60; // whole numbers with a bin each

/** Returns name → a column's kind and `read()`, which resolves to it; texts are left out. */
export function makeColumns(store) {
  const columns = new Map();
  const steps = (of) => {
    const all = new Uint16Array(store.n);
    for (let i = 0; i < store.n; i++) all[i] = 1 + Math.round(255 * of(i));
    return all;
  };
  store.meta.items.fields.forEach((field, index) => field.kind !== "text" && columns.set(field.name, { kind: field.kind, read: () => store.field(index) }));
  for (const [name, of] of [["probability", store.probability], ["outlier score", store.outlier]]) {
    if (columns.has(name)) continue;
    const field = { kind: "number", low: 0, high: 1, step: 1 / 255 };
    const read = () => Promise.resolve({ ...field, name, ...readNumbers(field, steps(of)) });
    columns.set(name, { kind: "number", read });
  }
  for (const column of columns.values()) {
    const { read } = column;
    let once = null;
    column.read = () => (once ??= read());
  }
  return columns;
}

/** Returns how many points have each step of a column of numbers or dates. */
export function countSteps({ steps, size }) {
  const counts = new Uint32Array(size);
  for (let i = 0; i < steps.length; i++) counts[steps[i]]++;
  return counts;
}

/**
 * Returns how many points are in each bin; a point with several tags is in several. Without `fails` all points count, else
 * those that pass all filters but `own`, the mask of one of them. `only` is a mask of what to count.
 */
export function countBins({ steps, tags }, { bin, count }, { fails = null, own = null, only = null } = {}) {
  const counts = new Uint32Array(count);
  const left = leftOut(steps.length, fails, own, only);
  if (tags) tallyTags(counts, bin, tags, left);
  else tally(counts, bin, steps, left);
  return counts;
}

// These loops run at every move of a brush: over arrays of one type each, without a call for a point.
let scratch = new Uint8Array(0);

function leftOut(n, fails, own, only) {
  if (scratch.length !== n) scratch = new Uint8Array(n);
  const left = scratch;
  if (fails) left.set(fails);
  else left.fill(0);
  if (own) for (let i = 0; i < n; i++) left[i] -= 1 - own[i];
  if (only) for (let i = 0; i < n; i++) left[i] |= 1 - only[i];
  return left;
}

function tally(counts, bin, steps, left) {
  for (let i = 0; i < steps.length; i++) if (left[i] === 0) counts[bin[steps[i]]]++;
}

function tallyTags(counts, bin, { starts, flat }, left) {
  const seen = new Int32Array(counts.length).fill(-1);
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== 0) continue;
    if (starts[i] === starts[i + 1]) counts[bin[0]]++;
    for (let k = starts[i]; k < starts[i + 1]; k++) {
      const b = bin[flat[k]];
      if (seen[b] !== i) counts[b]++;
      seen[b] = i;
    }
  }
}

/** Returns 0 or 1 for each point, whether it has a value, or one of its tags, in a step that `keeps` is 1 for. */
export function maskSteps({ steps, tags }, keeps) {
  const mask = new Uint8Array(steps.length);
  for (let i = 0; i < steps.length; i++) mask[i] = keeps[steps[i]];
  if (!tags) return mask;
  const { starts, flat } = tags;
  for (let i = 0; i < steps.length; i++) for (let k = starts[i]; k < starts[i + 1]; k++) mask[i] |= keeps[flat[k]];
  return mask;
}

/** Returns the value of a column at the share `q` of its points, given how many have each step. */
export function quantile({ of }, counts, q) {
  const there = counts.reduce((sum, count, k) => (k ? sum + count : 0), 0);
  let before = 0;
  for (let k = 1; k < counts.length; k++) {
    before += counts[k];
    if (counts[k] && before > q * (there - 1)) return of(k);
  }
  return of(1);
}

/**
 * Returns the bins of a column: which one each step is in, `bin`, 0 for missing values, and how many there are, `count`.
 * Of categories and tags there are `names` and `colours`, the last of more than can be listed for all others; of numbers
 * and dates a scale, `place(value)` in [0, 1] and `value(place)`, drawn out where most values are close together.
 */
export function makeBins(column) {
  const bin = new Uint8Array(column.size);
  if (column.names) {
    const { names, listed, colours } = column;
    if (listed) bin.fill(listed.length + 1, 1);
    (listed ?? names.map((_, k) => k)).forEach((k, b) => (bin[k + 1] = b + 1));
    const rest = listed ? [`other (${(names.length - listed.length).toLocaleString("en")} values)`] : [];
    const all = [...(listed ? listed.map((k) => names[k]) : names), ...rest];
    return { bin, count: all.length + 1, names: all, colours: [...colours, ...(listed ? [null] : [])], other: Boolean(listed) };
  }
  const { low, high, whole, of } = column;
  const scale = makeScale(column);
  const each = whole && high - low < WHOLE && scale.linear;
  const count = each ? high - low + 1 : high > low ? BINS : 1;
  const edge = each ? (value) => Math.round(value - low) : (value) => Math.floor(scale.place(value) * count);
  for (let k = 1; k < column.size; k++) bin[k] = 1 + Math.min(count - 1, Math.max(0, edge(of(k))));
  return { bin, count: count + 1, ...scale, each };
}

function makeScale(column) {
  const { low, high } = column;
  const counts = countSteps(column);
  const [first, middle, third] = [0.25, 0.5, 0.75].map((q) => quantile(column, counts, q));
  const range = high - low || 1;
  const skewed = column.kind === "number" && third > first && third - first < 0.08 * range;
  if (!skewed) return { linear: true, place: (value) => (value - low) / range, value: (t) => low + t * range };
  const unit = (third - first) / 2;
  const bend = (value) => Math.asinh((value - middle) / unit);
  const [from, to] = [bend(low), bend(high)];
  return { linear: false, place: (value) => (bend(value) - from) / (to - from), value: (t) => middle + unit * Math.sinh(from + t * (to - from)) };
}

