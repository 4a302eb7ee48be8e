// A standing table, or contact sheet, of the points that are shown; linked with the map both ways.

import { panel } from "../core/app.js";
import { el, iconButton } from "../core/dom.js";
import { SHOWN } from "../core/paint.js";
import { makeItemTable } from "../core/table.js";
import { makeTiles } from "../core/tiles.js";

/** Adds the panel and its button; maps of images have both forms, others the table. A form is made when it is first shown. */
export function sheet(map) {
  const { store, state } = map;
  const makers = { ...(map.thumbs ? { pictures: makeTiles } : {}), table: makeItemTable };
  const forms = new Map();
  let [form] = Object.keys(makers);
  const title = el("h2", {});
  const switches = Object.keys(makers).map((name) => el("button", { type: "button", className: "action", onclick: () => choose(name) }, name));
  const body = panel(map.bottom, "selection standing",
    el("header", {}, title, el("div", { className: "chips" }), el("div", { className: "actions", role: "group", "aria-label": "Form" }, ...(switches.length > 1 ? switches : []),
      map.select && el("button", { type: "button", className: "action", onclick: () => map.select(shown(), "shown") }, "Select these")),
    iconButton("close", "Close (S)", () => open(false), { className: "icon-button small" })));
  body.setAttribute("aria-label", "Items shown");
  const button = map.addButton("show", "sheet", `Items shown, as ${map.thumbs ? "pictures or table" : "a table"} (S)`, () => open(body.hidden));

  /** Returns the points that are shown, in the order of the items. */
  function shown() {
    const points = [];
    for (let item = 0; item < store.meta.points.rows; item++) {
      const i = store.pointOf(item);
      if (i >= 0 && map.paint.level[i] === SHOWN) points.push(i);
    }
    return points;
  }

  function choose(name) {
    form = name;
    update();
  }

  function open(on) {
    body.hidden = !on;
    button.setAttribute("aria-pressed", String(on));
    update();
  }

  async function update() {
    if (body.hidden) return;
    const name = form;
    if (!forms.has(name)) {
      const made = await makers[name](map);
      if (!forms.has(name)) {
        forms.set(name, made);
        body.append(made.element);
      }
    }
    if (name !== form) return;
    const points = shown();
    title.textContent = `${points.length.toLocaleString("en")} shown`;
    switches.forEach((each) => each.setAttribute("aria-pressed", String(each.textContent === form)));
    for (const [each, { element }] of forms) element.hidden = each !== form;
    forms.get(form).show(points);
  }

  open(false);
  state.on("hidden isolated masks selection merges splits", update);
  map.keys.push({ key: "s", about: "items shown, as pictures or table", run: () => open(body.hidden) });
}
