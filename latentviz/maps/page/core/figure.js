// The points as SVG, through Plotly, where there is no WebGL: one trace per cluster, noise first and smaller.

import { FAINT, SHOWN, faintOpacity, pointOpacity, pointRadius } from "./paint.js";

// Browsers handle no more points than these as SVG elements; of larger maps a sample is drawn.
export const SVG_LIMIT = 4000;

/** Returns the renderer that shows the points, or a sample of them, 1 in `stride`, as SVG. */
export function makeFigure(element, { store, paint, state }) {
  const { Plotly } = globalThis;
  const stride = Math.max(1, Math.ceil(store.n / SVG_LIMIT));
  let drawn = null;
  let size = 0;
  let following = false;
  let anew = false;

  function traces(view) {
    size = pointRadius(paint.crowd, view);
    return store.ranges.map((cluster, g) => {
      const rows = [];
      for (let i = cluster.start; i < cluster.start + cluster.size; i += stride) rows.push(i);
      return {
        type: "scatter",
        mode: "markers",
        name: plain(cluster.name),
        uid: `cluster-${g}`,
        x: rows.map((i) => store.x[i]),
        y: rows.map((i) => store.y[i]),
        customdata: rows.map((i) => store.row[i]),
        hoverinfo: "none",
        marker: marker(rows, view, paint.sizeOf(cluster.start)),
      };
    });
  }

  function marker(rows, view, share) {
    const { rgba, level } = paint;
    const colour = (i) => `rgb(${rgba[4 * i]},${rgba[4 * i + 1]},${rgba[4 * i + 2]})`;
    const opacity = pointOpacity(paint.crowd, view);
    const faint = faintOpacity(store.n, view);
    const alpha = (i) => (rgba[4 * i + 3] / 255) * (level[i] === SHOWN ? opacity : level[i] === FAINT ? faint : 0);
    const one = rows.every((i) => colour(i) === colour(rows[0]) && alpha(i) === alpha(rows[0]));
    return {
      size: share * (2 * size - (size > 5 ? 1.2 : 0)),
      color: one ? colour(rows[0]) : rows.map(colour),
      opacity: one ? alpha(rows[0]) : rows.map(alpha),
      line: { width: size > 5 ? 1 : 0, color: state.values.dark ? "#0e1014" : "#ffffff" },
    };
  }

  function layout(view) {
    const axis = { visible: false, fixedrange: true, zeroline: false };
    const { x, y } = view.ranges();
    return {
      width: view.width,
      height: view.height,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false,
      hovermode: false,
      dragmode: false,
      xaxis: { ...axis, range: x },
      yaxis: { ...axis, range: y },
    };
  }

  return {
    stride,
    /** Makes the figure; changes of its axes from outside, such as `Plotly.relayout`, move the map. */
    async create(view) {
      await Plotly.newPlot(element, traces(view), layout(view), { displayModeBar: false, showSendToCloud: false, displaylogo: false, responsive: false, scrollZoom: false, doubleClick: false });
      drawn = { ...view };
      element.on("plotly_relayout", (change) => {
        if (following || !change || !("xaxis.range[0]" in change || "xaxis.range" in change)) return;
        const { xaxis } = element._fullLayout;
        const { yaxis } = element._fullLayout;
        view.set((xaxis.range[0] + xaxis.range[1]) / 2, (yaxis.range[0] + yaxis.range[1]) / 2, view.width / (xaxis.range[1] - xaxis.range[0]));
      });
    },
    /** Updates the figure to the view, and with `recoloured` the traces to the colours. */
    async draw(view, recoloured) {
      anew ||= recoloured;
      if (following) return;
      following = true;
      do {
        drawn = { x: view.x, y: view.y, scale: view.scale, width: view.width, height: view.height };
        const { x, y } = view.ranges();
        const whole = anew || Math.abs(pointRadius(paint.crowd, view) / size - 1) > 0.08;
        anew = false;
        if (whole) await Plotly.react(element, traces(view), layout(view));
        else await Plotly.relayout(element, { "xaxis.range": x, "yaxis.range": y, width: view.width, height: view.height });
      } while (anew || ["x", "y", "scale", "width", "height"].some((key) => drawn[key] !== view[key]));
      following = false;
    },
  };
}

/** Escapes a name, part of which Plotly would otherwise read as markup. */
function plain(name) {
  return name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
