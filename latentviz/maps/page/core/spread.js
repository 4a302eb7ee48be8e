// Picks items to show enlarged where there is room, most typical first, and keeps the choice stable.

import { SHOWN } from "./paint.js";

/** Returns `pick(width, height, has)`: shown points around which boxes of that size do not overlap. */
export function makeSpread(map) {
  const { store, view, grid, paint } = map;
  // A fixed order, so that the choice is stable while the map moves: members before noise, then pseudo-random.
  const lot = (i) => ((i * 2654435761) >>> 0) / 2 ** 32;
  const rank = (i) => (i < store.noise ? 2 : 0) + (1 - store.probability(i)) + lot(i) * 0.5;
  let chosen = [];
  let key = "";

  /** Takes the first item by rank from each cell of a grid in data coordinates; cells halve on zooming in. */
  function choose(width, height, has) {
    const level = Math.floor(Math.log2(view.scale / view.home) * 2) / 2;
    const unit = 1 / (view.home * 2 ** level);
    const box = { x0: view.toDataX(-width), x1: view.toDataX(view.width + width), y0: view.toDataY(view.height + height), y1: view.toDataY(-height) };
    const column = (x) => Math.floor(x / (width * unit));
    const line = (y) => Math.floor(y / (height * unit));
    const next = [level, column(box.x0), line(box.y0), column(box.x1), line(box.y1), paint.version].join();
    if (next === key) return;
    key = next;
    chosen = [];
    if (grid.countIn(box) > 60000) return;
    const best = new Map();
    grid.eachIn(box, (i) => {
      if (paint.level[i] !== SHOWN || !has(i)) return;
      const cell = column(store.x[i]) * 1000003 + line(store.y[i]);
      const other = best.get(cell);
      if (other === undefined || rank(i) < rank(other)) best.set(cell, i);
    });
    chosen = [...best.values()].sort((a, b) => rank(a) - rank(b));
  }

  return (width, height, has) => {
    choose(width, height, has);
    const taken = [];
    for (const i of chosen) {
      const px = view.toScreenX(store.x[i]);
      const py = view.toScreenY(store.y[i]);
      if (px < -width || py < -height || px > view.width + width || py > view.height + height) continue;
      if (taken.some((other) => Math.abs(other.px - px) < width && Math.abs(other.py - py) < height)) continue;
      taken.push({ i, px, py });
      if (taken.length >= 500) break;
    }
    return taken;
  };
}
