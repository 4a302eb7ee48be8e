"""Prominence: sparser places between clusters count in the units of log density, in any number of dimensions."""

import numpy as np
import pytest

from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.prominence import Prominence, medians


def prominence(points: np.ndarray, counts: np.ndarray | None = None) -> Prominence:
    graph = neighbours(points.astype(np.float32), 15)
    return Prominence(graph.indices[:, 1:], graph.distances[:, 1:], counts)


@pytest.mark.parametrize("d", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("n", [200, 800])
def test_halves_of_a_cloud_are_not_distinct_and_clouds_apart_are(n: int, d: int) -> None:
    random = np.random.default_rng(d)
    for cloud in (random.normal(size=(n, d)), random.uniform(size=(n, d))):
        halves = (cloud[:, 0] > np.median(cloud[:, 0])).astype(np.int32)
        assert prominence(cloud)(halves).distinct == 0
        apart = cloud + 50 * halves[:, None]
        assert prominence(apart)(halves) == (1, 1)
        assert prominence(apart)(np.where(halves == 1, -1, 0)).distinct == pytest.approx(1 - halves.mean())


@pytest.mark.parametrize("d", [2, 4, 8])
def test_a_valley_between_two_clouds_is_measured_in_log_density(d: int) -> None:
    """Of two Gaussians at a distance of 4, the density half-way is that of the centres, times 2·e⁻²."""
    random = np.random.default_rng(d)
    side = random.integers(0, 2, 2000)
    points = random.normal(size=(2000, d))
    points[:, 0] += 4 * side
    test = prominence(points)
    found, thin, deviation, sizes = test.of_clusters((points[:, 0] > 2).astype(np.int32))
    assert (found > 0.1 + thin + 1.5 * deviation).all()
    assert (found < 2 - np.log(2)).all(), "the median inside is lower than the centre"
    assert sizes.sum() == 2000


def test_a_cluster_cut_in_two_is_not_distinct_and_the_others_stay_so() -> None:
    random = np.random.default_rng(0)
    cloud = np.repeat(np.arange(3), 300)
    points = random.normal(size=(900, 3)) + 12 * np.eye(3)[cloud]
    labels = np.where((cloud == 2) & (points[:, 0] > 0), 3, cloud)
    assert prominence(points)(cloud).distinct == 1
    assert prominence(points)(labels).distinct == pytest.approx(2 / 3)
    weights = np.where(cloud == 2, 4, 1)
    assert prominence(points, weights)(labels).distinct == pytest.approx(1 / 3)


@pytest.mark.parametrize("labels", [np.full(40, -1), np.zeros(40, int)])
def test_without_two_clusters_there_are_no_borders(labels: np.ndarray) -> None:
    points = np.random.default_rng(0).normal(size=(40, 2))
    assert prominence(points)(labels).distinct == (labels >= 0).mean()


def test_items_at_equal_distances_have_no_dimension_and_are_no_error() -> None:
    corners = np.eye(32)[np.arange(64) % 32] * np.where(np.arange(64) < 32, 1, -1)[:, None]
    assert 0 <= prominence(corners)(np.arange(64) % 2).mean <= 1


def test_medians_of_groups_are_numpys() -> None:
    random = np.random.default_rng(0)
    values, group = random.normal(size=101), np.append(np.arange(9), random.integers(0, 9, 92))
    expected = [np.median(values[group == number]) for number in range(9)]
    assert np.array_equal(medians(values, group, 9), expected)
    assert len(medians(values[:0], group[:0], 0)) == 0
