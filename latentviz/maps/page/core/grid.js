// Finds points near a position. The cost depends on the points there, not on the size of the map.

/** Returns a grid over the points, about four per cell. */
export function makeGrid(store) {
  const { n, x, y, bounds } = store;
  const side = Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(n / 4))));
  const toX = side / (bounds.x1 - bounds.x0 || 1);
  const toY = side / (bounds.y1 - bounds.y0 || 1);
  const column = (value) => Math.min(side - 1, Math.max(0, Math.floor((value - bounds.x0) * toX)));
  const line = (value) => Math.min(side - 1, Math.max(0, Math.floor((value - bounds.y0) * toY)));
  const start = new Uint32Array(side * side + 1);
  const cell = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    cell[i] = line(y[i]) * side + column(x[i]);
    start[cell[i] + 1]++;
  }
  for (let c = 0; c < side * side; c++) start[c + 1] += start[c];
  const fill = start.slice();
  const items = new Uint32Array(n);
  for (let i = 0; i < n; i++) items[fill[cell[i]]++] = i;

  /** Calls `run(i)` for every point in the cells that a box of data touches. */
  function eachIn(box, run) {
    const right = column(box.x1);
    const top = line(box.y1);
    for (let l = line(box.y0); l <= top; l++) {
      const first = start[l * side + column(box.x0)];
      const last = start[l * side + right + 1];
      for (let k = first; k < last; k++) run(items[k]);
    }
  }

  /** Returns the number of points in the cells that a box touches. */
  function countIn(box) {
    const left = column(box.x0);
    const right = column(box.x1);
    const top = line(box.y1);
    let total = 0;
    for (let l = line(box.y0); l <= top; l++) total += start[l * side + right + 1] - start[l * side + left];
    return total;
  }

  /** Returns up to `k` points nearest to a position and at most `radius` away, nearest first, as [point, distance]. */
  function nearest(px, py, radius, k, accepts) {
    let found = [];
    const step = Math.min(radius, Math.max(2 / toX, 2 / toY));
    for (let reach = step; ; reach = Math.min(radius, reach * 2)) {
      found = [];
      let worst = reach * reach;
      eachIn({ x0: px - reach, x1: px + reach, y0: py - reach, y1: py + reach }, (i) => {
        const d = (x[i] - px) ** 2 + (y[i] - py) ** 2;
        if (d > worst || (accepts && !accepts(i))) return;
        let at = found.length;
        while (at > 0 && found[at - 1][1] > d) at--;
        found.splice(at, 0, [i, d]);
        if (found.length > k) found.pop();
        if (found.length === k) worst = found[k - 1][1];
      });
      if (found.length === k || reach >= radius) break;
    }
    return found.map(([i, d]) => [i, Math.sqrt(d)]);
  }

  return { eachIn, countIn, nearest };
}

/** Returns whether a position is inside a polygon, given as a flat list x, y, x, y, … (even–odd rule). */
export function inPolygon(polygon, px, py) {
  let inside = false;
  for (let i = 0, j = polygon.length - 2; i < polygon.length; j = i, i += 2) {
    const crosses = polygon[i + 1] > py !== polygon[j + 1] > py;
    if (crosses && px < ((polygon[j] - polygon[i]) * (py - polygon[i + 1])) / (polygon[j + 1] - polygon[i + 1]) + polygon[i]) inside = !inside;
  }
  return inside;
}
