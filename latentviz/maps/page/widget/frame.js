// The map's side of `lv.widget`, added to the copy of the page that the widget shows: passes the selection, the names and
// the tags between the map and the notebook.
"use strict";

(async () => {
  const app = globalThis.latentviz;
  while (!document.documentElement.dataset.ready) await new Promise((go) => setTimeout(go, 50));
  const { map } = app;
  const { store, state } = map;
  const idOf = await store.ids();
  const points = new Int32Array(store.n); // row → point
  for (let i = 0; i < store.n; i++) points[store.row[i]] = i;
  let byId = null;
  const pointOf = (id) => (byId ??= new Map(Array.from(points, (i) => [idOf(i), i]))).get(id);
  const known = {}; // what the notebook has, as JSON by key: only changes are sent

  const send = (key, value) => {
    const text = JSON.stringify(value);
    if (known[key] === text) return;
    known[key] = text;
    parent.postMessage({ latentviz: { [key]: value } }, "*");
  };
  const rows = () => {
    const mask = state.values.selection;
    const found = [];
    if (mask) for (let i = 0; i < store.n; i++) if (mask[i]) found.push(store.row[i]);
    return found.sort((a, b) => a - b);
  };

  const take = {
    rows(given) {
      const chosen = given.map((row) => points[row]);
      if (map.select) map.select(chosen.length ? chosen : null);
      else {
        const mask = new Uint8Array(store.n);
        for (const i of chosen) mask[i] = 1;
        state.set({ selection: chosen.length ? mask : null });
      }
    },
    names(given) {
      const names = Object.entries(given).map(([id, name]) => [Number(id), name]);
      state.set({ names: new Map(names.filter(([id, name]) => map.cluster(id) && map.cluster(id).name !== name)) });
    },
    tags(given) {
      const tags = new Map();
      for (const [id, words] of Object.entries(given)) for (const word of words) tags.set(word, (tags.get(word) ?? new Set()).add(pointOf(id)));
      state.set({ tags });
    },
  };
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || !data?.latentviz) return;
    for (const [key, value] of Object.entries(data.latentviz)) {
      if (!(key in take) || known[key] === JSON.stringify(value)) continue;
      known[key] = JSON.stringify(value);
      take[key](value);
    }
  });
  state.on("selection", () => send("rows", rows()));
  state.on("names", () => send("names", Object.fromEntries(store.groups.filter(({ id }) => id >= 0).map(({ id }) => [id, map.nameOf(id)]))));
  state.on("tags", ({ tags }) => {
    const words = {};
    for (const [word, items] of tags) for (const i of items) (words[idOf(i)] ??= []).push(word);
    send("tags", words);
  });

  parent.postMessage({ latentviz: "ready" }, "*");
})();
