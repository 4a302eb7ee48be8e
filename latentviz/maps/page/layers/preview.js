// On the map of a training that goes on: says so, looks for a newer map next to the file, and offers it.

import { el } from "../core/dom.js";

const EVERY = 3000; // ms between two looks

/** Adds the notice. */
export function preview(map) {
  const { line, stamp, mark, final, picture } = map.store.meta.preview;
  const notice = el("p", { className: "preview", role: "status" }, line);
  map.header.append(notice);
  const texts = {
    newer: () => ["A newer preview is there. ", el("button", { onclick: () => location.reload() }, "Show it")],
    ended: () => ["The training has ended; its map has not been drawn yet."],
    drawn: () => ["The training has ended. ", el("a", { href: final }, "Open its map")],
  };
  let state = null; // null until this browser has seen a file next to the map; some may not
  const look = async () => {
    const width = await widthOf(mark);
    const now = width === stamp ? "newest" : width ? "newer" : (await widthOf(picture)) ? "drawn" : "ended";
    if (now in texts && now !== state && (state || now === "newer")) notice.replaceChildren(...texts[now]());
    if (state || width) state = now;
    if (state && now !== "drawn") setTimeout(look, EVERY);
  };
  map.afterStart.push(() => void look());
}

/** Returns the width of an image next to the file; 0 if there is none. Pages may show files, and not read them. */
function widthOf(name) {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image.naturalWidth);
    image.onerror = () => resolve(0);
    image.src = `${name}?${Date.now()}`;
  });
}
