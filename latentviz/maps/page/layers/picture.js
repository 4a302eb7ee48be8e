// Export: the map as a figure with title, counts and legend, as PNG at twice the screen's resolution, as SVG with its words
// as text, or printed; and the clusters' names.

import { el } from "../core/dom.js";
import { HIDDEN, pointOpacity, pointRadius } from "../core/paint.js";

const VECTOR_LIMIT = 20000;
// Pixels: the title's height, the legend's width beside the map, a line of it, and the map's width from which it is beside.
const [TOP, LEGEND, LINE, WIDE] = [64, 230, 20, 560];

/** Adds the menu of exports. */
export function picture(map) {
  const { store, state } = map;
  const item = (label, run) => el("button", { type: "button", role: "menuitem", onclick: () => {
    menu.hidePopover();
    run();
  } }, label);
  const menu = el("div", { className: "menu", popover: "auto", role: "menu" },
    item("Image (PNG)", () => png(map).then((blob) => map.save("map.png", blob))),
    item("Vector image (SVG)", async () => map.save("map.svg", new Blob([await svg(map)], { type: "image/svg+xml" }))),
    item("Cluster names (JSON)", () => map.save("cluster-names.json", new Blob([JSON.stringify(names(), null, 1)], { type: "application/json" }))));
  document.body.append(menu);
  const button = map.addButton("more", "export", "Save the map", () => {
    const box = button.getBoundingClientRect();
    menu.togglePopover();
    menu.style.left = `${Math.max(8, Math.min(innerWidth - 200, box.left - 60))}px`;
    menu.style.top = `${box.top - menu.offsetHeight - 10}px`;
  });
  const names = () => Object.fromEntries(store.groups.filter(({ id }) => id >= 0).map(({ id }) => [id, map.nameOf(id)]));
  printFigure(map);
  map.exports = { png: () => png(map), svg: () => svg(map), names };
  state.on("tool", () => menu.matches(":popover-open") && menu.hidePopover());
}

const colours = (dark) => ({ paper: dark ? "#0e1014" : "#ffffff", ink: dark ? "#e9ebf0" : "#16181d", soft: dark ? "#a3a9b5" : "#5d6470", halo: dark ? "#0e1014" : "#ffffff" });

/** Returns the points as a canvas of `ratio` times the window's size. */
function pointsCanvas(map, ratio) {
  const { store, view, paint } = map;
  const canvas = el("canvas", { width: Math.round(view.width * ratio), height: Math.round(view.height * ratio) });
  const pen = canvas.getContext("2d");
  const radius = pointRadius(paint.crowd, view) * ratio;
  const opacity = pointOpacity(paint.crowd, view);
  const { rgba, level } = paint;
  for (const pass of [1, 2]) {
    for (let i = 0; i < store.n; i++) {
      if (level[i] !== pass) continue;
      const px = view.toScreenX(store.x[i]) * ratio;
      const py = view.toScreenY(store.y[i]) * ratio;
      if (px < -radius || py < -radius || px > canvas.width + radius || py > canvas.height + radius) continue;
      pen.fillStyle = `rgba(${rgba[4 * i]},${rgba[4 * i + 1]},${rgba[4 * i + 2]},${(rgba[4 * i + 3] / 255) * opacity})`;
      pen.beginPath();
      pen.arc(px, py, radius * paint.sizeOf(i), 0, 2 * Math.PI);
      pen.fill();
    }
  }
  pen.scale(ratio, ratio);
  map.drawContours?.(pen);
  return canvas;
}

/** Returns what a figure shows around and over the points: title, counts, names with their pictures, and the legend. */
function compose(map) {
  const { view, store, state, paint } = map;
  const { ink, soft, halo } = colours(state.values.dark);
  const aside = view.width >= WIDE; // else the legend is below
  const legend = readLegend();
  const rows = aside ? Math.max(1, Math.floor((view.height - 30) / LINE)) : legend.rows.length;
  const width = view.width + (aside ? LEGEND : 0);
  const height = TOP + view.height + (aside ? 0 : (rows + 2) * LINE);
  const shapes = [];
  const write = (x, y, text, size, weight, fill, more = {}) => shapes.push({ x, y, text, size, weight, fill, ...more });
  write(20, 24, store.meta.title.slice(0, 120), 18, 680, ink);
  const shown = paint.shown < store.n ? `${paint.shown.toLocaleString("en")} of ${store.n.toLocaleString("en")} items shown · ` : "";
  write(20, 46, `${shown}${store.meta.summary[0] ?? ""}`.slice(0, 160), 12, 400, soft);
  for (const { at, box, text, under, picture: medoid } of map.visibleLabels?.() ?? []) {
    const size = Number.parseFloat(box.style.fontSize) || 11;
    const x = at.left + at.width / 2;
    if (at.picture) shapes.push({ x: x - 14, y: TOP + at.top + 1, width: 28, height: 28, canvas: medoid });
    const y = TOP + at.top + (at.picture ? 30 : 0) + size * 0.75;
    write(x, y, text.textContent, size, 650, ink, { halo, anchor: "middle" });
    if (under.textContent) write(x, y + size + 3, under.textContent, 11, 500, ink, { halo, anchor: "middle" });
  }
  const x = aside ? view.width + 14 : 20;
  let y = TOP + (aside ? 12 : view.height + 14);
  write(x, y, legend.title, 12, 650, ink);
  if (legend.bar) {
    shapes.push({ x, y: y + 14, width: LEGEND - 34, height: 40, canvas: legend.bar });
    write(x, y + 66, legend.ends[0] ?? "", 11, 400, soft);
    write(x + LEGEND - 34, y + 66, legend.ends.at(-1) ?? "", 11, 400, soft, { anchor: "end" });
  }
  legend.rows.slice(0, rows).forEach(({ colour, name, size }, k) => {
    y += LINE;
    const more = k === rows - 1 && legend.rows.length > rows;
    if (!more) shapes.push({ x: x + 5, y, radius: 5, fill: colour });
    write(x + 16, y, more ? `and ${legend.rows.length - rows + 1} more` : name.slice(0, 24), 12, 400, ink);
    if (!more) write(x + LEGEND - 34, y, size, 11, 400, soft, { anchor: "end" });
  });
  return { width, height, shapes };
}

