// The condensed tree: how clusters split as density rises, linked with the map.

import { panel } from "../core/app.js";
import { clip, el, iconButton } from "../core/dom.js";
import { oneStop } from "../core/stops.js";

const SPACE = "http://www.w3.org/2000/svg";

/** Adds the tree's panel; a click on a branch isolates its clusters. */
export function tree(map) {
  const info = map.store.meta.tree;
  if (!info || info.nodes.length < 2) return;
  const { state } = map;
  const nodes = new Map(info.nodes.map((node) => [node.node, { ...node, children: [] }]));
  const root = [...nodes.values()].find((node) => node.parent === null);
  for (const node of nodes.values()) nodes.get(node.parent)?.children.push(node);
  const holds = (node) => [...(node.cluster === null ? [] : [node.cluster]), ...node.children.flatMap(holds)];

  const drawing = document.createElementNS(SPACE, "svg");
  drawing.setAttribute("class", "tree-drawing");
  const caption = el("p", { className: "note" }, "Further down is denser, width is size; click a branch to isolate it.");
  const close = iconButton("close", "Close the tree", () => state.set({ tree: false }), { className: "icon-button small" });
  const body = panel(map.right, "tree", el("header", {}, el("h2", {}, "Condensed tree"), close), drawing, caption);
  body.setAttribute("aria-label", "Condensed tree");
  const marks = [];
  draw();
  oneStop(drawing, "rect");

  function draw() {
    const [width, height] = [236, 190];
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    // Density by rank: most splits are close together in λ and would overlap.
    const order = [...new Set([...nodes.values()].flatMap((node) => [node.birth, node.death]))].sort((a, b) => a - b);
    const rank = new Map(order.map((lambda, k) => [lambda, k / Math.max(1, order.length - 1)]));
    const y = (lambda) => 4 + (height - 8) * rank.get(lambda);
    const place = (node, left, right) => {
      const clusters = holds(node);
      const bar = document.createElementNS(SPACE, "rect");
      const w = Math.max(1.5, right - left - 1.5);
      for (const [key, value] of Object.entries({ x: left, y: y(node.birth), width: w, height: Math.max(2, y(node.death) - y(node.birth)), rx: Math.min(2, w / 2), tabindex: 0, role: "button" })) bar.setAttribute(key, String(value));
      const one = node.cluster ?? node.inside ?? null;
      bar.style.fill = one === null ? "var(--noise)" : map.cluster(one)?.colour ?? "var(--noise)";
      bar.style.opacity = node.cluster === null && one !== null ? "0.55" : "1";
      const mine = clusters.length ? clusters : one === null ? [] : [one];
      const about = node.keywords?.length ? ` about ${node.keywords.map((word) => clip(String(word), 40)).join(" · ")}` : "";
      const words = `${node.size.toLocaleString("en")} items${about}${mine.length ? `: ${mine.slice(0, 5).map((id) => clip(map.nameOf(id), 40)).join(", ")}` : ""}`;
      bar.setAttribute("aria-label", words);
      const title = document.createElementNS(SPACE, "title");
      title.textContent = words;
      bar.append(title);
      const run = () => choose(mine);
      bar.addEventListener("click", run);
      bar.addEventListener("keydown", (event) => event.key === "Enter" && run());
      bar.addEventListener("pointerenter", () => mine.length === 1 && state.set({ cluster: mine[0] }));
      bar.addEventListener("pointerleave", () => state.set({ cluster: state.values.openCluster ?? null }));
      drawing.append(bar);
      marks.push({ bar, clusters: mine });
      const total = node.children.reduce((sum, child) => sum + child.size, 0) || 1;
      let from = left;
      for (const child of [...node.children].sort((a, b) => b.size - a.size)) {
        const to = from + ((right - left) * child.size) / total;
        place(child, from, to);
        from = to;
      }
    };
    place(root, 2, width - 2);
  }

  function choose(clusters) {
    const { isolated } = state.values;
    const same = clusters.length === isolated.size && clusters.every((id) => isolated.has(id));
    state.set({ isolated: same || clusters.length === 0 ? new Set() : new Set(clusters) });
  }

  state.on("isolated", ({ isolated }) => {
    for (const { bar, clusters } of marks) bar.classList.toggle("off", isolated.size > 0 && !clusters.some((id) => isolated.has(id)));
  });
  const button = map.addButton("show", "tree", "Condensed tree (T)", () => state.set({ tree: !state.values.tree }));
  state.on("tree", ({ tree: open }) => {
    body.hidden = !open;
    button.setAttribute("aria-pressed", String(open));
  });
  state.set({ tree: false });
  map.keys.push({ key: "t", about: "condensed tree", run: () => state.set({ tree: !state.values.tree }) });
}
