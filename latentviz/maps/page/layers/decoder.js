// The item decoded at the spot under the pointer, also between points; greyed out far from all data.

import { panel } from "../core/app.js";
import { isSmall } from "../core/docks.js";
import { el, iconButton } from "../core/dom.js";
import { startNetwork } from "../core/network.js";
import { latest } from "../core/state.js";
import { blockJson, readPlaces, unplane } from "../core/store.js";

/** Adds the pane, and `map.decoder` with `latentAt`, `latentOf`, `decode` and `canvas` for other layers. */
export async function decoder(map) {
  const info = map.store.meta.decoder;
  if (!info) return;
  if (info.spots) {
    map.decoder = { info, runs: false, textAt: await readTexts(map, info) };
    textPane(map);
    return;
  }
  const latents = await readLatents(map, info);
  const drawn = info.layers ? startNetwork(await globalThis.latentviz.inflate("weights"), info.layers) : null;
  const grid = info.grid ? await readGrid(map, info) : null;
  map.decoder = { ...latents, info, runs: drawn !== null, decode: drawn, canvas: (side) => pictureCanvas(info, side), put: (canvas, pixels) => putPixels(info, canvas, pixels) };
  pane(map, info, grid);
}

/**
 * Returns readers of the latents: of a point, of a spot, and the points whose μ are nearest to a point's. Of a large map
 * only `count` points, evenly spread, have their own; another point uses those of its nearest neighbour with latents or,
 * without one, the blend at its position on the map.
 */
async function readLatents(map, { latents, blended, softness }) {
  const { store, grid } = map;
  const steps = await globalThis.latentviz.inflate("latents");
  const { dims, low, step, count = store.n } = latents;
  const { place: at, point } = await readPlaces("latent-places", count, store.n);
  const holds = (i) => at(i) >= 0;
  const all = count === store.n;
  const own = (i) => Float32Array.from({ length: dims }, (_, d) => low[d] + steps[d * count + at(i)] * step);
  const width = Math.max(store.bounds.x1 - store.bounds.x0, store.bounds.y1 - store.bounds.y0);
  /** The blend of the nearest points' mu, weighted by 1/distance², and the distance of the nearest one. */
  function latentAt(x, y) {
    const near = grid.nearest(x, y, 4 * width, blended, all ? undefined : holds);
    const z = new Float32Array(dims);
    let total = 0;
    for (const [i, distance] of near) {
      const weight = 1 / (distance ** 2 + softness ** 2);
      total += weight;
      const k = at(i);
      for (let d = 0; d < dims; d++) z[d] += weight * (low[d] + steps[d * count + k] * step);
    }
    return { z: z.map((value) => value / total), distance: near.length ? near[0][1] : Infinity, near };
  }
  const standIn = all ? (i) => i : await readStandIns(store.n, count, at, point);
  function latentOf(i) {
    const j = standIn(i);
    return j < 0 ? latentAt(store.x[i], store.y[i]).z : own(j);
  }
  /** Describes which latents stand for a point without its own; empty for other points. */
  const seenFrom = (i) => (holds(i) ? "" : standIn(i) < 0 ? "its position on the map" : "the most similar item with latents in this file");
  return {
    dims, count, holds, seenFrom, latentOf, latentAt,
    /** The `k` points, of those with latents, with the mu nearest to point i's, nearest first. */
    nearestInMu(i, k) {
      const z = latentOf(i);
      const known = standIn(i) < 0 ? -1 : at(standIn(i));
      const squared = new Float64Array(count);
      for (let d = 0; d < dims; d++) {
        const mine = known < 0 ? (z[d] - low[d]) / step : steps[d * count + known];
        for (let j = 0, from = d * count; j < count; j++, from++) squared[j] += (steps[from] - mine) ** 2;
      }
      const best = [];
      for (let j = 0; j < count; j++) {
        if (j === at(i) || (best.length === k && squared[j] >= squared[best[k - 1]])) continue;
        let rank = best.length;
        while (rank > 0 && squared[best[rank - 1]] > squared[j]) rank--;
        best.splice(rank, 0, j);
        if (best.length > k) best.pop();
      }
      return best.map(point);
    },
    /** The `k` points, of those with latents, nearest to z (m,) by the cosine of the first m dimensions: pairs with it. */
    likest(z, k) {
      const product = new Float64Array(count);
      const squared = new Float64Array(count);
      for (let d = 0; d < z.length; d++) {
        for (let j = 0, from = d * count; j < count; j++, from++) {
          const value = low[d] + steps[from] * step;
          product[j] += value * z[d];
          squared[j] += value * value;
        }
      }
      const length = Math.hypot(...z);
      const score = product.map((value, j) => value / Math.max(Math.sqrt(squared[j]) * length, 1e-12));
      return Array.from(score.keys()).sort((a, b) => score[b] - score[a]).slice(0, k).map((j) => [point(j), score[j]]);
    },
  };
}

/** Returns a function from point to the point with its latents: itself if it has some, −1 if there is none. */
async function readStandIns(n, count, at, point) {
  const bytes = await globalThis.latentviz.inflate("stand-ins");
  const written = bytes ? unplane(bytes, 0, n - count, 4) : new Uint32Array(n - count);
  const found = new Int32Array(n);
  for (let i = 0, held = 0, other = 0; i < n; i++) {
    if (at(i) >= 0) {
      found[i] = i;
      held++;
      continue;
    }
    const code = written[other++] - 1;
    found[i] = code < 0 ? -1 : point(held + (code % 2 ? -(code + 1) / 2 : code / 2));
  }
  return (i) => found[i];
}

