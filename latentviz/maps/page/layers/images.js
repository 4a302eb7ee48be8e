// Pictures on the map: where there is room, items are shown as what they are, most typical first.

import { FAINT, HIDDEN, pointRadius } from "../core/paint.js";

const SIDE = 44; // pixels of a picture on the screen, before the shape of the image
const ROOM = 6;

/** Draws thumbnails over the points wherever they fit; a switch turns them on and off. */
export function images(map) {
  const { store, state, view, thumbs, grid, paint } = map;
  if (!thumbs) return;
  const scale = SIDE / Math.max(thumbs.width, thumbs.height);
  const [w, h] = [thumbs.width * scale, thumbs.height * scale];
  // A fixed order, so that the same items stay as one moves: members before noise, then as if by lot.
  const rank = (i) => (i < store.noise ? 2 : 0) + (1 - store.probability(i)) + (((i * 2654435761) >>> 0) / 2 ** 32) * 0.5;
  let chosen = [];
  let key = "";

  /** Picks, for every cell of a grid that is fixed to the data, the first item by rank; cells halve as one zooms in. */
  function choose() {
    const level = Math.floor(Math.log2(view.scale / view.home) * 2) / 2;
    const cell = (Math.max(w, h) + ROOM) / (view.home * 2 ** level);
    const box = { x0: view.toDataX(-w), x1: view.toDataX(view.width + w), y0: view.toDataY(view.height + h), y1: view.toDataY(-h) };
    const next = [level, Math.floor(box.x0 / cell), Math.floor(box.y0 / cell), Math.floor(box.x1 / cell), Math.floor(box.y1 / cell), paint.version].join();
    if (next === key) return;
    key = next;
    if (grid.countIn(box) > 60000) {
      chosen = [];
      return;
    }
    const best = new Map();
    grid.eachIn(box, (i) => {
      if (paint.level[i] === HIDDEN || paint.level[i] === FAINT || !thumbs.has(i)) return;
      const at = Math.floor(store.x[i] / cell) * 1000003 + Math.floor(store.y[i] / cell);
      const other = best.get(at);
      if (other === undefined || rank(i) < rank(other)) best.set(at, i);
    });
    chosen = [...best.values()].sort((a, b) => rank(a) - rank(b));
  }

  map.overlays.unshift((pen) => {
    if (!state.values.images || view.scale < view.home * 1.6) return;
    choose();
    const taken = [];
    const radius = Math.max(2, pointRadius(store.n, view));
    const { rgba } = paint;
    for (const i of chosen) {
      const left = view.toScreenX(store.x[i]) - w / 2;
      const top = view.toScreenY(store.y[i]) - h / 2;
      if (left > view.width || top > view.height || left < -w || top < -h) continue;
      if (taken.some(([l, t]) => Math.abs(l - left) < w + 3 && Math.abs(t - top) < h + 3)) continue;
      taken.push([left, top]);
      if (taken.length > 500) break;
      pen.fillStyle = `rgb(${rgba[4 * i]},${rgba[4 * i + 1]},${rgba[4 * i + 2]})`;
      pen.beginPath();
      pen.roundRect(left - 2, top - 2, w + 4, h + 4, Math.min(6, radius + 2));
      pen.fill();
      thumbs.draw(pen, i, left, top, w, h, map.touch);
    }
  });
  const button = map.addButton("show", "images", "Pictures on the map as one zooms in (P)", () => state.set({ images: !state.values.images }));
  state.on("images", ({ images: on }) => {
    button.setAttribute("aria-pressed", String(on));
    map.touch();
  });
  state.set({ images: true });
  map.keys.push({ key: "p", about: "pictures on the map", run: () => state.set({ images: !state.values.images }) });
}
