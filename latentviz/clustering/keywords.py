"""Keywords of groups of items: the terms that distinguish each, by class-based TF-IDF. Data kinds count the terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from latentviz.clustering.tree import condensed_tree

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix, spmatrix

MOST = 10  # keywords of a group
NAMED = 3  # keywords in its name
NODES = 400  # nodes of the tree with keywords
LEAST_ITEMS = 3  # items of a group that a keyword must occur in
LIFT = 1.3  # how much more frequent a keyword must be in its group than elsewhere
CELLS, PER_CELL = 64, 20  # cells of the map for the spread of a term, and items per cell
COMMON, EVEN = 0.01, 0.75  # a stop word's least share of the items, and of the cells: exp(entropy) over their number
REGIONS, PER_REGION = (1 / 12, 1 / 50, 1 / 200), 40  # items of a mean region at each level: share of all; at least


class Terms(NamedTuple):
    """The terms of every item."""

    counts: "spmatrix"  # sparse (n, v), occurrences of each term in each item
    names: Sequence[str]  # the v terms


class Keywords:
    """Finds keywords of groups of items.

    Stop words (*the*, *of*) are found from the data: they occur in many items and all over the map.

    Args:
        terms: of the items.
        points: float (n, 2), the items on the map.
    """

    def __init__(self, terms: Terms, points: np.ndarray) -> None:
        from scipy.sparse import csr_matrix

        self.names = np.asarray(terms.names, object)
        self.counts = csr_matrix(terms.counts, dtype=np.float32)
        self.presence = csr_matrix(
            (np.ones_like(self.counts.data), self.counts.indices, self.counts.indptr), self.counts.shape
        )
        self.useful = ~self._stop_words(cells(points, max(2, min(CELLS, len(points) // PER_CELL))))

    def _stop_words(self, cell: np.ndarray) -> np.ndarray:
        """Returns which terms are stop words, bool (v,)."""
        inside = cell >= 0
        items = self.presence[inside]
        groups = [np.flatnonzero(cell[inside] == c) for c in range(cell.max(initial=-1) + 1)]
        spread = np.asarray((_members(groups, items.shape[0]) @ items).todense())
        sizes = np.maximum(np.bincount(cell[inside]), 1)[:, None]
        share = spread / sizes
        share = share / np.maximum(share.sum(axis=0), 1e-12)
        entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(axis=0)
        frequency = np.asarray(self.presence.mean(axis=0)).ravel()
        return np.asarray((frequency >= COMMON) & (np.exp(entropy) / len(sizes) >= EVEN))

    def of(self, groups: Sequence[np.ndarray], within: Sequence[np.ndarray] | None = None) -> list[list[str]]:
        """Returns up to 10 keywords of each group, the strongest first.

        The weight of term t in group c is tf(t, c)·log(1 + A/f(t)), with A the mean length of a group and f(t) the
        frequency of t in all groups (Grootendorst 2022, BERTopic, equation 2), times 1 − 1/lift, the part of tf above
        the frequency in the surrounding rows.

        Args:
            groups: rows of each group.
            within: rows that surround each group; all items by default.
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
            if len(groups[number]) > self.counts.shape[0] / 2:  # it is most of what surrounds it
                lift = np.full(len(term), LIFT)
            seen = np.asarray(items[number].todense()).ravel()[term]
            kept = self.useful[term] & (lift >= LIFT) & (seen >= min(LEAST_ITEMS, len(groups[number])))
            weight = times[kept] * rarity[term[kept]] * (1 - 1 / lift[kept])
            order = np.lexsort((term[kept], -weight))[: 6 * MOST]
            found.append(distinct(self.names[term[kept][order]].tolist(), weight[order].tolist()))
        return found


def distinct(names: Sequence[str], weights: Sequence[float]) -> list[str]:
    """Returns the first 10 terms without forms or parts of another; the heavier, or longer, one stays.

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
    """Whether two terms are forms of one word: one contains the other, or they differ in their last letters."""
    short, long = sorted((one, other), key=len)
    stem = max(4, len(short) - 2)
    alike = len(short) >= 4 and long[:stem] == short[:stem] and len(long) - len(short) <= 3
    within = short in long and len(short) * 2 >= len(long)
    return within or alike or (len(long) == 2 and bool(set(short) & set(long)))


def named(keywords: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Names each group by its first three keywords, or by as many more as make the name unique.

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


@dataclass(frozen=True)
class Region:
    """A part of the map."""

    level: int  # 0 for the coarsest
    rows: np.ndarray  # int64, its items
    row: int  # the item nearest to its mean
    keywords: list[str]  # what distinguishes it from the region around it


def tree_keywords(
    keywords: Keywords, raw_tree: np.ndarray, labels: np.ndarray, points: np.ndarray
) -> dict[int, list[str]]:
    """Returns the keywords of the largest nodes of a condensed tree relative to their parents, by node number.

    The root has number 0; the other arguments are those of `condensed_tree`.
    """
    tree = condensed_tree(raw_tree, labels, points)
    rows, above = ({entry["node"]: entry[key] for entry in tree} for key in ("rows", "parent"))
    largest = sorted((node for node in rows if above[node] is not None), key=lambda node: -len(rows[node]))[:NODES]
    found = keywords.of([rows[node] for node in largest], [rows[above[node]] for node in largest])
    return dict(zip(largest, found, strict=True))


def regions(points: np.ndarray, keywords: Keywords) -> list[Region]:
    """Divides the map into regions at three levels, coarse first."""
    found: list[Region] = []
    finite = np.isfinite(points).all(axis=1)
    n = int(finite.sum())
    parent = np.where(finite, 0, -1)
    for level, share in enumerate(REGIONS):
        count = round(n / max(PER_REGION, share * n)) if n else 0
        if count < 2:
            continue
        cell = cells(points, count)
        groups = [np.flatnonzero(cell == number) for number in range(cell.max() + 1)]
        groups = [rows for rows in groups if len(rows)]
        around = [np.flatnonzero(parent == np.bincount(parent[rows]).argmax()) for rows in groups]
        words = keywords.of(groups, within=None if level == 0 else around)
        for rows, terms in zip(groups, words, strict=True):
            middle = rows[np.linalg.norm(points[rows] - points[rows].mean(axis=0), axis=1).argmin()]
            found.append(Region(level, rows, int(middle), terms))
        parent = cell
    return found


def cells(points: np.ndarray, count: int, most: int = 20_000) -> np.ndarray:
    """Divides the map into `count` cells by k-means; returns each point's, int32 (n,), −1 without a place."""
    from sklearn.cluster import KMeans

    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    found = np.full(len(points), -1, np.int32)
    if not len(finite):
        return found
    known = points[finite].astype(np.float64)
    sample = known[:: -(-len(known) // most)]
    count = min(count, len(np.unique(sample, axis=0)))
    model = KMeans(count, n_init=1, max_iter=30, random_state=0).fit(sample)
    found[finite] = model.predict(known)
    return found


def _members(groups: Sequence[np.ndarray], n: int) -> "csr_matrix":
    """Returns the sparse matrix (groups, n) that is 1 where an item is in a group."""
    from scipy.sparse import csr_matrix

    sizes = [len(rows) for rows in groups]
    rows = np.concatenate([np.asarray(rows, np.int64) for rows in groups]) if groups else np.empty(0, np.int64)
    return csr_matrix((np.ones(len(rows), np.float32), rows, np.concatenate([[0], np.cumsum(sizes)])), (len(groups), n))
