// The points and their fields as typed arrays. Index i counts points in drawing order; `row[i]` is the item.

import { format } from "./dom.js";

const { inflate } = globalThis.latentviz;
const block = (name) => inflate.call(globalThis.latentviz, name);

/** Returns the JSON in a block, or null. */
export async function blockJson(name) {
  const bytes = await block(name);
  return bytes && JSON.parse(new TextDecoder().decode(bytes));
}

/** Returns `count` numbers of `width` bytes whose byte planes start at `offset`, as an unsigned typed array. */
export function unplane(bytes, offset, count, width) {
  const Typed = width === 1 ? Uint8Array : width === 2 ? Uint16Array : Uint32Array;
  const values = new Typed(count);
  for (let plane = 0; plane < width; plane++) {
    const start = offset + plane * count;
    for (let i = 0; i < count; i++) values[i] |= bytes[start + i] << (8 * plane);
  }
  return values;
}

/**
 * Returns which `count` of the n points something is there for: `place(i)` of a point among them, −1 where it is not, and
 * `point(k)`, the other way round. Where it is not all of them a block says which.
 */
export async function readPlaces(name, count, n) {
  if (count === n) return { place: (i) => i, point: (k) => k };
  const points = Uint32Array.from(unplane(await block(name), 0, count, 2));
  const places = new Int32Array(n).fill(-1);
  for (let k = 0; k < count; k++) {
    if (k) points[k] += points[k - 1];
    places[points[k]] = k;
  }
  return { place: (i) => places[i], point: (k) => points[k] };
}

/** Returns a function from row to text, for both ways of packing texts. */
export function textReader(packed) {
  if (packed.list) return (row) => packed.list[row];
  const starts = [0];
  for (const run of packed.runs) starts.push(starts[starts.length - 1] + run[4]);
  return (row) => {
    let low = 0;
    let high = packed.runs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    const [head, number, width, tail] = packed.runs[low];
    return number < 0 ? head + tail : head + String(number + row - starts[low]).padStart(width, "0") + tail;
  };
}

/** Returns everything about the points: positions, clusters, and readers of blocks that are decompressed on demand. */
export async function loadStore() {
  const meta = await blockJson("meta");
  const bytes = await block("points");
  const n = meta.points.count;
  const [x0, y0, x1, y1] = meta.points.bounds;
  const [left, low, right, high] = meta.points.bulk;
  const qx = unplane(bytes, 0, n, 2);
  const qy = unplane(bytes, 2 * n, n, 2);
  const row = unplane(bytes, 4 * n, n, 4);
  for (let i = 1; i < n; i++) row[i] += row[i - 1];
  const [x, y] = [scaled(qx, x0, x1), scaled(qy, y0, y1)];
  const group = new Uint16Array(n);
  const groups = meta.points.clusters;
  groups.forEach((cluster, g) => group.fill(g, cluster.start, cluster.start + cluster.size));
  const noise = groups.length && groups[0].id < 0 ? groups[0].size : 0;
  const nearest = Int16Array.from(unplane(bytes, 10 * n, noise, 2));
  let points = null;
  return {
    meta, n, qx, qy, x, y, row, group, groups, noise,
    byId: new Map(groups.map((cluster) => [cluster.id, cluster])),
    ranges: groups.map(({ name, colour, start, size }) => ({ name, colour, start, size })), // of points; they stay when clusters change
    /** The point of an item; −1 if it has none. */
    pointOf(number) {
      if (!points) {
        points = new Int32Array(meta.points.rows).fill(-1);
        for (let i = 0; i < n; i++) points[row[i]] = i;
      }
      return points[number] ?? -1;
    },
    bounds: { x0, y0, x1, y1 },
    /** The box of the first view. */
    bulk: { x0: left, y0: low, x1: right, y1: high },
    probability: (i) => bytes[8 * n + i] / 255,
    outlier: (i) => bytes[9 * n + i] / 255,
    /** The id of the cluster nearest to a point before merges; its own unless it is noise. */
    nearest: (i) => (i < noise && groups[group[i]].id < 0 ? nearest[i] : groups[group[i]].id),
    ...lazyTexts(row, meta.items),
  };
}

