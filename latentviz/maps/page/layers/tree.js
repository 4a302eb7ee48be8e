// The condensed tree as a hierarchy of names: how clusters split as density rises, linked with the map.

import { panel } from "../core/app.js";
import { clip, el, iconButton } from "../core/dom.js";
import { oneStop } from "../core/stops.js";

const OPEN = 24; // rows that are open at first, as far as whole levels fit
const DEEPEST = 8; // levels that are indented
const PICTURED = 3; // clusters of a branch that it shows, the largest
const NAMED = 12; // clusters that a branch without a name of its own lists when it is pointed at

/** Adds the tree's panel; a click on a branch isolates its clusters, on a part of a cluster it moves there. */
export function tree(map) {
  const root = hierarchy(map);
  if (!root) return;
  const { state } = map;
  const list = el("ul", { className: "tree-list", role: "tree", "aria-label": "Tree of clusters" });
  const close = iconButton("close", "Close the tree", () => state.set({ tree: false }), { className: "icon-button small" });
  const body = panel(map.right, "tree", el("header", {}, el("h2", {}, "Tree of clusters"), close), list, el("p", { className: "note" }, "From coarse to fine. A click shows a branch alone, a second one everything."));
  body.setAttribute("aria-label", "Tree of clusters");
  oneStop(list, ".tree-row");
  const open = new Set(firstOpen(root));
  let rows = [];

  /** Returns the clusters of a branch that have items after merges. */
  const clustersOf = (node) => [...new Set(node.clusters.map((id) => state.values.merges.get(id) ?? id))].filter((id) => map.cluster(id)?.size);

  const largest = (ids) => [...ids].sort((a, b) => map.cluster(b).size - map.cluster(a).size).slice(0, PICTURED);

  function label(node) {
    if (node.cluster !== null) return map.nameOf(node.cluster);
    if (node.name) return node.name;
    if (node.words.length) return node.words.join(" · ");
    const ids = clustersOf(node);
    const labels = [...new Set(largest(ids).flatMap((id) => map.cluster(id).label?.[0] ?? []))];
    return labels.length ? `${labels.join(" · ")}${ids.length > PICTURED ? " …" : ""}` : `${ids.length} clusters`;
  }

  function choose(node) {
    const ids = clustersOf(node);
    if (!ids.length) {
      if (node.point >= 0) map.flyToPoint(node.point);
      return;
    }
    const { isolated } = state.values;
    const same = ids.length === isolated.size && ids.every((id) => isolated.has(id));
    state.set({ isolated: new Set(same ? [] : ids) });
    map.say(same ? "All clusters shown" : `Only ${clip(label(node), 200)} shown`);
  }

  /** Returns a branch; its children are made when it is first opened. */
  function branch(node, level) {
    const text = label(node);
    const ids = clustersOf(node);
    const about = node.cluster === null ? ids.slice(0, NAMED).map((id) => clip(map.nameOf(id), 40)).join(", ") : node.keywords.join(" · ");
    const one = node.cluster === null ? null : (ids[0] ?? null);
    const shown = node.clusters.length ? largest(ids).map((id) => map.cluster(id).medoid) : [node.point];
    const pictures = shown.filter((i) => i >= 0 && map.thumbs?.has(i)).map((i) => map.thumbs.canvas(i, 20));
    const fold = el("span", { className: "fold-mark", "aria-hidden": "true" }, "");
    const row = el("div", { className: "tree-row", role: "treeitem", "aria-level": String(level), title: `${text.slice(0, 200)}${about && `\n${about.slice(0, 400)}`}` },
      fold, one === null ? null : map.swatch(one), ...pictures,
      el("span", { className: "name", dir: "auto" }, clip(text, 80)), el("span", { className: "size" }, node.size.toLocaleString("en")));
    row.style.paddingInlineStart = `${4 + 10 * Math.min(level - 1, DEEPEST)}px`;
    const holder = node.children.length ? el("ul", { role: "group" }) : null;
    const unfold = (wanted) => {
      if (!holder) return;
      if (wanted && !holder.childElementCount) {
        holder.append(...node.children.map((child) => branch(child, level + 1)));
        mark();
      }
      holder.hidden = !wanted;
      row.setAttribute("aria-expanded", String(wanted));
      fold.textContent = wanted ? "▾" : "▸";
      if (wanted) open.add(node);
      else open.delete(node);
    };
    fold.addEventListener("click", (event) => {
      event.stopPropagation();
      unfold(holder?.hidden);
    });
    row.addEventListener("click", () => {
      row.focus();
      choose(node);
    });
    row.addEventListener("keydown", (event) => {
      const folded = row.getAttribute("aria-expanded");
      if (event.key === "ArrowRight" && folded === "false") unfold(true);
      else if (event.key === "ArrowLeft" && folded === "true") unfold(false);
      else if (event.key === "Enter" || event.key === " ") choose(node);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    row.addEventListener("pointerenter", () => state.set({ cluster: ids.length === 1 ? ids[0] : null }));
    row.addEventListener("pointerleave", () => state.set({ cluster: state.values.openCluster ?? null }));
    rows.push({ row, ids });
    unfold(open.has(node));
    return el("li", { role: "none" }, row, holder);
  }

  function mark() {
    const { isolated } = state.values;
    for (const { row, ids } of rows) {
      row.classList.toggle("off", isolated.size > 0 && !ids.some((id) => isolated.has(id)));
      row.setAttribute("aria-selected", String(ids.length > 0 && ids.every((id) => isolated.has(id))));
    }
  }

  function build() {
    if (!state.values.tree) return;
    rows = [];
    list.replaceChildren(...root.children.map((node) => branch(node, 1)));
    mark();
  }
  state.on("isolated", mark);
  const button = map.addButton("show", "tree", "Tree of clusters (T)", () => state.set({ tree: !state.values.tree }));
  state.on("tree", ({ tree: wanted }) => {
    body.hidden = !wanted;
    button.setAttribute("aria-pressed", String(wanted));
  });
  state.on("tree names merges splits", build);
  state.set({ tree: false });
  map.keys.push({ key: "t", about: "tree of clusters", run: () => state.set({ tree: !state.values.tree }) });
}

/** Returns the root of the branches that hold clusters or named parts of them, without steps at which nothing splits. */
function hierarchy(map) {
  const info = map.store.meta.tree;
  if (!info || info.nodes.length < 2) return null;
  const nodes = new Map(info.nodes.map((node) => [node.node, { ...node, children: [] }]));
  for (const node of nodes.values()) nodes.get(node.parent)?.children.push(node);
  const grow = (node) => {
    const below = node.children.map(grow).filter(Boolean).sort(whatEndsFirst);
    const own = node.cluster !== null && map.cluster(node.cluster) ? [node.cluster] : [];
    const part = (node.inside ?? null) !== null && Boolean(node.name);
    if (!own.length && !part && below.length < 2) return below[0] ?? null;
    return { ...node, cluster: own[0] ?? null, keywords: (node.keywords ?? []).map(String), children: below, clusters: [...own, ...below.flatMap(({ clusters: ids }) => ids)] };
  };
  const root = grow([...nodes.values()].find((node) => node.parent === null));
  if (!(root?.clusters.length > 1)) return null;
  addWords(root, []);
  return root;
}

/** Gives each branch two of its keywords, preferably some that those above it do not have. */
function addWords(node, above) {
  const fresh = node.keywords.filter((word) => !above.includes(word));
  node.words = (fresh.length ? fresh : node.keywords).slice(0, 2);
  for (const child of node.children) addWords(child, [...above, ...node.words]);
}

/** Orders branches: those that do not split further first, then by size, so that a long chain of splits can be read down. */
function whatEndsFirst(a, b) {
  return (a.children.length > 0) - (b.children.length > 0) || b.size - a.size;
}

/** Returns the branches to open at first: level by level, while they are few. */
function firstOpen(root) {
  const found = [root];
  let level = [root];
  for (let count = root.children.length; level.length; ) {
    const next = level.flatMap(({ children }) => children).filter(({ children, cluster }) => children.length && cluster === null);
    count += next.reduce((sum, { children }) => sum + children.length, 0);
    if (count > OPEN) break;
    found.push(...next);
    level = next;
  }
  return found;
}
