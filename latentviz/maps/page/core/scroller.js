// Rows of a long list: only those in view, and some above and below, are elements.

const SPARE = 8; // rows drawn above and below those in view
export const TALLEST = 8e6; // pixels: browsers limit the height of an element, so that further rows share these

/**
 * Keeps the rows of `element`, which scrolls and whose rows are `height` pixels high: `draw(from, to, above, below)` draws
 * some of them between spaces of that many pixels.
 */
export function makeScroller(element, height, draw) {
  let count = 0;
  let drawn = "";
  let fresh = true; // at the first row, as soon as the element is displayed
  const total = () => Math.min(count * height, TALLEST);
  // Rows beyond the tallest element share its pixels: `room` of them for `rows` that can be the first in view.
  const shared = () => [Math.max(1, total() - element.clientHeight), Math.max(1, count - Math.floor(element.clientHeight / height) + 1)];
  /** The first row in view. */
  const first = () => {
    const [room, rows] = shared();
    return Math.floor(total() < TALLEST ? element.scrollTop / height : (Math.min(element.scrollTop, room) / room) * rows);
  };

  /** Scrolls until a row is the first in view. */
  function scroll(k) {
    const [room, rows] = shared();
    element.scrollTop = total() < TALLEST ? k * height : Math.ceil((k / rows) * room);
  }

  function update(anew = false) {
    if (!element.clientHeight) return;
    if (fresh) element.scrollTop = 0;
    const at = Math.max(0, Math.min(first(), count - 1));
    const from = at - Math.min(SPARE, at, Math.floor(element.scrollTop / height));
    const to = Math.min(count, from + Math.ceil(element.clientHeight / height) + 2 * SPARE);
    const key = `${from} ${to}`;
    if (key === drawn && !anew && !fresh) return;
    fresh = false;
    drawn = key;
    const above = total() < TALLEST ? from * height : element.scrollTop - (at - from) * height;
    draw(from, to, above, Math.max(0, total() - above - (to - from) * height));
  }

  element.addEventListener("scroll", () => update());
  new ResizeObserver(() => update()).observe(element);
  return {
    update,
    /** Sets how many rows there are, and goes to the first. */
    show(n) {
      count = n;
      fresh = true;
      update();
    },
    /** Scrolls until a row is in view, below a head of `head` pixels. */
    reveal(k, head = 0) {
      const whole = Math.max(0, Math.floor((element.clientHeight - head) / height) - 1); // rows below the first in view
      if (k < first()) scroll(k);
      else if (k > first() + whole) scroll(k - whole);
      update(true);
    },
    /** Returns where a key moves from item `at` of `n`, in rows of `across`; null if it moves nowhere. */
    moved({ key, ctrlKey, metaKey, altKey }, at, n, across = 1) {
      const page = across * Math.max(1, Math.floor(element.clientHeight / height) - 2);
      const sideways = across > 1 ? { ArrowRight: 1, ArrowLeft: -1 } : {};
      const by = { ArrowDown: across, ArrowUp: -across, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, ...sideways }[key];
      return by === undefined || ctrlKey || metaKey || altKey ? null : Math.min(Math.max(at + by, 0), n - 1);
    },
  };
}
