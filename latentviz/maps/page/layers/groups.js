// A cluster's card: the image decoded at its centre, medoid, exemplars, keywords, labels, and renaming.

import { panel } from "../core/app.js";
import { clip, el, format, iconButton } from "../core/dom.js";
import { members } from "../core/edits.js";
import { toggled } from "../core/state.js";

/** Adds the cluster's card and `map.openCluster`. */
export async function groups(map) {
  const { store, state } = map;
  const body = panel(map.right, "card cluster-card");
  body.setAttribute("aria-label", "Cluster");
  body.hidden = true;
  const drawn = await readCentres(store.meta.groups);

  /** Shows a cluster's card; null closes it. */
  map.openCluster = (id) => {
    state.set({ openCluster: id, cluster: id, pinned: id === null ? state.values.pinned : -1 });
  };

  function picture(title, content) {
    return el("figure", {}, content, el("figcaption", {}, title));
  }

  function pictures(cluster) {
    const row = el("div", { className: "pictures" });
    if (map.decoder?.runs && cluster.id >= 0) {
      const canvas = map.decoder.canvas(112);
      canvas.dataset.centre = String(cluster.id);
      const { z, held } = centre(map, cluster);
      map.decoder.decode(z).then((pixels) => map.decoder.put(canvas, pixels));
      if (held < cluster.size) canvas.title = `The mean of the ${held.toLocaleString("en")} of its ${cluster.size.toLocaleString("en")} items with latents in this file`;
      row.append(picture("decoded centre", canvas));
    } else if (drawn.has(cluster.id)) row.append(picture("decoded centre", drawn.get(cluster.id)(112)));
    if (map.thumbs) row.append(picture("medoid", tile(cluster.medoid, 112)));
    return row.childElementCount ? row : null;
  }

  function tile(i, side) {
    const name = clip(map.idOf(i), 60);
    return el("button", { type: "button", className: "tile", title: name, "aria-label": map.thumbs ? `Item ${name}` : null, "data-point": String(i), onclick: () => map.pin(i) },
      map.thumbs ? map.show(i, side) : el("span", { dir: "auto" }, clip(map.textOf ? map.textOf(i) : name, 110)));
  }

  function exemplars(cluster) {
    const shown = cluster.exemplars.length ? cluster.exemplars : map.thumbs ? [] : [cluster.medoid];
    if (!shown.length) return null;
    return el("div", { className: "part" }, el("h3", {}, "Exemplars"), el("div", { className: map.thumbs ? "tiles" : "rows" }, ...shown.map((i) => tile(i, 52))));
  }

  function facts(cluster) {
    const list = el("dl", {});
    const fact = (key, value) => list.append(el("dt", {}, key), el("dd", { dir: "auto" }, value));
    fact("items", `${format(cluster.size)} · ${((100 * cluster.size) / store.n).toFixed(1)}%`);
    if (cluster.label) fact("mostly", `${clip(cluster.label[0], 60)} · ${Math.round(100 * cluster.label[1])}%`);
    if (typeof cluster.persistence === "number") fact("persistence", format(cluster.persistence));
    return list;
  }

  function rename(cluster) {
    const field = el("input", { className: "rename", value: map.nameOf(cluster.id), maxLength: 200, "aria-label": "Name of this cluster", dir: "auto", disabled: cluster.id < 0 });
    field.addEventListener("change", () => {
      const names = new Map(state.values.names);
      const name = field.value.trim();
      if (name && name !== cluster.name) names.set(cluster.id, name);
      else names.delete(cluster.id);
      state.set({ names });
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") field.blur();
      event.stopPropagation();
    });
    return field;
  }

  function show(id) {
    const cluster = map.cluster(id);
    const act = (label, run) => el("button", { type: "button", className: "action", onclick: run }, label);
    body.replaceChildren(
      el("header", {}, map.swatch(id), rename(cluster), iconButton("close", "Close (Esc)", () => map.openCluster(null), { className: "icon-button small" })),
      el("div", { className: "scroll" }, ...[
        pictures(cluster), facts(cluster),
        cluster.keywords.length ? el("div", { className: "chips" }, ...cluster.keywords.map((word) => el("span", { dir: "auto" }, clip(String(word), 60)))) : null,
        el("div", { className: "actions" }, act("Zoom to it", () => map.flyToPoints(members(cluster))), act(state.values.isolated.has(id) ? "Show all" : "Isolate", () => map.isolate(id)),
          act("Hide", () => {
            state.set({ hidden: toggled(state.values.hidden, id) });
            map.openCluster(null);
          }), act("Select", () => map.select?.(members(cluster), map.nameOf(id)))),
        exemplars(cluster)].filter(Boolean)));
  }

  state.on("openCluster isolated names merges splits", ({ openCluster }, changed) => {
    const open = (openCluster ?? null) !== null;
    body.hidden = !open;
    if (open && changed.includes("openCluster")) map.reveal(map.cluster(openCluster).medoid);
    if (open && !(changed.length === 1 && changed[0] === "names" && body.contains(document.activeElement))) show(openCluster);
  });
  state.on("pinned", ({ pinned }) => {
    if (pinned >= 0) state.set({ openCluster: null, cluster: null });
  });
}

/** Returns cluster → a function that makes a canvas of the image pre-decoded at its centre. */
async function readCentres(info) {
  if (!info) return new Map();
  const { clusters: ids, width, height } = info;
  const sheet = await createImageBitmap(new Blob([await globalThis.latentviz.bytes("centres")], { type: "image/webp" }));
  return new Map(ids.map((id, k) => [id, (side) => {
    const canvas = el("canvas", { className: "thumb", width, height, "data-centre": String(id) });
    const scale = side / Math.max(width, height);
    Object.assign(canvas.style, { width: `${width * scale}px`, height: `${height * scale}px` });
    canvas.getContext("2d").drawImage(sheet, k * width, 0, width, height, 0, 0, width, height);
    return canvas;
  }]));
}

/** Returns the mean mu of a cluster's items and how many of them have latents; if none has, the latent at the medoid's position. */
function centre({ decoder }, cluster) {
  const held = members(cluster).filter(decoder.holds);
  if (!held.length) return { z: decoder.latentOf(cluster.medoid), held: 0 };
  const z = new Float32Array(decoder.dims);
  for (const i of held) decoder.latentOf(i).forEach((value, d) => (z[d] += value / held.length));
  return { z, held: held.length };
}
