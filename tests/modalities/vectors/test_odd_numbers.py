"""Numbers that are far too large, too small, or far from 0 and close together: handled, or named in a warning."""

from pathlib import Path

import numpy as np
import pytest

from latentviz.errors import DataError
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.prepare import load, prepare
from latentviz.modalities.vectors.units import load_units

N = 60


def numbers(n: int = N, d: int = 4, seed: int = 0) -> np.ndarray:
    """Returns normal numbers, float64 (n, d)."""
    return np.random.default_rng(seed).normal(size=(n, d))


def read(folder: Path, array: np.ndarray, **settings: str) -> Prepared:
    """Reads an array as `fit` does; the cache is `folder`."""
    np.save(folder / "x.npy", array)
    return prepare(VectorData(path=str(folder / "x.npy"), **settings), folder, 0)


def alike(stored: np.ndarray, given: np.ndarray) -> bool:
    """Whether the stored vectors are the given ones but for shift and unit, column by column."""
    a, b = stored.astype(np.float64), given - given.min(axis=0)
    return bool(np.allclose(a - a.min(axis=0), b / b.max() * np.ptp(a, axis=0).max(), rtol=1e-3, atol=1e-4))


@pytest.mark.parametrize("size", [1e-20, 1e-45, 1e-300, 2.0**-1040])
def test_tiny_numbers_are_scaled_and_said(tmp_path: Path, size: float) -> None:
    """Reported of others: numpy/numpy#2266, MinishLab/model2vec#369."""
    given = numbers() * size
    said = read(tmp_path, given).notes
    assert alike(load(tmp_path), given)
    units = load_units(tmp_path)
    assert units is not None
    assert any(f"{units.unit:.3g}" in note for note in said)
    assert not any("repeated" in note or "constant" in note for note in said)


@pytest.mark.parametrize(("ratio", "noted"), [(3.0, False), (400.0, True)])
def test_columns_of_an_array_that_differ_much_are_named(tmp_path: Path, ratio: float, noted: bool) -> None:
    """Nothing says whether they are of different units, as in a table, or such as principal components."""
    given = numbers() * np.array([1, ratio, *np.ones(numbers().shape[1] - 2)])
    assert any("column 1" in note and "data.scale=standard" in note for note in read(tmp_path, given).notes) == noted


def test_new_vectors_get_the_same_unit(tmp_path: Path) -> None:
    given = numbers() * 1e-300
    read(tmp_path, given)
    stored, units = np.array(load(tmp_path)), load_units(tmp_path)
    data = VectorData(path=str(tmp_path / "x.npy"), metric="euclidean")
    again = prepare(data, tmp_path / "new", 0, learn=False, dimensions=4, units=units)
    assert np.array_equal(load(tmp_path / "new"), stored)
    assert len(again.items) == N


def test_large_numbers_that_differ_by_little_are_shifted(tmp_path: Path) -> None:
    """Such as times in seconds, of which single precision holds every 128th."""
    given = np.column_stack([1.7e9 + 30 * numbers(d=1), numbers(d=2)])
    said = read(tmp_path, given).notes
    assert alike(load(tmp_path), given)
    assert any("distance to their least: 0" in note for note in said)


@pytest.mark.parametrize("value", [14.62, 1e-300, -1e9, 0.0])
def test_identical_rows_are_refused_as_identical(tmp_path: Path, value: float) -> None:
    """Reported of others: scikit-learn/scikit-learn#17794."""
    with pytest.raises(DataError, match=f"all {N} vectors are identical"):
        read(tmp_path, np.full((N, 3), value))


def test_constant_columns_are_named(tmp_path: Path) -> None:
    given = numbers()
    given[:, [1, 3]] = 14.62
    assert any("constant and without information: 2 of 4 columns: 1, 3" in note for note in read(tmp_path, given).notes)


def test_a_column_that_vanishes_next_to_the_others_is_named(tmp_path: Path) -> None:
    given = numbers()
    given[:, 2] *= 1e-300
    said = read(tmp_path, given).notes
    assert any(note.startswith("warning") and ": 2;" in note for note in said)
    assert not any("constant and carry" in note for note in said)


@pytest.mark.parametrize("factor", [1e3, 1e12])
def test_a_row_that_holds_the_variance_is_warned_of_by_number(tmp_path: Path, factor: float) -> None:
    given = numbers()
    given[17] *= factor
    said = [note for note in read(tmp_path, given).notes if note.startswith("warning")]
    assert len(said) == 1
    assert "row 17 " in said[0]


def test_ordinary_rows_are_not_warned_of(tmp_path: Path) -> None:
    one_hot = np.eye(N, 7)[np.arange(N) % 7]
    for i, given in enumerate([numbers(), numbers() + 1e4, one_hot, np.abs(numbers()) ** 3]):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert not any(note.startswith("warning") for note in read(folder, given).notes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_numbers_that_cannot_be_used_are_named_by_row(tmp_path: Path, value: float) -> None:
    given = numbers()
    given[30, 1] = value
    given[5] = given[4]
    for duplicates in ("keep", "drop"):
        with pytest.raises(DataError, match="the first is row 30;"):
            read(tmp_path, given, duplicates=duplicates)


def test_vectors_of_one_direction(tmp_path: Path) -> None:
    given = np.outer(np.arange(1, N + 1), [1.0, 2, 3])
    with pytest.raises(DataError, match=r"data\.metric=euclidean"):
        read(tmp_path, given, metric="cosine")
    assert len(read(tmp_path, given, metric="euclidean").items) == N


def test_no_rows_to_encode(tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.zeros((0, 4), np.float32))
    with pytest.raises(DataError, match=r"none\.npy: holds 0 vectors.*give at least one row"):
        prepare(VectorData(path=str(tmp_path / "none.npy")), tmp_path, 0, learn=False, dimensions=8)
