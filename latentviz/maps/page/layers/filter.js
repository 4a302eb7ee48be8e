// Filters: a range of a number, or some values of a category; items that do not pass are not drawn.

import { panel } from "../core/app.js";
import { clip, el, format, iconButton } from "../core/dom.js";

const BINS = 40;

/** Adds the panel of filters; each one is a mask in the state. */
export function filter(map) {
  const { store, state } = map;
  const sources = new Map();
  store.meta.items.fields.forEach((field, index) => field.kind !== "text" && sources.set(field.name, () => store.field(index)));
  const measure = (read) => () => ({ kind: "number", number: read, low: 0, high: 1 });
  sources.set("probability", measure(store.probability));
  sources.set("outlier score", measure(store.outlier));
  const list = el("div", { className: "filters" });
  const choice = el("select", { "aria-label": "Add a filter", onchange: add }, el("option", { value: "" }, "Add a filter …"), ...[...sources.keys()].map((key) => el("option", { value: key }, clip(key, 40))));
  const body = panel(map.right, "filter", el("header", {}, el("h2", {}, "Filter"), choice), list);
  body.setAttribute("aria-label", "Filters");

  const put = (key, mask) => {
    const masks = new Map(state.values.masks);
    if (mask) masks.set(key, mask);
    else masks.delete(key);
    state.set({ masks });
    map.say(`${map.paint.shown.toLocaleString("en")} items shown`);
  };

  async function add() {
    const key = choice.value;
    choice.value = "";
    if (!key || list.querySelector(`[data-filter="${CSS.escape(key)}"]`)) return;
    const field = await sources.get(key)();
    const remove = () => {
      box.remove();
      put(key, null);
    };
    const box = el("div", { className: "one", "data-filter": key }, el("header", {}, el("h3", { dir: "auto" }, clip(key, 40)), iconButton("close", "Remove this filter", remove, { className: "icon-button small" })));
    box.append(field.kind === "category" ? categories(key, field) : range(key, field));
    list.append(box);
  }

  function categories(key, field) {
    const off = new Set();
    const counts = new Uint32Array(field.names.length + 1);
    for (let i = 0; i < store.n; i++) counts[field.category(i)]++;
    const update = () => put(key, off.size ? Uint8Array.from({ length: store.n }, (_, i) => (off.has(field.category(i)) ? 0 : 1)) : null);
    const line = (name, k) => {
      const box = el("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        if (box.checked) off.delete(k);
        else off.add(k);
        update();
      });
      return el("label", { className: "check-row" }, box, el("span", { className: "name", dir: "auto" }, clip(name, 60)), el("span", { className: "size" }, counts[k].toLocaleString("en")));
    };
    const lines = field.names.map((name, k) => line(name, k + 1));
    if (counts[0]) lines.push(line("(none)", 0));
    return el("div", { className: "checks" }, ...lines);
  }

  function range(key, field) {
    const { low, high } = field;
    const bar = el("canvas", { width: 2 * 232, height: 72, className: "histogram", "aria-hidden": "true" });
    const bins = new Uint32Array(BINS);
    for (let i = 0; i < store.n; i++) {
      const value = field.number(i);
      if (!Number.isNaN(value)) bins[Math.min(BINS - 1, Math.floor(((value - low) / (high - low || 1)) * BINS))]++;
    }
    const slider = (value, name) => el("input", { type: "range", min: 0, max: 1000, value, "aria-label": `${name} ${clip(key, 40)}` });
    const [from, to] = [slider(0, "Least"), slider(1000, "Most")];
    const text = el("p", { className: "note" });
    const update = () => {
      const [a, b] = [Number(from.value), Number(to.value)].sort((p, q) => p - q).map((t) => low + (t / 1000) * (high - low));
      text.textContent = `${format(Number(a.toPrecision(4)))} to ${format(Number(b.toPrecision(4)))}`;
      paintBins(bar, bins, (a - low) / (high - low || 1), (b - low) / (high - low || 1));
      const slack = (high - low) * 1e-9;
      const all = Number(from.value) === 0 && Number(to.value) === 1000;
      return all ? null : Uint8Array.from({ length: store.n }, (_, i) => (field.number(i) >= a - slack && field.number(i) <= b + slack ? 1 : 0));
    };
    for (const one of [from, to]) one.addEventListener("input", () => put(key, update()));
    update();
    return el("div", { className: "range" }, bar, el("div", { className: "sliders" }, from, to), text);
  }
}

function paintBins(canvas, bins, from, to) {
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const top = Math.max(...bins) || 1;
  const width = canvas.width / bins.length;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  bins.forEach((count, b) => {
    const middle = (b + 0.5) / bins.length;
    pen.fillStyle = style.getPropertyValue(middle >= from && middle <= to ? "--accent" : "--noise");
    const height = count ? Math.max(2, (canvas.height * count) / top) : 0;
    pen.fillRect(b * width, canvas.height - height, width - 2, height);
  });
}
