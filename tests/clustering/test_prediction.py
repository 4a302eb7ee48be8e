"""Approximate prediction compared with hdbscan's, and with the labels of the fitted items."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from latentviz.clustering.prediction import Membership


def fitted(method: str, spread: float, seed: int = 0) -> tuple[np.ndarray, object]:
    """Returns blobs among noise, and HDBSCAN fitted to them."""
    from hdbscan import HDBSCAN

    blobs, _ = make_blobs(1500, centers=8, cluster_std=spread, random_state=seed)
    rng = np.random.default_rng(seed)
    points = np.concatenate([blobs, rng.uniform(blobs.min(), blobs.max(), (150, 2))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return points, HDBSCAN(
            min_cluster_size=30,
            min_samples=10,
            cluster_selection_method=method,
            prediction_data=True,
            approx_min_span_tree=False,
        ).fit(points)


@pytest.mark.parametrize("method", ["eom", "leaf"])
@pytest.mark.parametrize("spread", [0.6, 1.2])
def test_it_agrees_with_hdbscan(method: str, spread: float) -> None:
    from hdbscan import approximate_predict

    points, model = fitted(method, spread)
    rng = np.random.default_rng(1)
    new = np.concatenate(
        [
            points[:1000] + rng.normal(size=(1000, 2)) * spread / 2,
            rng.uniform(points.min() - 3, points.max() + 3, (200, 2)),
        ]
    )
    labels, probabilities = approximate_predict(model, new)
    membership = Membership(points, model.labels_, model.probabilities_, 10)
    cluster, probability, _ = membership.predict(new)
    same = cluster == labels
    assert same.mean() > 0.97  # hdbscan counts a new point among its own neighbours, and a fitted one not
    assert np.abs(probability - probabilities)[same].mean() < 0.01
    assert len(set(labels)) > 2, "there is something to tell apart"


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_fitted_items_get_what_they_have(method: str) -> None:
    points, model = fitted(method, 0.9)
    cluster, probability, _ = Membership(points, model.labels_, model.probabilities_, 10).predict(points)
    assert (cluster == model.labels_).mean() > 0.999
    assert np.abs(probability - model.probabilities_).mean() < 0.01


def test_one_alone_is_as_in_a_batch() -> None:
    points, model = fitted("eom", 0.9)
    membership = Membership(points, model.labels_, model.probabilities_, 10)
    new = points[:50] + 0.1
    together = membership.predict(new)
    for row in (0, 49):
        for alone, all_of_them in zip(membership.predict(new[row : row + 1]), together, strict=True):
            assert alone[0] == all_of_them[row]


def test_without_noise_every_point_gets_a_cluster() -> None:
    points, labels = make_blobs(200, centers=3, random_state=0)
    cluster, probability, _ = Membership(points, labels, np.ones(200), 0).predict(points + 40)
    assert (cluster >= 0).all()
    assert ((probability > 0) & (probability <= 1)).all()


def test_without_clusters_all_is_noise() -> None:
    points, _ = make_blobs(50, random_state=0)
    cluster, probability, _ = Membership(points, np.full(50, -1), np.zeros(50), 10).predict(points)
    assert (cluster == -1).all()
    assert (probability == 0).all()


def test_few_points_and_one_cluster() -> None:
    points = np.arange(12.0).reshape(6, 2)
    cluster, *_ = Membership(points, np.zeros(6, int), np.ones(6), 10).predict(points)
    assert (cluster == 0).all()
    assert all(len(part) == 0 for part in Membership(points, np.zeros(6, int), np.ones(6), 3).predict(points[:0]))
