// Clusters with another smallest size, which the server finds: shown as colours, and kept in the run on request.

import { panel } from "./app.js";
import { el, iconButton } from "./dom.js";
import { missing, onDark, packed, rgb } from "./paint.js";

/** Returns red, green, blue of the k-th colour: hues spread by the golden ratio, in three lightnesses. */
function hueOf(k) {
  const light = [0.5, 0.36, 0.64][k % 3];
  const reach = 0.6 * Math.min(light, 1 - light);
  return [0, 8, 4].map((shift) => {
    const at = (shift + 12 * ((k * 0.618034) % 1)) % 12; // HSL, CSS Color Module 4, section 7
    return Math.round(255 * (light - reach * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  });
}

/** Adds the panel with the slider. */
export function clusterAgain(map) {
  const { store, state } = map;
  const { sizes, size } = store.meta.served;
  const now = sizes.indexOf(size);
  const slider = el("input", { type: "range", min: "0", max: String(sizes.length - 1), step: "1", value: String(now), "aria-label": "Items in the smallest cluster" });
  const reading = el("p", { className: "reading", role: "status" });
  const name = el("input", { type: "text", className: "action word", placeholder: "Name", "aria-label": "Name of the clustering", maxLength: 100, size: 12, autocomplete: "off", spellcheck: false });
  const keep = el("button", { type: "button", className: "action", title: "Keep these clusters in the run as a clustering of their own", onclick: keepThem }, "Keep");
  const saving = el("div", { className: "keep" }, name, keep);
  const close = iconButton("close", "Close, and colour by the clusters of the run", () => open(false), { className: "icon-button small" });
  const body = panel(map.left, "again", el("header", {}, el("h2", {}, "Cluster again"), close), slider, reading, saving);
  body.setAttribute("aria-label", "Cluster again");
  body.hidden = true;
  const button = map.addButton("show", "sliders", "Cluster again, with a slider", () => open(body.hidden));
  let turn = 0;
  let wait = 0;
  let shown = null;

  async function open(on) {
    if (on || state.values.colour.key === "again") await map.colourBy("cluster"); // with its legend, which is none
    body.hidden = !on;
    button.setAttribute("aria-pressed", String(on));
    if (on) ask();
  }

  async function ask() {
    const mine = ++turn;
    const least = sizes[Number(slider.value)];
    slider.setAttribute("aria-valuetext", `${least.toLocaleString("en")} items`);
    reading.textContent = `${least.toLocaleString("en")} items or more: …`;
    saving.hidden = true;
    try {
      const found = await map.ask("again", { size: least });
      if (mine !== turn || body.hidden) return;
      shown = { ...found, size: least };
      colour();
      reading.textContent = `${least.toLocaleString("en")} items or more${least === size ? " (as in the run)" : ""}: ${found.clusters.toLocaleString("en")} clusters, ${Math.round(100 * found.noise)}% noise`;
      saving.hidden = least === size;
    } catch (error) {
      if (mine === turn) reading.textContent = error.message;
    }
  }

  /** Colours the points: each present colour goes to the largest new cluster that is made of that cluster. */
  function colour() {
    const { dark } = state.values;
    const { like, labels } = shown;
    const taken = new Set();
    const colours = like.map((id, k) => {
      const one = id < 0 || taken.has(id) ? null : map.cluster(id);
      taken.add(id);
      const found = one ? rgb(one.colour) : hueOf(k);
      return dark ? onDark(found) : found;
    });
    const steps = Uint16Array.from(store.row, (row) => Math.min(65535, labels[row] + 1));
    state.set({ colour: { key: "again", steps, table: Uint32Array.from([missing(dark), ...colours], (each) => packed(each)), value: (i) => (steps[i] ? `again ${steps[i] - 1}` : "Noise") } });
    document.documentElement.classList.add("recoloured");
  }

  async function keepThem() {
    const word = name.value.trim();
    if (!word) return name.focus();
    keep.disabled = true;
    try {
      const { command } = await map.ask("keep", { size: shown.size, name: word });
      reading.textContent = `Kept; its map: ${command}`;
      map.say(reading.textContent);
      name.value = "";
    } catch (error) {
      reading.textContent = error.message;
    }
    keep.disabled = false;
  }

  slider.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(ask, 120);
  });
  for (const field of [slider, name]) field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && field === name) keepThem();
  });
  state.on("dark", () => state.values.colour.key === "again" && colour());
  state.on("colour", ({ colour: { key } }) => {
    if (key === "again" || body.hidden) return;
    body.hidden = true; // another colouring was chosen
    button.setAttribute("aria-pressed", "false");
  });
}
