// What only a server can do, where `latentviz explore` serves the map: originals, exact decoding, the place of new items.

import { clusterAgain } from "../core/again.js";
import { panel } from "../core/app.js";
import { base64Of, makeAsk } from "../core/ask.js";
import { clip, el, iconButton } from "../core/dom.js";
import { serverTable } from "../core/rows.js";
import { share } from "../core/share.js";
import { latest } from "../core/state.js";

/** Adds `map.ask` and the parts of the page that use it. */
export async function explore(map) {
  map.ask = makeAsk();
  newItems(map);
  if (map.thumbs) originals(map);
  exactDecoder(map);
  serverTable(map);
  if (map.store.meta.served.sizes.length) clusterAgain(map);
  await share(map);
}

/** Returns an item or output that the server describes, as elements. */
function elementsOf({ image, width, height, text }, side) {
  const picture = image && el("img", { className: "thumb", src: image, alt: "", width: Math.round((side * width) / Math.max(width, height)), height: Math.round((side * height) / Math.max(width, height)) });
  if (picture && Math.max(width, height) < 20) picture.style.imageRendering = "pixelated";
  return [picture, text === undefined ? null : el("p", { className: "snippet", dir: "auto" }, clip(text, 2000))].filter(Boolean);
}

/** Adds the panel that places a new text or file on the map, and lists the items most similar to it. */
function newItems(map) {
  const { state, view } = map;
  const { texts, images } = map.store.meta.served;
  const words = el("textarea", { rows: 2, placeholder: "A new text", "aria-label": "A new text", dir: "auto", maxLength: 32768 });
  const chosen = el("input", { type: "file", accept: images ? "image/*" : "", "aria-label": "File of a new item", hidden: true });
  const note = el("p", { className: "note", role: "status" });
  const result = el("div", { className: "placed scroll" });
  const clear = el("button", { type: "button", className: "link", onclick: () => show(null) }, "clear");
  const place = el("button", { type: "button", className: "link needed", onclick: () => (texts ? send({ text: words.value }) : chosen.click()) }, texts ? "Place on the map" : "Choose a file …");
  const body = panel(map.left, "new-item", el("header", {}, el("h2", {}, "A new item"), clear, place), texts ? words : chosen, note, result);
  body.setAttribute("aria-label", "Place a new item on the map");
  let spot = null;
  let turn = 0;

  async function send(question) {
    if (question.text?.trim() === "") return words.focus();
    const mine = ++turn;
    note.textContent = "Encoding …";
    try {
      const found = await map.ask("place", question);
      if (mine === turn) show(found);
    } catch (error) {
      if (mine === turn) show(null, error.message);
    }
  }

  async function sendFile(file) {
    if (!file) return;
    const suffix = /(\.[A-Za-z0-9]{1,8}){0,2}$/.exec(file.name)[0];
    try {
      await send({ file: await base64Of(file), suffix });
    } catch (error) {
      show(null, error.message);
    }
  }

  function neighbour({ row, score }) {
    const i = map.store.pointOf(row);
    if (i < 0) return null;
    const name = clip(map.idOf(i), 60);
    const inside = map.thumbs ? map.show(i, 44) : el("span", { dir: "auto" }, clip(map.textOf ? map.textOf(i) : name, 90));
    const button = el("button", { type: "button", className: "tile", title: `${name} · ${score.toFixed(3)}`, "aria-label": `Similar item ${name}`, onclick: () => map.pin(i) }, inside);
    button.style.setProperty("--cluster", map.cluster(map.store.groups[map.store.group[i]].id).colour);
    button.addEventListener("pointerenter", () => state.set({ hovered: i, spot: null }));
    button.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
    return button;
  }

  function show(found, message = "") {
    spot = found;
    note.textContent = message;
    clear.classList.toggle("needed", found !== null);
    result.replaceChildren();
    map.touch();
    if (!found) return;
    const near = found.near.map(neighbour).filter(Boolean);
    const lines = [...(found.unlike ? ["Unlike the training data"] : []), ...found.notes];
    const where = found.cluster >= 0 ? map.nameOf(found.cluster) : `Noise${map.cluster(found.nearest_cluster) ? ` · near ${map.nameOf(found.nearest_cluster)}` : ""}`;
    result.append(
      el("div", { className: "pictures" }, ...elementsOf(found, 72)), el("p", {}, where), ...lines.map((line) => el("p", { className: "note", dir: "auto" }, line)),
      el("h3", {}, "Most similar"), el("div", { className: map.thumbs ? "tiles" : "rows" }, ...near));
    view.fly({ x: found.x, y: found.y, scale: Math.max(view.scale, view.home * 3) });
    map.say(`Placed in ${where}; ${near.length} similar items`);
  }

  chosen.addEventListener("change", () => {
    sendFile(chosen.files[0]);
    chosen.value = "";
  });
  words.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send({ text: words.value });
    }
  });
  map.stage.addEventListener("dragover", (event) => event.preventDefault());
  map.stage.addEventListener("drop", (event) => {
    event.preventDefault();
    sendFile(event.dataTransfer.files[0]);
  });
  map.overlays.push((pen) => {
    if (!spot) return;
    const [px, py] = [view.toScreenX(spot.x), view.toScreenY(spot.y)];
    const { dark } = state.values;
    for (const [radius, width, colour] of [[9, 5, dark ? "#0e1014" : "#ffffff"], [9, 2.5, dark ? "#ffffff" : "#16181d"]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(px, py, radius, 0, 2 * Math.PI);
      pen.moveTo(px - 14, py);
      pen.lineTo(px - 4, py);
      pen.moveTo(px + 4, py);
      pen.lineTo(px + 14, py);
      pen.stroke();
    }
  });
  map.placeNew = send;
}

