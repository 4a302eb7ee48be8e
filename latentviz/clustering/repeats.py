"""Items with the same vector: laid out and clustered once, with their multiplicity, and then given one place."""

from dataclasses import dataclass

import numpy as np

# Vectors nearer than this share of their root mean square are equal: float32 rounds about 1e-7, summed over layers.
SAME = 1e-5
GRIDS = 4
LEAF = 40  # rows in a leaf of the tree of points, as in hdbscan


@dataclass(frozen=True)
class Repeats:
    """Which of n items are the same item, of m distinct ones."""

    first: np.ndarray  # int64 (m,), the first row of each distinct item, ascending
    which: np.ndarray  # int64 (n,), the distinct item of each row
    counts: np.ndarray  # int64 (m,), how many rows each distinct item has

    @property
    def repeated(self) -> int:
        """The number of rows that occur earlier."""
        return len(self.which) - len(self.first)


def find_repeats(vectors: np.ndarray) -> Repeats | None:
    """Finds rows of `vectors` (n, d) that are equal up to rounding; None if all differ.

    Rows in one cell of a grid are equal. A line of one grid may divide two that are, so several shifted grids are used.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n, d = vectors.shape
    width = SAME * float(np.sqrt(np.square(vectors, dtype=np.float64).mean() * d)) if vectors.size else 0.0
    scaled = vectors.astype(np.float64) / (width or 1.0)
    rows, firsts = np.arange(n), []
    for shift in np.arange(GRIDS) / GRIDS:  # + 0.0 makes −0 equal 0
        keys = hashed(np.floor(scaled + shift) + 0.0)
        if equal_ones(keys):
            _, first, cell = np.unique(keys, return_index=True, return_inverse=True)
            firsts.append(first[cell.ravel()])
    if not firsts:
        return None
    rows, joined = np.tile(rows, len(firsts)), np.concatenate(firsts)
    graph = coo_matrix((np.ones(len(rows), bool), (rows, joined)), shape=(n, n))
    return numbered(connected_components(graph, directed=False)[1])


def hashed(rows: np.ndarray) -> np.ndarray:
    """Returns a hash of the bytes of each row (n, …), uint64 (n,)."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    width = flat.dtype.itemsize * flat.shape[1]
    words = flat.view(np.uint8).reshape(len(rows), width)
    words = words.view(np.uint64 if width % 8 == 0 else np.uint32 if width % 4 == 0 else np.uint8)
    factors = np.random.default_rng(0).integers(0, 2**64, words.shape[1], np.uint64) | np.uint64(1)
    mixed = words.astype(np.uint64)  # each word is mixed, or else sums of products would collide for flipped signs
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    total: np.ndarray = np.einsum("ij,j->i", mixed, factors)
    return total


def equal_ones(keys: np.ndarray) -> int:
    """Returns how many of some keys (n,) are equal to another one before them."""
    ordered = np.sort(keys)
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))


def numbered(group: np.ndarray) -> Repeats:
    """Numbers groups, int (n,), by their first row."""
    _, first, which, counts = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return Repeats(first[order], place[which.ravel()], counts[order])


def spanning_tree(points: np.ndarray, min_samples: int, counts: np.ndarray | None) -> np.ndarray:
    """Returns a minimum spanning tree of items by mutual reachability, float64 (items − 1, 3): two items, distance.

    The first n items are the rows of `points`, the others their repeats, which hang on them: nearer than any other row
    and at a distance above 0, so that a row's items enter and leave a cluster together at a finite density.

    Args:
        points: float (n, k), n ≥ 2.
        min_samples: rows that make a region dense; repeats do not count, an item is no denser for being repeated.
        counts: int64 (n,), how many items each row stands for; None: one.
    """
    from hdbscan._hdbscan_boruvka import KDTreeBoruvkaAlgorithm
    from sklearn.neighbors import KDTree

    n = len(points)
    tree = KDTree(np.ascontiguousarray(points, np.float64), leaf_size=LEAF)
    samples = min(min_samples, n - 1)
    edges: np.ndarray = KDTreeBoruvkaAlgorithm(
        tree, samples, leaf_size=LEAF // 3, approx_min_span_tree=False, n_jobs=1
    ).spanning_tree()
    if counts is None:
        return edges
    shortest = np.full(n, np.inf)
    for end in (0, 1):
        np.minimum.at(shortest, edges[:, end].astype(np.int64), edges[:, 2])
    shortest = np.maximum(shortest, 1e-6 * max(float(np.median(edges[:, 2])), 1e-12))
    owner = np.repeat(np.arange(n), counts - 1)
    repeats = np.column_stack([owner, np.arange(n, n + len(owner)), 0.999 * shortest[owner]])
    return np.concatenate([edges, repeats])


def with_heavy_items(
    labels: np.ndarray, strengths: np.ndarray, counts: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a cluster of each row that is noise, and of which there are as many items as the smallest cluster has."""
    heavy = np.flatnonzero((labels < 0) & (counts >= size))
    labels, strengths = labels.copy(), strengths.copy()
    labels[heavy] = labels.max(initial=-1) + 1 + np.arange(len(heavy))
    strengths[heavy] = 1
    return labels, strengths
