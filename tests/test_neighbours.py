"""Nearest neighbours: exact, repeatable, each row its own first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latentviz import neighbours as module
from latentviz.neighbours import exact_neighbours, neighbours


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
@given(arrays(np.float32, st.tuples(st.integers(3, 80), st.integers(1, 4)),
              elements=st.sampled_from([-1.0, 0.0, 0.5, 3.0, 100.0])))
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


def test_above_the_limit_the_search_is_by_descent_with_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The descent itself is pynndescent's; compiling it takes a minute, so that only the way to it is tested."""
    asked = []
    monkeypatch.setattr(module, "EXACT_BELOW", 100)
    monkeypatch.setattr(module, "_descent", lambda vectors, k, seed: asked.append((len(vectors), k, seed)))
    neighbours(np.zeros((101, 4), np.float32), 10, seed=3)
    assert asked == [(101, 10, 3)]
