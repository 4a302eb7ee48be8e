// Names: largest cluster first, over large clusters and beside small ones; dropped on collision, finer ones on zooming in.

import { el } from "../core/dom.js";
import { members } from "../core/edits.js";
import { HIDDEN } from "../core/paint.js";

const GAP = 4; // pixels kept free around a label
const LONGEST = 34;
const FROM = [0, 1.7, 3.6]; // zoom, relative to the first view, from which the names of each level of regions are shown
const PICTURE = 28; // pixels of the medoid's picture in a name
const ROOM = 640; // pixels of width below which names have no pictures
const FEW = 0.1; // points that a name with a picture may cover, as a share of its cluster's
const FAR = 2.5; // median distances from a cluster's centre beyond which its points are a piece of their own
const SAMPLE = 300; // members by which the extent of a cluster is measured

/** Places the labels over the points and moves them with the map. */
export function labels(map) {
  const { store, state, view } = map;
  const holder = document.getElementById("labels");
  const beyond = makeBeyond(map);
  let marks = [];
  let taken = [];
  let placed = "";

  /** Makes the labels, again where clusters were merged or split. */
  function build() {
    holder.replaceChildren(...beyond.chips);
    marks = [...ownMarks(), ...fineMarks(map, holder), ...regionMarks(map, holder)];
    name();
  }

  function ownMarks() {
    const known = store.groups.filter(({ id, size }) => id >= 0 && size).sort((a, b) => b.size - a.size);
    const small = view.width < 720;
    return known.map((cluster) => {
      const mark = makeMark(holder, "label", { cluster, x: cluster.centre[0], y: cluster.centre[1], extent: extentOf(store, cluster) });
      mark.box.style.fontSize = `${((small ? 10 : 11.5) + (small ? 3 : 5) * Math.sqrt(cluster.size / known[0].size)).toFixed(1)}px`;
      mark.box.style.setProperty("--own", cluster.colour);
      mark.pictured = Boolean(map.thumbs?.has(cluster.medoid));
      return mark;
    });
  }

  function name() {
    for (const mark of marks) {
      const full = mark.fine ?? map.nameOf(mark.cluster.id);
      const short = full.length > LONGEST ? `${full.slice(0, LONGEST - 1).trim()}…` : full;
      if (mark.text.textContent !== short) {
        mark.text.textContent = short;
        mark.width = 0;
      }
      const said = mark.fine ? "" : majority(mark.cluster, full);
      if (mark.under.textContent !== said) {
        mark.under.textContent = said;
        mark.width = 0;
      }
    }
    for (const mark of marks) if (!mark.width) Object.assign(mark, { width: mark.words.offsetWidth, height: mark.words.offsetHeight });
    placed = "";
  }

  function place() {
    const key = [view.x, view.y, view.scale, view.width, view.height, map.paint.version].join();
    if (key === placed) return;
    placed = key;
    taken = beyond.place();
    for (const mark of marks) {
      const [px, py] = [view.toScreenX(mark.x), view.toScreenY(mark.y)];
      const inside = px > 0 && py > 0 && px < view.width && py < view.height;
      const found = inside && isWanted(mark) ? spot(mark, px, py) : null;
      if (found) taken.push([found.left - GAP, found.top - GAP, found.left + found.width + GAP, found.top + found.height + GAP]);
      mark.box.classList.toggle("shown", found !== null);
      mark.shown = found !== null;
      if (!found) continue;
      Object.assign(mark, { at: found, side: found.side });
      if (found.picture && !mark.picture) {
        mark.picture = map.thumbs.canvas(mark.cluster.medoid, PICTURE);
        mark.box.prepend(mark.picture);
      }
      if (mark.picture) mark.picture.hidden = !found.picture;
      mark.box.style.transform = `translate(${found.left.toFixed(1)}px, ${found.top.toFixed(1)}px)`;
    }
  }

  /** Returns whether a label's cluster is shown, and the view near enough for the label. */
  function isWanted({ cluster, from }) {
    const { isolated, hidden } = state.values;
    if ((from && view.scale <= view.home * from) || hidden.has(cluster.id) || (isolated.size && !isolated.has(cluster.id))) return false;
    return map.groupLevel(cluster.id) !== HIDDEN && map.paint.counts[store.groups.indexOf(cluster)] > 0;
  }

  /** Returns a free place for a label, with its picture if there is room for one; null if there is none. */
  function spot(mark, px, py) {
    for (const picture of mark.pictured && view.width >= ROOM ? [true, false] : [false]) {
      const width = Math.max(mark.width, picture ? PICTURE : 0);
      const height = mark.height + (picture ? PICTURE + 2 : 0);
      let best = null;
      for (const [side, x, y] of sides(mark, px, py, width, height)) {
        const left = Math.min(Math.max(x, GAP), view.width - width - GAP);
        const top = Math.min(Math.max(y, GAP), view.height - height - GAP);
        const area = [left - GAP, top - GAP, left + width + GAP, top + height + GAP];
        if (taken.some((other) => area[0] < other[2] && area[2] > other[0] && area[1] < other[3] && area[3] > other[1])) continue;
        if (side === "over" && !best) return { left, top, width, height, picture, side };
        // The place that covers the fewest points; one that is taken already wins ties, so that names do not jump.
        const covered = map.grid.countIn({ x0: view.toDataX(left), x1: view.toDataX(left + width), y0: view.toDataY(top + height), y1: view.toDataY(top) });
        const cost = covered + (side === mark.side ? -1 : 0);
        if (!best || cost < best.cost) best = { left, top, width, height, picture, side, cost };
      }
      if (best && (!picture || best.cost <= FEW * mark.cluster.size)) return best;
    }
    return null;
  }

  /** Lists the positions to try: over the points of a large cluster, else beside them and over them at last. */
  function sides({ extent }, px, py, width, height) {
    const over = ["over", px - width / 2, py - height / 2];
    if (!extent) return [over];
    const [x0, x1, y0, y1] = [view.toScreenX(extent.x0), view.toScreenX(extent.x1), view.toScreenY(extent.y1), view.toScreenY(extent.y0)];
    const beside = [
      ["below", (x0 + x1) / 2 - width / 2, y1 + GAP], ["above", (x0 + x1) / 2 - width / 2, y0 - height - GAP],
      ["right", x1 + GAP + 2, (y0 + y1) / 2 - height / 2], ["left", x0 - width - GAP - 2, (y0 + y1) / 2 - height / 2],
      // At the corners of the cluster, where its sides are taken.
      ["lower right", x1 - width / 4, y1 + GAP], ["lower left", x0 - (3 * width) / 4, y1 + GAP],
      ["upper right", x1 - width / 4, y0 - height - GAP], ["upper left", x0 - (3 * width) / 4, y0 - height - GAP],
    ];
    return width * height < 0.25 * (x1 - x0) * (y1 - y0) && width < x1 - x0 ? [over, ...beside] : [...beside, over];
  }

  map.groupLevel ??= () => 2;
  /** Returns the label at a screen position, if there is one. */
  map.labelAt = ({ px, py }) => marks.find(({ shown, at }) => shown && px >= at.left && py >= at.top && px <= at.left + at.width && py <= at.top + at.height);
  map.visibleLabels = () => marks.filter((mark) => mark.shown);
  /** Returns whether a box of the screen would cover a name. */
  map.coversName = (left, top, width, height) => taken.some((other) => left < other[2] && left + width > other[0] && top < other[3] && top + height > other[1]);
  build();
  map.overlays.unshift(place); // before what keeps clear of names
  state.on("names", () => {
    name();
    map.redraw();
  });
  state.on("merges splits", () => {
    build();
    map.touch();
  });
  // A name in its cluster's colour would mislead while colours encode something else.
  state.on("colour", ({ colour }) => holder.classList.toggle("neutral", colour.key !== "cluster"));
  document.fonts?.ready.then(() => {
    for (const mark of marks) mark.width = 0;
    name();
    map.touch();
  });
}

