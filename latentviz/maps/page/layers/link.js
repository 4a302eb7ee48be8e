// The view in the page's address, so that it can be bookmarked and shared with the file.

/** Reads the state from the hash, and keeps the hash up to date. */
export function link(map) {
  const { view, state, store } = map;
  let waiting = 0;
  let written = "";

  function write() {
    const { isolated, hidden, colour, pinned, query, openCluster } = state.values;
    const parts = new URLSearchParams();
    parts.set("at", [view.x.toPrecision(6), view.y.toPrecision(6), (view.scale / view.home).toPrecision(4)].join(","));
    if (colour.key !== "cluster") parts.set("colour", colour.key);
    if (isolated.size) parts.set("only", [...isolated].join(","));
    if (hidden.size) parts.set("without", [...hidden].join(","));
    if (pinned >= 0) parts.set("item", String(store.row[pinned]));
    if ((openCluster ?? null) !== null) parts.set("cluster", String(openCluster));
    if (query) parts.set("search", query);
    if (map.themeChosen?.()) parts.set("theme", state.values.dark ? "dark" : "light");
    written = `#${parts}`;
    try {
      history.replaceState(null, "", written);
    } catch {
      // Some browsers refuse history for local files; the map works without it.
    }
  }
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(write, 300);
  };

  async function read() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const ids = (key) => new Set((parts.get(key) ?? "").split(",").filter((text) => text !== "").map(Number).filter((id) => map.cluster(id)));
    if (parts.has("theme") && (parts.get("theme") === "dark") !== state.values.dark) map.switchTheme();
    state.set({ isolated: ids("only"), hidden: ids("without") });
    if (parts.has("colour")) await map.colourBy?.(parts.get("colour"));
    if (parts.has("search")) await map.search?.(parts.get("search"));
    if (parts.has("cluster") && map.cluster(Number(parts.get("cluster")))) map.openCluster?.(Number(parts.get("cluster")));
    const [x, y, zoom] = (parts.get("at") ?? "").split(",").map(Number);
    if ([x, y, zoom].every(Number.isFinite) && parts.has("at") && zoom > 0) view.set(x, y, zoom * view.home);
    const i = parts.has("item") ? store.row.indexOf(Number(parts.get("item"))) : -1;
    if (i >= 0) map.pin?.(i, false);
  }

  map.afterStart.push(async () => {
    if (location.hash.length > 1) await read();
    view.on(later);
    state.on("isolated hidden colour pinned query openCluster dark", later);
  });
  addEventListener("hashchange", () => location.hash !== written && read());
}
