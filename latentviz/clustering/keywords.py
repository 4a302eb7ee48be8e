"""What groups of items are about: the terms that set each apart, by class-based TF-IDF. Data kinds bring the terms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from latentviz.clustering.tree import condensed_tree

MOST = 10  # keywords of a group
NAMED = 3  # of them in its name
NODES = 400  # of the tree that get keywords
LEAST_ITEMS = 3  # of a group that a term must occur in
# A group's keyword is at least so much more frequent in it than elsewhere.
LIFT = 1.3
# Cells of the map that a term's spread is measured over, and the items that a cell has on average.
CELLS, A_CELL = 64, 20
# A stop word is in so many items, and in its share of the cells: exp(entropy) over their number.
COMMON, EVEN = 0.01, 0.75
# Items of an average region of the map at each level, as shares of all, and at least so many.
REGIONS, A_REGION = (1 / 12, 1 / 50, 1 / 200), 40


class Terms(NamedTuple):
    """The terms of every item, as a data kind counts them.

    Attributes:
        counts: sparse (n, v): how often each term occurs in each item.
        names: v terms.
    """

    counts: Any
    names: Sequence[str]


class Keywords:
    """Finds the keywords of any groups of items.

    Words that say nothing (*the*, *of*) are found from the data: they are in many items, and in all parts of the map.

    Args:
        terms: of the items.
        points: float (n, 2), where the items are on the map.
    """

    def __init__(self, terms: Terms, points: np.ndarray) -> None:
        from scipy.sparse import csr_matrix

        self.names = np.asarray(terms.names, object)
        self.counts = csr_matrix(terms.counts, dtype=np.float32)
        self.presence = csr_matrix(
            (np.ones_like(self.counts.data), self.counts.indices, self.counts.indptr), self.counts.shape
        )
        self.useful = ~self._stop_words(cells(points, max(2, min(CELLS, len(points) // A_CELL))))

    def _stop_words(self, cell: np.ndarray) -> np.ndarray:
        """Returns which terms say nothing, bool (v,)."""
        inside = cell >= 0
        items = self.presence[inside]
        spread = np.asarray(
            (
                _members([np.flatnonzero(cell[inside] == c) for c in range(cell.max(initial=-1) + 1)], items.shape[0])
                @ items
            ).todense()
        )
        sizes = np.maximum(np.bincount(cell[inside]), 1)[:, None]
        share = spread / sizes
        share = share / np.maximum(share.sum(axis=0), 1e-12)
        entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(axis=0)
        frequency = np.asarray(self.presence.mean(axis=0)).ravel()
        return np.asarray((frequency >= COMMON) & (np.exp(entropy) / len(sizes) >= EVEN))

    def of(self, groups: Sequence[np.ndarray], within: Sequence[np.ndarray] | None = None) -> list[list[str]]:
        """Returns up to 10 keywords of each group, the strongest first.

        The weight of term t in group c is tf(t, c)·log(1 + A/f(t)), with A the mean length of a group and f(t) how
        often t occurs in all (Grootendorst 2022, BERTopic, equation 2), times the part of tf that is more than the
        rows around the group would lead one to expect.

        Args:
            groups: rows of each group.
            within: rows that surround each group, and that it is to stand out from; all items by default.
        """
        if not len(groups):
            return []
        inside = (_members(groups, self.counts.shape[0]) @ self.counts).tocsr()  # (groups, v)
        items = (_members(groups, self.counts.shape[0]) @ self.presence).tocsr()
        total = np.asarray(self.counts.sum(axis=0)).ravel() + 1e-9
        rarity = np.log1p(float(inside.sum()) / len(groups) / total)
        around = None if within is None else (_members(within, self.counts.shape[0]) @ self.counts).tocsr()
        found = []
        for number in range(len(groups)):
            row = slice(inside.indptr[number], inside.indptr[number + 1])
            term, times = inside.indices[row], inside.data[row]
            base = total if around is None else np.asarray(around[number].todense()).ravel() + 1e-9
            lift = (times / max(times.sum(), 1e-9)) / (base[term] / base.sum())
            if len(groups[number]) > self.counts.shape[0] / 2:  # nothing can stand out from what it is the most of
                lift = np.full(len(term), LIFT)
            seen = np.asarray(items[number].todense()).ravel()[term]
            kept = self.useful[term] & (lift >= LIFT) & (seen >= min(LEAST_ITEMS, len(groups[number])))
            weight = times[kept] * rarity[term[kept]] * (1 - 1 / lift[kept])
            order = np.lexsort((term[kept], -weight))[: 6 * MOST]
            found.append(distinct(self.names[term[kept][order]].tolist(), weight[order].tolist()))
        return found


def distinct(names: Sequence[str], weights: Sequence[float]) -> list[str]:
    """Returns the first 10 terms of which none is a form or a part of another; the heavier, or longer, one stays.

    >>> distinct(["node", "nodes", "graph", "月", "明月"], [9.0, 8.0, 5.0, 4.0, 3.0])
    ['node', 'graph', '明月']
    """
    chosen: list[str] = []
    weight = dict(zip(names, weights, strict=True))
    for name in names:
        longer = [
            other
            for other in names
            if len(other) == len(name) + 1 == 2 and name in other and weight[other] >= weight[name] / 3
        ]
        if not longer and not any(_related(name, other) for other in chosen):
            chosen.append(name)
        if len(chosen) == MOST:
            break
    return chosen


def _related(one: str, other: str) -> bool:
    """Returns whether two terms are forms of one word: one lies in the other, or they differ in their last letters."""
    short, long = sorted((one, other), key=len)
    stem = max(4, len(short) - 2)
    alike = len(short) >= 4 and long[:stem] == short[:stem] and len(long) - len(short) <= 3
    within = short in long and len(short) * 2 >= len(long)
    return within or alike or (len(long) == 2 and bool(set(short) & set(long)))


def named(keywords: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Returns a name for each group made of its first three keywords, or as many more as tell it from the others.

    >>> named({0: ["a", "b", "c", "d"], 1: ["a", "b", "c", "e"], 2: []})
    {0: 'a · b · c · d', 1: 'a · b · c · e'}
    """
    names = {}
    for number, words in keywords.items():
        length = NAMED
        while length < len(words) and any(
            other != number and list(theirs[:length]) == list(words[:length]) for other, theirs in keywords.items()
        ):
            length += 1
        if words:
            names[number] = " · ".join(words[:length])
    return names


