// Interpolation: drag a line between two places to decode even steps between their latents.

import { panel } from "../core/app.js";
import { clip, el, iconButton } from "../core/dom.js";

const STEPS = 11;

/** Adds the tool and its strip. */
export function line(map) {
  const { state, view, decoder } = map;
  if (!decoder || !(decoder.runs || decoder.textAt)) return;
  const strip = el(decoder.runs ? "div" : "ol", { className: decoder.runs ? "strip-pictures" : "strip-texts" });
  const caption = el("p", { className: "note" });
  const close = iconButton("close", "Close", clear, { className: "icon-button small" });
  const body = panel(map.bottom, "strip", el("header", {}, el("h2", {}, "From here to there"), caption, close), strip);
  body.setAttribute("aria-label", "Interpolation");
  body.hidden = true;
  map.bottom.prepend(body);
  let ends = null;
  let running = 0;
  let queued = 0;

  function snap({ px, py }) {
    const i = map.pointAt({ px, py });
    return i >= 0 ? { x: map.store.x[i], y: map.store.y[i], i } : { x: view.toDataX(px), y: view.toDataY(py), i: -1 };
  }
  const latent = ({ x, y, i }) => (i >= 0 ? decoder.latentOf(i) : decoder.latentAt(x, y).z);
  const named = ({ i }) => (i >= 0 ? map.idOf(i) : "a spot between items");
  const approximate = ({ i }) => (i >= 0 && decoder.holds && !decoder.holds(i) ? " (approximate)" : "");

  /** Lists the texts decoded along the line; a text that repeats over several steps is listed once. */
  function write() {
    const [from, to] = ends;
    const steps = Array.from({ length: STEPS }, (_, k) => decoder.textAt(from.x + ((to.x - from.x) * k) / (STEPS - 1), from.y + ((to.y - from.y) * k) / (STEPS - 1)));
    const changed = steps.filter(({ spot }, k) => k === 0 || spot !== steps[k - 1].spot);
    strip.replaceChildren(...changed.map(({ text, far }) => el("li", { dir: "auto", className: far ? "far" : "", title: far ? "No data nearby: extrapolated" : "" }, clip(text, 160))));
    body.dataset.done = String(++running);
  }

  async function draw() {
    delete body.dataset.done;
    if (!decoder.runs) {
      body.hidden = false;
      caption.textContent = ends.map(named).map((name) => clip(name, 40)).join(" → ");
      write();
      return;
    }
    const turn = ++running;
    const [from, to] = ends.map(latent);
    body.hidden = false;
    caption.textContent = ends.map((end) => named(end).slice(0, 40) + approximate(end)).join(" → ");
    const canvases = Array.from({ length: STEPS }, () => decoder.canvas(side()));
    strip.replaceChildren(...canvases);
    for (const [k, canvas] of canvases.entries()) {
      const t = k / (STEPS - 1);
      const pixels = await decoder.decode(from.map((value, d) => value + (to[d] - value) * t));
      if (turn !== running) return;
      decoder.put(canvas, pixels);
    }
    if (!queued) body.dataset.done = String(running);
  }

  function clear() {
    ends = null;
    body.hidden = true;
    if (state.values.tool === "line") state.set({ tool: "pan" });
    map.touch();
  }
  map.clearLine = clear;
  // The strip takes its place before the drag: the map must not move under the pointer.
  state.on("tool", ({ tool }) => {
    if (ends) return;
    body.hidden = tool !== "line";
    caption.textContent = "Drag a line between two places";
    strip.replaceChildren(...(decoder.runs ? Array.from({ length: STEPS }, () => decoder.canvas(side())) : []));
  });
  const side = () => Math.min(76, Math.max(34, (Math.min(view.width - 60, 900) - 40) / STEPS - 6));
  const later = () => {
    delete body.dataset.done;
    queued ||= requestAnimationFrame(() => {
      queued = 0;
      if (ends) draw();
    });
  };
  map.addTool("line", "line", "Interpolate: drag a line between two places (I)", {
    start(at) {
      const place = snap(at);
      ends = [place, place];
    },
    move(at) {
      ends = [ends[0], snap(at)];
      later();
      map.touch();
    },
    end: later,
    cancel: clear,
  });
  map.overlays.push((pen) => {
    if (!ends) return;
    const [[x0, y0], [x1, y1]] = ends.map(({ x, y }) => [view.toScreenX(x), view.toScreenY(y)]);
    const ink = state.values.dark ? "#fff" : "#14161b";
    pen.strokeStyle = state.values.dark ? "rgba(14,16,20,.8)" : "rgba(255,255,255,.9)";
    pen.lineWidth = 5;
    path(pen, x0, y0, x1, y1);
    pen.strokeStyle = ink;
    pen.lineWidth = 2;
    path(pen, x0, y0, x1, y1);
    pen.fillStyle = ink;
    for (let k = 0; k < STEPS; k++) {
      const t = k / (STEPS - 1);
      pen.beginPath();
      pen.arc(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, k === 0 || k === STEPS - 1 ? 5 : 2.6, 0, 2 * Math.PI);
      pen.fill();
    }
  });
}

function path(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}
