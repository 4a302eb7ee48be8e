// The points and their fields as typed arrays. Index i counts points in drawing order; `row[i]` is the item.

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
  const qx = unplane(bytes, 0, n, 2);
  const qy = unplane(bytes, 2 * n, n, 2);
  const row = unplane(bytes, 4 * n, n, 4);
  for (let i = 1; i < n; i++) row[i] += row[i - 1];
  const x = Float32Array.from(qx, (q) => x0 + (q / 65535) * (x1 - x0));
  const y = Float32Array.from(qy, (q) => y0 + (q / 65535) * (y1 - y0));
  const group = new Uint16Array(n);
  const groups = meta.points.clusters;
  groups.forEach((cluster, g) => group.fill(g, cluster.start, cluster.start + cluster.size));
  const noise = groups.length && groups[0].id < 0 ? groups[0].size : 0;
  const nearest = Int16Array.from(unplane(bytes, 10 * n, noise, 2));
  return {
    meta, n, qx, qy, x, y, row, group, groups, noise,
    bounds: { x0, y0, x1, y1 },
    probability: (i) => bytes[8 * n + i] / 255,
    outlier: (i) => bytes[9 * n + i] / 255,
    /** The id of the cluster nearest to a point; its own unless it is noise. */
    nearest: (i) => (i < noise ? nearest[i] : groups[group[i]].id),
    ...lazyTexts(row, meta.items),
  };
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

/** Returns one column: `value(i)` for display, and `number(i)` (NaN: missing) or `category(i)` (0: missing). */
async function readField(field, index, byRow, n) {
  if (field.kind === "text") return { ...field, value: await byRow(`field-${index}`) };
  const bytes = await block(`field-${index}`);
  const steps = unplane(bytes, 0, n, field.bits / 8);
  if (field.kind === "category") {
    return { ...field, category: (i) => steps[i], value: (i) => (steps[i] ? field.names[steps[i] - 1] : null) };
  }
  const exact = (step) => field.low + (step - 1) * field.step;
  const number = (i) => (steps[i] ? exact(steps[i]) : NaN);
  const value = (i) => (steps[i] ? (field.whole ? Math.round(number(i)) : number(i)) : null);
  return { ...field, number, value };
}
