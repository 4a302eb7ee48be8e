// The view: a centre in data coordinates and a scale in pixels per data unit, the same for x and y.

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Returns the view; listeners added by `on(run)` are called after every change, at most once per frame. */
export function makeView(bounds) {
  const listeners = [];
  let frame = 0;
  let flight = 0;
  const view = {
    x: (bounds.x0 + bounds.x1) / 2,
    y: (bounds.y0 + bounds.y1) / 2,
    scale: 1,
    width: 1,
    height: 1,
    home: 1,
    inset: { left: 0, right: 0, top: 0, bottom: 0 },
    moving: false,

    on(run) {
      listeners.push(run);
    },

    /** Sets centre and scale within limits, ends an animation, and notifies listeners in the next frame. */
    set(x, y, scale) {
      view.halt();
      view.place(x, y, scale);
    },

    /** Ends an animation at its current position. */
    halt() {
      if (flight) view.moving = false;
      cancelAnimationFrame(flight);
      flight = 0;
    },

    place(x, y, scale) {
      view.scale = Math.min(Math.max(scale, view.home * 0.4), view.home * 4000);
      view.x = clamp(x, bounds.x0, bounds.x1);
      view.y = clamp(y, bounds.y0, bounds.y1);
      view.changed();
    },

    changed() {
      frame ||= requestAnimationFrame(view.flush);
    },

    /** Notifies listeners at once. */
    flush() {
      cancelAnimationFrame(frame);
      frame = 0;
      for (const run of listeners) run(view);
    },

    toScreenX: (x) => (x - view.x) * view.scale + view.width / 2,
    toScreenY: (y) => (view.y - y) * view.scale + view.height / 2,
    toDataX: (px) => (px - view.width / 2) / view.scale + view.x,
    toDataY: (py) => view.y - (py - view.height / 2) / view.scale,

    /** The visible ranges of data, for Plotly's axes. */
    ranges: () => ({
      x: [view.toDataX(0), view.toDataX(view.width)],
      y: [view.toDataY(view.height), view.toDataY(0)],
    }),

    zoom(factor, px = view.width / 2, py = view.height / 2) {
      const scale = Math.min(Math.max(view.scale * factor, view.home * 0.4), view.home * 4000);
      const x = view.toDataX(px);
      const y = view.toDataY(py);
      view.set(x - (px - view.width / 2) / scale, y + (py - view.height / 2) / scale, scale);
    },

    pan(dx, dy) {
      view.set(view.x - dx / view.scale, view.y + dy / view.scale, view.scale);
    },

    /** Returns the centre and scale at which a box of data fills the window without the part that panels cover. */
    framing(box, margin = 1.08) {
      const { left, right, top, bottom } = view.inset;
      const width = Math.max(80, view.width - left - right);
      const height = Math.max(80, view.height - top - bottom);
      const w = Math.max(box.x1 - box.x0, 1e-9);
      const h = Math.max(box.y1 - box.y0, 1e-9);
      const scale = Math.min(width / w, height / h) / margin;
      return {
        x: (box.x0 + box.x1) / 2 - (left - right) / 2 / scale,
        y: (box.y0 + box.y1) / 2 + (top - bottom) / 2 / scale,
        scale,
      };
    },

    /** Animates to a target; jumps if the user prefers reduced motion. */
    fly(target, milliseconds = 520) {
      view.halt();
      const scale = Math.min(target.scale ?? view.scale, view.home * 4000); // without one, only the position changes
      const from = { x: view.x, y: view.y, s: Math.log(view.scale) };
      const to = { x: target.x, y: target.y, s: Math.log(scale) };
      if (still.matches) return view.place(to.x, to.y, scale);
      const start = performance.now();
      view.moving = true;
      const step = (now) => {
        const t = Math.min(1, (now - start) / milliseconds);
        const eased = t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2;
        const s = from.s + (to.s - from.s) * eased;
        // The position follows the scale, so that the target stays in the window while zooming in.
        const turn = Math.abs(to.s - from.s) < 0.05 ? eased : (Math.exp(-from.s) - Math.exp(-s)) / (Math.exp(-from.s) - Math.exp(-to.s));
        view.place(from.x + (to.x - from.x) * turn, from.y + (to.y - from.y) * turn, Math.exp(s));
        view.moving = t < 1;
        flight = t < 1 ? requestAnimationFrame(step) : 0;
      };
      flight = requestAnimationFrame(step);
      return undefined;
    },

    /** Shows everything. */
    fit(animate = true) {
      const target = view.framing(bounds);
      view.home = target.scale;
      if (animate) view.fly(target);
      else view.set(target.x, target.y, target.scale);
    },
  };
  return view;
}

function clamp(value, low, high) {
  const slack = (high - low) * 0.5 || 1;
  return Math.min(Math.max(value, low - slack), high + slack);
}