/** Returns a label that is not placed yet. */
function makeMark(holder, className, about) {
  const [text, under] = [el("span", {}), el("span", { className: "under" })];
  const words = el("div", { className: "words" }, text, under);
  const box = el("div", { className, dir: "auto" }, words);
  holder.append(box);
  return { box, words, text, under, shown: false, width: 0, height: 0, ...about };
}

/** Returns what a cluster mostly is by its labels, where its name does not say so. */
function majority({ label }, name) {
  if (!label || label[1] < 0.5 || name.includes(label[0])) return "";
  return `mostly ${label[0].length > 24 ? `${label[0].slice(0, 23)}…` : label[0]}, ${Math.round(100 * label[1])}%`;
}

/** Returns the box of most of a cluster's points, without pieces far from its centre. */
function extentOf(store, cluster) {
  const step = Math.max(1, Math.floor(cluster.size / SAMPLE));
  const away = (i) => Math.hypot(store.x[i] - cluster.centre[0], store.y[i] - cluster.centre[1]);
  const all = members(cluster).filter((_, k) => k % step === 0);
  const far = FAR * Float32Array.from(all, away).sort()[all.length >> 1];
  const few = all.filter((i) => away(i) <= far);
  const ends = (values) => {
    const some = Float32Array.from(few, (i) => values[i]).sort();
    return [some[Math.floor(0.04 * (some.length - 1))], some[Math.ceil(0.96 * (some.length - 1))]];
  };
  const [[x0, x1], [y0, y1]] = [ends(store.x), ends(store.y)];
  return { x0, x1, y0, y1 };
}

