"""Metrics against scikit-learn's, and on cases with known values."""

import itertools

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn import metrics as sklearn_metrics
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from latentviz.evaluation import metrics
from latentviz.evaluation.results import Agreement, Faithfulness

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 60 vectors in 5 dimensions, float32, and each vector's group."""
    truth = np.repeat(np.arange(3), 60)
    return (8 * np.eye(5)[truth] + np.random.default_rng(1).normal(size=(180, 5))).astype(np.float32), truth


def preservation(vectors: np.ndarray, points: np.ndarray, k: int, rows: np.ndarray) -> Faithfulness:
    return metrics.faithfulness(vectors, points, metrics.neighbourhoods(vectors, points, k, rows))


def test_trustworthiness_and_continuity_are_scikit_learns(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    vectors = blobs[0]
    points = vectors[:, :2] + 0.5 * np.random.default_rng(2).normal(size=(180, 2))
    found = preservation(vectors, points, 7, np.arange(180))
    assert found.trustworthiness == pytest.approx(trustworthiness(vectors, points, n_neighbors=7))
    assert found.continuity == pytest.approx(trustworthiness(points, vectors, n_neighbors=7))
    assert found.trustworthiness < 0.95, "the points are wrong enough to matter"


def test_points_equal_to_the_vectors_score_1_and_random_ones_low(
    blobs: tuple[np.ndarray, np.ndarray],
) -> None:
    vectors = blobs[0][:, :2]
    same = preservation(vectors, 3 * vectors + 1, 5, np.arange(180))
    assert (same.trustworthiness, same.continuity, same.overlap) == (1, 1, 1)
    chance = preservation(vectors, RANDOM.normal(size=(180, 2)), 5, np.arange(180))
    assert chance.overlap < 0.1
    assert chance.trustworthiness < 0.7


def test_sampled_items_are_compared_with_all(
    blobs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, points = blobs[0], RANDOM.normal(size=(180, 2))
    whole = preservation(vectors, points, 5, np.arange(180))
    parts = [preservation(vectors, points, 5, rows) for rows in np.array_split(np.arange(180), 4)]
    assert np.mean([part.trustworthiness for part in parts]) == pytest.approx(whole.trustworthiness)
    assert np.mean([part.overlap for part in parts]) == pytest.approx(whole.overlap)
    monkeypatch.setattr(metrics, "BLOCK_BYTES", 8 * 180 * 7)
    assert preservation(vectors, points, 5, np.arange(180)).continuity == pytest.approx(whole.continuity)


def test_nearest_excludes_the_item_itself(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    vectors = blobs[0]
    near = metrics.nearest(vectors, vectors, 4, np.arange(180))
    distance = sklearn_metrics.pairwise_distances(vectors)
    np.fill_diagonal(distance, np.inf)
    assert np.array_equal(near, np.argsort(distance, axis=1)[:, :4])


def test_accuracy_is_the_best_of_all_matches() -> None:
    labels, clusters = RANDOM.integers(0, 4, 200), RANDOM.integers(0, 4, 200)
    best = max(np.mean(np.array(order)[clusters] == labels) for order in itertools.permutations(range(4)))
    assert metrics.agreement(labels, clusters).acc == pytest.approx(best)
    assert metrics.accuracy(np.zeros(100, int), np.arange(100) // 50) == 0.5, "a surplus cluster costs all its items"


def test_scores_are_scikit_learns() -> None:
    labels, clusters = RANDOM.integers(0, 3, 300), RANDOM.integers(-1, 4, 300)
    found = metrics.agreement(labels, clusters)
    assert found.ari == pytest.approx(sklearn_metrics.adjusted_rand_score(labels, clusters))
    assert found.nmi == pytest.approx(sklearn_metrics.normalized_mutual_info_score(labels, clusters))
    assert found.ami == pytest.approx(sklearn_metrics.adjusted_mutual_info_score(labels, clusters))
    assert found.homogeneity == pytest.approx(sklearn_metrics.homogeneity_score(labels, clusters))


def test_noise_is_scored_three_ways() -> None:
    labels = np.repeat(["a", "b"], 50)
    cluster = np.repeat([0, 1], 50)
    cluster[:10] = -1
    found = metrics.agreements(labels, cluster, np.repeat([0, 1], 50))
    assert found["nearest_cluster"].acc == 1
    assert found["cluster_with_noise_as_one"].acc == 0.9
    assert found["clustered_only"] == Agreement(0.9, 1, 1, 1, 1, 1)
    assert "clustered_only" not in metrics.agreements(labels, np.full(100, -1), np.full(100, -1))


def test_knn_accuracy_counts_labelled_neighbours_only() -> None:
    labels = np.array([0, 0, 1, 1, 0])
    known = np.array([True, True, True, True, False])
    near = np.array([[1, 4, 4], [0, 4, 4], [0, 4, 4], [2, 2, 0]])
    assert metrics.knn_accuracy(labels, known, np.arange(4), near) == 0.75
    assert metrics.knn_accuracy(labels, known, np.arange(0), near[:0]) is None


@pytest.mark.parametrize("sparse", [False, True])
def test_balanced_knn_is_the_mean_recall_of_scikit_learns_vote(
    blobs: tuple[np.ndarray, np.ndarray], *, sparse: bool
) -> None:
    """Of a label that 7% of the items have, few would count in the plain accuracy."""
    vectors, truth = blobs
    rows = np.concatenate([np.arange(120), np.arange(120, 129)])
    vectors, truth = (
        0.3 * vectors[rows] + 100 + np.random.default_rng(0).normal(size=(129, 5)),
        np.array(["a", "b", "c"])[truth[rows]],
    )
    guessed = [
        KNeighborsClassifier(6).fit(np.delete(vectors, i, 0), np.delete(truth, i)).predict(vectors[[i]])[0]
        for i in range(len(rows))
    ]
    recalls = [np.mean(np.array(guessed)[truth == label] == label) for label in "abc"]
    found = metrics.balanced_knn(truth, csr_matrix(vectors) if sparse else vectors, 6)
    assert found == pytest.approx(np.mean(recalls))
    assert found < np.mean(np.array(guessed) == truth) - 0.05


def test_balanced_match_is_the_best_of_all_matches_per_label() -> None:
    labels, clusters = RANDOM.choice(4, 300, p=[0.7, 0.1, 0.1, 0.1]), RANDOM.integers(0, 4, 300)
    best = max(
        np.mean([np.mean(clusters[labels == label] == order[label]) for label in range(4)])
        for order in itertools.permutations(range(4))
    )
    assert metrics.balanced_match(labels, clusters) == pytest.approx(best)
    assert metrics.balanced_match(np.repeat([0, 1], [90, 10]), np.zeros(100, int)) == 0.5, "a label without a cluster"


def test_validity_of_true_and_of_shuffled_clusters(blobs: tuple[np.ndarray, np.ndarray]) -> None:
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
    assert metrics.dbcv(plane, noisy, rows) < metrics.dbcv(plane, truth, rows), "noise lowers it"


def test_confusion_puts_matches_on_the_diagonal_and_counts_what_it_leaves_out() -> None:
    labels = np.repeat(["x", "y", "z"], [30, 20, 1])
    clusters = np.repeat([1, 0, -1], [30, 20, 1])
    found = metrics.confusion(labels, clusters, 30)
    assert (found.labels, found.clusters) == (["x", "y", "z"], [1, 0, -1])
    assert np.array_equal(found.counts, np.diag([30, 20, 1]))
    least = metrics.confusion(labels, clusters, 2)
    assert (least.labels, least.clusters, least.left_out) == (["x", "y"], [1, 0], 1)


def test_a_sample_is_seeded_and_complete_if_it_fits() -> None:
    assert np.array_equal(metrics.sample(5, 9, 0), np.arange(5))
    rows = metrics.sample(1000, 50, 3)
    assert np.array_equal(rows, metrics.sample(1000, 50, 3))
    assert len(np.unique(rows)) == 50
    assert not np.array_equal(rows, metrics.sample(1000, 50, 4))
