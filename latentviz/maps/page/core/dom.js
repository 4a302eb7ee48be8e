// The only place that creates elements. Text is set as text: no string of the data becomes markup.

/** Returns a new element; `props` sets properties, `aria-…`, `data-…` and `role` attributes, and `on…` listeners. */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Icons as strokes on a 20×20 grid.
const ICONS = {
  pan: "M10 2v16M2 10h16M10 2l-2.2 2.2M10 2l2.2 2.2M10 18l-2.2-2.2M10 18l2.2-2.2M2 10l2.2-2.2M2 10l2.2 2.2M18 10l-2.2-2.2M18 10l-2.2 2.2",
  lasso: "M10 3.5c4.4 0 7.5 2.2 7.5 5s-3.1 5-7.5 5-7.5-2.2-7.5-5 3.1-5 7.5-5zM6 13.2c-1.6.5-1.4 2.3 0 2.3s1.600 1.600.4 2.500",
  box: "M3 6V3h3M9 3h2M14 3h3v3M17 9v2M17 14v3h-3M11 17H9M6 17H3v-3M3 11V9",
  line: "M4.500 15.500l11-11M3 17a1.800 1.800 0 103 -2.600A1.800 1.800 0 003 17zM14.200 5.800a1.800 1.800 0 103-2.600 1.800 1.800 0 00-3 2.600z",
  plus: "M10 4v12M4 10h12",
  minus: "M4 10h12",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4M7.500 10a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0",
  images: "M3 4.500h14v11H3zM3 13l4-4 3.500 3.500 2-2L17 14M12.800 7.700h.01",
  decoder: "M3 10c2-4 4.300-6 7-6s5 2 7 6c-2 4-4.300 6-7 6s-5-2-7-6zM7.500 10a2.500 2.500 0 105 0 2.500 2.500 0 10-5 0",
  export: "M10 3v10M6 9.500l4 4 4-4M3.500 16.500h13",
  moon: "M16.500 12A7 7 0 018 3.500 7 7 0 1016.500 12z",
  help: "M7.500 7.500a2.500 2.500 0 113.800 2.100c-.8.5-1.300 1-1.300 2.100M10 15h.01",
  close: "M5 5l10 10M15 5L5 15",
  search: "M8.500 3.500a5 5 0 100 10 5 5 0 000-10zM12.200 12.200L17 17",
  list: "M7 5h10M7 10h10M7 15h10M3 5h.01M3 10h.01M3 15h.01",
  eye: "M3 10c2-4 4.300-6 7-6s5 2 7 6c-2 4-4.300 6-7 6s-5-2-7-6zM8 10a2 2 0 104 0 2 2 0 10-4 0",
  hidden: "M4 4l12 12M3 10c1.100-2.200 2.300-3.800 3.700-4.700M9 4.100c.3-.1.700-.1 1-.1 2.700 0 5 2 7 6-.6 1.200-1.200 2.200-1.900 3M12.500 15.400c-.8.4-1.600.6-2.500.6-2.700 0-5-2-7-6",
  pencil: "M4 16l.8-3.500L13 4.300l2.700 2.700-8.200 8.200zM11.500 5.800l2.700 2.700",
  tree: "M10 3v4M4 13v-2.500h12V13M10 7v3.500M4 13v4M16 13v4M10 10.500V17",
  sheet: "M3 3h5.500v5.500H3zM11.500 3H17v5.500h-5.500zM3 11.500h5.500V17H3zM11.500 11.500H17V17h-5.500z",
  contours: "M10 3c4.500 0 7.500 2.600 7.500 6.500s-3 7.500-7.500 7.500-7.500-3-7.500-7 3-7 7.500-7zM10.500 7c2.200 0 3.500 1.200 3.500 3s-1.500 3.500-3.700 3.500S6.500 12 6.500 10.200 8.300 7 10.500 7z",
  table: "M3 4h14v12H3zM3 8h14M3 12h14M8 8v8",
  play: "M6 4l10 6-10 6z",
  pause: "M7 4v12M13 4v12",
  down: "M5 8l5 5 5-5",
  drop: "M10 3c3 3.600 5 6 5 8.500a5 5 0 01-10 0C5 9 7 6.600 10 3z",
  tag: "M3 3.500h6.500L17 11l-6 6-7.500-7.500zM6.500 7h.01",
  undo: "M7 4L3.500 7.500 7 11M3.500 7.500H12a4.500 4.500 0 010 9H7",
  redo: "M13 4l3.500 3.500L13 11M16.500 7.500H8a4.500 4.500 0 000 9h5",
  sliders: "M3 6h8M15 6h2M13 4v4M3 13h2M9 13h8M7 11v4",
  filter: "M3 4.500h14l-5.500 6.500v5l-3-1.500V11z",
};

/** Returns an icon, hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Returns a button with an icon; its title is also its accessible name. */
export function iconButton(name, title, onclick, props = {}) {
  return el("button", { type: "button", className: "icon-button", title, "aria-label": title, onclick, ...props }, icon(name));
}

const COUNT = new Intl.NumberFormat("en"); // making one for every count takes longer than all else

/** Returns a short form of a number: 12,345 or 0.0123. */
export function format(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value)) return COUNT.format(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
}

/** Sets the text of an element; the browser lays out nothing anew where it stays the same. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Returns a value's text for display, cut to `length`; an http or https address as a link. */
export function shownValue(text, length) {
  const short = clip(text, length);
  if (!/^https?:\/\/\S+$/i.test(text)) return short;
  return el("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, short);
}

/** Returns text cut to at most `length` characters, at a whole character. */
export function clip(text, length) {
  return text.length <= length ? text : `${Array.from(text.slice(0, length)).slice(0, -1).join("")}…`;
}

/** Returns text as a span in which every occurrence of one of the `words`, given in lower case, is marked. */
export function marked(text, words) {
  const span = el("span", {});
  const low = text.toLowerCase();
  // Lower case of some letters is longer; then positions differ, and nothing is marked.
  const found = low.length === text.length ? words : [];
  let from = 0;
  while (from < text.length) {
    const next = found.map((word) => [low.indexOf(word, from), word.length]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0] || b[1] - a[1])[0];
    if (!next) break;
    span.append(text.slice(from, next[0]), el("mark", {}, text.slice(next[0], next[0] + next[1])));
    from = next[0] + next[1];
  }
  span.append(text.slice(from));
  return span;
}