def with_keywords(
    info: Mapping[str, Any],
    keywords: Keywords,
    labels: np.ndarray,
    raw_tree: np.ndarray | None,
    points: np.ndarray,
    ids: Sequence[str],
) -> dict[str, Any]:
    """Returns what clusters.json holds with `keywords` at each cluster and larger part of the tree, and `regions`.

    Args:
        info: as `mapping.describe` has it.
        keywords: of the run's items.
        labels: int (n,), −1 for noise.
        raw_tree: HDBSCAN's condensed tree with a record an item too; None: there is none.
        points: float32 (n, 2).
        ids: of the items.
    """
    numbers = [entry["cluster"] for entry in info["clusters"]]
    words = keywords.of([np.flatnonzero(labels == number) for number in numbers])
    parts = {} if raw_tree is None else _tree_keywords(keywords, raw_tree, labels, points)
    first = int(min((row["parent"] for row in info["tree"]), default=0))
    return {
        **info,
        "clusters": [{**entry, "keywords": terms} for entry, terms in zip(info["clusters"], words, strict=True)],
        "tree": [{**row, "keywords": parts.get(int(row["child"]) - first, [])} for row in info["tree"]],
        "regions": [
            {
                "level": entry["level"],
                "item": ids[entry["row"]],
                "size": len(entry["rows"]),
                "cluster": int(np.bincount(labels[entry["rows"]] + 1).argmax()) - 1,
                "keywords": entry["keywords"],
            }
            for entry in regions(points, keywords)
            if entry["keywords"]
        ],
    }


def _tree_keywords(
    keywords: Keywords, raw_tree: np.ndarray, labels: np.ndarray, points: np.ndarray
) -> dict[int, list[str]]:
    """Returns the keywords of the tree's largest nodes, by their numbers from the root's 0 on: beside their parents."""
    tree = condensed_tree(raw_tree, labels, points)
    rows, above = ({entry["node"]: entry[key] for entry in tree} for key in ("rows", "parent"))
    largest = sorted((node for node in rows if above[node] is not None), key=lambda node: -len(rows[node]))[:NODES]
    found = keywords.of([rows[node] for node in largest], [rows[above[node]] for node in largest])
    return dict(zip(largest, found, strict=True))


def regions(points: np.ndarray, keywords: Keywords) -> list[dict[str, Any]]:
    """Returns parts of the map at three levels, coarse first, with what each is about beside what is around it.

    Each holds `level`, `rows` int64, `row` (the item nearest to its middle) and `keywords`.
    """
    found: list[dict[str, Any]] = []
    above = np.flatnonzero(np.isfinite(points).all(axis=1))
    parent = np.where(np.isfinite(points).all(axis=1), 0, -1)
    for level, share in enumerate(REGIONS):
        count = round(len(above) / max(A_REGION, share * len(above))) if len(above) else 0
        if count < 2 or (found and count <= max(entry["level"] == level - 1 for entry in found)):
            continue
        cell = cells(points, count)
        groups = [np.flatnonzero(cell == number) for number in range(cell.max() + 1)]
        groups = [rows for rows in groups if len(rows)]
        around = [np.flatnonzero(parent == np.bincount(parent[rows]).argmax()) for rows in groups]
        words = keywords.of(groups, within=None if level == 0 else around)
        for rows, terms in zip(groups, words, strict=True):
            middle = rows[np.linalg.norm(points[rows] - points[rows].mean(axis=0), axis=1).argmin()]
            found.append({"level": level, "rows": rows, "row": int(middle), "keywords": terms})
        parent = cell
    return found


def cells(points: np.ndarray, count: int, most: int = 20_000) -> np.ndarray:
    """Returns which of `count` cells of the map each point lies in, int32 (n,), by k-means; −1 without a place."""
    from sklearn.cluster import KMeans

    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    found = np.full(len(points), -1, np.int32)
    if not len(finite):
        return found
    places = points[finite].astype(np.float64)
    sample = places[:: -(-len(places) // most)]
    count = min(count, len(np.unique(sample, axis=0)))
    model = KMeans(count, n_init=1, max_iter=30, random_state=0).fit(sample)
    found[finite] = model.predict(places)
    return found


def _members(groups: Sequence[np.ndarray], n: int) -> Any:
    """Returns the sparse matrix (groups, n) that is 1 where an item is in a group."""
    from scipy.sparse import csr_matrix

    sizes = [len(rows) for rows in groups]
    rows = np.concatenate([np.asarray(rows, np.int64) for rows in groups]) if groups else np.empty(0, np.int64)
    return csr_matrix((np.ones(len(rows), np.float32), rows, np.concatenate([[0], np.cumsum(sizes)])), (len(groups), n))