/** Returns the legend of the active colouring: of values or a bar, else of the clusters, as the page lists them. */
function readLegend() {
  const choice = document.getElementById("colour-by");
  const own = document.querySelector(".legend:not([hidden])");
  const lines = [...document.querySelectorAll(own ? ".legend .legend-row" : ".cluster-list li:not(.off, .empty)")];
  const rows = lines.map((line) => ({
    colour: getComputedStyle(line.querySelector(".swatch")).backgroundColor,
    name: line.querySelector(".name").textContent,
    size: line.querySelector(".size").textContent,
  }));
  const bar = own?.querySelector("canvas") ?? null;
  const ends = [...(own?.querySelectorAll(".ends span") ?? [])].map((end) => end.textContent);
  return { title: choice && choice.value !== "cluster" ? choice.value.slice(0, 32) : "Clusters", rows, bar, ends };
}

/** Returns the figure as a canvas. */
function figureCanvas(map) {
  const ratio = 2;
  const { width, height, shapes } = compose(map);
  const canvas = el("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = colours(map.state.values.dark).paper;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(pointsCanvas(map, ratio), 0, TOP * ratio);
  pen.scale(ratio, ratio);
  Object.assign(pen, { textBaseline: "middle", lineJoin: "round", lineWidth: 4 });
  for (const { x, y, text, size, weight, fill, halo, anchor, canvas: image, width: w, height: h, radius } of shapes) {
    pen.fillStyle = fill ?? "";
    if (image) pen.drawImage(image, x, y, w, h);
    else if (radius) {
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
    } else {
      pen.font = `${weight} ${size}px system-ui, sans-serif`;
      pen.textAlign = anchor === "middle" ? "center" : (anchor ?? "start");
      pen.strokeStyle = halo ?? "";
      if (halo) pen.strokeText(text, x, y);
      pen.fillText(text, x, y);
    }
  }
  return canvas;
}

function png(map) {
  return new Promise((done) => figureCanvas(map).toBlob(done, "image/png"));
}

/** Returns the figure as SVG text; many points are embedded as one image. */
async function svg(map) {
  const { view, store, state, paint } = map;
  const { paper } = colours(state.values.dark);
  const { width, height, shapes } = compose(map);
  const space = "http://www.w3.org/2000/svg";
  const node = (tag, attributes, text = "") => {
    const element = document.createElementNS(space, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    element.textContent = text;
    return element;
  };
  const root = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "system-ui, sans-serif" });
  root.append(node("title", {}, clean(store.meta.title)), node("rect", { width: "100%", height: "100%", fill: paper }));
  const inside = node("svg", { y: TOP, width: view.width, height: view.height, class: "points" });
  root.append(inside);
  if (paint.shown <= VECTOR_LIMIT) {
    const [radius, opacity] = [pointRadius(paint.crowd, view), pointOpacity(paint.crowd, view)];
    for (let i = 0; i < store.n; i++) {
      if (paint.level[i] === HIDDEN) continue;
      const [r, g, b, a] = paint.rgba.subarray(4 * i, 4 * i + 4);
      inside.append(node("circle", { cx: view.toScreenX(store.x[i]).toFixed(1), cy: view.toScreenY(store.y[i]).toFixed(1), r: (radius * paint.sizeOf(i)).toFixed(2), fill: `rgb(${r},${g},${b})`, "fill-opacity": ((a / 255) * opacity).toFixed(2) }));
    }
    for (const { ends, colour, opacity: alpha, width: thickness } of map.contourLines?.() ?? []) {
      const at = (k) => `${view.toScreenX(ends[k]).toFixed(1)} ${view.toScreenY(ends[k + 1]).toFixed(1)}`;
      const d = Array.from({ length: ends.length / 4 }, (_, k) => `M${at(4 * k)}L${at(4 * k + 2)}`).join("");
      inside.append(node("path", { d, fill: "none", stroke: colour, "stroke-opacity": alpha.toFixed(2), "stroke-width": thickness.toFixed(2) }));
    }
  } else inside.append(node("image", { width: view.width, height: view.height, href: pointsCanvas(map, 2).toDataURL() }));
  for (const { x, y, text, size, weight, fill, halo, anchor, canvas, width: w, height: h, radius } of shapes) {
    if (canvas) root.append(node("image", { x, y, width: w, height: h, href: canvas.toDataURL() }));
    else if (radius) root.append(node("ellipse", { cx: x, cy: y, rx: radius, ry: radius, fill }));
    else root.append(node("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor ?? "start", "dominant-baseline": "central", "font-size": size, "font-weight": weight, fill, ...(halo ? { stroke: halo, "stroke-width": 4, "paint-order": "stroke", "stroke-linejoin": "round" } : {}) }, clean(text)));
  }
  return new XMLSerializer().serializeToString(root);
}

/** Puts the figure in the place of the page while it is printed. */
function printFigure(map) {
  let sheet = null;
  addEventListener("beforeprint", () => {
    sheet?.remove();
    sheet = Object.assign(figureCanvas(map), { className: "printed" });
    document.body.append(sheet);
  });
  addEventListener("afterprint", () => {
    sheet?.remove();
    sheet = null;
  });
}

/** Returns text without the control characters that XML forbids. */
function clean(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "�");
}
