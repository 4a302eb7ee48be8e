// Labels: largest cluster first, dropped on collision, finer ones on zooming in.

import { el } from "../core/dom.js";
import { HIDDEN } from "../core/paint.js";

const GAP = 4; // pixels kept free around a label
const LONGEST = 34;
const FROM = [0, 1.7, 3.6]; // zoom, relative to the first view, from which the names of each level of regions are shown

/** Places the labels over the points and moves them with the map. */
export function labels(map) {
  const { store, state, view } = map;
  const holder = document.getElementById("labels");
  let marks = [];
  build();

  /** Makes the labels, again where clusters were merged or split. */
  function build() {
    holder.replaceChildren();
    marks = ownMarks();
    marks.push(...fineMarks(map, holder), ...regionMarks(map, holder));
  }

  function ownMarks() {
    const largest = Math.max(1, ...store.groups.filter(({ id }) => id >= 0).map(({ size }) => size));
    const found = store.groups.filter(({ id, size }) => id >= 0 && size).map((cluster) => {
      const text = el("span", {});
      const box = el("div", { className: "label", dir: "auto" }, text);
      const size = (view.width < 720 ? 10 : 11.5) + (view.width < 720 ? 3 : 5) * Math.sqrt(cluster.size / largest);
      box.style.fontSize = `${size.toFixed(1)}px`;
      box.style.setProperty("--own", cluster.colour);
      holder.append(box);
      return { cluster, box, text, shown: false, width: 0, height: 0, x: cluster.centre[0], y: cluster.centre[1] };
    });
    return found.sort((a, b) => b.cluster.size - a.cluster.size);
  }

  function name() {
    for (const mark of marks) {
      const full = mark.fine ?? map.nameOf(mark.cluster.id);
      const short = full.length > LONGEST ? `${full.slice(0, LONGEST - 1).trim()}…` : full;
      if (mark.text.textContent !== short) {
        mark.text.textContent = short;
        mark.width = 0;
      }
    }
    for (const mark of marks) if (!mark.width) Object.assign(mark, { width: mark.box.offsetWidth, height: mark.box.offsetHeight });
  }

  function place() {
    const { isolated, hidden } = state.values;
    const taken = [];
    for (const mark of marks) {
      const { id } = mark.cluster;
      const left = view.toScreenX(mark.x) - mark.width / 2;
      const top = view.toScreenY(mark.y) - mark.height / 2;
      const area = [left - GAP, top - GAP, left + mark.width + GAP, top + mark.height + GAP];
      const inside = area[2] > 0 && area[3] > 0 && area[0] < view.width && area[1] < view.height;
      const near = !mark.from || view.scale > view.home * mark.from;
      const wanted = near && !hidden.has(id) && (!isolated.size || isolated.has(id)) && map.groupLevel(id) !== HIDDEN && map.paint.counts[store.groups.indexOf(mark.cluster)] > 0;
      const free = inside && wanted && taken.every((other) => area[0] > other[2] || area[2] < other[0] || area[1] > other[3] || area[3] < other[1]);
      if (free) taken.push(area);
      if (free !== mark.shown) mark.box.classList.toggle("shown", free);
      mark.shown = free;
      if (free || inside) mark.box.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    }
  }

  map.groupLevel ??= () => 2;
  /** Returns the label at a screen position, if there is one. */
  map.labelAt = ({ px, py }) => marks.find((mark) => mark.shown && Math.abs(px - view.toScreenX(mark.x)) < mark.width / 2 && Math.abs(py - view.toScreenY(mark.y)) < mark.height / 2);
  map.visibleLabels = () => marks.filter((mark) => mark.shown);
  name();
  view.on(place);
  state.on("names", () => {
    name();
    place();
  });
  state.on("merges splits", () => {
    build();
    name();
    place();
  });
  state.on("hidden isolated masks", place);
  // A name in its cluster's colour would mislead while colours encode something else.
  state.on("colour", ({ colour }) => holder.classList.toggle("neutral", colour.key !== "cluster"));
  document.fonts?.ready.then(() => {
    for (const mark of marks) mark.width = 0;
    name();
    place();
  });
}

/** Returns the labels of regions, coarse ones first. */
function regionMarks(map, holder) {
  const { store } = map;
  const regions = (store.meta.labels?.regions ?? []).filter(({ cluster }) => map.cluster(cluster));
  return regions.sort((a, b) => a.level - b.level || b.size - a.size).map((region) => {
    const text = el("span", {});
    const box = el("div", { className: `label region ${region.level ? "" : "coarse"}`, dir: "auto" }, text);
    holder.append(box);
    const mark = { cluster: map.cluster(region.cluster), fine: region.name, from: FROM[region.level] ?? FROM[FROM.length - 1] };
    return { ...mark, box, text, shown: false, width: 0, height: 0, x: store.x[region.point], y: store.y[region.point], region };
  });
}

/** Returns the labels of parts of clusters, which appear once zooming in makes room for them. */
function fineMarks(map, holder) {
  const { store } = map;
  const nodes = (store.meta.tree?.nodes ?? []).filter((node) => node.name && node.point >= 0 && map.cluster(node.inside));
  return nodes.sort((a, b) => b.size - a.size).map((node) => {
    const text = el("span", {});
    const box = el("div", { className: "label fine", dir: "auto" }, text);
    box.style.fontSize = "11px";
    holder.append(box);
    const share = node.size / map.cluster(node.inside).size;
    return { cluster: map.cluster(node.inside), fine: node.name, from: 1.8 / Math.sqrt(Math.max(share, 0.02)), box, text, shown: false, width: 0, height: 0, x: store.x[node.point], y: store.y[node.point] };
  });
}
