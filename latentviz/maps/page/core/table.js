// A table of points: all of its rows, of which only those in view are elements; sortable; linked with the map.

import { clip, el, marked } from "./dom.js";
import { makeScroller } from "./scroller.js";
import { sorted, textKeys } from "./sort.js";

const ROW_HEIGHT = 32; // pixels

/** Returns a table of all that the file knows about points. */
export async function makeItemTable(map) {
  const { store } = map;
  const fields = await Promise.all(store.meta.items.fields.map((_, index) => store.field(index)));
  const score = (name, of) => ({ name, right: true, text: (i) => of(i).toFixed(2), key: (i) => 1 + of(i) });
  return makeTable(map, [
    map.thumbs && { name: "picture", cell: (i) => map.show(i, 26) },
    { name: "id", text: map.idOf },
    map.textOf && { name: "text", text: map.textOf },
    { name: "cluster", text: (i) => map.nameOf(store.groups[store.group[i]].id) },
    score("probability", store.probability), score("outlier score", store.outlier),
    ...fields.map((field) => ({ ...field, right: field.kind === "number" })),
  ].filter(Boolean));
}

/**
 * Returns a table: `element`, and `show(points)`. A column has a `name` and `text(i)`, and to sort by it a
 * `key(i)` or `steps` of all points (0: missing), or else its texts; `right` aligns numbers, `cell(i)` makes an element in place of the text.
 */
function makeTable(map, columns) {
  const { state } = map;
  const head = el("tr", { "aria-rowindex": "1" });
  const [above, body, below] = [el("tbody", { role: "presentation" }), el("tbody"), el("tbody", { role: "presentation" })];
  const table = el("table", {}, el("thead", {}, head), above, body, below);
  const element = el("div", { className: "scroll" }, table);
  const scroller = makeScroller(element, ROW_HEIGHT, draw);
  let given = []; // the points in their own order
  let points = [];
  let order = { column: null, down: false };
  let current = 0; // the row that is the Tab stop
  let fixed = false; // the widths of the columns

  const heads = columns.map((column) => {
    const button = el("button", { type: "button", tabIndex: -1, onclick: () => sort(column) }, clip(column.name, 24));
    const cell = el("th", { scope: "col", className: column.right ? "right" : "" }, column.cell ? el("span", { className: "unseen" }, column.name) : button);
    head.append(cell);
    return { column, cell };
  });

  function sort(column) {
    const again = order.column === column;
    order = again && order.down ? { column: null, down: false } : { column, down: again };
    arrange();
    current = 0;
    scroller.show(points.length);
    map.say(order.column ? `Sorted by ${clip(column.name, 40)}, ${order.down ? "descending" : "ascending"}` : "In the order of the items");
  }

  function arrange() {
    const { column, down } = order;
    for (const { column: each, cell } of heads) cell.setAttribute("aria-sort", each !== column ? "none" : down ? "descending" : "ascending");
    const key = column?.steps ? (i) => column.steps[i] : column?.key;
    const keys = () => (key ? Float64Array.from(given, key) : textKeys(given.map((i) => String(column.text(i) ?? ""))));
    points = column ? sorted(given, keys(), down) : given;
  }

  function draw(from, to, top, bottom) {
    if (!fixed) Object.assign(table.style, { tableLayout: "", width: "" });
    const focused = body.contains(document.activeElement);
    above.replaceChildren(space(top));
    below.replaceChildren(space(bottom));
    body.replaceChildren(...Array.from({ length: to - from }, (_, k) => row(points[from + k], from + k)));
    if (!fixed) fix();
    mark();
    if (focused) body.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  /** Keeps the widths of the columns that the first rows ask for. */
  function fix() {
    for (const { cell } of heads) cell.style.width = "";
    const widths = heads.map(({ cell }) => cell.offsetWidth);
    heads.forEach(({ cell }, k) => (cell.style.width = `${widths[k]}px`));
    Object.assign(table.style, { tableLayout: "fixed", width: `${widths.reduce((sum, width) => sum + width, 0)}px` });
    fixed = true;
  }

  const space = (height) => el("tr", { role: "presentation" }, Object.assign(el("td", { colSpan: columns.length, className: "space" }), { style: `height:${height}px` }));

  function row(i, k) {
    const words = (state.values.query ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const cells = columns.map((column) => {
      const text = column.cell ? null : column.text(i);
      return el("td", { dir: "auto", className: column.right ? "right" : "" }, column.cell ? column.cell(i) : text === null || text === undefined ? "" : marked(clip(String(text), 90), column.right ? [] : words));
    });
    const line = el("tr", { tabIndex: k === current ? 0 : -1, "data-point": String(i), "aria-rowindex": String(k + 2), onclick: () => pick(i, k) }, ...cells);
    line.addEventListener("pointerenter", () => state.set({ hovered: i, spot: null }));
    line.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
    line.addEventListener("focus", () => state.set({ hovered: i, spot: null }));
    return line;
  }

  function pick(i, k) {
    current = k;
    map.pin(i);
  }

  /** Marks the rows of the pinned point and of the Tab stop. */
  function mark() {
    for (const line of body.children) {
      line.setAttribute("aria-current", String(Number(line.dataset.point) === state.values.pinned));
      line.tabIndex = Number(line.getAttribute("aria-rowindex")) === current + 2 ? 0 : -1;
    }
    if (!body.querySelector("[tabindex='0']") && body.firstChild) body.firstChild.tabIndex = 0;
  }

  element.addEventListener("keydown", (event) => {
    const line = event.target.closest?.("tbody tr");
    if (!line) return;
    const at = Number(line.getAttribute("aria-rowindex")) - 2;
    const to = scroller.moved(event, at, points.length);
    if (event.key === "Enter") pick(points[at], at);
    else if (to === null) return;
    else {
      current = to;
      scroller.reveal(to, head.offsetHeight);
      body.querySelector(`[aria-rowindex="${to + 2}"]`)?.focus({ preventScroll: true });
    }
    event.preventDefault();
  });

  // What is pinned on the map comes into view here.
  state.on("pinned", ({ pinned }) => {
    const k = pinned < 0 || !element.getClientRects().length ? -1 : points.indexOf(pinned);
    if (k < 0) return mark();
    current = k;
    return scroller.reveal(k, head.offsetHeight);
  });
  state.on("names", () => scroller.update(true));

  return {
    element,
    show(shown) {
      given = shown;
      current = 0;
      table.setAttribute("aria-rowcount", String(shown.length + 1));
      arrange();
      fixed = false;
      scroller.show(shown.length);
    },
  };
}
