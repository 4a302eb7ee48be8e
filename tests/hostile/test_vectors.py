"""Vectors that hold what no vector should: NaN, infinities, rows that differ, numbers beyond float32."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Outcome


def spoilt(value: float) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    vectors[7, 3] = value
    return vectors


@pytest.mark.parametrize(
    "array",
    [
        spoilt(np.nan),
        spoilt(np.inf),
        np.zeros((40, 6), np.float32),
        np.full((40, 6), 1e300),
        np.zeros((0, 6), np.float32),
        np.zeros((40, 0), np.float32),
        np.array([["a"] * 6] * 40),
        np.zeros((40, 6), np.complex64),
    ],
    ids=["NaN", "infinite", "all alike", "beyond float32", "no rows", "no columns", "texts", "complex"],
)
def test_arrays(shell: Callable[..., Outcome], tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    assert shell("fit", tmp_path / "x.npy", "data.kind=vectors", "--outputs", tmp_path / "outputs").complaint


@pytest.mark.parametrize(
    "rows",
    [[[1.0, 2.0], [3.0]] * 20, [[1.0, None]] * 40, [None] * 40, [[]] * 40, [[float("nan")] * 3] * 40],
    ids=["ragged", "holes", "none", "empty", "NaN"],
)
def test_tables(shell, tmp_path, rows) -> None:
    pq.write_table(pa.table({"vector": pa.array(rows, pa.list_(pa.float32()))}), tmp_path / "x.parquet")
    assert shell("fit", tmp_path / "x.parquet", "data.kind=vectors", "--outputs", tmp_path / "outputs").complaint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        "1,2,3\n4,5\n",
        "1,2,3\nx,y,z\n",
        "nan,nan,nan\n" * 40,
        "\0" * 100,
        "1e999,2,3\n" * 40,
        "1,2,3\n" * 40 + "\ufeff",
    ],
)
def test_numbers_in_text(shell, tmp_path, text) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert shell("fit", tmp_path / "x.csv", "data.kind=vectors", "--outputs", tmp_path / "outputs").complaint
