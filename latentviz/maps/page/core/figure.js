// The Plotly figure: one trace a cluster, noise first and grey. It draws small maps, and holds the axes of all.

import { FAINT, SHOWN, pointOpacity, pointRadius } from "./paint.js";

// Up to here a scattergl figure follows the hand; above, our own WebGL2 layer draws and the traces rest.
export const PLOTLY_LIMIT = 20000;
// Without WebGL the points are SVG elements, and a browser bears no more of them.
export const SVG_LIMIT = 4000;

/** Returns the renderer that shows the points through Plotly: as scattergl, as an SVG sample, or not at all. */
export function makeFigure(element, store, paint, mode) {
  const { Plotly } = globalThis;
  const stride = mode === "svg" ? Math.max(1, Math.ceil(store.n / SVG_LIMIT)) : 1;
  let drawn = null;
  let size = 0;
  let following = false;

  function traces(view) {
    return store.groups.map((cluster, g) => {
      const rows = [];
      for (let i = cluster.start; i < cluster.start + cluster.size; i += stride) rows.push(i);
      const whole = stride === 1;
      const end = cluster.start + cluster.size;
      return {
        type: mode === "svg" ? "scatter" : "scattergl",
        mode: "markers",
        name: plain(cluster.name),
        uid: `cluster-${g}`,
        x: whole ? store.x.subarray(cluster.start, end) : rows.map((i) => store.x[i]),
        y: whole ? store.y.subarray(cluster.start, end) : rows.map((i) => store.y[i]),
        customdata: whole ? store.row.subarray(cluster.start, end) : rows.map((i) => store.row[i]),
        visible: mode !== "axes",
        hoverinfo: "none",
        marker: mode === "axes" ? { color: cluster.colour } : marker(rows, view),
      };
    });
  }

  function marker(rows, view) {
    const { rgba, level } = paint;
    const colour = (i) => `rgb(${rgba[4 * i]},${rgba[4 * i + 1]},${rgba[4 * i + 2]})`;
    const opacity = pointOpacity(store.n, view);
    const alpha = (i) => (level[i] === SHOWN ? (opacity * rgba[4 * i + 3]) / 255 : level[i] === FAINT ? 0.14 : 0);
    const one = rows.every((i) => colour(i) === colour(rows[0]) && alpha(i) === alpha(rows[0]));
    return {
      size: 2 * size,
      color: one ? colour(rows[0]) : rows.map(colour),
      opacity: one ? alpha(rows[0]) : rows.map(alpha),
      line: { width: 0 },
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
    /** Makes the figure; what moves its axes from outside, such as `Plotly.relayout`, moves the map. */
    async create(view) {
      size = pointRadius(store.n, view);
      await Plotly.newPlot(element, traces(view), layout(view), { displayModeBar: false, showSendToCloud: false, displaylogo: false, responsive: false, scrollZoom: false, doubleClick: false });
      drawn = { ...view };
      element.on("plotly_relayout", (change) => {
        if (following || !change || !("xaxis.range[0]" in change || "xaxis.range" in change)) return;
        const { xaxis } = element._fullLayout;
        const { yaxis } = element._fullLayout;
        view.set((xaxis.range[0] + xaxis.range[1]) / 2, (yaxis.range[0] + yaxis.range[1]) / 2, view.width / (xaxis.range[1] - xaxis.range[0]));
      });
    },
    async recolour(view) {
      if (mode !== "axes") await Plotly.react(element, traces(view), layout(view));
    },
    /** Brings the axes to the view; while the hand moves a map that WebGL2 draws, they wait. */
    async draw(view) {
      if (following || (mode === "axes" && view.moving)) return;
      following = true;
      do {
        drawn = { x: view.x, y: view.y, scale: view.scale, width: view.width, height: view.height };
        const radius = pointRadius(store.n, view);
        const { x, y } = view.ranges();
        const change = { "xaxis.range": x, "yaxis.range": y, width: view.width, height: view.height };
        if (mode !== "axes" && Math.abs(radius / size - 1) > 0.15) {
          size = radius;
          await Plotly.update(element, { "marker.size": 2 * size }, change);
        } else await Plotly.relayout(element, change);
      } while (["x", "y", "scale", "width", "height"].some((key) => drawn[key] !== view[key]));
      following = false;
    },
  };
}

/** Returns a name as Plotly shows it unchanged: it takes some markup in names for its own. */
function plain(name) {
  return name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
