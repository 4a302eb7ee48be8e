// Export: the map as PNG at twice the screen's resolution or as SVG with labels as text, and the clusters' names.

import { el } from "../core/dom.js";
import { HIDDEN, pointOpacity, pointRadius } from "../core/paint.js";

const VECTOR_LIMIT = 20000;

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
  map.exports = { png: () => png(map), svg: () => svg(map), names };
  state.on("tool", () => menu.matches(":popover-open") && menu.hidePopover());
}

const colours = (dark) => ({ paper: dark ? "#0e1014" : "#ffffff", ink: dark ? "#e9ebf0" : "#16181d", halo: dark ? "#0e1014" : "#ffffff" });

/** Returns the points as a canvas of `ratio` times the window's size. */
function pointsCanvas({ store, view, paint }, ratio) {
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
  return canvas;
}

async function png(map) {
  const { view, store, state } = map;
  const ratio = 2;
  const { paper, ink, halo } = colours(state.values.dark);
  const canvas = el("canvas", { width: Math.round(view.width * ratio), height: Math.round(view.height * ratio) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = paper;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(pointsCanvas(map, ratio), 0, 0);
  pen.scale(ratio, ratio);
  Object.assign(pen, { textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: 4, strokeStyle: halo, fillStyle: ink });
  for (const { box, text, x, y } of map.visibleLabels?.() ?? []) {
    pen.font = `650 ${box.style.fontSize} system-ui, sans-serif`;
    pen.strokeText(text.textContent, view.toScreenX(x), view.toScreenY(y));
    pen.fillText(text.textContent, view.toScreenX(x), view.toScreenY(y));
  }
  Object.assign(pen, { textAlign: "left", font: "680 18px system-ui, sans-serif" });
  pen.fillText(store.meta.title.slice(0, 120), 20, 28);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** Returns the map as SVG text; many points are embedded as one image. */
async function svg(map) {
  const { view, store, state, paint } = map;
  const { paper, ink, halo } = colours(state.values.dark);
  const space = "http://www.w3.org/2000/svg";
  const node = (tag, attributes, text = "") => {
    const element = document.createElementNS(space, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    element.textContent = text;
    return element;
  };
  const root = node("svg", { viewBox: `0 0 ${view.width} ${view.height}`, width: view.width, height: view.height, "font-family": "system-ui, sans-serif" });
  root.append(node("title", {}, clean(store.meta.title)), node("rect", { width: "100%", height: "100%", fill: paper }));
  if (paint.shown <= VECTOR_LIMIT) {
    const [radius, opacity] = [pointRadius(paint.crowd, view), pointOpacity(paint.crowd, view)];
    for (let i = 0; i < store.n; i++) {
      if (paint.level[i] === HIDDEN) continue;
      const [r, g, b, a] = paint.rgba.subarray(4 * i, 4 * i + 4);
      root.append(node("circle", { cx: view.toScreenX(store.x[i]).toFixed(1), cy: view.toScreenY(store.y[i]).toFixed(1), r: (radius * paint.sizeOf(i)).toFixed(2), fill: `rgb(${r},${g},${b})`, "fill-opacity": ((a / 255) * opacity).toFixed(2) }));
    }
  } else root.append(node("image", { width: view.width, height: view.height, href: pointsCanvas(map, 2).toDataURL() }));
  for (const { box, text, x, y } of map.visibleLabels?.() ?? []) {
    root.append(node("text", { x: view.toScreenX(x).toFixed(1), y: view.toScreenY(y).toFixed(1), "text-anchor": "middle", "dominant-baseline": "central", "font-size": box.style.fontSize, "font-weight": 650, fill: ink, stroke: halo, "stroke-width": 4, "paint-order": "stroke", "stroke-linejoin": "round" }, clean(text.textContent)));
  }
  root.append(node("text", { x: 20, y: 34, "font-size": 18, "font-weight": 680, fill: ink }, clean(store.meta.title.slice(0, 120))));
  return new XMLSerializer().serializeToString(root);
}

/** Returns text without the control characters that XML forbids. */
function clean(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "�");
}
