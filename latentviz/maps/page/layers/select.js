// Selections: by lasso, by box, by search, by cluster. Their table, CSV and JSON, ids to the clipboard.

import { panel } from "../core/app.js";
import { clip, el, iconButton } from "../core/dom.js";
import { inPolygon } from "../core/grid.js";
import { FAINT, SHOWN } from "../core/paint.js";
import { makeItemTable } from "../core/table.js";

/** Adds the tools, the table, and `map.select(points, name)`; null clears. */
export async function select(map) {
  const { store, state, view } = map;
  const fields = await Promise.all(store.meta.items.fields.map((_, index) => store.field(index)));
  const sources = store.meta.items.sources ? await store.sources() : null;
  const title = el("h2", {});
  const chips = el("div", { className: "chips" });
  const table = await makeItemTable(map);
  const act = (label, run, about) => el("button", { type: "button", className: "action", title: about, onclick: run }, label);
  const body = panel(map.bottom, "selection",
    el("header", {}, title, chips, el("div", { className: "actions" },
      act("CSV", () => save("csv", csv(records())), "Save the selection as CSV"),
      act("JSON", () => save("json", JSON.stringify(records(), null, 1)), "Save the selection as JSON"),
      act("Copy ids", copy, "Copy the ids, one per line"),
      act("Zoom to it", () => map.flyToPoints(map.selected), "Show the whole selection")),
    iconButton("close", "Clear the selection (Esc)", () => map.select(null), { className: "icon-button small" })), table.element);
  body.setAttribute("aria-label", "Selection");
  body.hidden = true;
  map.bottom.prepend(body);
  map.selected = [];
  let named = "";
  state.on("names merges splits", () => !body.hidden && show(named));

  map.selectionBody = body;
  /** Returns whether a tool may select a point: it is shown, or faint for no other reason than the selection. */
  map.selectable = (i) => {
    const { selection, isolated } = state.values;
    return map.paint.level[i] === SHOWN || (selection && map.paint.level[i] === FAINT && (!isolated.size || isolated.has(store.groups[store.group[i]].id)));
  };
  map.invertSelection = () => {
    const { selection } = state.values;
    const others = Array.from({ length: store.n }, (_, i) => i).filter((i) => !selection?.[i] && map.selectable(i));
    map.select(others.length ? others : null);
  };

  map.select = (points, name = "", open = true) => {
    map.selected = points ? [...points].sort((a, b) => store.row[a] - store.row[b]) : [];
    let mask = null;
    if (points) {
      mask = new Uint8Array(store.n);
      for (const i of points) mask[i] = 1;
    }
    state.set({ selection: mask });
    body.hidden = !points || !open;
    if (points && open) show(name);
    else map.showSelection = () => {
      body.hidden = false;
      show(name);
    };
  };

  function show(name) {
    named = name;
    const n = map.selected.length;
    title.textContent = `${n.toLocaleString("en")} selected${name ? ` · ${clip(name, 40)}` : ""}`;
    map.say(title.textContent);
    const counts = new Map();
    for (const i of map.selected) counts.set(store.group[i], (counts.get(store.group[i]) ?? 0) + 1);
    const ordered = [...counts].sort((a, b) => b[1] - a[1]);
    chips.replaceChildren(...ordered.slice(0, 6).map(([g, count]) => el("span", { dir: "auto" }, map.swatch(store.groups[g].id), `${clip(map.nameOf(store.groups[g].id), 24)} ${count.toLocaleString("en")}`)));
    if (ordered.length > 6) chips.append(el("span", {}, `+${ordered.length - 6}`));
    table.show(map.selected);
  }

  function records() {
    return map.selected.map((i) => {
      const { id } = store.groups[store.group[i]];
      const known = { id: map.idOf(i), x: Number(store.x[i].toPrecision(6)), y: Number(store.y[i].toPrecision(6)), cluster: id, cluster_name: map.nameOf(id), nearest_cluster: store.nearest(i), probability: Number(store.probability(i).toFixed(3)), outlier_score: Number(store.outlier(i).toFixed(3)) };
      if (sources) known.source = sources(i);
      if (map.textOf) known.text = map.textOf(i);
      for (const field of fields) if (!(field.name in known)) known[field.name] = field.value(i);
      return known;
    });
  }
  map.records = records;

  async function copy() {
    const text = map.selected.map((i) => map.idOf(i)).join("\n");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el("textarea", { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    map.say(`${map.selected.length} ids copied`);
  }

  map.save = saveFile;
  const save = (kind, text) => saveFile(`selection.${kind}`, new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
  addTools(map, view, state);
  map.overlays.push((pen) => drawShape(pen, map, state));
}

/** Adds lasso and box; both select among the points that are shown. */
function addTools(map, view, state) {
  const { store, grid } = map;
  const finish = () => {
    const shape = map.shape;
    map.shape = null;
    map.touch();
    if (!shape || shape.length < 6) return;
    const xs = shape.filter((_, k) => k % 2 === 0);
    const ys = shape.filter((_, k) => k % 2 === 1);
    const box = { x0: Math.min(...xs), x1: Math.max(...xs), y0: Math.min(...ys), y1: Math.max(...ys) };
    const found = [];
    grid.eachIn(box, (i) => map.selectable(i) && inPolygon(shape, store.x[i], store.y[i]) && found.push(i));
    if (!found.length) map.say("Nothing inside");
    const chosen = combined(found);
    map.select(chosen.length ? chosen : null);
    state.set({ tool: "pan" });
  };
  const at = ({ px, py }) => [view.toDataX(px), view.toDataY(py)];
  const cancel = () => {
    map.shape = null;
    map.touch();
  };
  /** Returns the selection after a shape. */
  function combined(found) {
    const before = state.values.selection ? map.selected : [];
    if (state.values.combine === "add") return [...new Set([...before, ...found])];
    if (state.values.combine !== "subtract") return found;
    const gone = new Set(found);
    return before.filter((i) => !gone.has(i));
  }
  // A shape that makes a new selection applies to everything shown.
  const start = () => state.values.selection && state.values.combine === "replace" && map.select(null);
  state.on("selection", ({ selection }) => !selection && state.set({ combine: "replace" }));
  map.addTool("lasso", "lasso", "Select with a lasso (L)", {
    start(place) {
      start();
      map.shape = at(place);
    },
    move(place) {
      map.shape.push(...at(place));
      map.touch();
    },
    end: finish,
    cancel,
  });
  let corner = null;
  map.addTool("box", "box", "Select with a box (B, or Shift and drag)", {
    start(place) {
      start();
      corner = at(place);
    },
    move(place) {
      const [x1, y1] = at(place);
      const [x0, y0] = corner;
      map.shape = [x0, y0, x1, y0, x1, y1, x0, y1];
      map.touch();
    },
    end: finish,
    cancel,
  });
}

function drawShape(pen, map, state) {
  if (!map.shape) return;
  pen.beginPath();
  for (let k = 0; k < map.shape.length; k += 2) pen.lineTo(map.view.toScreenX(map.shape[k]), map.view.toScreenY(map.shape[k + 1]));
  pen.closePath();
  pen.fillStyle = state.values.dark ? "rgba(124,150,255,.16)" : "rgba(59,91,219,.1)";
  pen.strokeStyle = state.values.dark ? "#7c96ff" : "#3b5bdb";
  pen.lineWidth = 1.5;
  pen.fill();
  pen.setLineDash([5, 4]);
  pen.stroke();
  pen.setLineDash([]);
}

/** Puts an apostrophe before a text that a spreadsheet would run as a formula, as runs/cells.py does; numbers stay. */
function safeCell(text) {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
}

/** Returns records as CSV (RFC 4180), one column for every key. */
function csv(records) {
  const keys = [...new Set(records.flatMap(Object.keys))];
  const cell = (value) => (value === null || value === undefined ? "" : typeof value === "number" ? String(value) : `"${safeCell(String(value)).replaceAll('"', '""')}"`);
  return [keys.map(cell), ...records.map((record) => keys.map((key) => cell(record[key])))].map((row) => row.join(",")).join("\r\n");
}

/** Downloads a file. */
function saveFile(name, blob) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
