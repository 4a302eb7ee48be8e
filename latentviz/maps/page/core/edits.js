// What a person found out: names, merges and splits of clusters, tags and notes of items. Merges and splits change the
// store's clusters; all of it is kept as pairs with row numbers, and saved as a file with ids.

export const KINDS = ["names", "merges", "splits", "tags", "notes"];
export const FORMAT = "latentviz annotations";
const [LONGEST_WORD, LONGEST_NOTE] = [200, 10_000]; // characters, as in runs/annotations.py
// Colours of split-off clusters: the one farthest from those that are taken.
const COLOURS = ["#d6406b", "#1c7ed6", "#2b8a3e", "#e8590c", "#7048e8", "#0b7285", "#a61e4d", "#5c940d", "#862e9c", "#364fc7", "#c92a2a", "#087f5b"];

/** Returns the points of a cluster. */
export function members({ points, start, size }) {
  if (points) return points;
  const all = new Uint32Array(size);
  for (let k = 0; k < size; k++) all[k] = start + k;
  return all;
}

/** Makes `store.group` and `store.groups` those after the merges (cluster → cluster) and splits (cluster → points). */
export function regroup(store, { merges, splits }, labelOf) {
  const { groups, group } = store;
  store.raw ??= { group: group.slice(), groups: groups.map((cluster) => ({ ...cluster })), made: new Map() };
  const { raw } = store;
  groups.length = raw.groups.length;
  for (const number of splits.keys()) {
    if (raw.groups.some(({ id }) => id === number)) continue;
    if (!raw.made.has(number)) raw.made.set(number, { id: number, name: `Cluster ${number}`, start: 0, colour: freeColour(groups) });
    groups.push(raw.made.get(number));
  }
  store.byId = new Map(groups.map((cluster) => [cluster.id, cluster]));
  const at = new Map(groups.map(({ id }, g) => [id, g]));
  const into = raw.groups.map(({ id }) => at.get(merges.get(id) ?? id));
  const touched = new Set([...merges].flat().map((id) => at.get(id)));
  for (let i = 0; i < store.n; i++) group[i] = into[raw.group[i]];
  for (const [number, points] of splits) {
    touched.add(at.get(number));
    for (const i of points) {
      touched.add(group[i]);
      group[i] = at.get(number);
    }
  }
  const own = groups.map(() => []);
  if (touched.size) for (let i = 0; i < store.n; i++) if (touched.has(group[i])) own[group[i]].push(i);
  groups.forEach((cluster, g) => {
    if (touched.has(g)) Object.assign(cluster, describeGroup(store, g, own[g], labelOf));
    else Object.assign(cluster, raw.groups[g], { points: undefined });
  });
}

/** Describes an edited cluster by its points. */
function describeGroup(store, g, points, labelOf) {
  const before = store.raw.groups[g];
  const held = (i) => store.group[i] === g;
  const medoid = before && held(before.medoid) ? before.medoid : central(store, points);
  const words = points.length ? [...new Set([...new Set(points.map((i) => store.raw.group[i]))].flatMap((old) => store.raw.groups[old].keywords ?? []))] : [];
  const label = labelOf ? commonest(points, labelOf) : null;
  // A name from keywords stays; one from the labels follows them.
  const name = before?.keywords.length ? before.name : label && label[1] > 0.5 ? `mostly ${label[0]}, ${Math.round(100 * label[1])}%` : `Cluster ${store.groups[g].id}`;
  return {
    name,
    points: Uint32Array.from(points),
    size: points.length,
    medoid,
    centre: before && medoid === before.medoid ? before.centre : [store.x[medoid] ?? 0, store.y[medoid] ?? 0],
    exemplars: (before?.exemplars ?? []).filter(held),
    keywords: words.slice(0, 12),
    persistence: null,
    label,
  };
}

/** Returns the point nearest to the mean of points; 0 if there are none. */
function central({ x, y }, points) {
  const mean = (values) => points.reduce((sum, i) => sum + values[i], 0) / points.length;
  const [mx, my] = [mean(x), mean(y)];
  let [best, least] = [points[0] ?? 0, Infinity];
  for (const i of points) {
    const d = (x[i] - mx) ** 2 + (y[i] - my) ** 2;
    if (d < least) [best, least] = [i, d];
  }
  return best;
}