/** Returns the `chips` that tell at the map's edges how many points the first view leaves out, and `place()`: the areas they take. */
function makeBeyond(map) {
  const { store, view } = map;
  const { x0, x1, y0, y1 } = store.bulk;
  const { n, x, y } = store;
  const tests = { left: (i) => x[i] < x0, right: (i) => x[i] > x1, down: (i) => y[i] < y0, up: (i) => y[i] > y1 };
  const arrows = { left: "←", right: "→", down: "↓", up: "↑" };
  const far = [];
  for (let i = 0; i < n; i++) if (x[i] < x0 || x[i] > x1 || y[i] < y0 || y[i] > y1) far.push(i);
  const chips = Object.entries(tests).map(([side, test]) => ({ side, points: far.filter(test) })).filter(({ points }) => points.length);
  for (const chip of chips) {
    const words = `${arrows[chip.side]} ${chip.points.length.toLocaleString("en")} more`;
    chip.button = el("button", { type: "button", className: "beyond", title: `${chip.points.length.toLocaleString("en")} items lie outside: show them`, hidden: true, onclick: () => map.flyToPoints(chip.points) }, words);
  }
  const place = () => {
    const areas = [];
    const home = view.atHome();
    for (const { side, points, button } of chips) {
      button.hidden = !home;
      if (!home) continue;
      const [w, h] = [button.offsetWidth, button.offsetHeight];
      const middle = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const inside = (value, size, room) => Math.min(Math.max(value - size / 2, 6), room - size - 6);
      const across = side === "left" || side === "right";
      const left = across ? (side === "left" ? 6 : view.width - w - 6) : inside(middle(points.map((i) => view.toScreenX(store.x[i]))), w, view.width);
      const top = across ? inside(middle(points.map((i) => view.toScreenY(store.y[i]))), h, view.height) : side === "up" ? 6 : view.height - h - 6;
      button.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
      areas.push([left - GAP, top - GAP, left + w + GAP, top + h + GAP]);
    }
    return areas;
  };
  return { chips: chips.map(({ button }) => button), place };
}

/** Returns the labels of regions, coarse ones first. */
function regionMarks(map, holder) {
  const { store } = map;
  const regions = (store.meta.labels?.regions ?? []).filter(({ cluster }) => map.cluster(cluster));
  return regions.sort((a, b) => a.level - b.level || b.size - a.size).map((region) => makeMark(holder, `label region ${region.level ? "" : "coarse"}`, {
    cluster: map.cluster(region.cluster), fine: region.name, from: FROM[region.level] ?? FROM[FROM.length - 1], x: store.x[region.point], y: store.y[region.point], region,
  }));
}

/** Returns the labels of parts of clusters, which appear once zooming in makes room for them. */
function fineMarks(map, holder) {
  const { store } = map;
  const nodes = (store.meta.tree?.nodes ?? []).filter((node) => node.name && node.point >= 0 && map.cluster(node.inside));
  return nodes.sort((a, b) => b.size - a.size).map((node) => {
    const share = node.size / map.cluster(node.inside).size;
    return makeMark(holder, "label fine", { cluster: map.cluster(node.inside), fine: node.name, from: 1.8 / Math.sqrt(Math.max(share, 0.02)), x: store.x[node.point], y: store.y[node.point] });
  });
}
