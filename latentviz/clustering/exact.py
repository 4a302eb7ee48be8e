"""Exactly k clusters: HDBSCAN's tree cut at k, and clusters of any method merged or split."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from latentviz.clustering.tree import condensed, members

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SMALLEST = 2  # items of a cluster in the tree that is cut last, with the most branches
SHARE = 0.015  # of the items: the smallest cluster of the tree that is cut first


def numbers(n_clusters: int | str, most: int) -> Sequence[int] | None:
    """Returns the numbers of clusters to choose from, up to `most`; None for "auto".

    >>> list(numbers("5..7", 100)), list(numbers(8, 100)), numbers("auto", 100)
    ([5, 6, 7], [8], None)
    """
    if n_clusters == "auto":
        return None
    first, _, last = str(n_clusters).partition("..")
    return range(min(int(first), most), min(int(last or first), most) + 1)


def sizes_from(size: int) -> list[int]:
    """Returns sizes of the smallest cluster to try in turn, each half of the one before.

    >>> sizes_from(27)
    [27, 13, 6, 3, 2]
    """
    found = [max(SMALLEST, size)]
    while found[-1] > SMALLEST:
        found.append(max(SMALLEST, found[-1] // 2))
    return found


def cuts_of_tree(
    spanning_tree: np.ndarray, size: int, counts: Iterable[int]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Cuts HDBSCAN's condensed tree into each of some numbers of clusters that it has the branches for.

    Every branch of the tree ends in one selected cluster, and of all selections of k clusters the one with the largest
    sum of stabilities is taken: the excess of mass of Campello et al. 2013, section 5, with k given. The sums of each
    node's subtree, for each k, follow from those of its children.

    Args:
        spanning_tree: float (m − 1, 3), two items and their mutual reachability distance.
        size: items in the smallest cluster.
        counts: the numbers of clusters.

    Returns:
        For each k: labels, int (m,), −1 for noise; and strengths of membership, float (m,) in [0, 1].
    """
    m = len(spanning_tree) + 1
    tree = condensed(spanning_tree, size)
    inner = tree.child >= m
    above = np.full(int(tree.parent.max()) - m + 1, -1)  # the parent of each node; nodes are numbered from the root
    above[tree.child[inner] - m] = tree.parent[inner] - m
    wanted = sorted({*counts})
    chosen = _selections(above, _stabilities(tree.parent - m, tree.child - m, tree.lambda_val, tree.child_size), wanted)
    found = {}
    for k, nodes in chosen.items():
        selected = np.array(nodes, np.int64) + m
        if k == 1:
            found[k] = np.zeros(m, np.int64), np.ones(m)
        else:
            found[k] = members(tree, selected, m)
    return {k: cut for k, cut in found.items() if len(np.unique(cut[0][cut[0] >= 0])) == k}


