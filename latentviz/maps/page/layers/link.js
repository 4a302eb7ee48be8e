// View, filters, selection and names in the page's address: it can be bookmarked and shared with the file, and the
// browser's Back goes back one step.

const LONGEST_PART = 20_000; // characters; a selection of more is left out
const SAME_STEP = 1500; // ms within which changes of the filters are one step
const STEP_KEYS = "isolated hidden colour filters selection names pinned query by openCluster";

/** Reads the state from the hash, and keeps the hash up to date. */
export function link(map) {
  const { view, state, store } = map;
  let waiting = 0;
  let written = "";
  let reading = false;
  let step = ""; // what changed since the last write; empty: the view alone
  let last = { keys: "", at: 0 };
  let first = "cluster"; // the colouring that the map opens with
  let rows = { of: null, text: "" };
  const { served } = store.meta; // names are in the run then

  function selectionText(mask) {
    if (rows.of !== mask) rows = { of: mask, text: mask ? runs(Array.from(store.row.filter((_, i) => mask[i])).sort((a, b) => a - b)) : "" };
    return rows.text.length <= LONGEST_PART ? rows.text : "";
  }

  function address() {
    const { isolated, hidden, colour, pinned, query, by, openCluster, filters, selection, names } = state.values;
    const parts = new URLSearchParams();
    const put = (key, wanted, text) => wanted && parts.set(key, text());
    parts.set("at", [view.x.toPrecision(6), view.y.toPrecision(6), (view.scale / view.home).toPrecision(4)].join(","));
    put("colour", colour.key !== first, () => colour.key);
    put("only", isolated.size, () => [...isolated].join(","));
    put("without", hidden.size, () => [...hidden].join(","));
    put("filter", filters.size, () => JSON.stringify([...filters]));
    put("item", pinned >= 0, () => String(store.row[pinned]));
    put("cluster", (openCluster ?? null) !== null, () => String(openCluster));
    put("search", query, () => query);
    put("by", query && by === "meaning", () => by);
    put("selected", !query && selection && selectionText(selection), () => selectionText(selection));
    put("names", !served && names.size, () => JSON.stringify([...names]));
    put("theme", map.themeChosen?.(), () => (state.values.dark ? "dark" : "light"));
    return `#${parts}`;
  }

  function write() {
    const now = performance.now();
    // A slider that is dragged changes its filter many times.
    const again = step === "filters" && last.keys === step && now - last.at < SAME_STEP;
    const text = address();
    if (step) last = { keys: step, at: now };
    const push = step && !again && text !== written;
    step = "";
    written = text;
    try {
      history[push ? "pushState" : "replaceState"](null, "", written);
    } catch {
      // Some browsers refuse history for local files; the map works without it.
    }
  }
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(write, 300);
  };

  /** Takes names, clusters, colouring, filters, search and selection from the hash. */
  async function readChoices(parts, given) {
    const ids = (key) => new Set((parts.get(key) ?? "").split(",").filter((text) => text !== "").map(Number).filter((id) => map.cluster(id)));
    const pairs = (key) => parse(parts.get(key)).filter((pair) => Array.isArray(pair) && pair.length === 2);
    if (given("names") && !served) state.set({ names: new Map(pairs("names").filter(([id, name]) => map.cluster(id) && typeof name === "string" && name.length <= 200)) });
    state.set({ isolated: ids("only"), hidden: ids("without") });
    const colouring = parts.get("colour") ?? first;
    if (given("colour") && colouring !== state.values.colour.key) await map.colourBy?.(colouring);
    if (given("filter")) await map.setFilters?.(new Map(pairs("filter")));
    const query = parts.get("search") ?? "";
    await search(query, parts.get("by"));
    const rowText = parts.get("selected") ?? "";
    if (query || !given("selected") || selectionText(state.values.selection) === rowText) return;
    const points = rowsOf(rowText, store.meta.points.rows).map(store.pointOf).filter((i) => i >= 0);
    map.select?.(points.length ? points : null);
  }

  async function search(query, given) {
    const by = given === "meaning" ? given : "letters";
    if (query !== state.values.query || (query && by !== state.values.by)) await map.search?.(query, by);
  }

  /** Takes the open card and the view from the hash. */
  function readPlace(parts, whole) {
    const i = parts.has("item") ? store.pointOf(Number(parts.get("item"))) : -1;
    const cluster = parts.has("cluster") && map.cluster(Number(parts.get("cluster"))) ? Number(parts.get("cluster")) : null;
    if (i >= 0) map.pin?.(i, false);
    else if (cluster !== null) map.openCluster?.(cluster);
    else if (whole) state.set({ pinned: -1, openCluster: null, cluster: null });
    const [x, y, zoom] = (parts.get("at") ?? "").split(",").map(Number);
    if ([x, y, zoom].every(Number.isFinite) && parts.has("at") && zoom > 0) view.set(x, y, zoom * view.home);
  }

  /** Takes the state from the hash; what it lacks is as the map opens if `whole`, else it stays. */
  async function read(whole) {
    reading = true;
    clearTimeout(waiting);
    const parts = new URLSearchParams(location.hash.slice(1));
    if (parts.has("theme") && (parts.get("theme") === "dark") !== state.values.dark) map.switchTheme();
    await readChoices(parts, (key) => whole || parts.has(key));
    readPlace(parts, whole);
    reading = false;
    step = "";
    later();
  }

  map.afterStart.push(async () => {
    first = state.values.colour.key;
    if (location.hash.length > 1) await read(false);
    write();
    view.on(later);
    state.on("dark", later);
    state.on(STEP_KEYS, (_, changed) => {
      if (reading) return;
      const keys = changed.filter((key) => STEP_KEYS.split(" ").includes(key)).join(" ");
      step = step && step !== keys ? "several" : keys;
      later();
    });
  });
  addEventListener("hashchange", () => location.hash !== written && read(true));
}

/** Returns ascending rows as gaps and lengths in base 36: rows 3, 4, 5, 9 are "3.3,3". */
function runs(all) {
  const parts = [];
  let end = 0;
  for (let k = 0; k < all.length;) {
    let length = 1;
    while (all[k + length] === all[k] + length) length++;
    parts.push((all[k] - end).toString(36) + (length > 1 ? `.${length.toString(36)}` : ""));
    end = all[k] + length;
    k += length;
  }
  return parts.join(",");
}

/** Returns the rows below `count` that such a text stands for. */
function rowsOf(text, count) {
  const all = [];
  let end = 0;
  for (const part of text.slice(0, LONGEST_PART).split(",")) {
    const [gap, length] = part.split(".").map((word) => parseInt(word, 36));
    if (!(gap >= 0)) break;
    const last = Math.min(count, end + gap + (length || 1));
    for (let row = end + gap; row < last; row++) all.push(row);
    end += gap + (length || 1);
  }
  return all;
}

function parse(text) {
  try {
    const value = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}
