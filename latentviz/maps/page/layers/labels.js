// Names on the map: largest cluster first, left out where they would collide, finer ones as one zooms in.

import { el } from "../core/dom.js";
import { HIDDEN } from "../core/paint.js";

const GAP = 4; // pixels kept free around a label
const LONGEST = 34;

/** Puts the labels over the points and keeps them there. */
export function labels(map) {
  const { store, state, view } = map;
  const holder = document.getElementById("labels");
  const largest = Math.max(1, ...store.groups.filter(({ id }) => id >= 0).map(({ size }) => size));
  const marks = store.groups.filter(({ id }) => id >= 0).map((cluster) => {
    const text = el("span", {});
    const button = el("button", { type: "button", className: "label", tabIndex: -1, onclick: () => map.openCluster?.(cluster.id) }, text);
    const size = 11.5 + 5 * Math.sqrt(cluster.size / largest);
    button.style.fontSize = `${size.toFixed(1)}px`;
    button.style.setProperty("--ink", cluster.colour);
    holder.append(button);
    return { cluster, button, text, shown: false, width: 0, height: 0, x: cluster.centre[0], y: cluster.centre[1] };
  });
  marks.sort((a, b) => b.cluster.size - a.cluster.size);

  function name() {
    for (const mark of marks) {
      const full = map.nameOf(mark.cluster.id);
      const short = full.length > LONGEST ? `${full.slice(0, LONGEST - 1).trim()}…` : full;
      if (mark.text.textContent !== short) {
        mark.text.textContent = short;
        mark.button.title = full.slice(0, 300);
        mark.width = 0;
      }
    }
    for (const mark of marks) if (!mark.width) Object.assign(mark, { width: mark.button.offsetWidth, height: mark.button.offsetHeight });
  }

  function place() {
    const { isolated, hidden } = state.values;
    const taken = [];
    for (const mark of marks) {
      const { id } = mark.cluster;
      const left = view.toScreenX(mark.x) - mark.width / 2;
      const top = view.toScreenY(mark.y) - mark.height / 2;
      const box = [left - GAP, top - GAP, left + mark.width + GAP, top + mark.height + GAP];
      const inside = box[2] > 0 && box[3] > 0 && box[0] < view.width && box[1] < view.height;
      const wanted = !hidden.has(id) && (!isolated.size || isolated.has(id)) && map.groupLevel(id) !== HIDDEN;
      const free = inside && wanted && taken.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
      if (free) taken.push(box);
      if (free !== mark.shown) mark.button.classList.toggle("shown", free);
      mark.shown = free;
      if (free || inside) mark.button.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    }
  }

  map.groupLevel ??= () => 2;
  map.visibleLabels = () => marks.filter((mark) => mark.shown);
  name();
  view.on(place);
  state.on("names", () => {
    name();
    place();
  });
  state.on("hidden isolated masks", place);
  document.fonts?.ready.then(() => {
    for (const mark of marks) mark.width = 0;
    name();
    place();
  });
}
