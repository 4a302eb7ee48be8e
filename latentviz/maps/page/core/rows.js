// The whole table of the points, which the server sorts and filters: only the rows in sight are in the page.

import { panel } from "./app.js";
import { clip, el, format, iconButton } from "./dom.js";
import { makeScroller } from "./scroller.js";
import { latest } from "./state.js";

const ROW = 26; // pixels

/** Adds the table and the button that opens it; `map.reloadRows` shows what the server has changed. */
export function serverTable(map) {
  const { state } = map;
  const asked = { where: "", sort: null, descending: false };
  const where = el("input", { type: "text", placeholder: "cluster == 3 and label in ['x', 'y']", "aria-label": "Condition that the rows meet", spellcheck: false, autocomplete: "off" });
  const note = el("p", { className: "note", role: "status" });
  const choose = el("button", { type: "button", className: "link needed", onclick: select }, "select these");
  const head = el("tr", { "aria-rowindex": "1" });
  const [above, lines, below] = [el("tbody", { role: "presentation" }), el("tbody"), el("tbody", { role: "presentation" })];
  const table = el("table", { "aria-label": "All items" }, el("thead", {}, head), above, lines, below);
  const frame = el("div", { className: "scroll" }, table);
  const close = iconButton("close", "Close the table", () => open(false), { className: "icon-button small" });
  const body = panel(map.bottom, "server-table", el("header", {}, el("h2", {}, "All items"), where, note, choose, close), frame);
  body.setAttribute("aria-label", "All items as a table");
  body.hidden = true;
  const button = map.addButton("show", "table", "All items as a table", () => open(body.hidden));
  let total = 0;
  let current = 0; // the row that is the Tab stop
  const load = latest(fetchRows);
  const scroller = makeScroller(frame, ROW, (...part) => load(part));

  function open(on) {
    body.hidden = !on;
    button.setAttribute("aria-pressed", String(on));
    if (on) restart();
  }

  /** Goes to the first row of what is asked. */
  function restart() {
    current = 0;
    scroller.show(total);
  }

  async function fetchRows([from, to, top, bottom]) {
    try {
      const found = await map.ask("rows", { start: from, count: to - from, ...asked });
      const focused = [...head.children].findIndex((cell) => cell.contains(document.activeElement));
      head.replaceChildren(...found.columns.map(heading));
      head.children[focused]?.firstChild.focus({ preventScroll: true });
      if (found.total !== total) {
        total = found.total;
        table.setAttribute("aria-rowcount", String(total + 1));
        scroller.show(total); // and asks again
        return;
      }
      note.textContent = `${found.total.toLocaleString("en")} of ${map.store.n.toLocaleString("en")}`;
      draw(found, from);
      for (const [part, height] of [[above, top], [below, bottom]]) {
        const space = el("td", { colSpan: found.columns.length, className: "space" });
        space.style.height = `${height}px`;
        part.replaceChildren(el("tr", { role: "presentation" }, space));
      }
    } catch (error) {
      note.textContent = error.message;
    }
  }

  function heading({ name, number }) {
    const order = asked.sort === name ? (asked.descending ? "descending" : "ascending") : "none";
    const sort = () => {
      Object.assign(asked, { sort: name, descending: asked.sort === name && !asked.descending });
      restart();
    };
    return el("th", { scope: "col", "aria-sort": order, className: number ? "right" : "" }, el("button", { type: "button", dir: "auto", onclick: sort }, clip(name, 40)));
  }

  function draw({ columns, rows, cells }, from) {
    const focused = lines.contains(document.activeElement);
    const cell = (value, { number }) => el("td", { className: number ? "right" : "", dir: "auto", title: typeof value === "string" && value.length > 30 ? value : null }, typeof value === "number" ? format(value) : value === null ? "" : clip(String(value), 80));
    lines.replaceChildren(...rows.map((row, k) => {
      const line = el("tr", { "data-row": String(row), "aria-rowindex": String(from + k + 2), onclick: () => pick(from + k, row) }, ...columns.map((column, c) => cell(cells[c][k], column)));
      const point = () => state.set({ hovered: map.store.pointOf(row), spot: null });
      line.addEventListener("pointerenter", point);
      line.addEventListener("focus", () => {
        current = from + k;
        point();
      });
      line.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
      return line;
    }));
    mark();
    if (focused) lines.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  function pick(at, row) {
    current = at;
    const i = map.store.pointOf(row);
    if (i >= 0) map.pin(i);
  }

  /** Marks the rows of the pinned point and of the Tab stop. */
  function mark() {
    const pinned = state.values.pinned < 0 ? null : map.store.row[state.values.pinned];
    for (const line of lines.children) {
      line.setAttribute("aria-current", String(Number(line.dataset.row) === pinned));
      line.tabIndex = Number(line.getAttribute("aria-rowindex")) === current + 2 ? 0 : -1;
    }
    if (!lines.querySelector("[tabindex='0']") && lines.firstChild) lines.firstChild.tabIndex = 0;
  }

  async function select() {
    try {
      const { rows } = await map.ask("matching", { where: asked.where });
      const points = rows.map(map.store.pointOf).filter((i) => i >= 0);
      map.select?.(points, asked.where || "all items");
    } catch (error) {
      note.textContent = error.message;
    }
  }

  let wait = 0;
  where.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      asked.where = where.value;
      restart();
    }, 300);
  });
  where.addEventListener("keydown", (event) => event.stopPropagation());
  frame.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the map's keys are not for it
    const line = event.target.closest("tbody tr");
    if (!line) return;
    const to = scroller.moved(event, current, total);
    if (event.key === "Enter") pick(current, Number(line.dataset.row));
    else if (to === null) return;
    else {
      current = to;
      scroller.reveal(to, head.offsetHeight);
    }
    event.preventDefault();
  });
  state.on("pinned", mark);
  map.reloadRows = () => body.hidden || scroller.update(true);
}
