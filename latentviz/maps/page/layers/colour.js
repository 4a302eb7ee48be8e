// Colour by cluster or by any column. The colouring has one legend: the list of clusters, or the one here.

import { panel } from "../core/app.js";
import { countBins, countSteps, makeBins, maskSteps, quantile } from "../core/columns.js";
import { clip, el } from "../core/dom.js";
import { missing, onDark, packed, rgb, scaleColour, swatch } from "../core/paint.js";
import { soon } from "../core/state.js";
import { oneStop } from "../core/stops.js";

const OTHERS = [150, 138, 122]; // of the values that have no colour of their own

/** Adds the choice and its legend above the clusters, and `map.colourBy(key)`. */
export async function colour(map) {
  const { store, state, columns, paint } = map;
  const keys = ["cluster", ...[...columns.keys()].filter((key) => key !== "cluster")];
  const choice = el("select", { id: "colour-by", onchange: () => map.colourBy(choice.value) }, ...keys.map((key) => el("option", { value: key }, clip(key, 40))));
  const legend = el("div", { className: "legend" });
  oneStop(legend, ".legend-row");
  panel(map.left, "colour", el("header", {}, el("label", { for: "colour-by" }, "Colour by"), choice), legend);
  legend.hidden = true;
  let recount = () => {};

  map.colourBy = async (key) => {
    if (!keys.includes(key)) return;
    choice.value = key;
    const column = key === "cluster" ? null : await columns.get(key).read();
    if (choice.value !== key) return; // another one was chosen meanwhile
    legend.hidden = column === null;
    document.documentElement.classList.toggle("recoloured", column !== null);
    recount = () => {};
    if (column === null) state.set({ colour: { key } });
    else if (column.names) byName(key, column);
    else byNumber(key, column);
  };

  /** Colours by a table of red, green, blue for every step of a column. */
  function set(key, { steps, text }, colours) {
    state.set({ colour: { key, steps, table: Uint32Array.from(colours, (one) => packed(one)), value: text } });
  }

  function byName(key, column) {
    const { dark } = state.values;
    const bins = makeBins(column);
    const shades = bins.colours.map((hex) => (hex === null ? OTHERS : dark ? onDark(rgb(hex)) : rgb(hex)));
    set(key, column, Array.from(bins.bin, (b) => (b ? shades[b - 1] : missing(dark))));
    const all = countBins(column, bins);
    const row = (name, b) => {
      const dot = swatch(b ? bins.colours[b - 1] : null);
      if (!b || bins.colours[b - 1] === null) dot.style.background = `rgb(${b ? OTHERS : missing(dark)})`;
      const size = el("span", { className: "size" });
      const mask = () => maskSteps(column, bins.bin.map((other) => Number(other === b)));
      const points = () => Array.from(mask().entries()).flatMap(([i, inside]) => (inside ? i : []));
      return el("button", { type: "button", className: "legend-row", title: `Select ${name.slice(0, 200)}`, "data-bin": String(b), onclick: () => map.select?.(points(), name) }, dot, el("span", { className: "name", dir: "auto" }, clip(name, 60)), size);
    };
    const rows = bins.names.map((name, b) => row(name, b + 1));
    if (all[0]) rows.push(row("(none)", 0));
    legend.replaceChildren(...rows, ...noiseNote());
    recount = () => {
      const shown = countBins(column, bins, { fails: paint.fails });
      for (const one of rows) {
        const b = Number(one.dataset.bin);
        one.lastChild.textContent = shown[b] === all[b] ? all[b].toLocaleString("en") : `${shown[b].toLocaleString("en")} of ${all[b].toLocaleString("en")}`;
        one.classList.toggle("none", !shown[b]);
      }
    };
    recount();
  }

  function byNumber(key, column) {
    const { dark } = state.values;
    const { of, size, written } = column;
    const counts = countSteps(column);
    // The colour scale spans the 1% to 99% quantiles, so that one outlier does not use up all of it.
    const ends = [0.01, 0.25, 0.5, 0.75, 0.99].map((q) => quantile(column, counts, q));
    const [low, , middle, , high] = ends;
    // A column with most values close together gets colours by rank.
    const half = high > low ? (middle - low) / (high - low) : 0.5;
    const ranked = (half < 0.12 || half > 0.88) && counts.filter(Boolean).length > 8;
    const part = ranked ? ranks(counts) : (k) => (high > low ? Math.min(1, Math.max(0, (of(k) - low) / (high - low))) : 0.5);
    set(key, column, Array.from({ length: size }, (_, k) => (k ? scaleColour(part(k), dark) : missing(dark))));
    const bar = el("canvas", { className: "bar", width: 236, height: ranked ? 12 : 44, "aria-hidden": "true" });
    paintBar(bar, ranked ? null : { counts, of, low, high }, dark);
    const marks = ranked ? ends : [low, high];
    const notes = [ranked ? "by rank: low, a quarter, half, three quarters, high" : null, counts[0] ? `${counts[0].toLocaleString("en")} without a value` : null].filter(Boolean);
    legend.replaceChildren(bar, el("div", { className: "ends" }, ...marks.map((value) => el("span", {}, written(rounded(column, value))))), ...notes.map((line) => el("p", { className: "note" }, line)), ...noiseNote());
  }

  function noiseNote() {
    if (!store.noise || store.noise === store.n) return [];
    const dot = swatch(null, "small");
    return [el("p", { className: "note" }, dot, " noise is smaller")];
  }

  state.on("masks hidden isolated", soon(() => recount()));
  state.on("dark", ({ colour: { key } }) => key !== "cluster" && map.colourBy(key));
  const wanted = store.meta.options?.colour_by;
  if (wanted) await map.colourBy(wanted);
}

/** Returns a value with the digits that a legend has room for. */
function rounded({ kind, whole }, value) {
  return kind === "date" || whole ? value : Number(value.toPrecision(4));
}

/** Returns step → the middle of its rank in [0, 1], given how many points have each step. */
function ranks(counts) {
  const rank = new Float64Array(counts.length);
  let before = 0;
  for (let k = 1; k < counts.length; k++) {
    rank[k] = before + counts[k] / 2;
    before += counts[k];
  }
  return (k) => rank[k] / before;
}

/** Draws the colour bar, with a histogram of the values above it unless they are ranked. */
function paintBar(canvas, values, dark) {
  const pen = canvas.getContext("2d");
  const bins = new Float64Array(canvas.width / 4);
  values?.counts.forEach((count, k) => {
    const { of, low, high } = values;
    if (k) bins[Math.min(bins.length - 1, Math.max(0, Math.floor(((of(k) - low) / (high - low || 1)) * bins.length)))] += count;
  });
  const top = Math.max(...bins) || 1;
  for (let b = 0; b < bins.length; b++) {
    pen.fillStyle = `rgb(${scaleColour(b / (bins.length - 1), dark)})`;
    const height = Math.max(bins[b] ? 1 : 0, (30 * bins[b]) / top);
    pen.fillRect(4 * b, canvas.height - 12 - height, 3.2, height);
    pen.fillRect(4 * b, canvas.height - 9, 4, 9);
  }
}
