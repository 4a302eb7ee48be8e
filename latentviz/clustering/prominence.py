"""Are there sparser places between clusters? A test in log density, whose noise is the same in all dimensions."""

from typing import NamedTuple

import numpy as np

BORDER = 3  # neighbours in another cluster that put an item at the border to it
# A cluster is distinct from a prominence of LEAST + 1/d² + SURE standard deviations on. Cutting a single cloud at its
# sparsest spots makes some, of any number of items: the fewer dimensions a border has, the sparser it can be.
LEAST, SURE = 0.1, 1.5
CLEAR = 2.0  # times LEAST and a standard deviation: beyond, more prominence does not make a cut better
MOST_DIMENSIONS = 50.0  # of an estimate, which items at equal distances make infinite


class Separation(NamedTuple):
    """How far the borders of clusters are from what a cut through a single cloud has."""

    mean: float  # over the items: their cluster's prominence as a share of what is clear, in [0, 1]
    distinct: float  # share of items in distinct clusters


class Prominence:
    """Compares the density at the borders of clusters with that inside.

    The density at an item is estimated from the distance r to its k-th neighbour, up to a constant as −d·log r, where d
    is the intrinsic dimension (Levina & Bickel 2004, averaged over the items as in MacKay & Ghahramani 2005). Its
    standard deviation is 1/√k in any number of dimensions, where that of r itself is 27% (k = 14) in one dimension and
    2% in 16.

    Between two clusters, the prominence is the lesser one's median log density minus that of the items at their common
    border (Chazal et al. 2013 compare peaks; medians are less noisy). A cluster's prominence is the mean over its
    borders, weighted by their items. The cluster is distinct if that exceeds what noise alone makes of a single cloud
    that is cut at its sparsest spots, as HDBSCAN cuts. A cluster without a border is distinct.

    Distances are those of the vectors, not of a layout, which tears single clouds apart.

    Args:
        neighbours: int32 (n, k), nearest first, without the item itself.
        distances: float32 (n, k), to the neighbours.
        counts: int64 (n,), how many items each row stands for; None: one.
    """

    def __init__(self, neighbours: np.ndarray, distances: np.ndarray, counts: np.ndarray | None = None) -> None:
        logs = np.log(np.maximum(distances, 1e-12), dtype=np.float64)
        self.neighbours, self.counts = neighbours, counts
        self.radius = logs[:, -1]  # log r, (n,)
        self.inverse = self.radius - logs[:, :-1].mean(axis=1) if logs.shape[1] > 1 else np.ones(len(logs))  # 1/d
        self.weights = np.ones(len(logs)) if counts is None else counts.astype(np.float64)

    def __call__(self, labels: np.ndarray) -> Separation:
        """Measures the clusters `labels`, int (n,); noise, −1, counts 0."""
        prominence, thin, deviation, sizes = self.of_clusters(labels)
        total, border = float(self.weights.sum()), deviation > 0
        clear = np.where(border, prominence / (CLEAR * (LEAST + deviation)), 1.0).clip(0, 1)
        distinct = ~border | (prominence >= LEAST + thin + SURE * deviation)
        return Separation(float(clear @ sizes) / total, float(distinct @ sizes) / total)

    def of_clusters(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns each cluster's prominence, 1/d², the prominence's standard deviation, and the weight, (k,) each.

        The standard deviation of a cluster without a border is 0.
        """
        inside = labels >= 0
        _, own = np.unique(labels[inside], return_inverse=True)
        number = np.full(len(labels), -1)
        number[inside] = own
        count = int(own.max(initial=-1)) + 1
        sizes = np.bincount(own, self.weights[inside], count)
        rows, other = self.border(number, count)

        first, second = np.minimum(number[rows], other), np.maximum(number[rows], other)
        pairs, pair = np.unique(first * count + second, return_inverse=True)
        first, second = pairs // max(count, 1), pairs % max(count, 1)
        items, inverse = np.bincount(own, minlength=count), np.bincount(own, self.inverse[inside], count)
        mean = (inverse[first] + inverse[second]) / np.maximum(items[first] + items[second], 1)
        dimension = 1 / np.maximum(mean, 1 / MOST_DIMENSIONS)
        median = medians(self.radius[inside], own, count)
        found = dimension * (medians(self.radius[rows], pair, len(pairs)) - np.maximum(median[first], median[second]))

        at_border = np.bincount(pair, minlength=len(pairs))
        total, weighted = np.zeros(count), np.zeros(count)
        for end in (first, second):
            np.add.at(total, end, at_border)
            np.add.at(weighted, end, at_border * found)
        # 1/√k per item, and neighbouring items share their k neighbours: √(k/m)·1/√k.
        deviation = np.where(total > 0, 1 / np.sqrt(np.maximum(total, 1)), 0.0)
        thin = (inverse / np.maximum(items, 1)) ** 2
        return weighted / np.maximum(total, 1), thin, deviation, sizes

    def border(self, number: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items at borders, and the clusters that they border on, int64 (m,) each.

        Args:
            number: int (n,), the clusters, below `count`; −1 for noise.
            count: of clusters.
        """
        theirs = number[self.neighbours]
        foreign = (theirs != number[:, None]) & (theirs >= 0)
        rows = np.flatnonzero((foreign.sum(axis=1) >= BORDER) & (number >= 0))
        which, column = np.nonzero(foreign[rows])
        keys, votes = np.unique(which * count + theirs[rows[which], column], return_counts=True)
        keys = keys[votes >= BORDER]
        return rows[keys // max(count, 1)], keys % max(count, 1)


def medians(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """Returns the median of the values (n,) of each of `count` groups, int (n,), none of which is empty: (count,)."""
    ordered = values[np.lexsort((values, group))]
    ends = np.cumsum(np.bincount(group, minlength=count))
    starts = ends - np.bincount(group, minlength=count)
    found: np.ndarray = (ordered[(starts + ends - 1) // 2] + ordered[(starts + ends) // 2]) / 2
    return found
