// The bar at the bottom: tools for the pointer, zoom, and switches. Other layers add their own buttons to it.

import { panel } from "../core/app.js";
import { el, iconButton } from "../core/dom.js";

/** Adds the bar, and `map.addTool` and `map.addButton` for other layers. */
export function toolbar(map) {
  const { view, state } = map;
  const groups = Object.fromEntries(["tools", "zoom", "show", "more"].map((name) => [name, el("div", { className: "group", role: "group", "aria-label": name })]));
  map.toolbar = panel(map.bottom, "toolbar", ...Object.values(groups));
  map.toolbar.setAttribute("role", "toolbar");
  map.toolbar.setAttribute("aria-label", "Map tools");

  map.addButton = (group, name, title, onclick) => {
    const button = iconButton(name, title, onclick);
    groups[group].append(button);
    return button;
  };
  /** Adds a tool that takes the drag over: `start`, `move`, `end`, `cancel`. */
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
  map.addButton("zoom", "minus", "Zoom out (−)", () => view.fly({ x: view.x, y: view.y, scale: view.scale / 1.8 }, 240));
  map.addButton("zoom", "plus", "Zoom in (+)", () => view.fly({ x: view.x, y: view.y, scale: view.scale * 1.8 }, 240));
  map.addButton("zoom", "fit", "Show everything (0)", () => view.fit());
  map.addButton("more", "moon", "Light or dark", () => map.switchTheme());
}
