"""Detecting vectors among the data kinds."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from latentviz.errors import DataError
from latentviz.modalities import detect as detect_kind
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.detect import detect
from latentviz.modalities.vectors.read import read


def test_import_is_light():
    heavy = "{'numpy', 'PIL', 'pyarrow', 'torch'}"
    code = f"import sys, latentviz.modalities.vectors.detect; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.zeros((20, 8), np.float32), "vectors"),
        (np.zeros((20, 8), np.float16), "vectors"),
        (np.zeros((20, 8), np.int64), "vectors"),
        (np.zeros((20, 8, 8)), "image"),
        (np.zeros((20, 8, 8, 3), np.uint8), "image"),
    ],
)
def test_arrays_by_their_dimensions(tmp_path: Path, array: np.ndarray, kind: str) -> None:
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array, y=np.zeros(20))
    assert detect_kind(str(tmp_path / "x.npy")) == kind
    assert detect_kind(str(tmp_path / "x.npz")) == kind


@pytest.mark.parametrize(
    ("array", "wrong"),
    [
        (np.zeros(20), r"an array of shape \(20,\)"),
        (np.array([["a"]]), "an array of <U1"),
        (np.zeros((2, 2), complex), "an array of complex128"),
        (np.array([[1], [1, 2]], object), "different lengths"),
    ],
)
def test_the_reader_explains_unusable_arrays(tmp_path: Path, array: np.ndarray, wrong: str) -> None:
    np.save(tmp_path / "x.npy", array)
    assert detect_kind(str(tmp_path / "x.npy")) == "vectors"
    with pytest.raises(DataError, match=wrong):
        read(VectorData(path=str(tmp_path / "x.npy")))


def test_tables_by_a_column_of_lists(tmp_path: Path) -> None:
    vectors = pa.table({"text": ["a", "b"], "embedding": [[1.0, 2.0], [3.0, 4.0]]})
    pq.write_table(vectors, tmp_path / "v.parquet")
    feather.write_feather(vectors, tmp_path / "v.arrow")
    pq.write_table(pa.table({"text": ["a", "b"], "words": [["a"], ["b"]]}), tmp_path / "t.parquet")
    assert detect_kind(str(tmp_path / "v.parquet")) == detect_kind(str(tmp_path / "v.arrow")) == "vectors"
    assert not detect(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    ("text", "vectors"),
    [
        ("1,2,3\n4,5,6\n", True),
        ("id,a,b,c,label\nx,1,2e-3,-3,cat\n", True),
        ("a,b\n1,2\n", True),
        ("text,stars,year\nfine,5,1999\n", False),
        ("id,text,stars,useful,funny\n7,I liked it very much,5,0,1\n", False),
        ("a,b,c\n", False),
    ],
)
def test_csv_by_its_numbers(tmp_path: Path, text: str, vectors: bool) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert detect(str(tmp_path / "x.csv")) is vectors


def test_folders_are_not_vectors(tmp_path: Path) -> None:
    assert not detect(str(tmp_path))


@pytest.mark.parametrize(
    ("columns", "vectors"),
    [
        ({"id": "string", "embedding": "list"}, True),
        ({"text": "string", "box": "list"}, False),
        ({"box": "list"}, True),
        ({"text": "string"}, False),
    ],
)
def test_hub(monkeypatch: pytest.MonkeyPatch, columns: dict[str, str], vectors: bool) -> None:
    datasets = pytest.importorskip("datasets")
    kinds = {"string": datasets.Value("string"), "list": datasets.List(datasets.Value("float32"))}
    features = datasets.Features({name: kinds[kind] for name, kind in columns.items()})
    builder = type("Builder", (), {"info": datasets.DatasetInfo(features=features)})
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: builder)
    assert detect("hf:user/vectors") is vectors


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        detect(str(tmp_path / "x.parquet"))
