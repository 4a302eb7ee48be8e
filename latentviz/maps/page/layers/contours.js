// Contours of the density of the points that are shown: the landscape, where there are no islands.

const CELLS = 160; // of the grid over the longer side of the first view
const MOST_CELLS = 640; // over the longer side of all points
// Shares of the points that lie outside of each line.
const OUTSIDE = [0.08, 0.22, 0.38, 0.54, 0.7, 0.83, 0.93, 0.98];
const RANKED = 50_000; // points whose densities are ranked to find the levels

/** Adds the lines and their switch; on at first where the clustering says that the map is a landscape. */
export function contours(map) {
  const { store, state, view, paint } = map;
  let lines = [];
  let version = -1; // of the points' styles that the lines belong to

  function update() {
    ({ version } = paint);
    const field = density(store, paint);
    const values = [];
    const step = Math.max(1, Math.floor(store.n / RANKED));
    for (let i = 0; i < store.n; i += step) if (!paint.fails[i]) values.push(field.grid[field.at(i)]);
    values.sort((a, b) => a - b);
    const levels = [...new Set(OUTSIDE.map((share) => values[Math.floor(share * values.length)]))].filter((value) => value > 0);
    lines = levels.map((level) => {
      const ends = segments(field, level);
      const path = new Path2D();
      for (let s = 0; s < ends.length; s += 4) {
        path.moveTo(ends[s], ends[s + 1]);
        path.lineTo(ends[s + 2], ends[s + 3]);
      }
      return { ends, path };
    });
  }

  /** Returns the lines with their ends in data coordinates, colour, opacity and width in pixels; [] where they are off. */
  map.contourLines = () => {
    if (!state.values.contours) return [];
    if (version !== paint.version) update();
    const colour = state.values.dark ? "#dce4ff" : "#1e2850";
    return lines.map((line, k) => ({ ...line, colour, opacity: 0.25 + (0.4 * k) / lines.length, width: 0.8 + (0.7 * k) / lines.length }));
  };
  /** Draws the lines on a canvas of the map's size. */
  map.drawContours = (pen) => {
    for (const { path, colour, opacity, width } of map.contourLines()) {
      pen.save();
      pen.transform(view.scale, 0, 0, -view.scale, view.toScreenX(0), view.toScreenY(0));
      Object.assign(pen, { strokeStyle: colour, globalAlpha: opacity, lineWidth: width / view.scale, lineCap: "round" });
      pen.stroke(path);
      pen.restore();
    }
  };
  map.overlays.unshift(map.drawContours);
  const button = map.addButton("show", "contours", "Contours of the density (C)", () => state.set({ contours: !state.values.contours }));
  map.keys.push({ key: "c", about: "contours of the density", run: () => state.set({ contours: !state.values.contours }) });
  state.on("contours", ({ contours: on }) => {
    button.setAttribute("aria-pressed", String(on));
    map.touch();
  });
  state.set({ contours: store.meta.contours.landscape });
}

/** Returns the density of the shown points on a grid with room at its edges, and its coordinates. */
function density({ n, x, y, bounds, bulk }, paint) {
  const { x0, x1, y0, y1 } = bounds;
  const longer = (box) => Math.max(box.x1 - box.x0, box.y1 - box.y0);
  const cell = Math.max(longer(bulk) / CELLS, longer(bounds) / MOST_CELLS) || 1;
  // Three box blurs of this reach are about a Gaussian, whose width falls with n^(-1/6) (Scott 1992, §6.3).
  const reach = Math.min(8, Math.max(1, Math.round(14 * Math.max(1, paint.passing) ** (-1 / 6))));
  const margin = 4 * reach;
  const [width, height] = [x1 - x0, y1 - y0].map((side) => Math.ceil(side / cell) + 2 * margin + 1);
  const at = (i) => (Math.floor((y[i] - y0) / cell) + margin) * width + Math.floor((x[i] - x0) / cell) + margin;
  let grid = new Float32Array(width * height);
  for (let i = 0; i < n; i++) if (!paint.fails[i]) grid[at(i)]++;
  for (let pass = 0; pass < 3; pass++) grid = boxBlur(boxBlur(grid, reach, width, height, 1, width), reach, height, width, width, 1);
  return { grid, width, height, at, x: (c) => x0 + (c - margin + 0.5) * cell, y: (r) => y0 + (r - margin + 0.5) * cell };
}

/** Returns the moving averages of `count` lines of `length` values; values are `step` apart, lines `stride`. */
function boxBlur(grid, reach, length, count, step, stride) {
  const out = new Float32Array(grid.length);
  for (let line = 0; line < count; line++) {
    let sum = 0;
    for (let k = -reach; k < length; k++) {
      if (k + reach < length) sum += grid[line * stride + (k + reach) * step];
      if (k - reach - 1 >= 0) sum -= grid[line * stride + (k - reach - 1) * step];
      if (k >= 0) out[line * stride + k * step] = sum / (2 * reach + 1);
    }
  }
  return out;
}

// Corners above the level, as bits (1 here, 2 next, 4 next and below, 8 below) → the sides that lines connect.
const CROSSINGS = [
  "", "left top", "top right", "left right", "right bottom", "left top right bottom", "top bottom", "left bottom", "left bottom",
  "top bottom", "top right left bottom", "right bottom", "left right", "top right", "left top", "",
].map((sides) => sides.split(" "));

/** Returns where a field crosses a level, as x, y, x, y of line segments (marching squares). */
function segments({ grid, width, height, x, y }, level) {
  const found = [];
  const part = (p, q) => (level - p) / (q - p);
  for (let r = 0; r + 1 < height; r++) {
    for (let c = 0; c + 1 < width; c++) {
      const k = r * width + c;
      const [a, b, d, e] = [grid[k], grid[k + 1], grid[k + width], grid[k + width + 1]];
      const kind = Number(a > level) + 2 * Number(b > level) + 4 * Number(e > level) + 8 * Number(d > level);
      if (kind === 0 || kind === 15) continue;
      for (const side of CROSSINGS[kind]) {
        if (side === "top") found.push(x(c + part(a, b)), y(r));
        else if (side === "right") found.push(x(c + 1), y(r + part(b, e)));
        else if (side === "bottom") found.push(x(c + part(d, e)), y(r + 1));
        else found.push(x(c), y(r + part(a, d)));
      }
    }
  }
  return found;
}
