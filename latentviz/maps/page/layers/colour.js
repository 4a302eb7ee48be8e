// Colour by cluster, label, any column, outlier score or probability; with a legend or a colour bar. Noise stays grey.

import { panel } from "../core/app.js";
import { clip, el, format } from "../core/dom.js";
import { onDark, rgb, scaleColour } from "../core/paint.js";

const MOST_VALUES = 40;

/** Adds the choice and its legend above the clusters, and `map.colourBy(key)`. */
export async function colour(map) {
  const { store, state } = map;
  const sources = new Map([["cluster", null]]);
  store.meta.items.fields.forEach((field, index) => field.kind !== "text" && sources.set(field.name, () => store.field(index)));
  const measure = (read) => () => ({ kind: "number", number: read, value: read, low: 0, high: 1 });
  if (!sources.has("outlier score")) sources.set("outlier score", measure(store.outlier));
  if (!sources.has("probability")) sources.set("probability", measure(store.probability));

  const choice = el("select", { id: "colour-by", onchange: () => map.colourBy(choice.value) }, ...[...sources.keys()].map((key) => el("option", { value: key }, clip(key, 40))));
  const legend = el("div", { className: "legend" });
  map.colourPanel = panel(map.right, "colour", el("header", {}, el("label", { for: "colour-by" }, "Colour by"), choice), legend);
  legend.hidden = true;

  map.colourBy = async (key) => {
    if (!sources.has(key)) return;
    choice.value = key;
    legend.hidden = key === "cluster";
    if (key === "cluster") {
      state.set({ colour: { key } });
      return;
    }
    const field = await sources.get(key)();
    if (field.kind === "category") byCategory(key, field);
    else byNumber(key, field);
  };

  function byCategory(key, field) {
    const counts = new Uint32Array(field.names.length + 1);
    for (let i = 0; i < store.n; i++) counts[field.category(i)]++;
    const light = [[206, 209, 216], ...field.colours.map(rgb)];
    const dark = [[74, 79, 90], ...field.colours.map((hex) => onDark(rgb(hex)))];
    const at = (i) => (state.values.dark ? dark : light)[field.category(i)] ?? light[0];
    state.set({ colour: { key, at, value: field.value } });
    const order = field.names.map((_, k) => k + 1).sort((a, b) => counts[b] - counts[a]);
    const row = (k) => {
      const dot = el("i", { className: "swatch" });
      dot.style.setProperty("--dot", field.colours[k - 1]);
      const all = () => Array.from({ length: store.n }, (_, i) => i).filter((i) => field.category(i) === k);
      return el("button", { type: "button", className: "legend-row", title: `Select ${field.names[k - 1].slice(0, 200)}`, onclick: () => map.select?.(all(), field.names[k - 1]) },
        dot, el("span", { className: "name", dir: "auto" }, clip(field.names[k - 1], 60)), el("span", { className: "size" }, counts[k].toLocaleString("en")));
    };
    const more = order.length > MOST_VALUES ? [el("p", { className: "note" }, `and ${order.length - MOST_VALUES} more`)] : [];
    legend.replaceChildren(...order.slice(0, MOST_VALUES).map(row), ...more);
  }

  function byNumber(key, field) {
    const values = Float64Array.from({ length: store.n }, (_, i) => field.number(i));
    const sorted = values.filter((value) => !Number.isNaN(value)).sort();
    const quantile = (q) => sorted[Math.round(q * (sorted.length - 1))] ?? 0;
    // The colour scale spans the 1% to 99% quantiles, so that one outlier does not use up all of it.
    const [low, high] = [quantile(0.01), quantile(0.99)];
    const part = (value) => (high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5);
    const missing = () => (state.values.dark ? [74, 79, 90] : [206, 209, 216]);
    const at = (i) => (Number.isNaN(values[i]) ? missing() : scaleColour(part(values[i]), state.values.dark));
    state.set({ colour: { key, at, value: field.value } });
    const bar = el("canvas", { className: "bar", width: 236, height: 44, "aria-hidden": "true" });
    paintBar(bar, values, low, high, state.values.dark);
    legend.replaceChildren(bar, el("div", { className: "ends" }, el("span", {}, format(Number(low.toPrecision(4)))), el("span", {}, format(Number(high.toPrecision(4))))));
  }

  state.on("dark", ({ colour: { key } }) => key !== "cluster" && map.colourBy(key));
  const wanted = store.meta.options?.colour_by;
  if (wanted) await map.colourBy(wanted);
}

/** Draws the colour bar with a histogram of the values. */
function paintBar(canvas, values, low, high, dark) {
  const pen = canvas.getContext("2d");
  const bins = new Float64Array(canvas.width / 4);
  for (const value of values) {
    if (!Number.isNaN(value)) bins[Math.min(bins.length - 1, Math.max(0, Math.floor(((value - low) / (high - low || 1)) * bins.length)))]++;
  }
  const top = Math.max(...bins) || 1;
  for (let b = 0; b < bins.length; b++) {
    pen.fillStyle = `rgb(${scaleColour(b / (bins.length - 1), dark)})`;
    const height = Math.max(bins[b] ? 1 : 0, (30 * bins[b]) / top);
    pen.fillRect(4 * b, 32 - height, 3.2, height);
    pen.fillRect(4 * b, 35, 4, 9);
  }
}
