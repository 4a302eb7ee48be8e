// Images, or the first words of texts, on the map, wherever there is room.

import { clip } from "../core/dom.js";
import { pointRadius } from "../core/paint.js";
import { makeSpread } from "../core/spread.js";

const SIDE = 44; // pixels of an image's longer side on the screen
const WORDS = 22; // characters of a text

/** Draws thumbnails or words over the points wherever they fit; a button turns them on and off. */
export function images(map) {
  const { store, state, view, thumbs, paint } = map;
  if (!thumbs && !map.textOf) return;
  const pick = makeSpread(map);
  const colour = (i) => `rgb(${paint.rgba[4 * i]},${paint.rgba[4 * i + 1]},${paint.rgba[4 * i + 2]})`;

  function pictures(pen) {
    const scale = SIDE / Math.max(thumbs.width, thumbs.height);
    const [w, h] = [thumbs.width * scale, thumbs.height * scale];
    const corner = Math.min(6, Math.max(2, pointRadius(store.n, view)) + 2);
    for (const { i, px, py } of pick(w + 6, h + 6, thumbs.has)) {
      if (map.coversName?.(px - w / 2, py - h / 2, w, h) || !thumbs.ready(i, map.touch)) continue;
      pen.fillStyle = colour(i);
      pen.beginPath();
      pen.roundRect(px - w / 2 - 2, py - h / 2 - 2, w + 4, h + 4, corner);
      pen.fill();
      thumbs.draw(pen, i, px - w / 2, py - h / 2, w, h);
    }
  }

  function words(pen) {
    const dark = state.values.dark;
    Object.assign(pen, { font: "12px system-ui, sans-serif", textBaseline: "middle", textAlign: "start", lineJoin: "round", lineWidth: 3.5, strokeStyle: dark ? "rgba(14,16,20,.92)" : "rgba(255,255,255,.94)", fillStyle: dark ? "#c9ced8" : "#3a404b" });
    const away = pointRadius(store.n, view) + 4;
    for (const { i, px, py } of pick(190, 22, () => true)) {
      const text = clip(map.textOf(i).replace(/\s+/g, " "), WORDS);
      if (map.coversName?.(px + away, py - 8, pen.measureText(text).width, 16)) continue;
      pen.strokeText(text, px + away, py);
      pen.fillText(text, px + away, py);
    }
  }

  const from = thumbs ? 1.6 : 3;
  map.overlays.unshift((pen) => {
    if (state.values.images && view.scale > view.home * from) (thumbs ? pictures : words)(pen);
  });
  const button = map.addButton("show", "images", `${thumbs ? "Images" : "Words"} on the map when zoomed in (P)`, () => state.set({ images: !state.values.images }));
  state.on("images", ({ images: on }) => {
    button.setAttribute("aria-pressed", String(on));
    map.touch();
  });
  state.set({ images: true });
  map.keys.push({ key: "p", about: `${thumbs ? "images" : "words"} on the map`, run: () => state.set({ images: !state.values.images }) });
}