function commonest(points, labelOf) {
  const counts = new Map();
  for (const i of points) {
    const label = labelOf(i);
    if (label !== null) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  return first ? [String(first[0]), first[1] / points.length] : null;
}

function freeColour(groups) {
  const parts = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const taken = groups.map(({ colour }) => parts(colour));
  const room = (hex) => Math.min(...taken.map((other) => Math.hypot(...parts(hex).map((value, k) => value - other[k]))));
  return COLOURS.reduce((best, hex) => (room(hex) > room(best) ? hex : best));
}

/** Returns a number for a new cluster. */
export function freeNumber(store, splits) {
  return Math.max(-1, ...(store.raw?.groups ?? store.groups).map(({ id }) => id), ...splits.keys()) + 1;
}

/** Returns edits as pairs with row numbers, for the browser's storage. */
export function toPairs(store, { names, merges, splits, tags, notes }) {
  const rows = (points) => [...points].map((i) => store.row[i]);
  const sets = (table) => [...table].map(([key, points]) => [key, rows(points)]);
  return { names: [...names], merges: [...merges], splits: sets(splits), tags: sets(tags), notes: [...notes].map(([i, text]) => [store.row[i], text]) };
}

/** Returns edits from pairs with row numbers; leaves out what is not of this map. */
export function fromPairs(store, pairs) {
  const list = (kind) => (Array.isArray(pairs?.[kind]) ? pairs[kind].filter(Array.isArray) : []);
  const numbers = new Set((store.raw?.groups ?? store.groups).map(({ id }) => id).filter((id) => id >= 0));
  const points = (rows) => new Set((Array.isArray(rows) ? rows : []).map(store.pointOf).filter((i) => i >= 0));
  const word = (text) => typeof text === "string" && text !== "" && text.length <= LONGEST_WORD;
  const splits = new Map(list("splits").filter(([id]) => Number.isInteger(id) && id >= 0 && id < 1e6).map(([id, rows]) => [id, points(rows)]));
  const known = new Set([...numbers, ...splits.keys()]);
  const sources = new Set(list("merges").map(([from]) => from));
  return {
    names: new Map(list("names").filter(([id, name]) => known.has(id) && word(name))),
    merges: new Map(list("merges").filter(([from, to]) => numbers.has(from) && known.has(to) && !sources.has(to))),
    splits,
    tags: new Map(list("tags").filter(([tag]) => word(tag)).map(([tag, rows]) => [tag, points(rows)])),
    notes: new Map(list("notes").map(([row, text]) => [store.pointOf(row), text]).filter(([i, text]) => i >= 0 && typeof text === "string" && text !== "" && text.length <= LONGEST_NOTE)),
  };
}

/** Returns the content of annotations.json. */
export function toFile(idOf, about, { names, merges, splits, tags, notes }) {
  const tagged = new Map();
  for (const [tag, points] of tags) for (const i of points) tagged.set(i, [...(tagged.get(i) ?? []), tag]);
  const byId = (entries, value) => Object.fromEntries([...entries].map(([i, each]) => [idOf(i), value(each)]));
  return {
    format: FORMAT,
    version: 1,
    ...about,
    names: Object.fromEntries(names),
    merges: Object.fromEntries(merges),
    splits: Object.fromEntries([...splits].filter(([, points]) => points.size).map(([id, points]) => [id, [...points].map(idOf)])),
    tags: byId(tagged, (all) => all),
    notes: byId(notes, (text) => text),
  };
}

/** Returns pairs with row numbers from the content of annotations.json; throws an Error that says what is wrong. */
export function pairsOfFile(content, rowOf, about) {
  if (content?.format !== FORMAT) throw new Error("this file holds no annotations of a map");
  if (content.version !== 1) throw new Error(`this file has version ${String(content.version).slice(0, 20)}, and this map reads version 1`);
  if (about.fingerprint && content.fingerprint && about.fingerprint !== content.fingerprint) throw new Error("this file is from the map of another clustering");
  const entries = (kind) => Object.entries(content[kind] ?? {});
  const rows = (ids) => (Array.isArray(ids) ? ids.map((id) => rowOf.get(id) ?? -1) : []);
  const tags = new Map();
  for (const [id, all] of entries("tags")) for (const tag of Array.isArray(all) ? all : []) tags.set(tag, [...(tags.get(tag) ?? []), rowOf.get(id) ?? -1]);
  return {
    names: entries("names").map(([id, name]) => [Number(id), name]),
    merges: entries("merges").map(([from, to]) => [Number(from), to]),
    splits: entries("splits").map(([id, ids]) => [Number(id), rows(ids)]),
    tags: [...tags],
    notes: entries("notes").map(([id, text]) => [rowOf.get(id) ?? -1, text]),
  };
}
