// The columns: a chart of each, of all points, of those shown and of the selection. What is chosen in one filters the map
// and the other charts.

import { panel } from "../core/app.js";
import { drawBins } from "../core/chart.js";
import { countBins, makeBins, maskSteps } from "../core/columns.js";
import { isSmall } from "../core/docks.js";
import { clip, el, format, icon, iconButton } from "../core/dom.js";
import { dye } from "../core/paint.js";
import { soon } from "../core/state.js";

const TICK = 120; // ms between the moves of a range that plays

/** Adds the panel, `map.setFilters(filters)`, and the line that counts what is shown. */
export function filter(map) {
  const { store, state, columns, paint } = map;
  const loaded = new Map(); // name → the column and its bins
  const charts = [];
  const list = el("div", { className: "columns-list" });
  const open = el("button", { type: "button", className: "fold", "aria-expanded": "false", title: "Columns: see and filter them (F)", onclick: () => show(list.hidden) }, el("h2", {}, "Columns"), el("span", { className: "size" }, String(columns.size)), icon("down"));
  const body = panel(map.left, "filter", open, list);
  body.setAttribute("aria-label", "Columns");
  list.hidden = true;
  map.keys.push({ key: "f", about: "columns and filters", run: byKey });
  /** Opens the list where it is out of sight, also in the drawer of a small window and below a card; else closes it. */
  function byKey() {
    const inSight = () => list.getClientRects().length > 0;
    const away = !inSight();
    if (away && isSmall()) map.openLists?.(true);
    show(away);
    if (away && !inSight()) state.set({ pinned: -1, openCluster: null, tree: false });
  }
  addLine(map);

  async function load(key) {
    if (!loaded.has(key)) {
      const column = await columns.get(key).read();
      const bins = makeBins(column);
      loaded.set(key, { key, column, bins, all: countBins(column, bins) });
    }
    return loaded.get(key);
  }

  /**
   * Filters by name → `{ from, to }`, in the column's numbers or seconds since 1970, or `{ off }`, the bins to leave out, 0
   * for missing values. Columns that are not there and filters that keep everything are dropped.
   */
  map.setFilters = async (wanted) => {
    const ones = await Promise.all([...wanted.keys()].filter((key) => columns.has(key)).map(load));
    put(ones.map((one) => [one, wanted.get(one.key)]));
  };

  function put(pairs) {
    const start = performance.now();
    const { values } = state;
    const made = pairs.map(([one, wish]) => [one.key, wish, values.filters.get(one.key) === wish ? values.masks.get(one.key) : maskOf(one, wish)]).filter(([, , mask]) => mask);
    state.set({ filters: new Map(made.map(([key, wish]) => [key, wish])), masks: new Map(made.map(([key, , mask]) => [key, mask])) });
    map.timings.filter = performance.now() - start;
  }

  /** Changes the filter of one column; null removes it. */
  function change(one, wish) {
    put([...[...state.values.filters].filter(([key]) => key !== one.key).map(([key, other]) => [loaded.get(key), other]), [one, wish]]);
  }

  async function show(wanted) {
    list.hidden = !wanted;
    open.setAttribute("aria-expanded", String(wanted));
    body.classList.toggle("open", wanted);
    if (!wanted) return;
    if (!list.childElementCount) await build();
    recount();
  }

  async function build() {
    const holders = [...columns.keys()].map((key) => {
      const holder = el("section", { className: "column", "data-column": key });
      list.append(holder);
      return [key, holder];
    });
    const texts = store.meta.items.fields.filter(({ kind }) => kind === "text").map(({ name }) => clip(name, 40));
    if (texts.length) list.append(el("p", { className: "note", dir: "auto" }, `The search finds the words of ${texts.join(", ")}.`));
    // A chart is counted while it can be seen.
    const watch = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) charts.find(({ holder }) => holder === target).seen = isIntersecting;
      recount();
    }, { root: list });
    for (const [key, holder] of holders) {
      const one = await load(key);
      const clear = iconButton("close", `Remove the filter of ${clip(key, 40)}`, () => change(one, null), { className: "icon-button small clear" });
      const head = el("header", {}, el("h3", { dir: "auto", title: key.slice(0, 300) }, clip(key, 40)), iconButton("drop", `Colour by ${clip(key, 40)}`, () => map.colourBy?.(key), { className: "icon-button small" }));
      const part = one.bins.names ? checks(one, (wish) => change(one, wish)) : range(one, (wish) => change(one, wish), head);
      head.append(clear);
      holder.append(head, part.body);
      clear.hidden = !state.values.filters.has(key);
      charts.push({ one, holder, clear, draw: part.draw, seen: false });
      watch.observe(holder);
    }
  }

  /** Counts and draws the charts that can be seen. */
  function recount() {
    if (list.hidden) return;
    for (const chart of charts) if (chart.seen) drawChart(chart, true);
  }

  /** Draws a chart; it leaves its own filter out, so that it shows what else there is to choose. */
  function drawChart({ one, draw }, counted) {
    const { masks, filters, selection } = state.values;
    if (counted) {
      one.shown = countBins(one.column, one.bins, { fails: paint.fails, own: masks.get(one.key) });
      one.selected = selection && countBins(one.column, one.bins, { only: selection });
    }
    draw({ filter: filters.get(one.key), style: getComputedStyle(document.documentElement), all: one.all, shown: one.shown, selected: one.selected });
  }
  // A brush moves its own chart at once, and changes none of that chart's counts.
  let last = state.values.filters;
  state.on("filters", ({ filters }) => {
    for (const chart of charts) {
      const { key } = chart.one;
      chart.clear.hidden = !filters.has(key);
      if (chart.seen && chart.one.shown && last.get(key) !== filters.get(key)) drawChart(chart, false);
    }
    last = filters;
  });
  state.on("masks hidden isolated selection dark", soon(recount));
}

