// Search over ids, labels, cluster names, texts, captions and sources: every word must occur, in any order; or, where the
// page can encode a text, by its meaning.

import { clip, el, icon, iconButton, marked } from "../core/dom.js";
import { oneStop } from "../core/stops.js";

const MOST_HITS = 40;
const MODES = { letters: "Items that have all of the words", meaning: "Items that are most like what the words mean" };
const REMEMBERED = 200000;
const SLICE = 20000; // items searched before yielding to the browser

/** Adds the search field to the header, `map.search(text, by)`, and `map.addMeaning` for the layer that can rank items. */
export async function search(map) {
  const { store, state } = map;
  const input = el("input", { type: "search", placeholder: "Search", "aria-label": "Search items", autocomplete: "off", spellcheck: false, dir: "auto" });
  const results = el("div", { className: "results", role: "group", "aria-label": "Search results" });
  oneStop(results, ".result");
  const count = el("p", { className: "note", role: "status" });
  const clear = iconButton("close", "Clear the search", () => map.search(""), { className: "icon-button small clear" });
  clear.hidden = true;
  const modes = el("div", { className: "search-by", role: "group", "aria-label": "Search by", hidden: true },
    ...Object.entries(MODES).map(([by, about]) => el("button", { type: "button", title: about, "data-by": by, onclick: () => map.search(input.value, by) }, `by ${by}`)));
  map.header.append(el("div", { className: "search" }, icon("search"), input, clear), modes, count, results);
  let rank = null;
  let readers = null;
  let hay = null;
  let turn = 0;

  async function load() {
    readers ??= Promise.all([
      store.ids(),
      store.meta.items.texts ? store.texts() : null,
      store.meta.items.sources ? store.sources() : null,
      ...store.meta.items.fields.map(async (field, index) => (field.kind === "number" ? null : (await store.field(index)).value)),
    ]).then((all) => all.filter(Boolean));
    return readers;
  }

  async function find(words) {
    const mine = turn;
    const all = await load();
    const keep = store.n <= REMEMBERED;
    hay ??= keep ? new Array(store.n) : null;
    const full = (i) => all.map((read) => read(i) ?? "").join("\n").toLowerCase();
    const named = store.groups.map(({ id }) => map.nameOf(id).toLowerCase());
    const hits = [];
    for (let i = 0; i < store.n; i++) {
      const text = hay ? (hay[i] ??= full(i)) : full(i);
      if (words.every((word) => text.includes(word) || named[store.group[i]].includes(word))) hits.push(i);
      if (i % SLICE === SLICE - 1) await new Promise((resume) => setTimeout(resume));
      if (mine !== turn) return null;
    }
    return hits;
  }

  /** Returns what a result shows of an item: of a long text the part with the first word that was found. */
  function excerpt(i, words) {
    const text = map.textOf ? map.textOf(i) : map.idOf(i);
    const at = Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((place) => place >= 0));
    return at > 40 && at < Infinity ? `…${clip(text.slice(at - 20), 70)}` : clip(text, 70);
  }

  function row(i, words, score) {
    const label = score === undefined ? map.labelOf(i) : score.toFixed(2);
    return el("button", { type: "button", className: "result", "data-point": String(i), onclick: () => map.pin(i) },
      map.thumbs ? map.show(i, 30) : null,
      Object.assign(marked(excerpt(i, words), words), { dir: "auto" }),
      label === null ? null : el("em", { dir: "auto" }, clip(String(label), 24)));
  }

  /** Adds the search by meaning: `found(text, most)` resolves to `hits`, points with their scores, and a `note`. */
  map.addMeaning = (found) => {
    rank = found;
    modes.hidden = false;
    mark();
  };
  function mark() {
    const { by } = state.values;
    for (const button of modes.children) button.setAttribute("aria-pressed", String(button.dataset.by === by));
    input.placeholder = by === "meaning" ? "Search by meaning" : "Search";
  }
  state.set({ by: "letters" });

  map.search = async (text, by = state.values.by) => {
    const mine = ++turn;
    input.value = text;
    clear.hidden = text === "";
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    state.set({ query: text, by: rank ? by : "letters" });
    mark();
    if (!words.length) {
      results.replaceChildren();
      count.textContent = "";
      map.select?.(null);
      return;
    }
    count.textContent = "Searching …";
    const meant = state.values.by === "meaning";
    const found = meant ? await rank(text, MOST_HITS) : await find(words);
    if (mine !== turn) return;
    const hits = meant ? found.hits.map(([i]) => i) : found;
    count.textContent = hits.length ? (meant ? "Most alike" : `${hits.length.toLocaleString("en")} found`) : "Nothing found";
    if (meant && found.note) count.append(`; ${found.note}`);
    if (hits.length && map.select) count.append(el("button", { type: "button", className: "link needed inline", onclick: () => map.showSelection() }, "show as table"));
    results.replaceChildren(...hits.slice(0, MOST_HITS).map((i, k) => row(i, words, meant ? found.hits[k][1] : undefined)));
    map.select?.(hits.length ? hits : null, `“${text.trim()}”${meant ? " by meaning" : ""}`, false);
  };
  let wait = 0;
  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => map.search(input.value), 180);
  });
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") {
      map.search("");
      map.surface.focus();
    } else if (event.key === "Enter") {
      results.querySelector("button")?.click();
    }
  });
  map.focusSearch = () => input.select();
  map.keys.push({ key: "/", about: "search", run: () => map.focusSearch() });
}