/** Adds a button to the card of an item that shows it at full size. */
function originals(map) {
  const view = el("dialog", { className: "original", "aria-label": "The item at full size" });
  document.body.append(view);
  view.addEventListener("keydown", (event) => event.stopPropagation()); // the map's keys are not for it
  view.addEventListener("click", (event) => event.target === view && view.close());

  async function open(i) {
    const note = el("p", { className: "note", role: "status" }, "Opening …");
    const close = iconButton("close", "Close (Esc)", () => view.close(), { className: "icon-button small" });
    view.replaceChildren(el("header", {}, el("code", { dir: "auto" }, clip(map.idOf(i), 200)), close), note);
    view.showModal();
    try {
      const found = await map.ask("original", { row: map.store.row[i] });
      const size = `${found.width.toLocaleString("en")}×${found.height.toLocaleString("en")}`;
      note.textContent = found.from === "source" ? `${size} pixels, from the source` : `${size} pixels, as the run keeps it${found.why ? `; the source: ${found.why}` : ""}`;
      const picture = el("img", { src: found.image, alt: clip(map.idOf(i), 200) });
      if (Math.max(found.width, found.height) < 200) Object.assign(picture.style, { width: `min(70vw, ${Math.max(1, Math.floor(480 / found.width)) * found.width}px)`, imageRendering: "pixelated" });
      view.append(el("div", { className: "scroll" }, picture));
    } catch (error) {
      note.textContent = error.message;
    }
  }
  map.state.on("pinned", ({ pinned }) => {
    if (pinned < 0) return;
    const card = document.querySelector(".item-card .scroll");
    card?.prepend(el("button", { type: "button", className: "link needed full-size", onclick: () => open(pinned) }, "Full size"));
  });
}

/** Lets the server decode the spot under the pointer with the model itself: beside the page's own decoder, or alone. */
function exactDecoder(map) {
  const { state } = map;
  const output = el("div", { className: "exact-output" });
  const own = document.querySelector(".decoder-pane");
  const note = el("p", { className: "note of-server", role: "status" });
  const on = el("input", { type: "checkbox", checked: own === null });
  const pane = own ?? panel(map.left, `decoder-pane${map.store.meta.served.images ? "" : " texts"}`, el("header", {}, el("h2", {}, "Decoded here")));
  pane.append(output, note, el("label", { className: "exact" }, on, "by the model itself"));
  const show = latest(async ({ x, y }) => {
    try {
      const found = await map.ask("decode", { x, y });
      output.replaceChildren(...elementsOf(found, 132));
      note.textContent = found.near ? "Interpolated between items" : "No data nearby: extrapolated";
      output.dataset.spot = `${x},${y}`;
    } catch (error) {
      output.replaceChildren();
      note.textContent = error.message;
    }
  });
  const toggle = () => {
    pane.classList.toggle("exactly", on.checked);
    output.replaceChildren();
    note.textContent = on.checked ? "Move over the map" : "";
    if (on.checked && state.values.spot) show(state.values.spot);
  };
  on.addEventListener("change", toggle);
  state.on("spot", ({ spot }) => {
    if (spot && on.checked && !pane.hidden) show(spot);
  });
  toggle();
}
