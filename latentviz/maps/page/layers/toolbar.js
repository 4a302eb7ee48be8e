// The bar below the map: tools for the pointer, zoom, and switches. Other layers add their own buttons to it.

import { el, iconButton } from "../core/dom.js";
import { oneStop } from "../core/stops.js";

/** Adds the bar, and `map.addTool` and `map.addButton` for other layers. */
export function toolbar(map) {
  const { view, state } = map;
  const groups = Object.fromEntries(["tools", "zoom", "show", "more"].map((name) => [name, el("div", { className: "group", role: "group", "aria-label": name })]));
  map.toolbar = el("div", { className: "panel toolbar", role: "toolbar", "aria-label": "Map tools" }, ...Object.values(groups));
  map.bar.append(map.toolbar);
  oneStop(map.toolbar, ".icon-button");

  map.addButton = (group, name, title, onclick) => {
    const button = iconButton(name, title, onclick);
    groups[group].append(button);
    return button;
  };
  /** Adds a tool that handles drags: `start`, `move`, `end`, `cancel`. */
  map.addTool = (name, iconName, title, tool) => {
    if (tool) map.tools[name] = tool;
    const button = map.addButton("tools", iconName, title, () => state.set({ tool: state.values.tool === name ? "pan" : name }));
    const mark = () => button.setAttribute("aria-pressed", String(state.values.tool === name));
    state.on("tool", mark);
    mark();
  };
  state.on("tool", ({ tool }) => {
    map.surface.dataset.tool = tool;
  });
  map.addTool("pan", "pan", "Move the map", null);
  const zoom = (factor) => () => view.fly({ x: view.x, y: view.y, scale: view.scale * factor }, 240);
  for (const [name, title, factor] of [["minus", "Zoom out (−)", 1 / 1.8], ["plus", "Zoom in (+)", 1.8]]) map.addButton("zoom", name, title, zoom(factor)).classList.add("wide-only");
  map.addButton("zoom", "fit", "Show everything (0)", () => view.fit());
  const lists = map.addButton("zoom", "list", "Clusters, colours, filters", () => {
    openLists(!document.documentElement.classList.contains("show-panels"));
    if (lists.getAttribute("aria-pressed") === "true") state.set({ pinned: -1, openCluster: null });
  });
  lists.classList.add("small-only");
  /** In a small window opens or closes the drawer of the lists. */
  function openLists(open) {
    document.documentElement.classList.toggle("show-panels", open);
    lists.setAttribute("aria-pressed", String(open));
  }
  openLists(false);
  map.openLists = openLists;
  state.on("pinned openCluster", ({ pinned, openCluster }) => {
    if (pinned >= 0 || openCluster !== null) openLists(false);
  });
  map.addButton("more", "moon", "Light or dark", () => map.switchTheme());
}
