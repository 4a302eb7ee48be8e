// What a person finds out: kept in the browser, undone and redone, saved as annotations.json and opened again.

import { clip } from "../core/dom.js";
import { KINDS, freeNumber, fromPairs, pairsOfFile, regroup, toFile, toPairs } from "../core/edits.js";
import { blockJson } from "../core/store.js";

const UNDONE = 40; // that can be undone

/** Takes over what the run and the browser know, and adds `map.annotations`, the functions that change it. */
export async function annotations(map) {
  const { store, state } = map;
  const found = (await blockJson("found")) ?? {};
  const { run, clustering, fingerprint } = found;
  const field = store.meta.items.fields.findIndex(({ name }) => name === "label");
  let label = null;
  const labelled = field < 0 ? null : store.field(field).then((read) => {
    label = read;
  });
  const raw = store.nearest;
  store.nearest = (i) => state.values.merges.get(raw(i)) ?? raw(i);

  const values = () => Object.fromEntries(KINDS.map((kind) => [kind, state.values[kind]]));
  state.on("merges splits", ({ merges, splits, openCluster, isolated, hidden }) => {
    if (!merges.size && !splits.size && !store.raw) return;
    regroup(store, { merges, splits }, label && ((i) => label.value(i)));
    const now = (id) => merges.get(id) ?? id;
    const moved = (set) => new Set([...set].map(now).filter((id) => map.cluster(id)));
    state.set({ isolated: moved(isolated), hidden: moved(hidden), openCluster: openCluster !== null && map.cluster(now(openCluster))?.size ? now(openCluster) : null });
    map.repaint();
  });
  const kept = store.meta.served ? null : keep(map, found); // a server keeps them in the run
  const known = fromPairs(store, kept?.read() ?? found);
  if (known.merges.size || known.splits.size) await labelled;
  state.set(known);
  if (kept) state.on(KINDS.join(" "), () => kept.write(toPairs(store, values())));

  const changed = (kind, change) => {
    const copy = new Map(state.values[kind]);
    change(copy);
    state.set({ [kind]: copy });
  };
  /** Gives items a tag, or takes it from them; without a tag left on any item it is gone. */
  const tag = (word, points, on = true) => changed("tags", (tags) => {
    const items = new Set(tags.get(word));
    for (const i of points) {
      if (on) items.add(i);
      else items.delete(i);
    }
    if (items.size) tags.set(word, items);
    else tags.delete(word);
  });
  const note = (i, text) => changed("notes", (notes) => (text.trim() ? notes.set(i, text.trim().slice(0, 10_000)) : notes.delete(i)));

  const rawGroups = () => store.raw?.groups ?? store.groups;
  /** Sets merges and splits; clusters that are gone with them lose their names. */
  function setClusters(merges, splits, names = state.values.names) {
    const numbers = new Set([...rawGroups().map(({ id }) => id), ...splits.keys()]);
    const left = [...names].filter(([id]) => numbers.has(id));
    state.set({ merges, splits, names: left.length < names.size ? new Map(left) : names });
  }
  /** Makes clusters parts of another one. */
  function merge(ids, target) {
    const [merges, splits] = [new Map(state.values.merges), new Map(state.values.splits)];
    for (const id of ids) {
      if (id === target) continue;
      for (const [from, to] of merges) if (to === id) merges.set(from, target);
      if (rawGroups().some((cluster) => cluster.id === id)) merges.set(id, target);
      const points = splits.get(id);
      if (points) splits.set(target, new Set([...(splits.get(target) ?? []), ...points]));
      splits.delete(id);
    }
    merges.delete(target);
    setClusters(merges, splits);
    map.say(`${ids.length} clusters are now ${map.nameOf(target)}`);
  }

  /** Makes points a cluster of their own, and returns its number. */
  function split(points, name = "") {
    const splits = new Map([...state.values.splits].map(([number, own]) => [number, new Set(own)]));
    const id = freeNumber(store, splits);
    for (const i of points) for (const own of splits.values()) own.delete(i);
    for (const [number, own] of splits) if (!own.size) splits.delete(number);
    splits.set(id, new Set(points));
    setClusters(state.values.merges, splits, name ? new Map(state.values.names).set(id, name) : undefined);
    map.say(`${points.length} items are now ${map.nameOf(id)}`);
    return id;
  }

  /** Takes a cluster apart: what was merged into it and what was split into it go back. */
  function apart(id) {
    const merges = new Map([...state.values.merges].filter(([from, to]) => to !== id && from !== id));
    const splits = new Map([...state.values.splits].filter(([number]) => number !== id));
    setClusters(merges, splits);
  }

  map.annotations = { tag, note, merge, split, apart, ...addHistory(map), ...addFiles(map, { run, clustering, fingerprint }) };
}

