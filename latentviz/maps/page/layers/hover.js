// The item under the pointer: thumbnail or text, id, cluster, label, probability, outlier score.

import { clip, el, format } from "../core/dom.js";
import { pointRadius, swatch } from "../core/paint.js";

const REDRAWN = 50; // smallest size in pixels at which an item without a thumbnail is decoded; not in large tables

/** Adds the tooltip, the ring around the hovered point, and `map.describe`. */
export async function hover(map) {
  const { store, state, view } = map;
  const tip = document.getElementById("tip");
  const ids = await store.ids();
  const texts = store.meta.items.texts ? await store.texts() : null;
  const labelField = store.meta.items.fields.findIndex(({ name }) => name === "label");
  const label = labelField < 0 ? null : await store.field(labelField);
  const repeatsField = store.meta.items.fields.findIndex(({ name }) => name === "repeats");
  const repeats = repeatsField < 0 ? null : await store.field(repeatsField);
  Object.assign(map, { idOf: ids, textOf: texts, labelOf: label ? (i) => label.value(i) : () => null });

  /** Returns the decoded image of an item, marked as such; null if the page has no decoder. */
  map.redrawn = (i, side) => {
    const { decoder } = map;
    if (!decoder?.runs) return null;
    const canvas = decoder.canvas(side);
    decoder.decode(decoder.latentOf(i)).then((pixels) => decoder.put(canvas, pixels));
    const from = decoder.seenFrom(i);
    if (from) canvas.title = `Its own latents are not in this file: decoded from ${from}`;
    return el("figure", {}, canvas, el("figcaption", {}, from ? "approximate" : "decoded"));
  };
  /** Returns an element that shows an item: its thumbnail, its decoded image, or its text cut to `length`. */
  map.show = (i, side, length = 240) => {
    if (map.thumbs?.has(i)) return map.thumbs.canvas(i, side);
    if (map.thumbs) return (side >= REDRAWN && map.redrawn(i, side)) || el("span", { className: "no-thumb" }, "no thumbnail");
    return texts ? el("p", { className: "snippet", dir: "auto" }, clip(texts(i), length)) : null;
  };
  map.swatch = (id) => swatch(id < 0 ? null : map.cluster(id)?.colour ?? null, id < 0 ? "of-cluster small" : "of-cluster");
  map.clusterLine = (i) => {
    const { id } = store.groups[store.group[i]];
    const near = id < 0 && store.nearest(i) >= 0 && map.cluster(store.nearest(i)) ? ` · near ${map.nameOf(store.nearest(i))}` : "";
    const times = repeats?.value(i) > 1 ? ` ×${format(repeats.value(i))}` : ""; // so many items at this spot
    return el("span", { className: "cluster-line" }, map.swatch(id), el("b", { dir: "auto" }, clip(map.nameOf(id), 60)), clip(near, 60), times);
  };

  function fill(i) {
    const facts = el("dl", {});
    const fact = (key, value) => facts.append(el("dt", {}, key), el("dd", { dir: "auto" }, value));
    if (label && label.value(i) !== null) fact("label", clip(String(label.value(i)), 60));
    fact("probability", store.probability(i).toFixed(2));
    fact("outlier score", store.outlier(i).toFixed(2));
    const { colour } = state.values;
    if (colour.value && colour.key !== "label") fact(clip(colour.key, 30), clip(colour.value(i) ?? "–", 60));
    tip.replaceChildren(...[map.show(i, 112), el("div", { className: "facts" }, el("code", { dir: "auto" }, clip(ids(i), 80)), map.clusterLine(i), facts)].filter(Boolean));
  }

  function place(at) {
    const box = tip.getBoundingClientRect();
    const gap = 16;
    const left = at.px + gap + box.width > view.width - 8 ? at.px - gap - box.width : at.px + gap;
    const top = Math.min(Math.max(8, at.py - box.height / 2), view.height - box.height - 8);
    tip.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
  }

  state.on("hovered spot", ({ hovered }, changed) => {
    const start = performance.now();
    if (hovered < 0 || !map.pointer) {
      tip.hidden = true;
      return;
    }
    if (changed.includes("hovered")) fill(hovered);
    tip.hidden = false;
    place({ px: view.toScreenX(store.x[hovered]), py: view.toScreenY(store.y[hovered]) });
    map.timings.hover = performance.now() - start;
  });
  // If the map moves under a resting pointer, the tooltip's item moves away.
  view.on(() => {
    const { hovered } = state.values;
    const { pointer } = map;
    if (hovered < 0 || !pointer) return;
    const away = Math.hypot(view.toScreenX(store.x[hovered]) - pointer.px, view.toScreenY(store.y[hovered]) - pointer.py);
    if (away > 24) state.set({ hovered: -1 });
  });
  map.overlays.push((pen) => {
    for (const [i, width] of [[state.values.pinned, 2.5], [state.values.hovered, 2]]) {
      if (i < 0) continue;
      pen.beginPath();
      pen.arc(view.toScreenX(store.x[i]), view.toScreenY(store.y[i]), pointRadius(store.n, view) + 3.5, 0, 2 * Math.PI);
      pen.lineWidth = width;
      pen.strokeStyle = state.values.dark ? "#fff" : "#14161b";
      pen.stroke();
    }
  });
}