/** Returns uint16 positions as coordinates from `low` to `high`. */
function scaled(steps, low, high) {
  const values = new Float32Array(steps.length);
  for (let i = 0; i < values.length; i++) values[i] = low + (steps[i] / 65535) * (high - low);
  return values;
}

/** Returns readers of ids, sources, texts and fields; each block is decompressed once, on first use. */
function lazyTexts(row, items) {
  const loaded = new Map();
  const reader = (name) => {
    if (!loaded.has(name)) loaded.set(name, blockJson(name).then((packed) => packed && textReader(packed)));
    return loaded.get(name);
  };
  const byRow = (name) => reader(name).then((read) => (read ? (i) => read(row[i]) : () => ""));
  return {
    ids: () => byRow("ids"),
    sources: () => byRow("sources"),
    texts: () => byRow("texts"),
    field(index) {
      const key = `field ${index}`;
      if (!loaded.has(key)) loaded.set(key, readField(items.fields[index], index, byRow, row.length));
      return loaded.get(key);
    },
  };
}

/**
 * Returns one column: `value(i)` of a point for exports, `text(i)` for display; except of texts also a typed array `steps`,
 * 0 where the value is missing, and how many steps there are, `size`. Steps are numbers and dates, `of(step)`, or count
 * `names`. Of tags, those of point i are `tags.flat` from `tags.starts[i]` on, and `steps` has the first one with a colour.
 */
async function readField(field, index, byRow, n) {
  if (field.kind === "text") {
    const value = await byRow(`field-${index}`);
    return { ...field, value, text: value };
  }
  const bytes = await block(`field-${index}`);
  if (field.kind === "tags") return readTags(field, bytes, await blockJson(`names-${index}`), n);
  const steps = Uint16Array.from(unplane(bytes, 0, n, field.bits / 8));
  if (field.kind === "category") {
    const names = (await blockJson(`names-${index}`)) ?? [];
    const value = (i) => (steps[i] ? names[steps[i] - 1] : null);
    return { ...field, names, steps, size: names.length + 1, value, text: value };
  }
  return { ...field, ...readNumbers(field, steps) };
}

/** Returns the readers of numbers, or of dates in seconds since 1970. */
export function readNumbers({ kind, low, high, step, whole, unit }, steps) {
  const exact = (k) => low + (k - 1) * step;
  const of = whole ? (k) => Math.round(exact(k)) : exact;
  const year = whole && low >= 1000 && high < 3000;
  const written = kind === "date" ? (value) => dateText(value, unit) : year ? String : format;
  const at = (i) => (steps[i] ? of(steps[i]) : null);
  const text = (i) => (steps[i] ? written(of(steps[i])) : null);
  let top = 0;
  for (let i = 0; i < steps.length; i++) if (steps[i] > top) top = steps[i];
  const size = top + 1;
  return { steps, size, of, written, text, value: kind === "date" ? text : at };
}

/** Returns seconds since 1970 as a date in ISO 8601, as far as `unit`, in seconds, goes: 0 stands for years. */
function dateText(seconds, unit) {
  const iso = new Date(seconds * 1000).toISOString();
  const day = iso.split("T")[0];
  if (unit === 0) return day.slice(0, -6);
  return unit >= 86400 ? day : `${day} ${unit >= 3600 ? `${iso.slice(-13, -11)}h` : iso.slice(-13, unit >= 60 ? -8 : -5)}`;
}

function readTags(field, bytes, names, n) {
  const starts = new Uint32Array(n + 1);
  for (let i = 0; i < n; i++) starts[i + 1] = starts[i] + bytes[i];
  const flat = Uint16Array.from(unplane(bytes, n, field.count, field.bits / 8));
  const coloured = new Uint8Array(names.length + 1).fill(field.listed ? 0 : 1);
  for (const k of field.listed ?? []) coloured[k + 1] = 1;
  const steps = Uint16Array.from({ length: n }, (_, i) => {
    const own = flat.subarray(starts[i], starts[i + 1]);
    return own.find((tag) => coloured[tag]) ?? own[0] ?? 0;
  });
  const text = (i) => Array.from(flat.subarray(starts[i], starts[i + 1]), (tag) => names[tag - 1]).join("; ") || null;
  return { ...field, names, steps, size: names.length + 1, tags: { starts, flat }, text, value: text };
}