/** Returns a canvas for one decoded image, shown `side` pixels wide. */
function pictureCanvas({ shape: [, h, w] }, side) {
  const canvas = el("canvas", { className: "thumb", width: w, height: h });
  const scale = side / Math.max(h, w);
  Object.assign(canvas.style, { width: `${w * scale}px`, height: `${h * scale}px`, imageRendering: Math.max(h, w) < 20 ? "pixelated" : "auto" });
  return canvas;
}

/** Puts decoded pixels, (c, h, w) in [0, 1], on a canvas. */
function putPixels({ shape: [c, h, w] }, canvas, pixels) {
  const image = new ImageData(w, h);
  for (let p = 0; p < h * w; p++) {
    for (let k = 0; k < 3; k++) image.data[4 * p + k] = Math.round(255 * pixels[(c === 3 ? k : 0) * h * w + p]);
    image.data[4 * p + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Returns a reader of the pre-decoded grid: the image of the cell that contains a spot. */
async function readGrid(map, { grid, shape }) {
  const { bounds } = map.store;
  const cell = (x, y) => {
    const part = (value) => Math.min(grid.side - 1, Math.max(0, Math.floor(value * grid.side)));
    return { column: part((x - bounds.x0) / (bounds.x1 - bounds.x0)), line: part((bounds.y1 - y) / (bounds.y1 - bounds.y0)) };
  };
  const bitmap = await createImageBitmap(new Blob([await globalThis.latentviz.bytes("grid")], { type: "image/webp" }));
  const [, h, w] = shape;
  return { draw: (canvas, x, y) => canvas.getContext("2d").drawImage(bitmap, cell(x, y).column * w, cell(x, y).line * h, w, h, 0, 0, canvas.width, canvas.height) };
}

/** Returns a reader of the pre-decoded text nearest to a spot, and whether the spot is far from all data. */
async function readTexts({ grid, store }, { spots, reach, low, high }) {
  const places = await globalThis.latentviz.inflate("spots");
  const { list } = await blockJson("written");
  const [x, y] = [0, 1].map((axis) => Float32Array.from(unplane(places, 2 * axis * spots, spots, 2), (q) => low[axis] + (q / 65535) * (high[axis] - low[axis])));
  const width = Math.max(store.bounds.x1 - store.bounds.x0, store.bounds.y1 - store.bounds.y0);
  return (px, py) => {
    let best = -1;
    let least = Infinity;
    for (let k = 0; k < spots; k++) {
      const squared = (x[k] - px) ** 2 + (y[k] - py) ** 2;
      if (squared < least) [best, least] = [k, squared];
    }
    const near = grid.nearest(px, py, 4 * width, 1);
    return { spot: best, text: list[best] ?? "", far: !near.length || near[0][1] > reach };
  };
}

/** Adds the pane of a text decoder. */
function textPane(map) {
  const { state } = map;
  const text = el("p", { className: "snippet", dir: "auto" });
  const note = el("p", { className: "note" }, "Move over the map");
  const close = iconButton("close", "Close the decoder", () => state.set({ decoding: false }), { className: "icon-button small" });
  const body = panel(map.left, "decoder-pane texts", el("header", {}, el("h2", {}, "Decoded near here"), close), text, note);
  body.setAttribute("aria-label", "Text decoded near the pointer");
  const button = map.addButton("show", "decoder", "Decode the spot under the pointer (D)", () => state.set({ decoding: !state.values.decoding }));
  state.on("spot decoding", ({ spot, decoding }) => {
    body.hidden = !decoding;
    button.setAttribute("aria-pressed", String(decoding));
    if (!decoding || !spot) return;
    const { text: written, far } = map.decoder.textAt(spot.x, spot.y);
    text.textContent = written || "(an empty text)";
    body.classList.toggle("far", far);
    note.textContent = far ? "No data nearby: extrapolated" : "Interpolated between items";
  });
  state.set({ decoding: !isSmall() });
  map.keys.push({ key: "d", about: "decoder on or off", run: () => state.set({ decoding: !state.values.decoding }) });
}

function pane(map, info, grid) {
  const { state } = map;
  const canvas = pictureCanvas(info, 132);
  const note = el("p", { className: "note" });
  const said = el("p", { className: "said", dir: "auto" });
  const title = el("h2", {}, grid ? "Decoded near here" : "Decoded here");
  const close = iconButton("close", "Close the decoder", () => state.set({ decoding: false }), { className: "icon-button small" });
  const body = panel(map.left, "decoder-pane", el("header", {}, title, close), canvas, el("div", {}, said, note));
  body.setAttribute("aria-label", "Image decoded under the pointer");
  const button = map.addButton("show", "decoder", "Decode the spot under the pointer (D)", () => state.set({ decoding: !state.values.decoding }));
  // If only some items have latents, items without any may be near.
  const nothing = map.decoder.count === map.store.n ? "No data nearby: extrapolated" : "No latents nearby: extrapolated";
  const show = latest(async ({ x, y }) => {
    const { z, distance } = map.decoder.latentAt(x, y);
    const far = distance > info.reach;
    if (grid) grid.draw(canvas, x, y);
    else putPixels(info, canvas, await map.decoder.decode(z));
    said.textContent = (await map.decoder.describe?.(z)) ?? "";
    body.classList.toggle("far", far);
    note.textContent = far ? nothing : "Interpolated between items";
    canvas.dataset.spot = `${x},${y}`;
  });
  state.on("spot decoding", ({ spot, decoding }) => {
    body.hidden = !decoding;
    button.setAttribute("aria-pressed", String(decoding));
    if (decoding && spot) show(spot);
  });
  note.textContent = "Move over the map";
  state.set({ decoding: !isSmall() });
  map.keys.push({ key: "d", about: "decoder on or off", run: () => state.set({ decoding: !state.values.decoding }) });
}