def _stabilities(parent: np.ndarray, child: np.ndarray, density: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns the excess of mass of each node, float64: the sum over its items of how much denser they get in it."""
    finite = density[np.isfinite(density)]
    density = np.minimum(density, finite.max(initial=0.0)).astype(np.float64)  # equal items are infinitely dense
    birth = np.zeros(int(parent.max()) + 1)
    inner = child >= 0
    birth[child[inner]] = density[inner]
    return np.bincount(parent, (density - birth[parent]) * size)


def _selections(above: np.ndarray, value: np.ndarray, wanted: Sequence[int]) -> dict[int, list[int]]:
    """Returns, for each wanted k, the k nodes with the largest sum of values of which each leaf has one above it.

    Args:
        above: int, the parent of each node, whose number is lower; −1 for the root, 0.
        value: float, of each node.
        wanted: numbers of nodes, ascending.
    """
    most, count = wanted[-1] if wanted else 0, len(above)
    children: list[list[int]] = [[] for _ in range(count)]
    for node in range(1, count):
        children[above[node]].append(node)
    best: list[np.ndarray] = [np.empty(0)] * count  # of each node: the largest sum with j nodes in its subtree
    taken: list[list[np.ndarray]] = [[] for _ in range(count)]  # how many of the j are in each child but the last
    for node in range(count - 1, -1, -1):
        sums = np.array([-np.inf])
        if children[node]:
            sums = best[children[node][0]]
            for other in children[node][1:]:
                sums, split = _joined(sums, best[other], most)
                taken[node].append(split)
        if len(sums) < 2:
            sums = np.array([-np.inf, -np.inf])
        sums = sums.copy()
        sums[1] = value[node]  # the node itself, in the place of all below it
        best[node] = sums
    found = {}
    for k in wanted:
        if k < len(best[0]) and np.isfinite(best[0][k]):
            nodes: list[int] = []
            waiting = [(0, k)]
            while waiting:
                node, j = waiting.pop()
                if j == 1:
                    nodes.append(node)
                    continue
                for place in range(len(children[node]) - 1, 0, -1):
                    left = int(taken[node][place - 1][j])
                    waiting.append((children[node][place], j - left))
                    j = left
                waiting.append((children[node][0], j))
            found[k] = sorted(nodes)
    return found


def _joined(one: np.ndarray, other: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest sum of one[i] + other[j − i] for each j up to `most`, and the i that has it."""
    length = min(len(one) + len(other) - 2, most) + 1
    sums, split = np.full(length, -np.inf), np.zeros(length, np.int64)
    for i in range(1, min(len(one), length)):
        reach = min(len(other), length - i)
        tried = one[i] + other[:reach]
        better = tried > sums[i : i + reach]
        sums[i : i + reach][better] = tried[better]
        split[i : i + reach][better] = i
    return sums, split


def exactly(labels: np.ndarray, k: int, coordinates: np.ndarray, weights: "Callable[[], csr_matrix]") -> np.ndarray:
    """Returns k clusters made of others, int (n,), by merging the best connected ones or splitting the widest.

    Args:
        labels: int (n,), −1 for noise, which stays unless there are no clusters.
        k: at most n.
        coordinates: float (n, c).
        weights: returns the weights of the neighbour graph, symmetric (n, n).
    """
    known = np.unique(labels[labels >= 0])
    found = np.where(labels < 0, -1, np.searchsorted(known, labels)).astype(np.int64)
    if len(known) > k:
        return _merged(found, k, coordinates, weights())
    if not len(known) or (found >= 0).sum() < k:
        found = np.zeros(len(labels), np.int64)
    while (count := int(found.max()) + 1) < k:
        found = _split(found, count, coordinates)
    return found


def _merged(labels: np.ndarray, k: int, coordinates: np.ndarray, weights: "csr_matrix") -> np.ndarray:
    """Merges the pair with the most weight per pair of items, and without any the nearest pair, until there are k."""
    from scipy.sparse import csr_matrix

    count, rows = int(labels.max()) + 1, np.flatnonzero(labels >= 0)
    member = csr_matrix((np.ones(len(rows)), (rows, labels[rows])), shape=(len(labels), count))
    between = (member.T @ weights @ member).toarray().astype(np.float64)
    sizes = np.bincount(labels[rows], minlength=count).astype(np.float64)
    sums = np.asarray(member.T @ coordinates.astype(np.float64))
    into, alive = np.arange(count), np.ones(count, bool)
    for _ in range(count - k):
        link = between / np.outer(sizes, sizes)
        upper = np.triu(np.outer(alive, alive), 1)
        if not (link[upper] > 0).any():
            centres = sums / sizes[:, None]
            link = -np.linalg.norm(centres[:, None] - centres[None], axis=2)
        one, other = np.unravel_index(int(np.where(upper, link, -np.inf).argmax()), link.shape)
        between[one] += between[other]
        between[:, one] += between[:, other]
        sizes[one] += sizes[other]
        sums[one] += sums[other]
        alive[other], into[into == other] = False, one
    dense = np.cumsum(alive) - 1
    return np.where(labels < 0, -1, dense[into[labels]])


def _split(labels: np.ndarray, count: int, coordinates: np.ndarray) -> np.ndarray:
    """Splits the cluster with the largest sum of squares in two; of clusters at one spot, the largest."""
    from sklearn.cluster import KMeans

    sizes = np.bincount(labels[labels >= 0], minlength=count)
    spread = np.zeros(count)
    for number in np.flatnonzero(sizes > 1):
        inside = coordinates[labels == number].astype(np.float64)
        spread[number] = np.square(inside - inside.mean(axis=0)).sum()
    widest = int(spread.argmax()) if spread.max() > 0 else int(sizes.argmax())
    rows, found = np.flatnonzero(labels == widest), labels.copy()
    second = np.arange(len(rows)) >= len(rows) // 2
    if len(np.unique(coordinates[rows], axis=0)) > 1:
        second = KMeans(2, n_init=3, random_state=0).fit_predict(coordinates[rows].astype(np.float64)) == 1
    found[rows[second]] = count
    return found
