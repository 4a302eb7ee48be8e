// Where annotations are made and listed: the selection's bar, the cards of items and clusters, and a panel of them all.

import { panel } from "../core/app.js";
import { clip, el, icon, iconButton } from "../core/dom.js";

const MOST = 60; // tags, notes or clusters in a list

/** Adds the panel, undo and redo, and the parts of the selection and of the cards. */
export function tags(map) {
  if (!map.annotations) return;
  addPanel(map);
  addSteps(map);
  addSelection(map);
  addItem(map);
  addCluster(map);
}

const act = (label, run, about = "") => el("button", { type: "button", className: "action", title: about, onclick: run }, label);

/** Returns a field that passes its text on at Enter, and then is empty. */
function wordField(label, done) {
  const field = el("input", { className: "action word", placeholder: label, "aria-label": label, maxLength: 200, size: 12, dir: "auto", autocomplete: "off" });
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") field.blur();
    const word = field.value.trim();
    if (event.key !== "Enter" || !word) return;
    field.value = "";
    done(word);
  });
  return field;
}

/** Returns a tag whose name selects its items, with a cross that runs `remove`. */
function chip(map, word, count, remove, about) {
  const own = [...(map.state.values.tags.get(word) ?? [])];
  const choose = el("button", { type: "button", title: `Select all ${own.length.toLocaleString("en")} with this tag`, onclick: () => map.select?.(own, word) },
    el("span", { className: "name", dir: "auto" }, clip(word, 40)), count === null ? null : el("span", { className: "size" }, count.toLocaleString("en")));
  const cross = el("button", { type: "button", title: about, "aria-label": `${about}: ${clip(word, 60)}`, onclick: remove }, icon("close"));
  return el("span", { className: "tag" }, choose, cross);
}

const sized = (all) => [...all].sort((a, b) => b[1] - a[1] || String(a[0]).localeCompare(String(b[0]))).slice(0, MOST);

/** Adds the list of all annotations, and their file. */
function addPanel(map) {
  const { state, store } = map;
  const list = el("div", { className: "scroll" });
  const problem = el("p", { className: "note", role: "alert" });
  const file = el("input", { type: "file", accept: ".json,application/json", hidden: true, "aria-label": "Open annotations.json" });
  file.addEventListener("change", async () => {
    problem.textContent = await map.annotations.open(file.files[0]);
    file.value = "";
  });
  const close = iconButton("close", "Close the annotations", () => state.set({ annotating: false }), { className: "icon-button small" });
  const body = panel(map.right, "annotations",
    el("header", {}, el("h2", {}, "Annotations"), act("Save", map.annotations.save, "Save annotations.json; `latentviz annotate RUN annotations.json` puts it into the run"), act("Open", () => file.click(), "Open a saved annotations.json"), close),
    file, problem, list);
  body.setAttribute("aria-label", "Annotations");
  const button = map.addButton("show", "tag", "Annotations (A)", () => state.set({ annotating: !state.values.annotating }));
  map.keys.push({ key: "a", about: "annotations", run: () => state.set({ annotating: !state.values.annotating }) });

  function show() {
    const { names, merges, splits, notes, annotating } = state.values;
    body.hidden = !annotating;
    button.setAttribute("aria-pressed", String(Boolean(annotating)));
    if (!annotating) return;
    const part = (title, ...children) => (children.length ? el("div", { className: "part" }, el("h3", {}, title), ...children) : null);
    const words = sized([...state.values.tags].map(([word, points]) => [word, points.size]));
    const edited = store.groups.filter(({ id, points, size }) => id >= 0 && size && (points || names.has(id))).slice(0, MOST);
    const row = (text, run, swatch = null) => el("button", { type: "button", className: "result", onclick: run }, swatch, el("span", { dir: "auto" }, text));
    const parts = [
      part("Tags", ...words.map(([word, count]) => chip(map, word, count, () => map.annotations.tag(word, state.values.tags.get(word), false), "Remove this tag"))),
      part("Clusters", ...edited.map(({ id }) => row(clip(map.nameOf(id), 60), () => map.openCluster?.(id), map.swatch(id)))),
      part("Notes", ...[...notes].slice(0, MOST).map(([i, text]) => row(clip(`${map.idOf(i)}: ${text}`, 90), () => map.pin?.(i)))),
    ].filter(Boolean);
    const more = Math.max(state.values.tags.size, notes.size) - MOST;
    if (more > 0) parts.push(el("p", { className: "note" }, `and ${more.toLocaleString("en")} more, in the file`));
    if (!parts.length && !merges.size && !splits.size) parts.push(el("p", { className: "note" }, "Nothing yet. Select items to tag them, open one to note something, open a cluster to name, merge or split it."));
    list.replaceChildren(...parts);
  }
  state.on("annotating tags notes names merges splits", show);
  state.set({ annotating: false });
  show();
}

/** Adds undo and redo as buttons and as Ctrl+Z and Ctrl+Shift+Z. */
function addSteps(map) {
  const buttons = [["undo", "Undo (Ctrl+Z)"], ["redo", "Redo (Ctrl+Shift+Z)"]].map(([name, title]) => map.addButton("more", name, title, () => map.annotations[name]()));
  const update = () => map.annotations.counts().forEach((count, k) => {
    buttons[k].disabled = count === 0;
  });
  map.state.on("steps", update);
  update();
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== "z" && key !== "y") || event.target.closest?.("input, textarea, dialog")) return;
    event.preventDefault();
    map.annotations[key === "y" || event.shiftKey ? "redo" : "undo"]();
  });
}

