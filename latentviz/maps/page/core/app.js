// Assembles the map: store, state, view, renderer, then every layer in turn. The only module that knows them all.

import { makeColumns } from "./columns.js";
import { watchDocks } from "./docks.js";
import { el } from "./dom.js";
import { members } from "./edits.js";
import { makeFigure } from "./figure.js";
import { listen } from "./gestures.js";
import { makeGrid } from "./grid.js";
import { SHOWN, makePaint, pointRadius } from "./paint.js";
import { makeState } from "./state.js";
import { loadStore } from "./store.js";
import { makeView } from "./view.js";
import { makeWebgl } from "./webgl.js";

const TASK = 50; // ms after which the browser gets a turn

const byId = (id) => document.getElementById(id);

/** Opens the map with the given layers, in their order. */
export async function start(layers) {
  const store = await loadStore();
  const state = makeState({
    hidden: new Set(), isolated: new Set(), filters: new Map(), masks: new Map(), selection: null, colour: { key: "cluster" }, cluster: null,
    openCluster: null, query: "", pinned: -1, hovered: -1, tool: "pan", dark: false, names: new Map(), merges: new Map(), splits: new Map(),
    tags: new Map(), notes: new Map(), combine: "replace", panel: null, spot: null,
  });
  const view = makeView(store.bounds, store.bulk);
  const map = {
    store, state, view, grid: makeGrid(store), columns: makeColumns(store), paint: makePaint(store, state), tools: {}, keys: [], overlays: [], afterStart: [],
    stage: byId("stage"), surface: byId("surface"), left: byId("left"), bar: byId("bar"), right: byId("right"), bottom: byId("bottom"),
    timings: { data: performance.now() },
  };
  addFinders(map);
  addDrawing(map);
  globalThis.latentviz.map = map;
  document.title = store.meta.title;
  state.values.dark = prefersDark(store.meta.options.theme);
  document.documentElement.dataset.theme = state.values.dark ? "dark" : "light";
  map.renderer = makeWebgl(byId("points"), store, map.paint, state);
  // The points first: the GPU draws them while the panels are built.
  measure(map);
  map.paint.update();
  map.renderer?.recolour();
  map.renderer?.draw(view);
  await new Promise(requestAnimationFrame);
  map.timings.points = performance.now();
  await inTurns(layers, map);
  watchDocks(map, () => measure(map));
  map.repaint();
  for (const run of map.afterStart) await run();
  listen(map);
  new ResizeObserver(() => measure(map)).observe(map.stage);
  byId("boot").hidden = true;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    map.timings.paint = performance.now();
    finish(map).catch((error) => globalThis.latentviz.fail(error));
  }));
}

/** Adds the layers, in tasks short enough that the browser can draw and react between them. */
async function inTurns(layers, map) {
  let since = performance.now();
  for (const layer of layers) {
    if (performance.now() - since > TASK) {
      await new Promise((go) => setTimeout(go));
      since = performance.now();
    }
    await layer(map);
  }
}

/** Returns whether the map is dark: by the file's theme option (auto, light, dark), or by the system's setting. */
export function prefersDark(theme = "auto") {
  return theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
}

/** Adds lookups: names, clusters, the point at a position. */
function addFinders(map) {
  const { store, state, view, grid, paint } = map;
  Object.assign(map, {
    cluster: (id) => store.byId.get(id),
    nameOf: (id) => state.values.names.get(id) ?? store.byId.get(id)?.name ?? `Cluster ${id}`,
    /** Returns the shown point nearest to a screen position, or −1. */
    pointAt({ px, py, touch }) {
      const reach = (touch ? 22 : Math.max(9, pointRadius(store.n, view) + 4)) / view.scale;
      const found = grid.nearest(view.toDataX(px), view.toDataY(py), reach, 1, (i) => paint.level[i] === SHOWN);
      return found.length ? found[0][0] : -1;
    },
    /** Moves to a point, zoomed in enough to see it among its neighbours. */
    flyToPoint(i) {
      view.fly({ x: store.x[i], y: store.y[i], scale: Math.max(view.scale, view.home * 5) });
    },
    /** Moves the map a little if a point lies outside the free area. */
    reveal(i) {
      const [px, py] = [view.toScreenX(store.x[i]), view.toScreenY(store.y[i])];
      const inside = (value, size) => Math.min(Math.max(value, 30), Math.max(30, size - 30));
      const [dx, dy] = [inside(px, view.width) - px, inside(py, view.height) - py];
      if (dx || dy) view.fly({ x: view.x - dx / view.scale, y: view.y + dy / view.scale }, 320);
    },
    /** Moves so that the points `indexes` fill the free area. */
    flyToPoints(indexes) {
      if (indexes.length) view.fly(null, 520, boxOf(store, indexes));
    },
    hover(at) {
      if (at && view.moving) return;
      const i = at ? map.pointAt(at) : -1;
      map.pointer = at;
      state.set({ hovered: at && at.touch ? -1 : i, spot: at ? { x: view.toDataX(at.px), y: view.toDataY(at.py) } : null });
      map.surface.classList.toggle("over-point", i >= 0 || Boolean(at && map.labelAt?.(at)));
    },
    /** Pins the point under a tap; without one, opens the cluster or moves to the region with a label there. */
    click(at) {
      const i = map.pointAt(at);
      const label = i < 0 ? map.labelAt?.(at) : undefined;
      if (label?.region) return view.fly({ x: label.x, y: label.y, scale: view.scale * 2 });
      if (label) return map.openCluster?.(label.cluster.id);
      return state.set({ hovered: -1, openCluster: null, cluster: null, pinned: i, spot: { x: view.toDataX(at.px), y: view.toDataY(at.py) } });
    },
    /** Announces something to screen readers. */
    say(text) {
      byId("live").textContent = text;
    },
  });
}

