"""Detecting images among the data kinds."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.detect import detect


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)
    return path


def test_import_is_light():
    heavy = "{'numpy', 'PIL', 'pyarrow', 'torch'}"
    code = f"import sys, latentviz.modalities.image.detect; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_bundled():
    assert detect("sklearn:digits")


def test_folders(tmp_path):
    assert not detect(str(tmp_path))
    picture(tmp_path / "a" / "b" / "x.JPG")
    assert detect(str(tmp_path))
    (tmp_path / "x.txt").write_text("a caption")
    assert detect(str(tmp_path))
    (tmp_path / "y.txt").write_text("a text")
    assert not detect(str(tmp_path))


def test_hidden_images_do_not_count(tmp_path):
    picture(tmp_path / ".thumbnails" / "x.png")
    picture(tmp_path / ".x.png")
    assert not detect(str(tmp_path))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz", "a.idx3"])
def test_idx_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"damaged")
    assert detect(str(tmp_path))
    assert detect(str(tmp_path / name))


@pytest.mark.parametrize(("dimensions", "images"), [(3, True), (4, True), (1, False)])
def test_idx_by_content(tmp_path, dimensions, images):
    content = bytes([0, 0, 8, dimensions]) + b"\0\0\0\1" * dimensions
    (tmp_path / "plain.bin").write_bytes(content)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(content))
    assert detect(str(tmp_path / "plain.bin")) is images
    assert detect(str(tmp_path / "packed.gz")) is images


@pytest.mark.parametrize(
    ("array", "images"),
    [
        (np.zeros((3, 8, 8)), True),
        (np.zeros((3, 8, 8, 3), np.uint8), True),
        (np.zeros((3, 64), np.float32), False),
        (np.zeros(3), False),
        (np.array([[["a"]]]), False),
    ],
)
def test_arrays(tmp_path, array, images):
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array, y=np.zeros(3))
    assert detect(str(tmp_path / "x.npy")) is images
    assert detect(str(tmp_path / "x.npz")) is images


def test_damaged_array(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"not a whole .npy file"):
        detect(str(tmp_path / "x.npy"))


def test_parquet(tmp_path):
    image = pa.array([{"bytes": b"a", "path": "a.png"}])
    pq.write_table(pa.table({"picture": image}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "b.parquet")
    (tmp_path / "folder" / "data").mkdir(parents=True)
    (tmp_path / "folder" / "README.md").write_text("a")
    assert detect(str(tmp_path / "a.parquet"))
    assert not detect(str(tmp_path / "b.parquet"))
    assert not detect(str(tmp_path / "folder"))
    (tmp_path / "a.parquet").rename(tmp_path / "folder" / "data" / "a.parquet")
    assert detect(str(tmp_path / "folder"))


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a", "a.mp3", "a.gz"])
def test_other_files(tmp_path, name):
    (tmp_path / name).write_text("text,label\na,b\n")
    assert not detect(str(tmp_path / name))


def test_metadata_of_an_image_folder(tmp_path):
    for name, content in (
        ("metadata.csv", "label,file_name\na,b.png\n"),
        ("metadata.jsonl", '{"file_name": "b.png"}\n'),
    ):
        (tmp_path / name).write_text("text\na\n")
        assert not detect(str(tmp_path / name))
        (tmp_path / name).write_text(content)
        assert detect(str(tmp_path / name))


def test_image_file(tmp_path):
    assert detect(str(picture(tmp_path / "x.png")))


def test_missing(tmp_path):
    assert not detect(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(("features", "images"), [({"img": "image", "n": "int64"}, True), ({"text": "string"}, False)])
def test_hub(monkeypatch, features, images):
    datasets = pytest.importorskip("datasets")
    known = datasets.Features({n: datasets.Image() if f == "image" else datasets.Value(f) for n, f in features.items()})

    class Builder:
        info = datasets.DatasetInfo(features=known)

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: Builder)
    assert detect("hf:me/things") is images


def test_hub_without_features(monkeypatch):
    datasets = pytest.importorskip("datasets")

    class Builder:
        info = datasets.DatasetInfo()

    monkeypatch.setattr(datasets, "load_dataset_builder", lambda name, config: Builder)
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name, config, streaming: {"train": [{"a": 1, "b": Image.new("L", (8, 8))}]},
    )
    assert detect("hf:me/things")


def test_hub_out_of_reach(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(name, config):
        raise ConnectionError("Couldn't reach the Hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(
        DataError, match=r"hf:me/things: cannot be had .* \(Couldn't reach the Hub\); .* network"
    ) as error:
        detect("hf:me/things")
    assert "\n" not in str(error.value)
