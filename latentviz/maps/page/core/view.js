// The view: a centre in data coordinates and a scale in pixels per data unit, the same for x and y.

const still = matchMedia("(prefers-reduced-motion: reduce)");

const MARGIN = 1.1; // space around what is framed, as a factor

/**
 * Returns the view; listeners added by `on(run)` are called after every change, at most once per frame. `bulk` is the box
 * of the first view, which leaves out a few far groups that would squeeze the rest.
 */
export function makeView(bounds, bulk) {
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
    /** The part of the data that stays visible when panels change the free area. */
    kept: bulk,
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
      view.scale = limited(scale);
      view.x = clamp(x, bounds.x0, bounds.x1);
      view.y = clamp(y, bounds.y0, bounds.y1);
      const [w, h] = [view.width / view.scale / MARGIN / 2, view.height / view.scale / MARGIN / 2];
      view.kept = { x0: view.x - w, x1: view.x + w, y0: view.y - h, y1: view.y + h };
      view.changed();
    },

    /** Takes a new size of the free area; what was visible stays visible, and comes back to its size with the area. */
    resize(width, height) {
      Object.assign(view, { width, height });
      view.home = view.framing(bulk).scale;
      Object.assign(view, view.framing(view.kept));
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
      const scale = limited(view.scale * factor);
      const x = view.toDataX(px);
      const y = view.toDataY(py);
      view.set(x - (px - view.width / 2) / scale, y + (py - view.height / 2) / scale, scale);
    },

    pan(dx, dy) {
      view.set(view.x - dx / view.scale, view.y + dy / view.scale, view.scale);
    },

    /** Returns the centre and scale at which a box of data fills the free area. */
    framing: (box) => ({
      x: (box.x0 + box.x1) / 2,
      y: (box.y0 + box.y1) / 2,
      scale: Math.min(view.width / Math.max(box.x1 - box.x0, 1e-9), view.height / Math.max(box.y1 - box.y0, 1e-9)) / MARGIN,
    }),

    /** Animates to a target, jumps if the user prefers reduced motion; `box` is framed again when the area changes. */
    fly(target, milliseconds = 520, box = null) {
      view.halt();
      const end = () => {
        const { x, y, scale = view.scale } = box ? view.framing(box) : target; // without a scale only the position changes
        return { x, y, s: Math.log(Math.min(scale, view.home * 4000)) };
      };
      const arrive = () => {
        const { x, y, s } = end();
        view.place(x, y, Math.exp(s));
        if (box) view.kept = box;
      };
      if (still.matches) return arrive();
      const from = { x: view.x, y: view.y, s: Math.log(view.scale) };
      const start = performance.now();
      const fixed = end();
      view.moving = true;
      const step = (now) => {
        const t = Math.min(1, (now - start) / milliseconds);
        view.moving = t < 1;
        flight = t < 1 ? requestAnimationFrame(step) : 0;
        if (t === 1) return arrive();
        const to = box ? end() : fixed;
        const eased = t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2;
        const s = from.s + (to.s - from.s) * eased;
        // The position follows the scale, so that the target stays in the window while zooming in.
        const turn = Math.abs(to.s - from.s) < 0.05 ? eased : (Math.exp(-from.s) - Math.exp(-s)) / (Math.exp(-from.s) - Math.exp(-to.s));
        return view.place(from.x + (to.x - from.x) * turn, from.y + (to.y - from.y) * turn, Math.exp(s));
      };
      flight = requestAnimationFrame(step);
      return undefined;
    },

    /** Returns whether the view is as it opens. */
    atHome() {
      const home = view.framing(bulk);
      return Math.abs(view.scale / home.scale - 1) < 1e-3 && Math.hypot(view.x - home.x, view.y - home.y) * view.scale < 1;
    },

    /** Shows the map as it opens; if it is already so and groups lie outside, all of it. */
    fit(animate = true) {
      const box = animate && view.atHome() ? bounds : bulk;
      if (animate) return view.fly(null, 520, box);
      view.halt();
      view.kept = box;
      return view.resize(view.width, view.height);
    },
  };
  /** Returns a scale within limits: from all of the map in less than half of the area to a single point. */
  function limited(scale) {
    return Math.min(Math.max(scale, 0.4 * Math.min(view.home, view.framing(bounds).scale)), view.home * 4000);
  }

  return view;
}

function clamp(value, low, high) {
  const slack = (high - low) * 0.5 || 1;
  return Math.min(Math.max(value, low - slack), high + slack);
}
