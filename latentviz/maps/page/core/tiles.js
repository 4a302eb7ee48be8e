// A contact sheet of points: all of their pictures, of which only those in view are elements; linked with the map.

import { clip, el } from "./dom.js";
import { makeScroller } from "./scroller.js";

const TILE = 56; // pixels, with the space around the picture

/** Returns a contact sheet: `element`, and `show(points)`. */
export function makeTiles(map) {
  const { state } = map;
  const list = el("div", { className: "sheet" });
  const element = el("div", { className: "scroll", role: "group", "aria-label": "Items" }, list);
  const scroller = makeScroller(element, TILE, draw);
  let points = [];
  let across = 1;
  let current = 0; // the tile that is the Tab stop

  function draw(from, to, above, below) {
    const focused = list.contains(document.activeElement);
    const some = points.slice(from * across, to * across);
    list.replaceChildren(...some.map((i, k) => tile(i, from * across + k)));
    Object.assign(list.style, { paddingTop: `${above}px`, paddingBottom: `${below}px`, gridTemplateColumns: `repeat(${across}, ${TILE}px)` });
    mark();
    if (focused) list.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  function tile(i, k) {
    const name = clip(map.idOf(i), 60);
    const button = el("button", { type: "button", className: "tile", title: name, "aria-label": name, "data-point": String(i), "data-place": String(k), onclick: () => map.pin(i) }, map.show(i, TILE - 8));
    button.addEventListener("pointerenter", () => state.set({ hovered: i, spot: null }));
    button.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
    button.addEventListener("focus", () => state.set({ hovered: i, spot: null }));
    return button;
  }

  /** Marks the tiles of the pinned point and of the Tab stop. */
  function mark() {
    for (const each of list.children) {
      each.setAttribute("aria-current", String(Number(each.dataset.point) === state.values.pinned));
      each.tabIndex = Number(each.dataset.place) === current ? 0 : -1;
    }
    if (!list.querySelector("[tabindex='0']") && list.firstChild) list.firstChild.tabIndex = 0;
  }

  function reveal(k) {
    current = k;
    scroller.reveal(Math.floor(k / across));
  }

  element.addEventListener("keydown", (event) => {
    const from = event.target.closest?.(".tile");
    const to = from && scroller.moved(event, Number(from.dataset.place), points.length, across);
    if (to === null) return;
    reveal(to);
    list.querySelector(`[data-place="${to}"]`)?.focus({ preventScroll: true });
    event.preventDefault();
  });
  // What is pinned on the map comes into view here.
  state.on("pinned", ({ pinned }) => {
    const k = pinned < 0 || !element.getClientRects().length ? -1 : points.indexOf(pinned);
    if (k < 0) mark();
    else reveal(k);
  });
  // Where the width changes, as when a card opens, the tile that was pinned or focused stays in view.
  new ResizeObserver(() => {
    if (!element.clientWidth || fitting() === across) return;
    lay();
    reveal(current);
  }).observe(element);

  /** Returns how many tiles fit next to each other. */
  function fitting() {
    return Math.max(1, Math.floor((element.clientWidth - 16) / TILE));
  }

  function lay() {
    across = fitting();
    scroller.show(Math.ceil(points.length / across));
  }

  function show(shown) {
    points = shown;
    current = 0;
    lay();
  }
  return { element, show };
}
