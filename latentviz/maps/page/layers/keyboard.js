// Keyboard shortcuts, and the dialog that lists them.

import { el, iconButton } from "../core/dom.js";

/** Adds the map's keys and help; other layers add theirs to `map.keys`. */
export function keyboard(map) {
  const { view, state } = map;
  const step = () => Math.min(view.width, view.height) * 0.12;
  const zoom = (factor) => view.fly({ x: view.x, y: view.y, scale: view.scale * factor }, 200);
  const tool = (name) => () => state.set({ tool: map.tools[name] && state.values.tool !== name ? name : "pan" });
  const keys = [
    { key: "ArrowLeft", show: "← ↑ → ↓", about: "move", run: () => view.pan(step(), 0) },
    { key: "ArrowRight", run: () => view.pan(-step(), 0) },
    { key: "ArrowUp", run: () => view.pan(0, step()) },
    { key: "ArrowDown", run: () => view.pan(0, -step()) },
    { key: "+", about: "zoom in", run: () => zoom(1.6) },
    { key: "=", run: () => zoom(1.6) },
    { key: "-", show: "−", about: "zoom out", run: () => zoom(1 / 1.6) },
    { key: "0", about: "show everything", run: () => view.fit() },
    { key: "Enter", about: "card of the item in the middle", run: middle },
    { key: "l", about: "lasso", run: tool("lasso") },
    { key: "b", about: "box", run: tool("box") },
    { key: "i", about: "interpolate", run: tool("line") },
    ...map.keys,
    { key: "Escape", show: "Esc", about: "close, clear, back", run: back },
    { key: "?", about: "these keys", run: () => (dialog.open ? dialog.close() : dialog.showModal()) },
  ];
  const shown = keys.filter(({ about, key }) => about && (!{ l: "lasso", b: "box", i: "line" }[key] || map.tools[{ l: "lasso", b: "box", i: "line" }[key]]));
  const rows = shown.flatMap(({ key, show, about }) => [el("dt", {}, el("kbd", {}, show ?? (key.length === 1 ? key.toUpperCase() : key))), el("dd", {}, about)]);
  const mouse = ["Drag moves, the wheel zooms, a double click zooms in. Shift and drag selects a box.", "Click a point for its card, a cluster in the list to isolate it; Shift and click adds one more."];
  const dialog = el("dialog", { className: "help", "aria-label": "Keys" }, el("header", {}, el("h2", {}, "Keys"), iconButton("close", "Close", () => dialog.close(), { className: "icon-button small" })), el("dl", {}, ...rows), ...mouse.map((line) => el("p", { className: "note" }, line)));
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  map.addButton("more", "help", "Keys (?)", () => dialog.showModal());

  function middle() {
    const found = map.grid.nearest(view.x, view.y, Infinity, 1, (i) => map.paint.level[i] === 2);
    if (found.length) map.pin(found[0][0], false);
  }

  function back() {
    const { values } = state;
    if (values.tool !== "pan") state.set({ tool: "pan" });
    else if (values.pinned >= 0) state.set({ pinned: -1 });
    else if ((values.openCluster ?? null) !== null) map.openCluster(null);
    else if (map.clearLine && document.querySelector(".strip:not([hidden])")) map.clearLine();
    else if (values.query) map.search("");
    else if (values.selection) map.select(null);
    else if (values.isolated.size) state.set({ isolated: new Set() });
  }

  // The map's focus ring is shown only on keyboard focus.
  document.addEventListener("pointerdown", () => document.documentElement.classList.remove("tabbed"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab") document.documentElement.classList.add("tabbed");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.target.closest?.("input, select, textarea")) return;
    if (event.key === "Enter" && event.target !== map.surface) return;
    const found = keys.find(({ key }) => key === event.key || (key.length === 1 && key === event.key.toLowerCase()));
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}
