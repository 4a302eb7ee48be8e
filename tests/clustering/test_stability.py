"""Stability under the posterior: high for separate clusters, low where the posterior is wide."""

import numpy as np
import pytest
from scipy.stats import mode
from sklearn.metrics import adjusted_rand_score

from latentviz.clustering.cut import choose_cut
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.reducers import fuzzy_graph
from latentviz.clustering.stability import partition_agreement, posterior_draws, stability, vote


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Returns two clouds of two halves each, (240, 2), and the number of each one's half."""
    random = np.random.default_rng(0)
    half = np.repeat(np.arange(4), 60)
    centres = np.array([[0, 0], [0, 7], [40, 0], [40, 7]], np.float32)
    return centres[half] + random.normal(size=(240, 2)).astype(np.float32), half


def drawn(points: np.ndarray, sigma: float, k: int = 10):
    """Returns draws of every item, of a posterior that is equally wide everywhere."""
    logvar = np.full(points.shape, 2 * np.log(sigma))
    return posterior_draws(points, logvar, np.arange(len(points)), k=k, draws=3, seed=0, metric="euclidean")


def test_clusters_apart_are_stable_and_blurred_ones_are_not(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    points, half = clouds
    assert stability(drawn(points, 0.1), half) == (1, 1, 1)
    loose = stability(drawn(points, 50), half)
    assert loose.at_mu == 1
    assert loose.least <= loose.mean < 0.5


def test_the_choice_of_the_cut_hears_the_posterior(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    points, _ = clouds
    graph = neighbours(points, 15)
    asked = [points + np.float32(0.01)], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, -1]
    sure = choose_cut(*asked, drawn(points, 0.1))
    assert sure.cut.scores.clusters == choose_cut(*asked).cut.scores.clusters == 4
    assert sure.cut.scores.stability is not None
    assert sure.cut.scores.stability > 0.98
    assert sure.reliable
    stable = {row.clusters: row.stability for row in choose_cut(*asked, drawn(points, 8)).sweep}
    assert stable[4] < 0.6
    blurred = choose_cut(*asked, drawn(points, 50))
    assert not blurred.reliable


def test_agreement_and_votes_are_those_of_the_libraries() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        n, k = random.integers(2, 60), random.integers(1, 9)
        labels = random.integers(-1, k, n).astype(np.int32)
        others = np.where(random.random(n) < random.random(), labels, random.integers(-1, 5, n))
        assert partition_agreement(labels, others) == adjusted_rand_score(labels, others)
        near = random.integers(0, n, (20, 5))
        assert np.array_equal(vote(labels, near), mode(labels[near], axis=1).mode)