/** Returns which points a filter of a column keeps, 0 or 1 each; null if it keeps all, or is none. */
function maskOf({ column, bins }, wish) {
  const { size } = column;
  const keeps = new Uint8Array(size);
  if (bins.names) {
    const off = new Set(Array.isArray(wish?.off) ? wish.off : []);
    for (let k = 0; k < size; k++) keeps[k] = off.has(bins.bin[k]) ? 0 : 1;
  } else {
    if (![wish?.from, wish?.to].every(Number.isFinite) || (wish.from <= column.low && wish.to >= column.high)) return null;
    const slack = (column.high - column.low) * 1e-9;
    for (let k = 1; k < size; k++) keeps[k] = column.of(k) >= wish.from - slack && column.of(k) <= wish.to + slack ? 1 : 0;
  }
  return keeps.every(Boolean) ? null : maskSteps(column, keeps);
}

/** Returns the chart of numbers or dates: drag chooses a range, a click a bin; two sliders do the same. */
function range({ key, column, bins, all }, change, head) {
  const canvas = el("canvas", { className: "histogram", "aria-hidden": "true" });
  const slider = (value, name) => el("input", { type: "range", min: 0, max: 1000, value, "aria-label": `${name} ${clip(key, 40)}` });
  const [least, most] = [slider(0, "Least"), slider(1000, "Most")];
  const text = el("p", { className: "ends" });
  let [from, to] = [0, 1];
  let waiting = 0;
  let playing = 0;

  const short = (value) => column.written(column.kind === "date" || column.whole ? Math.round(value) : Number(value.toPrecision(4)));
  /** Chooses the part of the scale from `a` to `b`, once per frame. */
  function choose(a, b) {
    [from, to] = [Math.max(0, Math.min(a, b)), Math.min(1, Math.max(a, b))];
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      change(from <= 0 && to >= 1 ? null : { from: from <= 0 ? column.low : bins.value(from), to: to >= 1 ? column.high : bins.value(to) });
    });
  }
  for (const one of [least, most]) one.addEventListener("input", () => choose(Number(least.value) / 1000, Number(most.value) / 1000));

  /** Returns the ends of the bins that a part of the chart's width touches. */
  function whole(a, b) {
    const count = bins.count - 1;
    const [first, last] = [Math.floor(Math.min(a, b) * count), Math.floor(Math.max(a, b) * count - 1e-9)];
    if (!bins.each) return [first / count, (Math.max(first, last) + 1) / count];
    return [first, Math.max(first, last)].map((at) => at / Math.max(1, count - 1));
  }
  let start = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return Math.min(0.999999, Math.max(0, (event.clientX - box.left) / box.width));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const t = at(event);
    const filtered = from > 0 || to < 1;
    start = { t, inside: filtered && t > from && t < to ? [from, to] : null, moved: false, filtered };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const t = at(event);
    start.moved ||= Math.abs(t - start.t) > 0.012;
    if (!start.moved) return;
    if (!start.inside) return choose(...whole(start.t, t));
    const [a, b] = start.inside;
    const by = Math.min(1 - b, Math.max(-a, t - start.t));
    return choose(a + by, b + by);
  });
  canvas.addEventListener("pointerup", () => {
    if (start && !start.moved) choose(...(start.filtered ? [0, 1] : whole(start.t, start.t)));
    start = null;
  });
  canvas.addEventListener("pointercancel", () => (start = null));

  const play = iconButton("play", `Play ${clip(key, 40)}`, () => (playing ? stop() : run()), { className: "icon-button small" });
  head.append(play);
  function stop() {
    clearInterval(playing);
    playing = 0;
    play.replaceChildren(icon("play"));
    play.setAttribute("aria-pressed", "false");
  }
  /** Moves the range, or a tenth, to the end. */
  function run() {
    const width = to - from < 1 ? to - from : 0.1;
    let low = to - from < 1 && to < 1 ? from : 0;
    play.replaceChildren(icon("pause"));
    play.setAttribute("aria-pressed", "true");
    playing = setInterval(() => {
      choose(low, Math.min(1, low + width));
      if (low + width >= 1 || !play.isConnected) return stop();
      low = Math.min(1 - width, low + Math.max(0.005, width / 8));
      return undefined;
    }, TICK);
  }

  function draw({ filter: chosen, shown, selected, style }) {
    [from, to] = chosen ? [bins.place(chosen.from), bins.place(chosen.to)].map((t) => Math.min(1, Math.max(0, t))) : [0, 1];
    if (document.activeElement !== least) least.value = String(1000 * from);
    if (document.activeElement !== most) most.value = String(1000 * to);
    const count = bins.count - 1;
    // With a bin for each whole number the scale's ends are the middles of the outer bins.
    const edge = (t, side) => (bins.each ? (Math.round(t * (count - 1)) + side) / count : t);
    drawBins(canvas, { all, shown, selected }, edge(from, 0), edge(to, 1), style);
    text.replaceChildren(el("span", {}, short(chosen ? chosen.from : column.low)), el("span", { className: "scale" }, bins.linear ? "" : "drawn out where values are dense"), el("span", {}, short(chosen ? chosen.to : column.high)));
  }
  return { body: el("div", { className: "range" }, canvas, el("div", { className: "sliders" }, least, most), text), draw };
}

