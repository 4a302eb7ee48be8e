"""Nearest neighbours: exact, approximate for many items, repeatable, each row its own first neighbour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentviz.clustering import neighbors as module
from latentviz.clustering.neighbors import Cells, exact_neighbours, neighbours, refined
from latentviz.clustering.reducers import directions


def by_brute_force(vectors: np.ndarray, k: int) -> np.ndarray:
    """Returns the k least distances of each row, (n, k)."""
    distances = np.linalg.norm(vectors[:, None].astype(np.float64) - vectors[None], axis=2)
    return np.sort(distances, axis=1)[:, :k]


@pytest.mark.parametrize(("n", "d", "k"), [(2, 1, 2), (20, 3, 5), (65, 4, 65), (500, 8, 15), (1000, 16, 100)])
def test_they_are_the_nearest(n: int, d: int, k: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    found = neighbours(vectors, k)
    assert found.indices.dtype == np.int32
    assert found.distances.dtype == np.float32
    assert found.indices.shape == found.distances.shape == (n, k)
    assert (found.indices[:, 0] == np.arange(n)).all()
    np.testing.assert_allclose(found.distances, by_brute_force(vectors, k), rtol=1e-4, atol=1e-5)
    assert all(len(set(row)) == k for row in found.indices.tolist())


@settings(max_examples=50, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(3, 80), st.integers(1, 4)),
        elements=st.sampled_from([-1.0, 0.0, 0.5, 3.0, 100.0]),
    )
)
def test_duplicates_do_not_matter(vectors: np.ndarray) -> None:
    found = exact_neighbours(vectors, 3)
    assert (found.indices[:, 0] == np.arange(len(vectors))).all()
    np.testing.assert_allclose(found.distances, by_brute_force(vectors, 3), rtol=1e-4, atol=1e-3)


def test_far_from_the_origin_they_are_still_the_nearest() -> None:
    vectors = (1000 + np.random.default_rng(0).normal(size=(300, 3))).astype(np.float32)
    np.testing.assert_allclose(neighbours(vectors, 5).distances, by_brute_force(vectors, 5), rtol=1e-3, atol=1e-3)


def test_the_block_s_height_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    whole = neighbours(vectors, 7)
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 320 * 17)
    in_blocks = neighbours(vectors, 7)
    assert (whole.indices == in_blocks.indices).all()


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Returns 6,000 vectors in twelve overlapping groups."""
    random = np.random.default_rng(0)
    centres = 4 * random.normal(size=(12, 8))
    return (centres[random.integers(0, 12, 6_000)] + random.normal(size=(6_000, 8))).astype(np.float32)


class TestCells:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "EXACT_BELOW", 100)
        monkeypatch.setattr(module, "CELL", 40)
        monkeypatch.setattr(module, "SEARCHED", 600)

    def test_above_the_limit_nearly_all_neighbours_are_found(self, vectors: np.ndarray) -> None:
        found, truth = neighbours(vectors, 10), exact_neighbours(vectors, 10)
        assert (found.indices[:, 0] == np.arange(len(vectors))).all()
        assert (np.diff(found.distances, axis=1) >= 0).all()
        shared = (found.indices[:, :, None] == truth.indices[:, None, :]).any(axis=2)
        assert shared.mean() > 0.97
        away = np.linalg.norm(vectors[found.indices[:, 9]] - vectors, axis=1)
        np.testing.assert_allclose(found.distances[:, 9], away, rtol=1e-4)

    def test_refining_finds_what_the_cells_missed(self, vectors: np.ndarray) -> None:
        truth = exact_neighbours(vectors, 10).indices
        rough = Cells(vectors).neighbours(10)
        better = refined(vectors, rough)
        shares = [(found.indices[:, :, None] == truth[:, None, :]).any(axis=2).mean() for found in (rough, better)]
        assert shares[1] > shares[0]
        assert all(len(set(row)) == 10 for row in better.indices.tolist())

    def test_the_seed_decides_and_duplicates_are_each_once(self, vectors: np.ndarray) -> None:
        twice = np.concatenate([vectors[:500], vectors[:500]])
        found = neighbours(twice, 10, seed=1)
        assert (found.indices[:, 0] == np.arange(1000)).all()
        assert (found.indices[:, 1] == np.arange(1000) + np.repeat([500, -500], 500)).all()
        assert all(len(set(row)) == 10 for row in found.indices.tolist())
        assert (found.indices == neighbours(twice, 10, seed=1).indices).all()

    def test_what_else_is_asked_changes_nothing(self, vectors: np.ndarray) -> None:
        cells = Cells(vectors[:5_000])
        together = cells.nearest(vectors[5_000:], 5)
        for row in range(0, 1_000, 97):
            alone = cells.nearest(vectors[5_000 + row : 5_001 + row], 5)
            assert alone.indices[0].tolist() == together.indices[row].tolist()

    def test_the_cosine_orders_by_direction(self, vectors: np.ndarray) -> None:
        found = neighbours(directions(vectors, "cosine"), 5)
        one, other = vectors[3], vectors[found.indices[3, 4]]
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert found.distances[3, 4] ** 2 / 2 == pytest.approx(1 - cosine, abs=1e-5)
