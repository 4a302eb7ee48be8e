// Title, summary and notices, top left.

import { panel } from "../core/app.js";
import { el } from "../core/dom.js";

/** Adds the header and `map.notice`. */
export function header(map) {
  const { meta } = map.store;
  const [first, ...rest] = meta.summary;
  const notes = el("div", { className: "notes" }, ...[...rest, ...meta.notes].map((line) => el("p", {}, line)));
  map.header = panel(map.left, "header", el("h1", { title: meta.title }, meta.title), el("p", { className: "summary" }, first ?? ""), notes);
  map.surface.setAttribute("role", "application");
  map.surface.setAttribute("aria-label", `Map: ${meta.title}. ${meta.summary.join(" ")} Arrow keys move, plus and minus zoom, question mark lists all keys.`);
  map.notice = (line) => notes.append(el("p", {}, line));
}