/** Returns the chart of categories or tags: a bar and a check for each. */
function checks({ key, column, bins, all }, change) {
  let off = new Set();
  const ids = [...bins.names.map((_, b) => b + 1), ...(all[0] ? [0] : [])];
  const top = Math.max(1, ...all);
  const set = (wanted) => {
    off = wanted;
    change(off.size ? { off: [...off] } : null);
  };
  const rows = ids.map((b) => {
    const name = b ? bins.names[b - 1] : "(none)";
    const box = el("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      const next = new Set(off);
      if (box.checked) next.delete(b);
      else next.add(b);
      set(next);
    });
    const only = el("button", { type: "button", className: "link only", "aria-label": `Only ${clip(name, 60)}`, onclick: () => set(new Set(ids.filter((other) => other !== b))) }, "only");
    const size = el("span", { className: "size" });
    const [whole, part] = ["all", "part"].map((of) => el("i", { className: `share ${of}` }));
    whole.style.width = `${(100 * all[b]) / top}%`;
    if (b && bins.colours[b - 1]) dye(part, bins.colours[b - 1]);
    return { b, box, part, size, row: el("div", { className: "check" }, whole, part, el("label", { className: "check-row" }, box, el("span", { className: "name", dir: "auto", title: name.slice(0, 300) }, clip(name, 60)), size), only) };
  });
  const every = el("button", { type: "button", className: "link needed", onclick: () => set(new Set()) }, "all");
  const none = el("button", { type: "button", className: "link needed", onclick: () => set(new Set(ids)) }, "none");
  const count = bins.names.length === column.names.length ? `${format(column.names.length)} values` : `the ${bins.names.length - 1} commonest of ${format(column.names.length)} values`;

  function draw({ filter: chosen, shown, selected }) {
    off = new Set(chosen?.off ?? []);
    for (const { b, box, part, size, row } of rows) {
      box.checked = !off.has(b);
      part.style.width = `${(100 * (selected ? selected : shown)[b]) / top}%`;
      const now = selected ?? shown;
      size.textContent = now[b] === all[b] ? format(all[b]) : `${format(now[b])} of ${format(all[b])}`;
      row.classList.toggle("off", off.has(b));
    }
  }
  const bar = el("p", { className: "check-all" }, el("span", {}, count), every, none);
  return { body: el("div", {}, bar, el("div", { className: "checks", role: "group", "aria-label": clip(key, 40) }, ...rows.map(({ row }) => row))), draw };
}

/** Adds the line below the summary that says how many points are shown, while it is not all. */
function addLine(map) {
  const { store, state, paint } = map;
  const count = el("span", {});
  const reset = el("button", { type: "button", className: "link needed inline", onclick: () => state.set({ filters: new Map(), masks: new Map(), hidden: new Set(), isolated: new Set() }) }, "Show all");
  const line = el("p", { className: "shown-count", role: "status" }, count, reset);
  line.hidden = true;
  map.header?.querySelector(".summary").after(line);
  state.on("masks hidden isolated", () => {
    line.hidden = paint.passing === store.n;
    count.textContent = `${format(paint.passing)} of ${format(store.n)} shown`;
  });
}
