// A click pins a card: the item enlarged, its fields, and its nearest neighbours in mu, each of which opens its own card.

import { panel } from "../core/app.js";
import { clip, el, iconButton, shownValue } from "../core/dom.js";
import { unplane } from "../core/store.js";

const NEAREST = 8;

/** Adds the item's card, and `map.pin` and `map.openCard`. */
export async function cards(map) {
  const { store, state, view } = map;
  const given = store.meta.cards;
  const table = given ? unplane(await globalThis.latentviz.inflate("neighbours"), 0, store.n * given.k, 4) : null;
  const sources = store.meta.items.sources ? await store.sources() : null;
  const fields = await Promise.all(store.meta.items.fields.map((_, index) => store.field(index)));
  const body = panel(map.right, "card item-card");
  body.setAttribute("aria-label", "Item");
  body.hidden = true;

  /** Returns the points with the mu nearest to point i's, nearest first; without latents or a table, the nearest on the map. */
  map.neighboursOf = (i) => {
    if (table) return Array.from(table.subarray(i * given.k, (i + 1) * given.k)).filter((j) => j < store.n);
    if (map.decoder) return map.decoder.nearestInMu(i, NEAREST);
    return map.grid.nearest(store.x[i], store.y[i], Infinity, NEAREST + 1).map(([j]) => j).filter((j) => j !== i);
  };
  const where = table || map.decoder ? "Nearest in mu" : "Nearest on the map";

  /** Pins an item and moves the map so that it is visible. */
  map.pin = (i, fly = true) => {
    state.set({ pinned: i, hovered: -1, openCluster: null, cluster: null });
    if (!fly || i < 0) return;
    const far = Math.abs(store.x[i] - view.x) * view.scale > view.width || Math.abs(store.y[i] - view.y) * view.scale > view.height;
    if (far || view.scale < view.home * 2) map.flyToPoint(i);
  };

  function facts(i) {
    const list = el("dl", {});
    const fact = (key, value) => list.append(el("dt", { dir: "auto" }, clip(key, 40)), el("dd", { dir: "auto" }, value));
    fact("probability", store.probability(i).toFixed(2));
    fact("outlier score", store.outlier(i).toFixed(2));
    for (const field of fields) {
      const text = field.text(i);
      if (text) fact(field.name, shownValue(text, 600));
    }
    if (sources) fact("source", shownValue(sources(i), 600));
    return list;
  }

  /** Returns the caveat for neighbours that were searched among some of the items only. */
  function among(i) {
    if (table || !map.decoder || map.decoder.count === store.n) return null;
    const [held, all] = [map.decoder.count, store.n].map((count) => count.toLocaleString("en"));
    const from = map.decoder.seenFrom(i);
    return el("p", { className: "note" }, `${from && `Approximate, from ${from}; `}among ${held} of ${all} items; `, el("code", {}, "latentviz recommend"), " looks through all");
  }

  function neighbours(i) {
    const near = map.neighboursOf(i);
    if (!near.length) return null;
    const list = el("div", { className: map.thumbs ? "tiles" : "rows" });
    for (const j of near) {
      const name = clip(map.idOf(j), 60);
      const inside = map.thumbs ? map.show(j, 52) : el("span", { dir: "auto" }, clip(map.textOf ? map.textOf(j) : name, 90));
      const button = el("button", { type: "button", className: "tile", title: name, "aria-label": map.thumbs ? `Neighbour ${name}` : null, "data-point": String(j), onclick: () => map.pin(j) }, inside);
      button.style.setProperty("--cluster", map.cluster(store.groups[store.group[j]].id).colour);
      button.addEventListener("pointerenter", () => state.set({ hovered: j, spot: null }));
      button.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
      list.append(button);
    }
    return el("div", { className: "part" }, el("h3", {}, where), among(i), list);
  }

  function picture(i) {
    const pictures = el("div", { className: "pictures" });
    if (map.thumbs?.has(i)) pictures.append(el("figure", {}, map.thumbs.canvas(i, 168), el("figcaption", {}, "the item")));
    const redrawn = map.thumbs && map.redrawn(i, 84);
    if (redrawn) pictures.append(redrawn);
    return pictures.childElementCount ? pictures : null;
  }

  function show(i) {
    const close = iconButton("close", "Close (Esc)", () => state.set({ pinned: -1 }), { className: "icon-button small" });
    const parts = [
      el("header", {}, el("code", { dir: "auto" }, clip(map.idOf(i), 200)), close),
      el("div", { className: "scroll" }, ...[
        picture(i),
        map.textOf ? el("p", { className: "text", dir: "auto" }, map.textOf(i)) : null,
        el("button", { type: "button", className: "cluster-button", onclick: () => map.openCluster?.(store.groups[store.group[i]].id) }, map.clusterLine(i)),
        facts(i), neighbours(i)].filter(Boolean)),
    ];
    const focused = body.contains(document.activeElement);
    body.replaceChildren(...parts);
    if (focused) close.focus();
    map.say(`Item ${clip(map.idOf(i), 80)}, ${clip(map.nameOf(store.groups[store.group[i]].id), 80)}`);
  }

  state.on("pinned names", ({ pinned }) => {
    body.hidden = pinned < 0;
    if (pinned < 0) return;
    show(pinned);
    map.reveal(pinned);
  });
  map.overlays.push((pen) => {
    const { pinned, dark } = state.values;
    if (pinned < 0) return;
    pen.strokeStyle = dark ? "rgba(255,255,255,.35)" : "rgba(20,22,27,.28)";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const j of map.neighboursOfPinned(pinned)) {
      pen.moveTo(view.toScreenX(store.x[pinned]), view.toScreenY(store.y[pinned]));
      pen.lineTo(view.toScreenX(store.x[j]), view.toScreenY(store.y[j]));
    }
    pen.stroke();
  });
  let last = { i: -1, near: [] };
  map.neighboursOfPinned = (i) => {
    if (last.i !== i) last = { i, near: map.neighboursOf(i) };
    return last.near;
  };
}
