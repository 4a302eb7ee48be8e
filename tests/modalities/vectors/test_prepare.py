"""Reading vectors from every format, the contents of the cache, and one-line errors."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import feather

from latentviz.errors import DataError
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.table_kind import sample
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.prepare import load, load_standard, load_texts, prepare
from latentviz.modalities.vectors.show import load_images

N, D = 24, 5
VECTORS = np.random.default_rng(0).normal(3, 2, (N, D))
NAMES = [f"n{row}" for row in range(N)]
LABELS = ["a" if row % 2 else "b" for row in range(N)]
TEXTS = [f"text {row}" for row in range(N)]


def read(path: Path, cache: Path, **settings: Any) -> Prepared:
    return prepare(VectorData(path=str(path), **settings), cache, 0)


def complaint(path: Path, **settings: Any) -> str:
    """The one-line error about unusable data."""
    with pytest.raises(DataError) as error:
        read(path, path.parent / "refused", **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def saved(folder: Path, array: np.ndarray, name: str = "v.npy") -> Path:
    np.save(folder / name, array, allow_pickle=True)
    return folder / name


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_number_type(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(np.abs(VECTORS) * 10, dtype, order=order)
    prepared = read(saved(tmp_path, array), tmp_path / "cache")
    kept = load(tmp_path / "cache")
    assert kept.dtype == (np.float16 if dtype == "float16" else np.float32)
    assert np.array_equal(kept, array.astype(kept.dtype))
    assert isinstance(kept, np.memmap)
    assert prepared.items.column("id")[:2] == ["v/0", "v/1"]
    assert prepared.items.column("source")[3].endswith("v.npy#3")
    standard = load_standard(tmp_path / "cache")
    assert standard.centre == pytest.approx(kept.astype(float).mean(0), rel=1e-5)
    assert standard.deviation == pytest.approx(np.sqrt(kept.astype(float).var(0).mean()), rel=1e-5)


def test_statistics_do_not_depend_on_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, VECTORS + 1e4)
    whole = read(path, tmp_path / "whole")
    monkeypatch.setattr("latentviz.modalities.io.numpy_files.BLOCK_BYTES", 7 * D * 8)
    parts = read(path, tmp_path / "parts")
    assert whole.fingerprint == parts.fingerprint
    first, second = load_standard(tmp_path / "whole"), load_standard(tmp_path / "parts")
    assert first.deviation == pytest.approx(second.deviation, rel=1e-12)
    assert np.array_equal(first.centre, second.centre)


def test_npz_with_labels_ids_and_texts(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "v.npz",
        x=VECTORS,
        labels=np.array(LABELS),
        ids=np.array(NAMES),
        text=np.array(TEXTS),
        year=np.arange(N),
        other=np.zeros((3, 3)),
    )
    prepared = read(tmp_path / "v.npz", tmp_path / "cache")
    items = prepared.items
    assert (items.column("id"), items.labels, items.column("text")) == (NAMES, LABELS, TEXTS)
    assert items.column("year") == list(range(N))
    assert load_texts(tmp_path / "cache") == TEXTS
    assert any(note.endswith(": other") for note in prepared.notes)
    assert read(tmp_path / "v.npz", tmp_path / "none", label_column="none").items.labels is None


def test_npz_with_several_arrays_wants_a_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", first=VECTORS, second=VECTORS[:, :3])
    assert "data.array=" in complaint(tmp_path / "v.npz")
    assert "Did you mean 'second'?" in complaint(tmp_path / "v.npz", array="secnd")
    read(tmp_path / "v.npz", tmp_path / "cache", array="second")
    assert load(tmp_path / "cache").shape == (N, 3)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), D)])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_tables(tmp_path: Path, kind: pa.DataType, suffix: str) -> None:
    table = pa.table(
        {
            "name": NAMES,
            "class": LABELS,
            "sentence": TEXTS,
            "year": list(range(N)),
            "vec": pa.array(VECTORS.tolist(), kind),
        }
    )
    path = tmp_path / f"v.{suffix}"
    pq.write_table(table, path, row_group_size=10) if suffix == "parquet" else feather.write_feather(table, path)
    items = read(path, tmp_path / "cache").items
    assert np.allclose(load(tmp_path / "cache"), VECTORS)
    assert (items.column("id"), items.labels, items.column("text")) == (NAMES, LABELS, TEXTS)
    assert items.column("year") == list(range(N))


def test_several_columns_of_lists_need_a_name(tmp_path: Path) -> None:
    rows = VECTORS.tolist()
    pq.write_table(pa.table({"one": rows, "two": rows, "word": TEXTS}), tmp_path / "v.parquet")
    assert "data.vector_column=" in complaint(tmp_path / "v.parquet")
    assert "lists of numbers" in complaint(tmp_path / "v.parquet", vector_column="word")
    assert "no column 'three'" in complaint(tmp_path / "v.parquet", vector_column="three")
    read(tmp_path / "v.parquet", tmp_path / "cache", vector_column="two")


@pytest.mark.parametrize("header", [True, False])
def test_csv(tmp_path: Path, header: bool) -> None:
    lines = ["id,a,b,c,d,e,label"] if header else []
    lines += [",".join([name, *map(str, row), label]) for name, row, label in zip(NAMES, VECTORS, LABELS, strict=True)]
    (tmp_path / "v.csv").write_text("\n".join(lines))
    items = read(tmp_path / "v.csv", tmp_path / "cache").items
    assert np.allclose(load(tmp_path / "cache"), VECTORS)
    assert items.labels == (LABELS if header else None)
    assert items.column("id" if header else "f0") == NAMES


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("label", [True, False])
def test_names_that_count_the_columns_are_a_header(tmp_path: Path, index: bool, whole: bool, label: bool) -> None:
    values = np.round(VECTORS * 100).astype(int) if whole else VECTORS
    if whole and not index:
        values = np.hstack([values, values])  # ten columns
    frame = pd.DataFrame(values)
    (frame.assign(label=LABELS) if label else frame).to_csv(tmp_path / "v.csv", index=index)
    found = read(tmp_path / "v.csv", tmp_path / "cache")
    assert np.allclose(load(tmp_path / "cache"), values)
    assert found.items.labels == (LABELS if label else None)
    names = list(map(str, range(values.shape[1])))
    assert found.data.columns == names
    assert [name for name in sample(tmp_path / "v.csv") if name.isdigit()] == names


def test_unit_vectors_are_compared_by_cosine_with_a_note(tmp_path: Path) -> None:
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    prepared = read(saved(tmp_path, unit.astype(np.float16)), tmp_path / "a")
    assert prepared.data.metric == "cosine"
    assert any("all of unit length: compared by cosine" in note for note in prepared.notes)
    prepared = read(saved(tmp_path, VECTORS), tmp_path / "b")
    assert prepared.data.metric == "euclidean"
    assert any("data.metric=cosine compares directions" in note for note in prepared.notes)
    asked = read(saved(tmp_path, VECTORS), tmp_path / "c", metric="cosine")
    assert np.linalg.norm(load(tmp_path / "c"), axis=1) == pytest.approx(1, abs=1e-6)
    assert asked.data.metric == "cosine"


def test_the_resolved_settings_read_the_same_vectors_again(tmp_path: Path) -> None:
    unit = (VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)).astype(np.float16)
    first = read(saved(tmp_path, unit), tmp_path / "a")
    again = prepare(first.data, tmp_path / "b", 0)
    assert first.fingerprint == again.fingerprint


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN or infinite"), (-np.inf, "NaN or infinite"), (1e300, "overflow")]
)
def test_invalid_values_are_counted(tmp_path: Path, value: float, what: str) -> None:
    array = VECTORS.copy()
    array[[7, 7, 20], [1, 2, 0]] = value
    said = complaint(saved(tmp_path, array))
    assert f"2 of {N} rows have" in said
    assert what in said
    assert "the first is row 7" in said


def test_a_cell_that_is_not_a_number_is_reported_and_a_coordinate_is_not_a_label(tmp_path: Path) -> None:
    rows = ["x,y,z", *(f"{i},{i * 0.37:.2f},{-i}" for i in range(N))]
    (tmp_path / "v.csv").write_text("\n".join(rows))
    assert read(tmp_path / "v.csv", tmp_path / "cache").items.labels is None
    assert np.load(tmp_path / "cache" / "vectors.npy").shape == (N, 3)
    rows[7] = "6,nope,-6"
    (tmp_path / "v.csv").write_text("\n".join(rows))
    said = complaint(tmp_path / "v.csv", label_column="none")
    assert all(fact in said for fact in ("column y", "1 of 24 cells", "'nope'", "v.csv:8"))


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros(N), "an array of shape (24,)"),
        (np.zeros((N, 0)), "shape (24, 0)"),
        (np.zeros((2, 3, 4, 5, 6)), "an array of shape (2, 3, 4, 5, 6)"),
        (np.zeros((N, 3), complex), "an array of complex128"),
        (np.array([["a", "b"]] * N), "an array of <U1"),
        (np.array([[1.0], [1.0, 2.0]] * 12, object), "rows of different lengths"),
        (np.zeros((15, 3)), "holds 15 vectors"),
        (np.ones((N, 3)), "all 24 vectors are identical"),
    ],
)
def test_unusable_arrays(tmp_path: Path, array: np.ndarray, what: str) -> None:
    assert what in complaint(saved(tmp_path, array))


def test_rows_of_different_lengths(tmp_path: Path) -> None:
    rows = VECTORS.tolist()
    rows[9] = rows[9][:3]
    pq.write_table(pa.table({"v": rows}), tmp_path / "v.parquet")
    assert "row 9 has 3 numbers, and the first has 5" in complaint(tmp_path / "v.parquet")
    rows[9] = None
    pq.write_table(pa.table({"v": rows}), tmp_path / "v.parquet")
    assert "NaN or infinite; the first is row 9" in complaint(tmp_path / "v.parquet")
    rows[9] = [None] * D
    pq.write_table(pa.table({"v": rows}), tmp_path / "v.parquet")
    assert f"1 of {N} rows have values that are NaN" in complaint(tmp_path / "v.parquet")


@pytest.mark.parametrize("name", ["v.npy", "v.npz", "v.parquet", "v.arrow"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00\x10")
    assert "not a whole" in complaint(tmp_path / name)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = saved(tmp_path, VECTORS)
    path.write_bytes(path.read_bytes()[:-8])
    assert "not a whole .npy file" in complaint(path)


def test_constant_columns_get_a_note(tmp_path: Path) -> None:
    array = VECTORS.copy()
    array[:, 2] = 7
    notes = read(saved(tmp_path, array), tmp_path / "cache").notes
    assert any("constant and without information: 1 of 5 columns" in note for note in notes)


def test_labels_file(tmp_path: Path) -> None:
    path = saved(tmp_path, VECTORS)
    (tmp_path / "l.txt").write_text("\n".join(LABELS))
    np.save(tmp_path / "l.npy", np.arange(N))
    assert read(path, tmp_path / "a", labels=str(tmp_path / "l.txt")).items.labels == LABELS
    assert read(path, tmp_path / "b", labels=str(tmp_path / "l.npy")).items.labels == [str(row) for row in range(N)]
    (tmp_path / "l.txt").write_text("a\nb\n")
    assert "has 2 labels for 24 vectors" in complaint(path, labels=str(tmp_path / "l.txt"))
    assert "no such file" in complaint(path, labels="nowhere.txt")


def test_items_file_of_texts(tmp_path: Path) -> None:
    path, texts = saved(tmp_path, VECTORS), tmp_path / "t.txt"
    texts.write_text("\n".join(["", *TEXTS[1:]]) + "\n")
    prepared = read(path, tmp_path / "cache", items=str(texts))
    assert prepared.items.column("text") == ["", *TEXTS[1:]]
    assert load_texts(tmp_path / "cache") == ["", *TEXTS[1:]]
    texts.write_text("one\ntwo\n")
    assert "has 2 lines for 24 vectors; line i belongs to vector i" in complaint(path, items=str(texts))
    assert "no such file" in complaint(path, items="nowhere.txt")


def test_items_file_of_a_table(tmp_path: Path) -> None:
    path = saved(tmp_path, VECTORS)
    (tmp_path / "t.csv").write_text(
        "title,label,id,price\n"
        + "\n".join(
            f'"{text}, said",{label},{name},{row}'
            for row, (text, label, name) in enumerate(zip(TEXTS, LABELS, NAMES, strict=True))
        )
    )
    items = read(path, tmp_path / "cache", items=str(tmp_path / "t.csv")).items
    assert items.column("text")[0] == "text 0, said"
    assert (items.labels, items.column("id"), items.column("price")) == (LABELS, NAMES, list(range(N)))
    assert "data.text_column: no column 'nothing'" in complaint(
        path, items=str(tmp_path / "t.csv"), text_column="nothing"
    )


def test_items_folder_of_images(tmp_path: Path) -> None:
    path, folder = saved(tmp_path, VECTORS), tmp_path / "photos"
    folder.mkdir()
    for row in range(N):
        Image.new("RGB", (12, 12), (10 * row, 0, 99)).save(folder / f"{row}.png")
    prepared = read(path, tmp_path / "cache", items=str(folder))
    assert prepared.items.column("id")[:3] == ["0.png", "1.png", "2.png"]
    images = load_images(tmp_path / "cache")
    assert images.shape == (N, 3, 12, 12)
    assert (images[:, 0, 0, 0] == 10 * np.arange(N)).all()
    assert any("from 0.png to 23.png" in note for note in prepared.notes)
    (folder / "5.png").write_bytes(b"damaged")
    assert "5.png" in complaint(path, items=str(folder))
    (folder / "5.png").unlink()
    assert "has 23 images for 24 vectors" in complaint(path, items=str(folder))


def test_memory_does_not_grow_with_the_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentviz.modalities.io.numpy_files.BLOCK_BYTES", 2**19)
    path = saved(tmp_path, np.random.default_rng(0).normal(size=(2_000, 2_500)).astype(np.float32))
    tracemalloc.start()
    read(path, tmp_path / "cache")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2
