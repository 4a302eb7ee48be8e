// The list of clusters: a click isolates one, a second click shows all; hide, sort.

import { panel } from "../core/app.js";
import { isSmall } from "../core/docks.js";
import { clip, el, format, iconButton, icon, setText } from "../core/dom.js";
import { dye } from "../core/paint.js";
import { soon, toggled } from "../core/state.js";
import { oneStop } from "../core/stops.js";

const ORDERS = {
  size: (a, b) => b.size - a.size,
  name: (a, b, map) => map.nameOf(a.id).localeCompare(map.nameOf(b.id), undefined, { numeric: true }),
  persistence: (a, b) => (b.persistence ?? -1) - (a.persistence ?? -1),
};

/** Adds the list of clusters. */
export function clusters(map) {
  const { store, state } = map;
  const list = el("ul", { className: "cluster-list" });
  oneStop(list, ".main, .eye", ".main");
  let known = store.groups.filter(({ id, size }) => id >= 0 && size);
  const orders = Object.keys(ORDERS).filter((key) => key !== "persistence" || known.some((c) => typeof c.persistence === "number"));
  const sort = el("select", { "aria-label": "Sort clusters by", onchange: order }, ...orders.map((key) => el("option", { value: key }, key)));
  const all = el("button", { type: "button", className: "link", onclick: () => state.set({ isolated: new Set(), hidden: new Set() }) }, "Show all");
  const title = el("h2", {}, "");
  const head = el("header", {}, title, all, sort);
  map.clusterPanel = panel(map.left, "clusters", head, list);
  map.clusterPanel.setAttribute("aria-label", "Clusters");

  let rows = null;
  let largest = 1;
  /** Makes the rows, again where clusters were merged or split. */
  function build() {
    known = store.groups.filter(({ id, size }) => id >= 0 && size);
    largest = Math.max(1, ...known.map(({ size }) => size));
    rows = new Map(store.groups.filter(({ size }) => size).map((cluster) => [cluster.id, row(cluster)]));
    order();
    update();
    recount();
  }

  function row(cluster) {
    const name = el("span", { className: "name", dir: "auto" });
    const size = el("span", { className: "size" });
    const main = el("button", { type: "button", className: "main", "aria-pressed": "false", onclick: (event) => isolate(cluster.id, event.shiftKey || event.ctrlKey || event.metaKey) },
      map.swatch(cluster.id), cluster.id >= 0 && map.thumbs?.has(cluster.medoid) ? map.thumbs.canvas(cluster.medoid, 24) : null, name, el("span", { className: "check" }, "✓"), size);
    const eye = iconButton("eye", "Hide this cluster", () => state.set({ hidden: toggled(state.values.hidden, cluster.id) }), { className: "icon-button small eye" });
    const bar = el("span", { className: "bar" });
    dye(bar, cluster.id < 0 ? null : cluster.colour);
    const item = el("li", { className: cluster.id < 0 ? "noise" : "", "data-cluster": String(cluster.id) }, bar, main, eye);
    item.addEventListener("pointerenter", () => state.set({ cluster: cluster.id }));
    item.addEventListener("pointerleave", () => state.set({ cluster: state.values.openCluster ?? null }));
    return { cluster, item, name, main, eye, bar, size };
  }

  /** Shows one cluster only; with `add`, one more; on the same one again, everything. */
  function isolate(id, add) {
    const { isolated } = state.values;
    const next = add ? toggled(isolated, id) : isolated.size === 1 && isolated.has(id) ? new Set() : new Set([id]);
    state.set({ isolated: next, hidden: new Set([...state.values.hidden].filter((other) => other !== id)) });
    if (!add && !isSmall()) map.openCluster?.(next.size ? id : null);
    map.say(next.size ? `Only ${[...next].map((one) => map.nameOf(one)).join(", ").slice(0, 200)} shown` : "All clusters shown");
  }
  map.isolate = isolate;

  function order() {
    const sorted = [...known].sort((a, b) => ORDERS[sort.value](a, b, map));
    const noise = store.groups.filter(({ id, size }) => id < 0 && size);
    list.replaceChildren(...[...sorted, ...noise].map(({ id }) => rows.get(id).item));
  }

  function update() {
    const { isolated, hidden } = state.values;
    for (const { cluster, item, name, main, eye } of rows.values()) {
      const full = map.nameOf(cluster.id);
      name.textContent = clip(full, 80);
      main.title = full.slice(0, 300);
      const off = hidden.has(cluster.id);
      item.classList.toggle("off", off || (isolated.size > 0 && !isolated.has(cluster.id)));
      item.classList.toggle("alone", isolated.has(cluster.id));
      main.setAttribute("aria-pressed", String(isolated.has(cluster.id)));
      eye.replaceChildren(icon(off ? "hidden" : "eye"));
      eye.title = off ? "Show this cluster" : "Hide this cluster";
      eye.setAttribute("aria-label", `${eye.title}: ${clip(full, 60)}`);
    }
    all.classList.toggle("needed", isolated.size + hidden.size > 0);
  }
  /** Counts what passes the filters. */
  function recount() {
    const { counts } = map.paint;
    store.groups.forEach(({ id, size: whole }, g) => {
      if (!whole) return;
      const { item, bar, size } = rows.get(id);
      setText(size, counts[g] === whole ? format(whole) : `${format(counts[g])} of ${format(whole)}`);
      bar.style.width = `${Math.min(100, Math.max(counts[g] ? 1 : 0, (100 * counts[g]) / largest))}%`;
      item.classList.toggle("empty", !counts[g]);
    });
    const left = store.groups.filter(({ id }, g) => id >= 0 && counts[g]).length;
    setText(title, `${left === known.length ? "" : `${left} of `}${known.length} cluster${known.length === 1 ? "" : "s"}`);
  }
  state.on("masks", soon(recount));
  state.on("merges splits", build);
  state.on("isolated hidden names", update);
  build();
}
