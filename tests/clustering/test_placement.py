"""Places in a frozen layout: equal items coincide, others lie between their neighbours, repeatably."""

import numpy as np
import pytest

from latentviz.clustering.placement import Place, memberships, spacing
from latentviz.clustering.umap_layout import import_umap

RNG = np.random.default_rng(0)
FITTED = RNG.normal(size=(300, 6)).astype(np.float32)
LAYOUT = np.stack([FITTED[:, 0] * 3, FITTED[:, 1] - 2], axis=1)


def test_an_equal_lands_exactly_there() -> None:
    rounding = FITTED * (1 + 1e-6)
    place = Place(rounding, FITTED)
    assert place.same.tolist() == list(range(300))
    assert np.array_equal(place.within(LAYOUT), LAYOUT)


def test_of_several_equals_the_first() -> None:
    twice = np.concatenate([FITTED, FITTED])
    assert Place(FITTED[:20], twice).same.tolist() == list(range(20))


def test_it_is_continuous_towards_an_item() -> None:
    step = np.zeros(6, np.float32)
    step[3] = spacing(FITTED)
    place = Place(FITTED[:50] + 0.02 * step, FITTED)  # twice the distance at which items count as equal
    assert (place.same == -1).all()
    away = np.linalg.norm(place.within(LAYOUT) - LAYOUT[:50], axis=1)
    assert np.median(away) < 0.1 * LAYOUT.std()


def test_strangers_lie_among_their_neighbours() -> None:
    new = RNG.normal(size=(40, 6)).astype(np.float32)
    place = Place(new, FITTED)
    found = place.within(LAYOUT)
    near = LAYOUT[place.rows]
    assert (found >= near.min(axis=1) - 1e-5).all()
    assert (found <= near.max(axis=1) + 1e-5).all()
    assert (np.linalg.norm(found, axis=1) > 0).all()


def test_the_many_win_over_a_few_on_another_island() -> None:
    fitted = np.concatenate([np.linspace(1, 2, 20), np.linspace(-2, -1.05, 4)])[:, None].astype(np.float32)
    layout = np.where(fitted > 0, 0.0, 100.0) * np.ones((1, 2))
    assert Place(np.zeros((1, 1), np.float32), fitted).within(layout)[0] == pytest.approx([0, 0], abs=0.1)


def test_one_alone_is_as_in_a_batch() -> None:
    new = RNG.normal(size=(500, 6)).astype(np.float32)
    together = Place(new, FITTED)
    points, votes = together.within(LAYOUT), together.vote(np.arange(300) % 4)
    for row in (0, 1, 250, 499):
        alone = Place(new[row : row + 1], FITTED)
        assert np.array_equal(alone.within(LAYOUT)[0], points[row])
        assert alone.vote(np.arange(300) % 4)[0] == votes[row]
        assert np.array_equal(alone.weights[0], together.weights[row])


def test_items_without_a_place_have_no_say() -> None:
    layout = LAYOUT.copy()
    layout[::2] = np.nan
    new = RNG.normal(size=(30, 6)).astype(np.float32)
    assert np.isfinite(Place(new, FITTED).within(layout)).all()
    assert np.isnan(Place(new, FITTED).within(np.full_like(layout, np.nan))).all()


def test_memberships_are_umaps() -> None:
    umap = import_umap().umap_
    place = Place(FITTED, FITTED)
    distances = np.sort(RNG.uniform(0.5, 2, (50, 15)), axis=1).astype(np.float32)
    ours = memberships(distances.astype(np.float64))
    assert ours.sum(axis=1) == pytest.approx(np.log2(15), abs=1e-4)
    assert (ours[:, 0] == 1).all()
    sigmas, rhos = umap.smooth_knn_dist(distances, 15.0, local_connectivity=1.0)
    indices = np.tile(np.arange(1, 16, dtype=np.int32), (50, 1))
    _, _, values, _ = umap.compute_membership_strengths(indices, distances, sigmas, rhos, bipartite=True)
    # UMAP's sum leaves out the first neighbour, which in its own graph is the item itself.
    assert np.corrcoef(values.reshape(50, 15).ravel(), ours.ravel())[0, 1] > 0.99
    assert place.weights.sum(axis=1) == pytest.approx(np.ones(300))


def test_the_vote_counts_weights_and_skips_the_unlabelled() -> None:
    labels = np.full(300, -1)
    assert (Place(FITTED[:5], FITTED).vote(labels) == -1).all()
    labels[:100] = 2
    assert set(Place(FITTED[:100], FITTED).vote(labels).tolist()) == {2}
