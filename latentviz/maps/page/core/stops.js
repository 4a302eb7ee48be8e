// One Tab stop for a list: arrows, Home and End move inside it.

const BACK = ["ArrowUp", "ArrowLeft"];
const ON = ["ArrowDown", "ArrowRight"];

/** Makes the elements `selector` in `container`, also those added later, one Tab stop; ↑ and ↓ stop at `upright` ones only. */
export function oneStop(container, selector, upright = selector) {
  const all = () => [...container.querySelectorAll(selector)].filter((item) => item.getClientRects().length);
  let current = null;

  function mark(item) {
    current = item;
    for (const each of container.querySelectorAll(selector)) {
      const index = each === item ? "0" : "-1";
      if (each.getAttribute("tabindex") !== index) each.setAttribute("tabindex", index);
    }
  }
  const renew = () => {
    if (!current || !container.contains(current) || !current.getClientRects().length) mark(all()[0] ?? container.querySelector(selector));
    else mark(current);
  };
  container.addEventListener("focusin", ({ target }) => {
    const item = target.closest(selector);
    if (item) mark(item);
  });
  container.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || !target.closest(selector)) return;
    const items = all().filter((item) => !key.endsWith("Up") && !key.endsWith("Down") || item.matches(upright) || item === target.closest(selector));
    const at = items.indexOf(target.closest(selector));
    const to = BACK.includes(key) ? at - 1 : ON.includes(key) ? at + 1 : key === "Home" ? 0 : key === "End" ? items.length - 1 : null;
    if (to === null) return;
    event.preventDefault();
    items[Math.min(Math.max(to, 0), items.length - 1)]?.focus();
  });
  // A text that changes, such as a count, leaves the stops as they are.
  const isElement = ({ nodeType }) => nodeType === Node.ELEMENT_NODE;
  const moved = ({ addedNodes, removedNodes }) => [...addedNodes, ...removedNodes].some(isElement);
  new MutationObserver((changes) => changes.some(moved) && renew()).observe(container, { childList: true, subtree: true });
  renew();
}
