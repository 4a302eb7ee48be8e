// The page of `latentviz compare`: two maps in frames, linked item by item; the figures, and which cluster of A became
// which of B.

import { clip, el } from "./core/dom.js";
import { HIDDEN, swatch } from "./core/paint.js";
import { blockJson } from "./core/store.js";

const LETTERS = ["A", "B"];
const MOST_CLUSTERS = 40; // of each map in the table of flows
const COLOURINGS = [["cluster", "own clusters"], ["cluster in A", "clusters of A"], ["cluster in B", "clusters of B"], ["moved", "what moved"], ["label", "label"]];
const number = (count) => count.toLocaleString("en");
const items = (count) => `${number(count)} item${count === 1 ? "" : "s"}`;

/** Opens both maps and links them. */
export async function compareMaps() {
  const content = await blockJson("content");
  const skeleton = new TextDecoder().decode(await globalThis.latentviz.inflate("frame"));
  const main = document.getElementById("comparison");
  const frames = LETTERS.map((letter, k) => {
    return el("iframe", { title: clip(content.titles[k], 200), "data-latentviz": letter.toLowerCase(), srcdoc: skeleton });
  });
  const head = el("header", { className: "compared" }, el("h1", {}, "Comparison"), facts(content.figures));
  const note = el("p", { className: "selected", role: "status" });
  main.append(head, el("div", { className: "maps" }, ...frames));
  document.getElementById("boot").hidden = true;
  const maps = await Promise.all(frames.map(opened));
  const table = flows(maps, new Map(content.matched), choose);
  head.append(await controls(maps, choose), note);
  main.append(table);
  linkMaps(maps, note);
  globalThis.latentviz.maps = maps;
  document.documentElement.dataset.ready = "comparison";

  /** Selects points of map A, and with them their twins. */
  function choose(points, words) {
    for (const map of maps) map.state.set({ isolated: new Set() });
    maps[0].select(points, words, false);
    if (points) note.textContent = `${items(points.length)}: ${words}`;
  }
}

/** Returns the map in a frame once it can be used. */
async function opened(frame) {
  while (!frame.contentDocument?.documentElement?.dataset.ready) await new Promise((go) => setTimeout(go, 30));
  return frame.contentWindow.latentviz.map;
}

