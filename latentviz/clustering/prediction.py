"""Predicts the clusters of new points from coordinates and labels alone.

hdbscan's `approximate_predict` walks its condensed tree point by point and needs the fitted object. The same answer
follows from the labels, for all points at once and for any clusterer of dense regions: a new point takes the cluster of
its nearest neighbour by mutual reachability, unless it is farther from it than that cluster is from all other items.
"""

from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree


class Membership:
    """Predicts clusters for new points of one clustering.

    Densities are λ = 1/(mutual reachability distance to the nearest neighbour), as in Campello et al. 2015.

    Args:
        coordinates: float (n, k), what was clustered, all finite.
        labels: int (n,), −1 for noise.
        probabilities: float (n,) in [0, 1], of the fitted items' memberships.
        min_samples: HDBSCAN's; 0 for a clusterer without noise: every point gets a cluster.
    """

    def __init__(
        self, coordinates: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, min_samples: int
    ) -> None:
        self.coordinates = np.asarray(coordinates, np.float64)
        self.labels, self.probabilities, self.noisy = labels, probabilities, min_samples > 0
        self.samples = max(1, min(min_samples or 10, len(labels) - 1))
        self.tree = cKDTree(self.coordinates)
        self.k = int(labels.max(initial=-1)) + 1

    @cached_property
    def core(self) -> np.ndarray:
        """The core distance of each fitted item, float64 (n,): to its `min_samples`-th nearest neighbour."""
        distances = self.tree.query(self.coordinates, [self.samples + 1])[0]
        return np.asarray(distances[:, 0])

    @cached_property
    def own(self) -> np.ndarray:
        """The density λ of each fitted item, float64 (n,)."""
        distances, near = self.tree.query(self.coordinates, min(2 * self.samples, len(self.labels)))
        reach = np.maximum(np.maximum(distances, self.core[near]), self.core[:, None])
        reach[near == np.arange(len(near))[:, None]] = np.inf
        return np.asarray(1 / np.maximum(reach.min(axis=1), 1e-12))

    @cached_property
    def births(self) -> np.ndarray:
        """The density λ at which each cluster separates from all other items, float64 (k,).

        1/(least mutual reachability distance between a member and any other item): the start of the cluster's branch
        in the single-linkage tree.
        """
        births = np.zeros(self.k)
        for cluster in range(self.k):
            members, others = np.flatnonzero(self.labels == cluster), np.flatnonzero(self.labels != cluster)
            if not len(members) or not len(others):  # numbers of clusters may have gaps
                continue
            distances, near = cKDTree(self.coordinates[others]).query(
                self.coordinates[members], min(self.samples, len(others))
            )
            distances, near = distances.reshape(len(members), -1), near.reshape(len(members), -1)
            reach = np.maximum(np.maximum(distances, self.core[others][near]), self.core[members][:, None])
            births[cluster] = 1 / max(float(reach.min()), 1e-12)
        return births

    @cached_property
    def peaks(self) -> np.ndarray:
        """The density λ at which membership of each cluster becomes certain, float64 (k,): probability is λ/peak.

        Estimated from the fitted members with a probability below 1; if there are none, new members are certain too.
        """
        peaks = np.full(self.k, 1e-12)
        for cluster in range(self.k):
            members = np.flatnonzero(self.labels == cluster)
            share = self.probabilities[members]
            graded = (share > 0) & (share < 1)
            if graded.any():
                peaks[cluster] = np.median(self.own[members][graded] / share[graded])
        return peaks

    def outlier_scores(self, density: np.ndarray, cluster: np.ndarray) -> np.ndarray:
        """Returns GLOSH, 1 − λ/λmax of the cluster, (m,) in [0, 1]; higher is odder (Campello et al. 2015, equation 8).

        `density` (m,) is λ of each point, `cluster` (m,) what it belongs to or is nearest to, −1 for none.
        """
        densest = np.zeros(self.k + 1)  # the last entry is for −1
        np.maximum.at(densest, self.labels, self.own)
        densest[-1] = self.own.max(initial=0)
        return np.asarray(1 - np.minimum(density / np.maximum(densest[cluster], 1e-12), 1))

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns cluster int32 (m,), probability and density λ float64 (m,) of points float (m, k)."""
        m = len(points)
        if not m or not self.k:
            return np.full(m, -1, np.int32), np.zeros(m), np.zeros(m)
        wanted = min(max(2 * self.samples, self.samples + 1), len(self.labels))
        distances, near = self.tree.query(np.asarray(points, np.float64), wanted)
        own = distances[:, [min(self.samples, wanted - 1)]]
        reach = np.maximum(np.maximum(distances, self.core[near]), own)
        best = reach.argmin(axis=1)
        row = np.arange(m)
        density = 1 / np.maximum(reach[row, best], 1e-12)
        cluster = self.labels[near[row, best]].astype(np.int32)
        if self.noisy:
            cluster = np.where((cluster >= 0) & (density >= self.births[cluster]), cluster, -1).astype(np.int32)
        probability = np.where(cluster >= 0, np.minimum(density / self.peaks[cluster], 1), 0)
        return cluster, probability, density
