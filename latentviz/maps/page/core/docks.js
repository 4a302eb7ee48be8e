// The docks around the map: which are in use decides the layout (map.css) and with it the free area. When a panel closes,
// the focus goes back to where it was when the panel opened.

// Below this size lists and cards are drawers, shown one at a time; map.css has the same limits.
const drawers = matchMedia("(max-width: 999px), (max-height: 499px)");

/** Returns whether the window is too small for lists and cards next to each other. */
export function isSmall() {
  return drawers.matches;
}

/** Watches the panels: keeps the classes `has-right` and `has-bottom` of the root, measures again, returns the focus. */
export function watchDocks(map, measure) {
  const openers = new WeakMap();
  const root = document.documentElement;
  const used = (dock) => [...dock.children].some((child) => !child.hidden);

  function update(changes = []) {
    root.classList.toggle("has-right", used(map.right));
    root.classList.toggle("has-bottom", used(map.bottom));
    for (const { target } of changes) {
      const { activeElement: active } = document;
      if (!target.hidden) {
        if (!openers.has(target)) openers.set(target, active);
        continue;
      }
      const opener = openers.get(target);
      openers.delete(target);
      if (target.contains(active)) (opener?.getClientRects().length && opener !== document.body ? opener : map.surface).focus({ preventScroll: true });
    }
    measure();
  }
  const watch = new MutationObserver((changes) => update(changes.filter(({ type }) => type === "attributes")));
  for (const dock of [map.right, map.bottom]) watch.observe(dock, { childList: true, subtree: true, attributeFilter: ["hidden"] });
  for (const dock of [map.left, map.bar]) dock.hidden = !dock.childElementCount;
  new MutationObserver(measure).observe(root, { attributeFilter: ["class"] });
  update();
}
