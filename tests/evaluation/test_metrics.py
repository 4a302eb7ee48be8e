"""Figures of merit against scikit-learn's, and against cases whose figures are known."""

import itertools

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.manifold import trustworthiness

from latentviz.clustering.stability import nearest
from latentviz.evaluation import metrics

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Returns three groups of 60 in 5 dimensions, float32, and which is whose."""
    truth = np.repeat(np.arange(3), 60)
    return (8 * np.eye(5)[truth] + np.random.default_rng(1).normal(size=(180, 5))).astype(np.float32), truth


def test_trustworthiness_and_continuity_are_scikit_learns(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    vectors = blobs[0]
    points = vectors[:, :2] + 0.5 * np.random.default_rng(2).normal(size=(180, 2))
    found = metrics.faithfulness(vectors, points, 7, np.arange(180))
    assert found.trustworthiness == pytest.approx(trustworthiness(vectors, points, n_neighbors=7))
    assert found.continuity == pytest.approx(trustworthiness(points, vectors, n_neighbors=7))
    assert found.trustworthiness < 0.95, "the picture is wrong enough to tell"


def test_a_picture_that_is_the_data_keeps_everything_and_one_by_chance_little(
    blobs: tuple[np.ndarray, np.ndarray],
) -> None:
    vectors = blobs[0][:, :2]
    same = metrics.faithfulness(vectors, 3 * vectors + 1, 5, np.arange(180))
    assert (same.trustworthiness, same.continuity, same.overlap) == (1, 1, 1)
    chance = metrics.faithfulness(vectors, RANDOM.normal(size=(180, 2)), 5, np.arange(180))
    assert chance.overlap < 0.1
    assert chance.trustworthiness < 0.7


def test_sampled_items_are_compared_with_all(
    blobs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, points = blobs[0], RANDOM.normal(size=(180, 2))
    whole = metrics.faithfulness(vectors, points, 5, np.arange(180))
    parts = [metrics.faithfulness(vectors, points, 5, rows) for rows in np.array_split(np.arange(180), 4)]
    assert np.mean([part.trustworthiness for part in parts]) == pytest.approx(whole.trustworthiness)
    assert np.mean([part.overlap for part in parts]) == pytest.approx(whole.overlap)
    monkeypatch.setattr(metrics, "BLOCK_BYTES", 8 * 180 * 7)
    assert metrics.faithfulness(vectors, points, 5, np.arange(180)).continuity == pytest.approx(whole.continuity)


def test_nearest_leaves_the_item_itself_out(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    vectors = blobs[0]
    near = nearest(vectors, vectors, 4, np.arange(180))
    distance = sklearn_metrics.pairwise_distances(vectors)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(near, np.argsort(distance, axis=1)[:, :4])


def test_accuracy_is_the_best_of_all_matches() -> None:
    labels, clusters = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
    best = max(np.mean(np.array(order)[clusters] == labels) for order in itertools.permutations(range(4)))
    assert metrics.agreement(labels, clusters)["acc"] == pytest.approx(best)
    assert metrics.accuracy(np.array([[50, 50]])) == 0.5, "half a label in a cluster too many is lost"


def test_scores_are_scikit_learns() -> None:
    labels, clusters = RANDOM.integers(0, 3, 300), RANDOM.integers(-1, 4, 300)
    found = metrics.agreement(labels, clusters)
    assert found["ari"] == pytest.approx(sklearn_metrics.adjusted_rand_score(labels, clusters))
    assert found["nmi"] == pytest.approx(sklearn_metrics.normalized_mutual_info_score(labels, clusters))
    assert found["ami"] == pytest.approx(sklearn_metrics.adjusted_mutual_info_score(labels, clusters))
    assert found["homogeneity"] == pytest.approx(sklearn_metrics.homogeneity_score(labels, clusters))


def test_noise_is_scored_three_ways() -> None:
    labels = np.repeat(["a", "b"], 50)
    cluster = np.repeat([0, 1], 50)
    cluster[:10] = -1
    found = metrics.agreements(labels, cluster, np.repeat([0, 1], 50))
    assert found["nearest_cluster"]["acc"] == 1
    assert found["cluster_with_noise_as_one"]["acc"] == 0.9
    assert found["clustered_only"] == {"share": 0.9, "acc": 1, "nmi": 1, "ari": 1, "ami": 1, "homogeneity": 1}
    assert "clustered_only" not in metrics.agreements(labels, np.full(100, -1), np.full(100, -1))


def test_knn_accuracy_counts_labelled_neighbours_only() -> None:
    labels = np.array([0, 0, 1, 1, 0])
    known = np.array([True, True, True, True, False])
    near = np.array([[1, 4, 4], [0, 4, 4], [0, 4, 4], [2, 2, 0]])
    assert metrics.knn_accuracy(labels, known, np.arange(4), near) == 0.75
    assert metrics.knn_accuracy(labels, known, np.arange(0), near[:0]) is None


def test_validity_sees_clusters_and_their_absence(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, truth = blobs
    rows = np.arange(180)
    shuffled = np.random.default_rng(0).permutation(truth)
    plane = vectors[:, :3]
    assert metrics.dbcv(plane, truth, rows) > 0.5
    assert metrics.dbcv(plane, shuffled, rows) < 0
    assert metrics.silhouette(plane, truth, rows) == pytest.approx(sklearn_metrics.silhouette_score(plane, truth))
    assert metrics.dbcv(plane, np.zeros(180, int), rows) is None
    assert metrics.silhouette(plane, np.full(180, -1), rows) is None
    noisy = np.where(np.arange(180) % 2, truth, -1)
    assert metrics.dbcv(plane, noisy, rows) < metrics.dbcv(plane, truth, rows), "noise counts against it"


def test_confusion_puts_matches_on_the_diagonal_and_says_what_it_leaves_out() -> None:
    labels = np.repeat(["x", "y", "z"], [30, 20, 1])
    clusters = np.repeat([1, 0, -1], [30, 20, 1])
    found = metrics.confusion(labels, clusters, 30)
    assert (found["labels"], found["clusters"]) == (["x", "y", "z"], [1, 0, -1])
    assert np.array_equal(found["counts"], np.diag([30, 20, 1]))
    least = metrics.confusion(labels, clusters, 2)
    assert (least["labels"], least["clusters"], least["left_out"]) == (["x", "y"], [1, 0], 1)


def test_a_sample_is_seeded_and_everything_where_it_fits() -> None:
    assert np.array_equal(metrics.sample(5, 9, 0), np.arange(5))
    rows = metrics.sample(1000, 50, 3)
    assert np.array_equal(rows, metrics.sample(1000, 50, 3))
    assert len(np.unique(rows)) == 50
    assert not np.array_equal(rows, metrics.sample(1000, 50, 4))
