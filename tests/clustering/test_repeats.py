"""Items with the same vector are one item: one spot, one cluster, counted."""

import numpy as np
import pytest

from latentviz.clustering.clusterers import cluster
from latentviz.clustering.landmarks import Layout, with_repeats
from latentviz.clustering.repeats import SAME, find_repeats
from latentviz.clustering.tree import condensed_tree


def vectors(n: int = 200, d: int = 16, seed: int = 0) -> np.ndarray:
    """Returns normal vectors, float32 (n, d)."""
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


class TestFindRepeats:
    def test_vectors_that_differ_have_none(self) -> None:
        assert find_repeats(vectors()) is None

    def test_equal_rows_are_one_item_named_by_the_first(self) -> None:
        repeats = find_repeats(vectors(5)[[3, 1, 3, 0, 1, 3]])
        assert repeats is not None
        assert repeats.first.tolist() == [0, 1, 3]
        assert repeats.which.tolist() == [0, 1, 0, 2, 1, 0]
        assert repeats.counts.tolist() == [3, 2, 1]
        assert repeats.repeated == 3

    @pytest.mark.parametrize("seed", range(20))
    def test_rounding_does_not_part_them(self, seed: int) -> None:
        one = np.repeat(vectors(1, 64, seed), 300, axis=0)
        noisy = one * (1 + 1e-6 * np.random.default_rng(seed).normal(size=one.shape))
        repeats = find_repeats(np.concatenate([vectors(50, 64, seed + 1), noisy]).astype(np.float32))
        assert repeats is not None
        assert repeats.counts.tolist() == [1] * 50 + [300]

    def test_a_difference_above_rounding_parts_them(self) -> None:
        one = vectors(1)
        apart = np.concatenate([one, one + 20 * SAME * np.linalg.norm(one)]).astype(np.float32)
        assert find_repeats(apart) is None

    def test_one_spot_and_zeros(self) -> None:
        for value in (0.0, 1.0, -0.0):
            repeats = find_repeats(np.full((7, 3), value, np.float32))
            assert repeats is not None
            assert repeats.counts.tolist() == [7]

    def test_signed_zeros_are_equal(self) -> None:
        repeats = find_repeats(np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32))
        assert repeats is not None
        assert repeats.repeated == 1


@pytest.mark.parametrize("method", ["hdbscan", "gmm"])
class TestClustering:
    def test_an_item_a_hundred_times_is_one_cluster(self, method: str) -> None:
        points = np.array([[0, 0], [9, 0], [0, 9]], np.float32)
        found = cluster(method, points, counts=np.array([1000, 900, 800]), n_clusters=3)
        assert found.labels.tolist() == [0, 1, 2], "numbered by the number of items, none noise"

    def test_sizes_count_items_and_not_rows(self, method: str) -> None:
        cloud = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
        points = np.concatenate([cloud, cloud[:20] + 40])
        counts = np.concatenate([np.ones(60), np.full(20, 10)]).astype(np.int64)
        found = cluster(method, points, counts=counts, min_cluster_size=50, n_clusters=2)
        assert set(found.labels[60:]) == {0}, "200 items in 20 rows are the larger cluster"
        assert found.k == 2

    def test_a_repeated_item_inside_a_cloud_does_not_cut_it_up(self, method: str) -> None:
        points = np.random.default_rng(1).normal(size=(400, 2)).astype(np.float32)
        points[:200] += 30
        counts = np.ones(400, np.int64)
        counts[np.linalg.norm(points - 30, axis=1).argmin()] = 100
        found = cluster(method, points, counts=counts, min_cluster_size=50, n_clusters=2)
        largest = found.labels[:200] == np.bincount(found.labels[:200] + 1).argmax() - 1
        assert largest.mean() > 0.6


def test_everything_is_repeated_with_the_tree_in_items() -> None:
    points = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    points[:40] += 30
    which = np.random.default_rng(1).permutation(np.concatenate([np.arange(80), np.full(60, 5), np.full(20, 70)]))
    repeats = find_repeats(points[which])
    assert repeats is not None
    distinct = points[which][repeats.first]
    found = cluster("hdbscan", distinct, counts=repeats.counts, min_cluster_size=30)
    neighbours = np.zeros((80, 2), np.int32)
    layout = with_repeats(Layout(distinct, distinct, neighbours, found, found.labels), repeats)
    n, labels = len(which), layout.clusters.labels
    assert np.array_equal(layout.points, points[which])
    for item in (5, 70):
        assert len(set(labels[which == item])) == 1
        assert len(set(layout.clusters.probabilities[which == item])) == 1
    assert (np.diff(np.bincount(labels[labels >= 0])) <= 0).all(), "numbered from the largest"
    assert layout.clusters.raw_tree is not None
    leaves = layout.clusters.raw_tree["child"][layout.clusters.raw_tree["child"] < n]
    assert sorted(leaves) == list(range(n)), "every item is once in the tree"
    nodes = condensed_tree(layout.clusters.raw_tree, labels, layout.points)
    assert nodes[0]["size"] == n
    assert sorted(node["cluster"] for node in nodes if node["cluster"] is not None) == list(range(layout.clusters.k))
    sizes = {row["child"]: row["child_size"] for row in layout.clusters.tree}
    assert all(node["size"] == sizes[node["node"] + n] for node in nodes[1:])
    assert all(
        len({tuple(points[which][row]) for row in rows}) == len(rows) for rows in layout.clusters.exemplars.values()
    )
