// Annotations that the server keeps in the run: this page's changes go there, and those of others come from there.

import { KINDS, fromPairs } from "./edits.js";

const OFTEN = 1000; // ms between questions for what others changed
const SELDOM = 5000; // where the page is in the background, or the server is gone
const NONE = new Map();

/** Returns what turns edits `a` into `b`: maps from a key to its new value, null where it is removed. */
export function difference(a, b) {
  const flat = (before, after) => {
    const changed = new Map();
    if (before === after) return changed;
    for (const [key, value] of after) if (before.get(key) !== value) changed.set(key, value);
    for (const key of before.keys()) if (!after.has(key)) changed.set(key, null);
    return changed;
  };
  const tags = new Map();
  for (const word of a.tags === b.tags ? [] : new Set([...a.tags.keys(), ...b.tags.keys()])) {
    const [before, after] = [a.tags.get(word) ?? NONE, b.tags.get(word) ?? NONE];
    if (before === after) continue;
    const [given, taken] = [[...after.keys()].filter((i) => !before.has(i)), [...before.keys()].filter((i) => !after.has(i))];
    if (given.length || taken.length) tags.set(word, [given, taken]);
  }
  const splits = a.splits === b.splits ? NONE : flat(numberOf(a.splits), numberOf(b.splits));
  return { names: flat(a.names, b.names), merges: flat(a.merges, b.merges), notes: flat(a.notes, b.notes), splits, tags };
}

/** Returns point → the cluster that it was split into. */
function numberOf(splits) {
  return new Map([...splits].flatMap(([number, points]) => [...points].map((i) => [i, number])));
}

/** Returns a function that makes such a change to edits, or to what holds them. */
export function patch(change) {
  const made = new Map(); // steps of the history share most of their maps
  const flat = (table, changed) => {
    const copy = new Map(table);
    for (const [key, value] of changed) {
      if (value === null) copy.delete(key);
      else copy.set(key, value);
    }
    return copy;
  };
  const ways = {
    names: flat, merges: flat, notes: flat,
    splits(table, changed) {
      const numbers = flat(numberOf(table), changed);
      const copy = new Map();
      for (const [i, number] of numbers) copy.set(number, (copy.get(number) ?? new Set()).add(i));
      return copy;
    },
    tags(table, changed) {
      const copy = new Map(table);
      for (const [word, [given, taken]] of changed) {
        const points = new Set([...(table.get(word) ?? []), ...given]);
        for (const i of taken) points.delete(i);
        if (points.size) copy.set(word, points);
        else copy.delete(word);
      }
      return copy;
    },
  };
  const patched = (table, kind) => {
    if (!change[kind].size) return table;
    if (!made.has(table)) made.set(table, ways[kind](table, change[kind]));
    return made.get(table);
  };
  return (edits) => ({ ...edits, ...Object.fromEntries(KINDS.map((kind) => [kind, patched(edits[kind], kind)])) });
}

/** Keeps the annotations of this page and those of the run the same. */
export async function share(map) {
  const { store, state } = map;
  const edits = () => Object.fromEntries(KINDS.map((kind) => [kind, state.values[kind]]));
  const rows = (points) => points.map((i) => store.row[i]);
  let base = edits(); // as the run has them, as far as this page knows
  let version = "";
  let [busy, again, timer, told] = [false, false, 0, ""];

  function asked({ names, merges, notes, splits, tags }) {
    const parts = new Map();
    for (const number of new Set(splits.values())) parts.set(number, []);
    for (const [i, number] of splits) parts.get(number).push(store.row[i]);
    return { names: [...names], merges: [...merges], notes: [...notes].map(([i, text]) => [store.row[i], text]), splits: [...parts], tags: [...tags].map(([word, [given, taken]]) => [word, rows(given), rows(taken)]) };
  }

  async function step() {
    const sent = edits();
    const change = difference(base, sent);
    const changes = KINDS.some((kind) => change[kind].size);
    const found = changes ? await map.ask("annotate", { since: version, ...asked(change) }) : await map.ask("annotations", { since: version });
    if (version !== found.version) map.reloadRows();
    version = found.version;
    base = sent;
    if (!found.found) return;
    base = fromPairs(store, found.found);
    map.annotations.adopt(patch(difference(sent, base))); // what was changed here meanwhile stays, and is sent next
  }

  /** Takes back what the run refuses. */
  async function refused({ message }) {
    const { version: now, found } = await map.ask("annotations", {});
    [version, base] = [now, fromPairs(store, found)];
    map.annotations.adopt(patch(difference(edits(), base)));
    map.notice?.(`Not kept: ${message}`);
  }

  async function turn() {
    clearTimeout(timer);
    again = busy;
    if (busy) return;
    busy = true;
    try {
      do {
        again = false;
        await step().catch((error) => (error.refused ? refused(error) : Promise.reject(error)));
      } while (again);
      told = "";
    } catch ({ message }) {
      if (told !== message) map.notice?.(`${message} Annotations made since then are in this page alone; save them as a file.`);
      told = message;
    }
    busy = false;
    timer = setTimeout(turn, document.hidden || told ? SELDOM : OFTEN);
  }

  state.on(KINDS.join(" "), turn);
  document.addEventListener("visibilitychange", turn);
  addEventListener("beforeunload", (event) => {
    const change = difference(base, edits());
    if (KINDS.some((kind) => change[kind].size)) event.preventDefault();
  });
  await turn();
}
