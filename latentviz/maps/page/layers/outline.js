// An outline around the active cluster: a cue that does not depend on colour.

import { pointRadius } from "../core/paint.js";

/** Draws the outline of `state.cluster` over the points. */
export function outline(map) {
  const { store, state, view } = map;
  const sheet = document.createElement("canvas");
  const pen = sheet.getContext("2d");

  /** Returns one position for every few pixels that the cluster covers, in window coordinates. */
  function places(cluster) {
    const cells = new Map();
    for (let k = 0; k < cluster.size; k++) {
      const i = cluster.points ? cluster.points[k] : cluster.start + k;
      const px = view.toScreenX(store.x[i]);
      const py = view.toScreenY(store.y[i]);
      if (px < -20 || py < -20 || px > view.width + 20 || py > view.height + 20) continue;
      cells.set(Math.round(px / 3) * 100003 + Math.round(py / 3), [px, py]);
    }
    return [...cells.values()];
  }

  function discs(all, radius) {
    pen.beginPath();
    for (const [px, py] of all) {
      pen.moveTo(px + radius, py);
      pen.arc(px, py, radius, 0, 2 * Math.PI);
    }
    pen.fill();
  }

  map.overlays.unshift((over) => {
    const cluster = state.values.cluster === null ? null : map.cluster(state.values.cluster);
    if (!cluster || cluster.id < 0) return;
    const ratio = globalThis.devicePixelRatio || 1;
    Object.assign(sheet, { width: Math.round(view.width * ratio), height: Math.round(view.height * ratio) });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const all = places(cluster);
    const radius = pointRadius(store.n, view) + 7;
    pen.fillStyle = state.values.dark ? "#f4f5f8" : "#16181d";
    discs(all, radius + 1.6);
    pen.globalCompositeOperation = "destination-out";
    discs(all, radius);
    pen.globalCompositeOperation = "source-over";
    over.drawImage(sheet, 0, 0, view.width, view.height);
  });
}
