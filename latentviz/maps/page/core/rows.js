// The whole table of the points, which the server sorts and filters: only the rows in sight are in the page.

import { panel } from "./app.js";
import { clip, el, format, iconButton } from "./dom.js";
import { TALLEST } from "./scroller.js";

const ROW = 26; // pixels
const AT_ONCE = 500; // rows in one answer

/** Adds the table and the button that opens it. */
export function serverTable(map) {
  const { state } = map;
  const asked = { where: "", sort: null, descending: false };
  const where = el("input", { type: "text", placeholder: "cluster == 3 and label in ['x', 'y']", "aria-label": "Condition that the rows meet", spellcheck: false, autocomplete: "off" });
  const note = el("p", { className: "note", role: "status" });
  const choose = el("button", { type: "button", className: "link needed", onclick: select }, "select these");
  const head = el("tr", {});
  const lines = el("tbody", {});
  const table = el("table", {}, el("thead", {}, head), lines);
  const tall = el("div", { className: "tall" }, table);
  const frame = el("div", { className: "frame", tabIndex: 0, role: "region", "aria-label": "Rows" }, tall);
  const close = iconButton("close", "Close the table", () => open(false), { className: "icon-button small" });
  const body = panel(map.bottom, "server-table", el("header", {}, el("h2", {}, "All items"), where, note, choose, close), frame);
  body.setAttribute("aria-label", "All items as a table");
  body.hidden = true;
  const button = map.addButton("show", "table", "All items as a table", () => open(body.hidden));
  let total = 0;
  let busy = false;
  let again = false;

  function open(on) {
    body.hidden = !on;
    button.setAttribute("aria-pressed", String(on));
    if (on) load();
  }

  const seen = () => Math.max(1, Math.min(AT_ONCE, Math.ceil(frame.clientHeight / ROW)));
  function first() {
    const room = tall.clientHeight - frame.clientHeight;
    return room <= 0 ? 0 : Math.round((Math.min(frame.scrollTop, room) / room) * Math.max(0, total - seen() + 1));
  }

  async function load() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      do {
        again = false;
        const start = first();
        const found = await map.ask("rows", { start, count: seen(), ...asked });
        if (found.total !== total) {
          total = found.total;
          tall.style.height = `${Math.min(TALLEST, (total + 1) * ROW)}px`;
        }
        note.textContent = `${total.toLocaleString("en")} of ${map.store.n.toLocaleString("en")}`;
        draw(found, start);
      } while (again);
    } catch (error) {
      note.textContent = error.message;
    }
    busy = false;
  }

  function heading({ name, number }) {
    const order = asked.sort === name ? (asked.descending ? "descending" : "ascending") : "none";
    const sort = () => {
      Object.assign(asked, { sort: name, descending: asked.sort === name && !asked.descending });
      frame.scrollTop = 0;
      load();
    };
    const arrow = order === "none" ? "" : asked.descending ? " ↓" : " ↑";
    return el("th", { scope: "col", "aria-sort": order, className: number ? "number" : "" }, el("button", { type: "button", dir: "auto", onclick: sort }, clip(name, 40) + arrow));
  }

  function draw({ columns, rows, cells }, start) {
    head.replaceChildren(...columns.map(heading));
    const cell = (value, { number }) => el("td", { className: number ? "number" : "", dir: "auto", title: typeof value === "string" && value.length > 30 ? value : null }, typeof value === "number" ? format(value) : value === null ? "" : clip(String(value), 80));
    lines.replaceChildren(...rows.map((row, k) => {
      const i = map.pointOfRow(row);
      const line = el("tr", { "data-row": String(row), tabIndex: -1, onclick: () => i >= 0 && map.pin(i) }, ...columns.map((column, c) => cell(cells[c][k], column)));
      line.classList.toggle("pinned", i >= 0 && i === state.values.pinned);
      line.addEventListener("pointerenter", () => i >= 0 && state.set({ hovered: i, spot: null }));
      line.addEventListener("pointerleave", () => state.set({ hovered: -1 }));
      return line;
    }));
    table.dataset.start = String(start);
  }

  async function select() {
    try {
      const { rows } = await map.ask("matching", { where: asked.where });
      const points = rows.map(map.pointOfRow).filter((i) => i >= 0);
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
      frame.scrollTop = 0;
      load();
    }, 300);
  });
  where.addEventListener("keydown", (event) => event.stopPropagation());
  frame.addEventListener("keydown", (event) => event.stopPropagation());
  frame.addEventListener("scroll", load, { passive: true });
  new ResizeObserver(() => body.hidden || load()).observe(frame);
  state.on("pinned", () => body.hidden || load());
}
