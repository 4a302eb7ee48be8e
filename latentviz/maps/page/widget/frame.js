// The map's side of `lv.widget`, added to the copy of the page that the widget shows: passes the selection, the names and
// the tags between the map and the notebook, and adds the tags to the selection's table and to the item's card.
"use strict";

(async () => {
  const app = globalThis.latentviz;
  while (!document.documentElement.dataset.ready) await new Promise((go) => setTimeout(go, 50));
  const { map } = app;
  const { store, state } = map;
  const idOf = await store.ids();
  const points = new Int32Array(store.n); // row → point
  for (let i = 0; i < store.n; i++) points[store.row[i]] = i;
  let tags = {};
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
      tags = given;
      show();
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
  state.on("selection", () => {
    send("rows", rows());
    show();
  });
  state.on("names", () => send("names", Object.fromEntries(store.groups.filter(({ id }) => id >= 0).map(({ id }) => [id, map.nameOf(id)]))));
  state.on("pinned", ({ pinned }) => {
    const own = pinned >= 0 ? (tags[idOf(pinned)] ?? []) : [];
    if (own.length) document.querySelector(".item-card")?.append(element("p", "note", `tags: ${own.join(", ")}`));
  });

  function element(name, className, text) {
    return Object.assign(document.createElement(name), { className, textContent: text });
  }

  /** Gives the selected items a tag, or takes it from them. */
  function tag(word, on) {
    const next = { ...tags };
    for (const row of rows()) {
      const id = idOf(points[row]);
      const others = (next[id] ?? []).filter((each) => each !== word);
      if (on) others.push(word);
      if (others.length) next[id] = others;
      else delete next[id];
    }
    tags = next;
    send("tags", tags);
    show();
  }

  const field = Object.assign(document.createElement("input"), { className: "action", placeholder: "Add a tag", maxLength: 200, size: 12 });
  field.setAttribute("aria-label", "Tag the selected items");
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" || !field.value.trim()) return;
    tag(field.value.trim(), true);
    field.value = "";
  });
  const line = element("div", "actions", "");
  line.style.padding = "0 14px 8px";
  line.append(field);
  document.querySelector(".selection header")?.after(line);

  /** Shows the tags of the selected items; a click takes one from them. */
  function show() {
    const counts = new Map();
    for (const row of rows()) for (const word of tags[idOf(points[row])] ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
    const buttons = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 20).map(([word, count]) => {
      const button = element("button", "action", `${word} ${count.toLocaleString("en")} ×`);
      Object.assign(button, { type: "button", title: `Take the tag ${word} from the selected items`, onclick: () => tag(word, false) });
      return button;
    });
    line.replaceChildren(field, ...buttons);
  }

  parent.postMessage({ latentviz: "ready" }, "*");
})();