/** Returns what keeps edits in this browser, for this map in the state in which it was drawn. */
function keep(map, found) {
  const { store } = map;
  const [title, ...earlier] = [[store.meta.title, store.n], ...store.meta.earlier].map(([name, n]) => `latentviz names ${name.slice(0, 200)} ${n}`);
  const drawn = JSON.stringify(KINDS.map((kind) => found[kind] ?? []));
  const base = drawn.length > 20 ? hash(drawn) : "";
  const key = found.fingerprint ? `latentviz annotations ${found.fingerprint} ${base}` : `${title} annotations`;
  return {
    /** Returns pairs; null if this browser knows none. Names alone may be known from an earlier version or map. */
    read() {
      try {
        const text = localStorage.getItem(key);
        if (text) return JSON.parse(text);
        const names = base ? null : [title, ...earlier].map((one) => localStorage.getItem(one)).find((one) => one !== null);
        return names ? { names: JSON.parse(names) } : null;
      } catch {
        return null;
      }
    },
    write(pairs) {
      try {
        localStorage.setItem(key, JSON.stringify(pairs));
        localStorage.setItem(title, JSON.stringify(pairs.names));
      } catch {
        map.notice?.("This browser keeps no annotations of this map; save them as a file.");
      }
    },
  };
}

function hash(text) {
  let value = 2166136261; // FNV-1a
  for (let k = 0; k < text.length; k++) value = Math.imul(value ^ text.charCodeAt(k), 16777619);
  return (value >>> 0).toString(16);
}

/** Returns `undo`, `redo`, `counts` of steps with selections, names, tags, notes and clusters, and `adopt` for changes that are no step. */
function addHistory(map) {
  const { state } = map;
  const keys = ["selection", ...KINDS];
  const [past, future] = [[], []];
  const snapshot = () => Object.fromEntries(keys.map((key) => [key, state.values[key]]));
  let before = snapshot();
  let restoring = false;
  const report = () => state.set({ steps: `${past.length}/${future.length}` });
  state.on(keys.join(" "), ({ query }, changed) => {
    if (restoring) return;
    // A search selects at every letter.
    if (!(query && changed.length === 1 && changed[0] === "selection")) {
      past.push(before);
      if (past.length > UNDONE) past.shift();
      future.length = 0;
    }
    before = snapshot();
    report();
  });
  const go = (from, to) => {
    if (!from.length) return false;
    to.push(before);
    before = from.pop();
    restoring = true;
    const { selection, ...rest } = before;
    state.set(rest);
    if (selection !== state.values.selection) map.select?.(selection && [...selection.keys()].filter((i) => selection[i]));
    state.set({ selection });
    restoring = false;
    report();
    return true;
  };
  /** Takes over what others changed, `patched` of edits, in what undo and redo go back to as well. */
  const adopt = (patched) => {
    for (const steps of [past, future]) steps.forEach((one, k) => (steps[k] = patched(one)));
    before = patched(before);
    restoring = true;
    state.set(Object.fromEntries(KINDS.map((kind) => [kind, before[kind]])));
    restoring = false;
  };
  return { undo: () => go(past, future), redo: () => go(future, past), adopt, counts: () => [past.length, future.length] };
}

/** Returns `content`, `save` and `open` of annotations.json. */
function addFiles(map, about) {
  const { store, state } = map;
  const known = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined));
  const content = () => toFile(map.idOf, known, state.values);
  return {
    content,
    save: () => map.save("annotations.json", new Blob([JSON.stringify(content(), null, 1)], { type: "application/json" })),
    async open(file) {
      try {
        const given = JSON.parse(await file.text());
        const rows = new Map();
        for (let i = 0; i < store.n; i++) rows.set(map.idOf(i), store.row[i]);
        state.set(fromPairs(store, pairsOfFile(given, rows, known)));
        return "";
      } catch (error) {
        return `${clip(file.name, 60)}: ${error instanceof SyntaxError ? "no JSON" : error.message}`;
      }
    },
  };
}