function facts(figures) {
  return el("dl", { className: "figures" }, ...figures.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Returns the choice of colours, which both maps follow, and the switch that shows what moved. */
async function controls(maps, choose) {
  const [a] = maps;
  const known = COLOURINGS.filter(([key]) => key === "cluster" || a.columns.has(key));
  const colour = el("select", { "aria-label": "Colour by", onchange: () => maps.forEach((map) => map.colourBy(colour.value)) }, ...known.map(([value, text]) => el("option", { value }, text)));
  for (const map of maps) {
    map.state.on("colour", ({ colour: { key } }) => {
      if (known.some(([own]) => own === key)) colour.value = key;
      for (const other of maps) if (other.state.values.colour.key !== key) other.colourBy(key);
    });
  }
  const column = await a.columns.get("moved").read();
  const gone = column.names.indexOf("moves") + 1;
  const moved = Array.from(a.store.row.keys()).filter((i) => gone && column.steps[i] === gone);
  const button = el("button", { type: "button", className: "action", "aria-pressed": "false", disabled: !moved.length, onclick: () => {
    const show = button.getAttribute("aria-pressed") === "false";
    choose(show ? moved : null, "moved");
    button.setAttribute("aria-pressed", String(show));
  } }, "Show what moved");
  for (const map of maps) map.state.on("selection", () => button.setAttribute("aria-pressed", "false"));
  return el("div", { className: "controls" }, el("label", {}, "Colour by ", colour), button);
}

/** Links hover, card, selection, isolated clusters and theme of two maps. */
function linkMaps(maps, note) {
  const marks = [-1, -1]; // the point of each map whose twin is pointed at
  let following = false;
  maps.forEach((map, k) => {
    const { store, state } = map;
    const other = maps[1 - k];
    const twin = (i) => other.store.pointOf(store.row[i]);
    map.overlays.push((pen) => ring(pen, map, marks[k]));
    map.openCluster = (id) => state.set({ isolated: new Set(id === null || state.values.isolated.has(id) ? [] : [id]) });
    state.on("hovered pinned", ({ hovered, pinned }) => {
      const i = hovered >= 0 ? hovered : pinned;
      marks[1 - k] = i < 0 ? -1 : twin(i);
      if (pinned >= 0 && hovered < 0 && marks[1 - k] >= 0) other.reveal(marks[1 - k]);
      other.touch();
      if (i < 0) return;
      const places = LETTERS.map((letter, side) => `${letter}: ${side === k ? clusterOf(map, i) : clusterOf(other, twin(i))}`);
      note.textContent = `${clip(map.idOf(i), 60)} · ${places.join(" · ")}`;
    });
    state.on("selection isolated", ({ selection, isolated }) => {
      if (following) return;
      following = true;
      const inside = isolated.size ? (i) => isolated.has(store.groups[store.group[i]].id) : (i) => selection[i];
      const points = isolated.size || selection ? Array.from(store.row.keys()).filter(inside) : null;
      other.state.set({ isolated: new Set() });
      other.select(points && points.map(twin).filter((i) => i >= 0), "", false);
      note.textContent = points ? `${items(points.length)} of ${LETTERS[k]} selected on both maps` : "";
      following = false;
    });
    state.on("dark", ({ dark }) => {
      document.documentElement.dataset.theme = dark ? "dark" : "light";
      if (other.state.values.dark !== dark) other.switchTheme();
    });
    document.documentElement.dataset.theme = state.values.dark ? "dark" : "light";
  });
}

function clusterOf(map, i) {
  return i < 0 ? "not on this map" : clip(map.nameOf(map.store.groups[map.store.group[i]].id), 60);
}

/** Draws a ring around the twin of the point that the pointer is at on the other map. */
function ring(pen, { store, view, state, paint }, i) {
  if (i < 0 || paint.level[i] === HIDDEN) return;
  const { dark } = state.values;
  for (const [width, colour] of [[5, dark ? "#0e1014" : "#ffffff"], [2.5, dark ? "#ffb454" : "#c2410c"]]) {
    pen.beginPath();
    pen.arc(view.toScreenX(store.x[i]), view.toScreenY(store.y[i]), 10, 0, 2 * Math.PI);
    Object.assign(pen, { lineWidth: width, strokeStyle: colour });
    pen.stroke();
  }
}

/** Returns the table of how many items of each cluster of A are in each of B; a number selects its items. */
function flows([a, b], matched, choose) {
  const size = (one) => (one.id < 0 ? -1 : one.size); // noise comes last
  const rows = [...a.store.groups].sort((p, q) => size(q) - size(p));
  const first = rows.map(({ id }) => b.cluster(id < 0 ? id : matched.get(id))).filter(Boolean);
  const columns = [...new Set([...first, ...[...b.store.groups].sort((p, q) => size(q) - size(p))])].sort((p, q) => (p.id < 0) - (q.id < 0));
  const points = new Map();
  for (let i = 0; i < a.store.n; i++) {
    const j = b.store.pointOf(a.store.row[i]);
    if (j < 0) continue;
    const key = `${a.store.groups[a.store.group[i]].id} ${b.store.groups[b.store.group[j]].id}`;
    if (!points.has(key)) points.set(key, []);
    points.get(key).push(i);
  }
  const name = (map, { id }) => clip(map.nameOf(id), 60);
  const title = (map, one) => [swatch(one.id < 0 ? null : one.colour, "small"), el("span", { dir: "auto" }, name(map, one))];
  const cell = (row, column) => {
    const found = points.get(`${row.id} ${column.id}`);
    if (!found) return el("td", {});
    const words = `A ${name(a, row)} → B ${name(b, column)}`;
    const same = row.id < 0 ? column.id < 0 : matched.get(row.id) === column.id;
    const button = el("button", { type: "button", title: words, "aria-label": `${items(found.length)}: ${words}`, onclick: () => choose(found, words) }, number(found.length));
    const shade = el("td", { className: same ? "same" : "" }, button);
    shade.style.setProperty("--share", `${Math.round(6 + (64 * found.length) / row.size)}%`);
    return shade;
  };
  const [shownRows, shownColumns] = [rows, columns].map((all) => all.slice(0, MOST_CLUSTERS));
  const left = rows.length + columns.length - shownRows.length - shownColumns.length;
  const body = el("table", {},
    el("thead", {}, el("tr", {}, el("th", { className: "corner" }, "A ↓ B →"), ...shownColumns.map((one) => el("th", { scope: "col", title: name(b, one) }, ...title(b, one))))),
    el("tbody", {}, ...shownRows.map((row) => el("tr", {}, el("th", { scope: "row", title: name(a, row) }, ...title(a, row)), ...shownColumns.map((column) => cell(row, column))))));
  const about = `Items by cluster of A and cluster of B; outlined: the same cluster${left ? `. The ${left} smallest clusters are left out` : ""}`;
  return el("details", { className: "flows", open: innerWidth >= 700 && innerHeight >= 700 }, el("summary", {}, "Which cluster became which"), el("p", { className: "note" }, about), el("div", { className: "wide" }, body));
}