/** Returns the bounding box of points; for large groups, without the outermost 1%. */
function boxOf(store, indexes) {
  const cut = indexes.length > 200 ? 0.005 : 0;
  const ends = (values) => {
    const sorted = Float32Array.from(indexes, (i) => values[i]).sort();
    return [sorted[Math.floor(cut * (sorted.length - 1))], sorted[Math.ceil((1 - cut) * (sorted.length - 1))]];
  };
  const [x0, x1] = ends(store.x);
  const [y0, y1] = ends(store.y);
  const least = (store.bulk.x1 - store.bulk.x0) / 60;
  const [padX, padY] = [least + (x1 - x0) * 0.08, least + (y1 - y0) * 0.08];
  return { x0: x0 - padX, x1: x1 + padX, y0: y0 - padY, y1: y1 + padY };
}

/** Adds drawing: the renderer, Plotly above it, and the layers' overlay on top. */
function addDrawing(map) {
  const { store, state, view, paint } = map;
  const canvas = byId("overlay");
  const pen = canvas.getContext("2d");
  const leavesMarks = watchMarks(pen);
  let waiting = 0;

  map.redraw = () => {
    const ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    // An empty canvas over the points would cost time in every frame.
    if (!canvas.hidden) pen.clearRect(0, 0, view.width, view.height);
    canvas.hidden = !leavesMarks(() => map.overlays.forEach((draw) => draw(pen)));
  };
  /** Draws the overlay in the next frame. */
  map.touch = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      map.redraw();
    });
  };
  map.repaint = () => {
    paint.update();
    map.renderer?.recolour();
    map.recoloured = true; // for the figure
    view.changed();
  };
  state.on("hidden isolated masks selection colour dark", map.repaint);
  state.on("hovered pinned cluster", map.touch);
  // Isolating moves to what is isolated, its end back, unless the user has moved in between.
  let trip = null;
  state.on("isolated", ({ isolated }) => {
    const found = store.groups.filter(({ id }) => isolated.has(id)).flatMap((cluster) => Array.from(members(cluster)));
    const from = trip && (trip.to === view.kept || view.moving) ? trip.from : view.kept;
    if (found.length) {
      trip = { from, to: boxOf(store, found) };
      view.fly(null, 520, trip.to);
    } else {
      if (from !== view.kept) view.fly(null, 520, from);
      trip = null;
    }
  });
  view.on(() => {
    map.renderer?.draw(view);
    map.redraw();
    const { figure, recoloured } = map;
    if (!figure) return;
    map.recoloured = false;
    figure.draw(view, recoloured);
  });
}

/** Returns a function that runs `draw` and returns whether it has drawn anything with the pen of a canvas. */
function watchMarks(pen) {
  let marked = false;
  for (const name of ["fill", "stroke", "fillRect", "strokeRect", "fillText", "strokeText", "drawImage", "putImageData"]) {
    const own = pen[name];
    pen[name] = (...given) => {
      marked = true;
      own.apply(pen, given);
    };
  }
  return (draw) => {
    marked = false;
    draw();
    return marked;
  };
}

/** Takes the size of the free area, which panels leave to the map. */
function measure({ view, stage }) {
  const [width, height] = [stage.clientWidth || 1, stage.clientHeight || 1];
  if (width !== view.width || height !== view.height) view.resize(width, height);
}

/** Marks the map as ready; where there is no WebGL, loads Plotly first, which draws the points. */
async function finish(map) {
  map.mode = map.renderer ? "webgl" : "svg";
  if (!map.renderer) {
    // A notebook's copy of a map is without Plotly.
    if (!(await globalThis.latentviz.find("plotly"))) throw new Error("this browser has no WebGL; open map.html, or call result.show().");
    await globalThis.latentviz.run("plotly");
    const figure = makeFigure(byId("plot"), map);
    await figure.create(map.view);
    map.figure = figure;
    map.notice(`No WebGL here: ${figure.stride > 1 ? `a sample is drawn, 1 in ${figure.stride} of ${map.store.n.toLocaleString("en")} points.` : "the points are drawn as SVG."}`);
  }
  document.documentElement.dataset.ready = map.mode;
}

/** Adds a layer's panel to a side; hidden panels keep their position. */
export function panel(side, className, ...children) {
  const element = el("section", { className: `panel ${className}` }, ...children);
  side.append(element);
  return element;
}
