"""Places new items in a frozen layout: between their nearest fitted neighbours, on top of equal items."""

import numpy as np

from latentviz.clustering.neighbors import Cells, nearest

NEIGHBOURS = 15  # as many as UMAP's graph keeps by default
SAME = 0.01  # of the fitted items' median distance to their neighbour: items nearer than that are equal
SAMPLE = 2_000  # fitted items that this median is taken over
HALVINGS, ROUNDS = 48, 24  # of the bisection and of the median's iteration: errors far below a pixel


class Place:
    """The fitted neighbours of new items.

    Attributes:
        rows: int32 (m, k), the nearest fitted items, nearest first.
        distances: float32 (m, k), to these.
        weights: float64 (m, k), the neighbours' weights in the place; rows sum to 1.
        same: int64 (m,), the fitted item that an item equals, else −1.
    """

    def __init__(
        self, queries: np.ndarray, fitted: np.ndarray, *, cells: Cells | None = None, apart: float | None = None
    ) -> None:
        """Finds the neighbours of `queries` (m, d) among `fitted` (n, d), approximately if there are `cells` of it.

        `apart` is `spacing(fitted)`, computed if it is None.
        """
        k = min(NEIGHBOURS, len(fitted))
        found = cells.nearest(queries, k) if cells else nearest(queries, fitted, k)
        self.rows, self.distances = found.indices, found.distances
        near = self.distances.astype(np.float64)
        equal = near <= SAME * (spacing(fitted) if apart is None else apart)
        # The first of several equal items: rounding may put any of them nearest.
        first = np.where(equal, self.rows, len(fitted)).min(axis=1)
        self.same = np.where(equal.any(axis=1), first, -1).astype(np.int64)
        weights = memberships(near) / np.maximum(near, 1e-12)
        self.weights = weights / _total(weights)[:, None]

    def within(self, coordinates: np.ndarray) -> np.ndarray:
        """Returns the places of the new items in a layout of the fitted ones, float32 (m, c).

        The weighted geometric median of the neighbours' places (Weiszfeld 1937): close to their mean if they lie
        together, and on the majority's side if a few lie elsewhere, where a mean would end up between them. An item
        that equals a fitted one gets exactly its place.

        Args:
            coordinates: (n, c); rows that are not finite (items without a place) are ignored.
        """
        places = coordinates[self.rows].astype(np.float64)  # (m, k, c)
        finite = np.isfinite(places).all(axis=2)
        weights = _normalised(np.where(finite, self.weights, 0))
        places = np.where(finite[:, :, None], places, 0)
        middle = _mean(places, weights)
        for _ in range(ROUNDS):
            away = np.sqrt(np.square(places - middle[:, None]).sum(axis=2))
            middle = _mean(places, _normalised(weights / np.maximum(away, 1e-9)))
        middle[~finite.any(axis=1)] = np.nan
        found = middle.astype(np.float32)
        known = self.same >= 0
        found[known] = coordinates[self.same[known]]
        return found

    def vote(self, labels: np.ndarray) -> np.ndarray:
        """Returns the label (n,) with the largest weight among the neighbours, −1 if none has a label: int32 (m,)."""
        near = labels[self.rows]
        best, found = np.zeros(len(near)), np.full(len(near), -1, np.int32)
        for j in range(near.shape[1]):
            share = _total(np.where(near == near[:, [j]], self.weights, 0))
            better = (near[:, j] >= 0) & (share > best * (1 + 1e-12))
            best, found = np.where(better, share, best), np.where(better, near[:, j], found)
        return found.astype(np.int32)


def spacing(fitted: np.ndarray) -> float:
    """Returns the median distance of fitted items (n, d) to their nearest neighbour that is not equal to them."""
    rows = np.unique(np.linspace(0, len(fitted) - 1, SAMPLE).astype(np.int64))
    distances = nearest(fitted[rows], fitted, min(NEIGHBOURS, len(fitted))).distances
    apart = np.where(distances > 0, distances, np.inf).min(axis=1)
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if len(apart) else 0.0


def memberships(distances: np.ndarray) -> np.ndarray:
    """Returns UMAP's fuzzy memberships exp(−(d − ρ)/σ), (m, k) in (0, 1] (McInnes, Healy & Melville 2018, section 3.1).

    Of ascending distances d, (m, k), ρ is the least, and σ makes each row's memberships sum to log₂ k.
    """
    beyond = distances - distances[:, [0]]
    target = np.log2(max(2, distances.shape[1]))
    low, high = np.zeros(len(beyond)), np.maximum(beyond[:, -1], 1e-12) * 1e3
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        total = _total(np.exp(-beyond / np.maximum(middle, 1e-300)[:, None]))
        low, high = np.where(total < target, middle, low), np.where(total < target, high, middle)
    return np.asarray(np.exp(-beyond / np.maximum(high, 1e-300)[:, None]))


# Sums run over the neighbours one at a time: numpy's order of summation depends on the number of rows, and an item
# must get the same place alone as in a batch of thousands.
def _total(values: np.ndarray) -> np.ndarray:
    return np.asarray(sum(values.T, np.zeros(len(values))))


def _normalised(weights: np.ndarray) -> np.ndarray:
    return np.asarray(weights / np.maximum(_total(weights), 1e-300)[:, None])


def _mean(places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    each = (weights[:, [j]] * places[:, j] for j in range(places.shape[1]))
    return np.asarray(sum(each, np.zeros((len(places), places.shape[2]))))
