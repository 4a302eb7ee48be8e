"""Clusterers: clusters where there are some, noise where there are none, the same results for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentviz.clustering.clusterers import cluster, gmm_cluster
from latentviz.clustering.cut import fill, nearest_clusters
from latentviz.clustering.density import hdbscan_cluster
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.partition import EXEMPLARS, by_size, typical
from latentviz.errors import ConfigError


def clouds(sizes: tuple[int, ...] = (80, 60, 40), noise: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (n, 2) in tight clouds with a few stragglers far off, and the cloud of each, −1 for stragglers."""
    random = np.random.default_rng(seed)
    centres = 30 * random.permutation(len(sizes))[:, None] * np.array([1.0, 0.5])
    points = [centre + random.normal(size=(size, 2)) for centre, size in zip(centres, sizes, strict=True)]
    stragglers = random.uniform(-200, 300, (noise, 2))
    cloud = np.concatenate([*(np.full(size, i) for i, size in enumerate(sizes)), np.full(noise, -1)])
    return np.concatenate([*points, stragglers]).astype(np.float32), cloud


def test_hdbscan_finds_the_clouds_numbered_by_size() -> None:
    points, cloud = clouds()
    found = hdbscan_cluster(points, min_cluster_size=20, min_samples=5)
    assert found.k == 3
    for i in range(3):
        inside = found.labels[cloud == i]
        assert (inside == i).mean() > 0.9, "cloud i, the i-th largest, is cluster i"
    assert (found.labels[cloud == -1] == -1).mean() > 0.8
    assert found.noise_share == pytest.approx((found.labels == -1).mean())
    assert set(found.persistence) == set(found.exemplars) == {0, 1, 2}
    assert all(0 <= p <= 1 for p in found.persistence.values())
    assert found.tree, "the condensed tree's clusters are kept"


def test_stragglers_are_odder_than_members() -> None:
    points, cloud = clouds()
    found = hdbscan_cluster(points, min_cluster_size=20, min_samples=5)
    assert np.median(found.outlier_scores[cloud == -1]) > np.median(found.outlier_scores[cloud >= 0])


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(np.random.default_rng(0).uniform(size=(300, 2)), id="noise"),
        pytest.param(np.random.default_rng(0).normal(size=(300, 2)), id="one blob"),
        pytest.param(np.zeros((300, 2)), id="one spot"),
    ],
)
def test_no_cluster_is_a_result(points: np.ndarray) -> None:
    found = hdbscan_cluster(points.astype(np.float32), min_cluster_size=100)
    assert found.k == 0
    assert (found.labels == -1).all()
    assert found.noise_share == 1
    assert found.persistence == {}
    assert found.exemplars == {}
    assert np.isfinite(found.outlier_scores).all()
    nearest = fill(found.labels, neighbours(points.astype(np.float32), 15).indices[:, 1:])
    assert (nearest == -1).all()


@pytest.mark.parametrize("n", [4, 5, 16, 20])
def test_hdbscan_survives_hardly_any_items(n: int) -> None:
    points = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    found = hdbscan_cluster(points)
    assert found.labels.shape == (n,)
    assert found.settings["min_cluster_size"] <= max(2, n // 2)
    assert found.settings["min_samples"] < n


def test_the_settings_that_took_effect_hold_no_auto() -> None:
    points, _ = clouds()
    for method in ("hdbscan", "gmm"):
        assert "auto" not in cluster(method, points, seed=0).settings.values()


def test_the_gaussian_mixture_finds_the_clouds_and_knows_no_noise() -> None:
    points, cloud = clouds(noise=0)
    found = gmm_cluster(points, n_clusters=3)
    assert found.labels.tolist() == cloud.tolist()
    assert found.noise_share == 0
    assert gmm_cluster(points).k == 3, "the information criterion finds the number"


def test_the_gaussian_mixture_survives_hardly_any_items() -> None:
    points = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    assert 1 <= gmm_cluster(points).k <= 15
    assert gmm_cluster(points, n_clusters=16).labels.shape == (16,)


def test_an_unknown_method_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"cluster\.method: unknown value 'hdbscam'.*Did you mean 'hdbscan'\?"):
        cluster("hdbscam", np.zeros((20, 2), np.float32))


class TestBySize:
    @given(st.lists(st.integers(-1, 9), max_size=60))
    def test_it_only_renumbers(self, labels: list[int]) -> None:
        old = np.array(labels, np.int64)
        new, numbers = by_size(old)
        assert new.dtype == np.int32
        assert ((new == -1) == (old == -1)).all()
        for i, number in enumerate(numbers):
            assert ((new == i) == (old == number)).all()
        sizes = np.bincount(new[new >= 0])
        assert (np.diff(sizes) <= 0).all()

    def test_equal_sizes_keep_their_order(self) -> None:
        assert by_size(np.array([7, 3, 3, 7]))[1].tolist() == [3, 7]


class TestTypical:
    def test_exemplars_are_members_each_once_the_centre_first(self) -> None:
        points, cloud = clouds()
        chosen = typical(cloud.astype(np.int32), (cloud >= 0).astype(float), points)
        for number, rows in chosen.items():
            assert 1 <= len(rows) <= EXEMPLARS
            assert len(set(rows)) == len(rows)
            assert (cloud[rows] == number).all()
            centre = np.median(points[cloud == number], axis=0)
            nearest = np.linalg.norm(points[cloud == number] - centre, axis=1).min()
            assert np.linalg.norm(points[rows[0]] - centre) == pytest.approx(nearest)

    def test_a_cluster_of_identical_items_has_one_exemplar(self) -> None:
        assert typical(np.zeros(30, np.int32), np.ones(30), np.ones((30, 2), np.float32)) == {0: [0]}


class TestFill:
    def test_members_keep_their_cluster_and_noise_takes_the_nearest(self) -> None:
        points, cloud = clouds(noise=0)
        labels = cloud.astype(np.int32)
        hidden = labels.copy()
        hidden[::7] = -1
        filled = fill(hidden, neighbours(points, 15).indices[:, 1:])
        assert filled.tolist() == labels.tolist()
        assert hidden[0] == -1, "what was given stays as it was"

    def test_noise_is_reached_step_by_step(self) -> None:
        """In a chain of which only one end is labelled, each round reaches further."""
        line = np.arange(200, dtype=np.float32)[:, None]
        labels = np.full(200, -1, np.int32)
        labels[:20] = 0
        assert (fill(labels, neighbours(line, 5).indices[:, 1:], rounds=1) == -1).any()
        assert (fill(labels, neighbours(line, 5).indices[:, 1:], rounds=200) == 0).all()

    def test_what_nobody_reaches_stays_noise(self) -> None:
        graph = np.array([[1], [0], [3], [2]], np.int32)
        assert fill(np.array([0, -1, -1, -1], np.int32), graph).tolist() == [0, 0, -1, -1]

    @pytest.mark.parametrize(
        ("labels", "named"), [([0, -1, 1, -1, -1, -1], [0, 0, 1, 1, 1, 0]), ([-1] * 6, [-1] * 6), ([0] * 6, [0] * 6)]
    )
    def test_each_item_has_a_nearest_cluster_if_there_is_one(self, labels: list[int], named: list[int]) -> None:
        """Items 4 and 5 are each other's only neighbours; 4 is nearer to cluster 1, 5 to cluster 0."""
        graph = np.array([[1], [0], [3], [2], [5], [4]], np.int32)
        vectors = np.array([[0], [1], [9], [10], [6], [4]], np.float32)
        assert nearest_clusters(np.array(labels, np.int32), graph, vectors).tolist() == named