/** Adds to the selection: what the next shape does with it, inversion, tags, and a cluster of its own. */
function addSelection(map) {
  const { state } = map;
  if (!map.selectionBody) return;
  const modes = ["replace", "add", "subtract"].map((mode) => {
    const button = el("button", { type: "button", className: "action", title: `The next lasso or box: ${mode === "replace" ? "a new selection" : mode === "add" ? "add to this one" : "take from this one"}`, onclick: () => state.set({ combine: mode }) }, { replace: "New", add: "Add", subtract: "Subtract" }[mode]);
    return [mode, button];
  });
  const given = el("span", { className: "tags" });
  const field = wordField("Add a tag", (word) => {
    map.annotations.tag(word, map.selected);
    map.say(`${map.selected.length} items tagged ${word}`);
  });
  const apart = () => map.openCluster?.(map.annotations.split(map.selected));
  const line = el("div", { className: "annotate" }, el("span", { className: "modes", role: "group", "aria-label": "The next lasso or box" }, ...modes.map(([, button]) => button)),
    act("Invert", map.invertSelection, "Select what is shown and not selected"), act("New cluster", apart, "Make the selected items a cluster of their own"), field, given);
  map.selectionBody.querySelector("header").after(line);

  function show() {
    for (const [mode, button] of modes) button.setAttribute("aria-pressed", String(state.values.combine === mode));
    const { selection, tags: all } = state.values;
    if (!selection) return;
    const counts = new Map();
    for (const [word, points] of all) {
      let count = 0;
      for (const i of points) count += selection[i];
      if (count) counts.set(word, count);
    }
    given.replaceChildren(...sized(counts).slice(0, 20).map(([word, count]) => chip(map, word, count, () => map.annotations.tag(word, map.selected, false), "Take this tag from the selected items")));
  }
  state.on("selection tags combine", show);
  show();
}

/** Adds tags and a note to the card of an item. */
function addItem(map) {
  const { state } = map;
  const field = wordField("Add a tag", (word) => map.annotations.tag(word, [state.values.pinned]));
  const note = el("textarea", { className: "note-field", rows: 2, maxLength: 10_000, placeholder: "Note", "aria-label": "Note on this item", dir: "auto" });
  note.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") note.blur();
  });
  let owner = -1;
  /** Keeps what is in the field; a card that closes does not take it along. */
  const put = () => owner >= 0 && note.value.trim() !== (state.values.notes.get(owner) ?? "") && map.annotations.note(owner, note.value);
  note.addEventListener("change", put);
  const given = el("span", { className: "tags" });
  const part = el("div", { className: "part annotate" }, given, field, note);
  state.on("pinned names tags notes", ({ pinned, tags: all }, changed) => {
    if (changed.includes("pinned") && owner !== pinned) {
      put();
      owner = -1;
    }
    if (pinned < 0) return;
    const { notes } = state.values;
    const words = [...all].filter(([, points]) => points.has(pinned)).map(([word]) => word);
    given.replaceChildren(...words.map((word) => chip(map, word, null, () => map.annotations.tag(word, [pinned], false), "Take this tag from the item")));
    if (owner !== pinned || document.activeElement !== note) note.value = notes.get(pinned) ?? "";
    owner = pinned;
    const card = document.querySelector(".item-card .scroll");
    if (card && part.parentNode !== card) card.append(part);
  });
}

/** Adds merging and taking apart to the card of a cluster. */
function addCluster(map) {
  const { state, store } = map;
  state.on("openCluster isolated names merges splits", ({ openCluster: id, isolated, merges, splits }) => {
    const card = document.querySelector(".cluster-card .scroll");
    if (id === null || id === undefined || id < 0 || !card || card.querySelector(".annotate")) return;
    const others = store.groups.filter((cluster) => cluster.id >= 0 && cluster.id !== id && cluster.size).sort((a, b) => map.nameOf(a.id).localeCompare(map.nameOf(b.id), undefined, { numeric: true }));
    const choice = el("select", { "aria-label": "Merge into another cluster" }, el("option", { value: "" }, "Merge into …"), ...others.map((cluster) => el("option", { value: String(cluster.id) }, clip(map.nameOf(cluster.id), 50))));
    choice.addEventListener("change", () => {
      map.annotations.merge([id], Number(choice.value));
      map.openCluster(Number(choice.value));
    });
    const parts = [...merges.values()].includes(id) || splits.has(id);
    const several = isolated.size > 1 && isolated.has(id) ? [...isolated].filter((one) => one >= 0) : [];
    card.append(el("div", { className: "part annotate" }, others.length ? choice : null,
      several.length > 1 ? act(`Merge these ${several.length}`, () => map.annotations.merge(several, id), "Merge the isolated clusters into this one") : null,
      parts ? act("Take apart", () => map.annotations.apart(id), "Undo the merges and splits of this cluster") : null));
  });
}
