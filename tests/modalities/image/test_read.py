"""Every reader, on whole and on damaged files."""

import datetime as dt
import gzip
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES, ImageData
from latentviz.modalities.image.pixels import Unreadable, decode, formats
from latentviz.modalities.image.read import read
from latentviz.modalities.io.source import ImageSource as Source


def read_path(path: Path | str, **settings) -> Source:
    return read(ImageData(path=str(path), **settings))


def pixels(source: Source, row: int) -> np.ndarray:
    """The image as Pillow opens it, before resizing."""
    with source.open(row) as image:
        return np.asarray(image)


def write_idx(path: Path, array: np.ndarray) -> Path:
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def some(n: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def save(path: Path, seed: int = 0, size: tuple[int, int] = (12, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(some(1, *size, 3, seed=seed)[0]).save(path)
    return path


def encoded(seed: int = 0) -> bytes:
    out = io.BytesIO()
    Image.fromarray(some(1, 12, 12, 3, seed=seed)[0]).save(out, "PNG")
    return out.getvalue()


class TestBundled:
    def test_digits(self):
        source = read_path("sklearn:digits")
        assert len(source) == 1797
        assert source.ids[:2] == ["digit-0000", "digit-0001"]
        assert source.labels[:3] == ["0", "1", "2"]
        first = pixels(source, 0)
        assert first.shape == (8, 8)
        assert first.dtype == np.uint8
        assert first.max() == round(15 * 255 / 16)

    def test_other_name(self):
        with pytest.raises(DataError, match=r"Did you mean 'digits'"):
            read_path("sklearn:digit")


class TestIdx:
    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_folder_joins_train_and_test(self, tmp_path, suffix):
        train, test = some(5, 9, 10), some(3, 9, 10, seed=1)
        write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", test)
        write_idx(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", np.arange(3, dtype=np.uint8))
        write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", train)
        write_idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", np.arange(5, dtype=np.uint8))
        source = read_path(tmp_path)
        assert source.ids[4:6] == ["train/4", "test/0"]
        assert source.labels == ["0", "1", "2", "3", "4", "0", "1", "2"]
        assert source.columns["part"] == ["train"] * 5 + ["test"] * 3
        assert (pixels(source, 4) == train[4]).all()
        assert (pixels(source, 7) == test[2]).all()

    def test_one_file_with_a_file_of_labels(self, tmp_path):
        write_idx(tmp_path / "train-labels.idx1-ubyte", np.array([7, 8], np.uint8))
        file = write_idx(tmp_path / "train-images.idx3-ubyte", some(2, 8, 8))
        assert read_path(file).labels == ["7", "8"]
        assert read_path(file, label_column="none").labels == [None, None]

    def test_plain_file_wins_over_its_gzipped_twin(self, tmp_path):
        for suffix in ("", ".gz"):
            write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", some(4, 8, 8))
        assert len(read_path(tmp_path)) == 4

    def test_label_count(self, tmp_path):
        write_idx(tmp_path / "train-images-idx3-ubyte", some(4, 8, 8))
        write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
        with pytest.raises(DataError, match="3 labels for 4 images"):
            read_path(tmp_path)

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    def test_cut_off(self, tmp_path, suffix):
        file = write_idx(tmp_path / f"train-images-idx3-ubyte{suffix}", some(40, 8, 8))
        file.write_bytes(file.read_bytes()[:-200])
        with pytest.raises(DataError, match="damaged or truncated") as error:
            read_path(tmp_path)
        assert "\n" not in str(error.value)

    def test_magic(self, tmp_path):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(b"<html>not found</html>")
        with pytest.raises(DataError, match=r"not an IDX file \(its first bytes are 3c 68 74 6d\)"):
            read_path(tmp_path)

    def test_wrong_shape(self, tmp_path):
        write_idx(tmp_path / "train-images-idx3-ubyte", some(4, 64))
        with pytest.raises(DataError, match=r"shape \(4, 64\)"):
            read_path(tmp_path)


class TestNpy:
    @pytest.mark.parametrize(
        "shape", [(6, 9, 11), (6, 9, 11, 1), (6, 9, 11, 3), (6, 3, 9, 11), (6, 1, 9, 11), (6, 9, 11, 4)]
    )
    def test_layouts(self, tmp_path, shape):
        array = some(*shape)
        np.save(tmp_path / "x.npy", array)
        source = read_path(tmp_path / "x.npy")
        assert len(source) == 6
        assert source.ids[5] == "x/5"
        expected = array[5].transpose(1, 2, 0) if shape[1] in (1, 3) else array[5]
        assert (pixels(source, 5) == expected.squeeze()).all()

    @pytest.mark.parametrize(
        ("values", "expected", "note"),
        [
            (np.float32([0, 0.5, 1]), [0, 128, 255], "1 is white"),
            (np.float64([0, 100, 255]), [0, 100, 255], None),
            (np.float32([-1, 0, 1]), [0, 128, 255], "-1 is black"),
            (np.float32([-3, 1, 5]), [0, 128, 255], "-3 is black"),
            (np.array([0, 1, 1], bool), [0, 255, 255], "1 is white"),
            (np.int64([0, 8, 16]), [0, 128, 255], "16 is white"),
            (np.uint16([0, 32768, 65535]), [0, 128, 255], "65535 is white"),
            (np.uint16([0, 2048, 4000]), [0, 128, 249], "4095 is white"),
            (np.float16([0, 0.5, 1]), [0, 128, 255], "1 is white"),
        ],
    )
    def test_scales(self, tmp_path, values, expected, note):
        np.save(tmp_path / "x.npy", np.tile(values, (4, 8, 3))[..., : values.size * 3])
        source = read_path(tmp_path / "x.npy")
        assert pixels(source, 0)[0, :3].tolist() == expected
        assert any(note in line for line in source.notes) if note else not source.notes

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((5, 64), np.float32), r"shape \(5, 64\)"),
            (np.zeros((48, 64, 3), np.uint8), r"\(48, 64, 3\) is the shape of one image"),
            (np.zeros((5, 9, 9, 7), np.uint8), r"shape \(5, 9, 9, 7\)"),
            (np.array([[["a"]]]), "integers or floats"),
            (np.zeros((0, 8, 8), np.uint8), r"holds no images .*\(0, 8, 8\)"),
            (np.zeros((5, 0, 8), np.uint8), r"holds no images .*\(5, 0, 8\)"),
            (np.full((5, 8, 8), np.nan), "row 0 has values that are NaN"),
            (np.where(np.arange(5)[:, None, None] == 3, np.inf, np.zeros((5, 8, 8))), "row 3 has values"),
        ],
    )
    def test_refused(self, tmp_path, array, message):
        np.save(tmp_path / "x.npy", array)
        with pytest.raises(DataError, match=message) as error:
            read_path(tmp_path / "x.npy")
        assert "\n" not in str(error.value)

    def test_pickles_are_never_loaded(self, tmp_path):
        np.save(tmp_path / "x.npy", np.array([object()] * 3), allow_pickle=True)
        with pytest.raises(DataError, match="never loaded"):
            read_path(tmp_path / "x.npy")
        np.savez(tmp_path / "x.npz", x=some(3, 8, 8), y=np.array([{}, 1, "a"], object))
        with pytest.raises(DataError, match="never loaded"):
            read_path(tmp_path / "x.npz")
        assert len(read_path(tmp_path / "x.npz", label_column="none")) == 3

    @pytest.mark.parametrize("name", ["x.npy", "x.npz"])
    def test_damaged(self, tmp_path, name):
        (np.save if name.endswith("y") else np.savez)(tmp_path / name, some(20, 8, 8))
        for content in ((tmp_path / name).read_bytes()[:-600], b"", b"rubbish"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match="not a whole"):
                read_path(tmp_path / name)

    def test_fortran_order(self, tmp_path):
        array = some(6, 9, 11)
        np.save(tmp_path / "x.npy", np.asfortranarray(array))
        np.savez_compressed(tmp_path / "x.npz", x=np.asfortranarray(array))
        for name in ("x.npy", "x.npz"):
            assert (pixels(read_path(tmp_path / name), 3) == array[3]).all()

    @pytest.mark.parametrize("save_npz", [np.savez, np.savez_compressed])
    def test_npz_joins_train_and_test(self, tmp_path, save_npz):
        save_npz(
            tmp_path / "mnist.npz",
            x_test=some(2, 8, 8, seed=1),
            y_test=[8, 9],
            x_train=some(3, 8, 8),
            y_train=[1, 2, 3],
        )
        source = read_path(tmp_path / "mnist.npz")
        assert source.ids == ["train/0", "train/1", "train/2", "test/0", "test/1"]
        assert source.labels == ["1", "2", "3", "8", "9"]
        assert source.columns["part"][-1] == "test"
        assert (pixels(source, 3) == some(2, 8, 8, seed=1)[0]).all()

    @pytest.mark.parametrize(
        ("arrays", "labels"),
        [
            ({"images": some(3, 8, 8), "labels": np.array([[0], [1], [2]])}, ["0", "1", "2"]),
            ({"X": some(3, 8, 8), "y": np.array(["a", "b", "c"])}, ["a", "b", "c"]),
            ({"arr_0": some(3, 8, 8), "arr_1": np.arange(3)}, [None] * 3),
            ({"data": some(3, 8, 8), "target": np.eye(3)}, ["0", "1", "2"]),
            ({"volume": some(3, 8, 8), "y": np.float64([1, 2, 0.5])}, ["1", "2", "0.5"]),
        ],
    )
    def test_npz_names(self, tmp_path, arrays, labels):
        np.savez(tmp_path / "x.npz", **arrays)
        source = read_path(tmp_path / "x.npz")
        assert source.labels == labels
        assert len(source) == 3

    def test_npz_medmnist(self, tmp_path):
        arrays = {
            f"{part}_{what}": array
            for part, n in (("train", 3), ("val", 2), ("test", 1))
            for what, array in (("images", some(n, 8, 8, 3)), ("labels", np.full((n, 1), n)))
        }
        np.savez(tmp_path / "x.npz", **arrays)
        source = read_path(tmp_path / "x.npz")
        assert source.columns["part"] == ["train"] * 3 + ["validation"] * 2 + ["test"]
        assert source.labels == ["3", "3", "3", "2", "2", "1"]

    def test_npz_columns(self, tmp_path):
        np.savez(tmp_path / "x.npz", a=some(3, 8, 8), b=some(4, 9, 9), names=np.array(["p", "q", "r", "s"]))
        with pytest.raises(DataError, match=r"a uint8\(3, 8, 8\), b uint8\(4, 9, 9\)"):
            read_path(tmp_path / "x.npz")
        assert read_path(tmp_path / "x.npz", image_column="b", label_column="names").labels == [
            "p",
            "q",
            "r",
            "s",
        ]
        with pytest.raises(DataError, match=r"data.label_column: no array 'name'.*Did you mean 'names'"):
            read_path(tmp_path / "x.npz", image_column="b", label_column="name")
        with pytest.raises(DataError, match="4 labels for 3 images"):
            read_path(tmp_path / "x.npz", image_column="a", label_column="names")


class TestFolder:
    def test_flat_in_natural_order(self, tmp_path):
        for name in ("10.png", "9.png", "b.jpg", "A.webp"):
            save(tmp_path / name)
        source = read_path(tmp_path)
        assert source.ids == ["9.png", "10.png", "A.webp", "b.jpg"]
        assert source.labels == [None] * 4
        assert source.origins[0] == str(tmp_path / "9.png")

    def test_class_folders(self, tmp_path):
        for name in ("dog/1.png", "cat/1.png", "cat/2.png", "dog/2.png"):
            save(tmp_path / "data" / name)
        source = read_path(tmp_path)
        assert source.ids[0] == "data/cat/1.png"
        assert source.labels == ["cat", "cat", "dog", "dog"]
        assert read_path(tmp_path, label_column="none").labels == [None] * 4

    def test_parts_are_no_classes(self, tmp_path):
        for name in ("train/a/1.png", "train/a/2.png", "test/b/1.png", "test/b/2.png"):
            save(tmp_path / name)
        source = read_path(tmp_path)
        assert source.labels == ["b", "b", "a", "a"]
        assert source.columns["part"] == ["test", "test", "train", "train"]

    def test_a_folder_each_is_no_class(self, tmp_path):
        for i in range(4):
            save(tmp_path / str(i) / "image.png")
        source = read_path(tmp_path)
        assert source.labels == [None] * 4
        assert any("labels: none" in note for note in source.notes)

    def test_only_regular_image_files_are_read(self, tmp_path):
        folder = tmp_path / "folder"
        outside = save(tmp_path / "outside.png")
        inside = save(folder / "inside.png")
        save(folder / ".hidden.png")
        save(folder / ".git" / "a.png")
        (folder / "notes.txt").write_text("a")
        os.mkfifo(folder / "pipe.png")
        (folder / "link.png").symlink_to(outside)
        (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
        (folder / "out").symlink_to(tmp_path)
        (folder / "again.png").symlink_to(inside)
        source = read_path(folder)
        assert source.ids == ["again.png", "inside.png"]
        assert any("1 .txt file" in note for note in source.notes)
        assert any("links" in note and note.endswith("3") for note in source.notes)

    @pytest.mark.parametrize(
        "name", ["a\nb.png", "q\"uo'te.png", "🐈‍⬛.png", "<b>.png", "\\.png", os.fsdecode(b"\xff\xfe.png")]
    )
    def test_odd_names(self, tmp_path, name):
        save(tmp_path / "a.png").rename(tmp_path / name)
        source = read_path(tmp_path)
        assert "\n" not in source.ids[0]
        source.ids[0].encode("utf-8")
        source.origins[0].encode("utf-8")
        assert pixels(source, 0).shape == (12, 12, 3)

    def test_metadata_csv(self, tmp_path):
        for name in ("a.png", "b.png", "sub/c.png", "unlisted.png"):
            save(tmp_path / name)
        (tmp_path / "metadata.csv").write_text(
            'file_name,caption,Class,year\nb.png,"two\nlines",007,1999\na.png,,x,\nsub/c.png,c,x,3\nlost.png,d,y,4\n'
            "../../etc/passwd,e,y,5\n"
        )
        source = read_path(tmp_path)
        assert source.ids == ["b.png", "a.png", "sub/c.png"]
        assert source.labels == ["007", "x", "x"]
        assert source.columns == {"caption": ["two\nlines", None, "c"], "year": [1999, None, 3]}
        assert [bad.source for bad in source.bad] == [
            str(tmp_path / "lost.png"),
            str(tmp_path / "../../etc/passwd"),
        ]
        assert any(note.endswith("no metadata file lists: 1") for note in source.notes)
        assert read_path(tmp_path / "metadata.csv").ids == source.ids

    def test_metadata_jsonl_in_subfolders(self, tmp_path):
        for name in ("train/a.png", "test/b.png"):
            save(tmp_path / name)
        (tmp_path / "train/metadata.jsonl").write_text('{"file_name": "a.png", "label": 3, "box": [1, 2], "n": 1.5}\n')
        (tmp_path / "test/metadata.jsonl").write_text(
            '{"file_name": "b.png", "label": 4, "box": [1, 2], "who": "me"}\n'
        )
        source = read_path(tmp_path)
        assert dict(zip(source.ids, source.labels, strict=True)) == {"test/b.png": "4", "train/a.png": "3"}
        assert source.columns == {"part": ["test", "train"], "who": ["me", None], "n": [None, 1.5]}

    def test_metadata_types(self, tmp_path):
        for name in ("a.png", "b.png"):
            save(tmp_path / name)
        (tmp_path / "metadata.csv").write_text(
            "file_name,label,seen,day,n,x,id\na.png,NA,true,2024-01-02,1,,007\nb.png,007,false,NA,NA,0.5,008\n"
        )
        source = read_path(tmp_path)
        assert source.labels == [None, "007"]
        assert source.columns == {
            "seen": [True, False],
            "day": [dt.date(2024, 1, 2), None],
            "n": [1, None],
            "x": [None, 0.5],
            "id": [7, 8],
        }

    def test_metadata_label_column(self, tmp_path):
        save(tmp_path / "a.png")
        (tmp_path / "metadata.csv").write_text("file_name,kind\na.png,x\n")
        assert read_path(tmp_path, label_column="kind").labels == ["x"]
        with pytest.raises(DataError, match=r"data.label_column: .*kind.*Did you mean 'kind'"):
            read_path(tmp_path, label_column="kin")

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("metadata.csv", "name,caption\na.png,x\n", "no text column file_name.*it has name, caption"),
            ("metadata.csv", "file_name,caption\na.png,x,y\n", r"metadata\.csv:2: 3 fields"),
            ("metadata.csv", "", r"metadata\.csv: .*rename"),
            ("metadata.jsonl", '{"file_name": "a.png"', r"metadata\.jsonl: .*rename"),
            ("metadata.jsonl", '{"file_name": 3}\n', "no text column file_name"),
            ("metadata.parquet", "PAR1", r"metadata\.parquet: .*rename"),
        ],
    )
    def test_metadata_refused(self, tmp_path, name, content, message):
        save(tmp_path / "a.png")
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message) as error:
            read_path(tmp_path)
        assert "\n" not in str(error.value)

    def test_every_suffix_of_pillow_is_known(self):
        Image.init()
        known = {
            suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN and name in formats()
        }
        assert known <= IMAGE_SUFFIXES
        assert not {".eps", ".ps", ".mpg"} & IMAGE_SUFFIXES


class TestNothingThere:
    def test_missing(self, tmp_path):
        with pytest.raises(DataError, match="no such file or folder"):
            read_path(tmp_path / "nowhere")
        with pytest.raises(DataError, match="no such file or folder"):
            read_path("a\0b")

    def test_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match="the folder is empty"):
            read_path(tmp_path)

    def test_folder_without_images(self, tmp_path):
        for i in range(12):
            (tmp_path / f"{i}.txt").write_text("a")
        (tmp_path / "README").write_text("a")
        with pytest.raises(DataError, match=r"holds no images .got 12 .txt files, 1 file without a suffix"):
            read_path(tmp_path)

    def test_one_image_file(self, tmp_path):
        with pytest.raises(DataError, match=r"holds 1 image; .*give the folder"):
            read_path(save(tmp_path / "a.png"))

    def test_other_file(self, tmp_path):
        (tmp_path / "a.mp3").write_text("a")
        with pytest.raises(DataError, match=r"a .mp3 file holds no images"):
            read_path(tmp_path / "a.mp3")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_closed_folder(self, tmp_path):
        (tmp_path / "closed").mkdir(mode=0)
        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
            read_path(tmp_path / "closed")

    def test_fifo(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(DataError, match="neither a file nor a folder"):
            read_path(tmp_path / "pipe.png")


class TestParquet:
    def write(self, path: Path, **columns) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    def test_huggingface_style(self, tmp_path):
        datasets = pytest.importorskip("datasets")
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=["cat", "dog"]),
                "caption": datasets.Value("string"),
                "box": datasets.List(datasets.Value("int64")),
            }
        )
        rows = {
            "image": [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(3)],
            "label": [1, 0, -1],
            "caption": ["a", "b", "c"],
            "box": [[1], [2], [3]],
        }
        pq.write_table(pa.Table.from_pydict(rows, features.arrow_schema), tmp_path / "train-0.parquet")
        source = read_path(tmp_path)
        assert source.ids == ["train-0/0", "train-0/1", "train-0/2"]
        assert source.labels == ["dog", "cat", None]
        assert source.columns == {"part": ["train"] * 3, "caption": ["a", "b", "c"]}
        assert (pixels(source, 2) == some(1, 12, 12, 3, seed=2)[0]).all()

    def test_bytes_in_several_files(self, tmp_path):
        for i in range(2):
            self.write(tmp_path / "we[ird" / f"{i}.parquet", img=[encoded(i)] * 2, y=[str(i)] * 2, size=[i, i])
        source = read_path(tmp_path / "we[ird")
        assert source.ids == ["0/0", "0/1", "1/0", "1/1"]
        assert source.labels == ["0", "0", "1", "1"]
        assert source.columns == {"size": [0, 0, 1, 1]}
        assert (pixels(source, 2) == some(1, 12, 12, 3, seed=1)[0]).all()

    def test_rows_without_an_image(self, tmp_path):
        save(tmp_path / "a.png")
        save(tmp_path.parent / "secret.png")
        file = self.write(
            tmp_path / "x.parquet",
            image=[
                {"bytes": b, "path": p}
                for b, p in ((None, None), (None, "a.png"), (None, "../secret.png"), (b"rubbish", None))
            ],
        )
        source = read_path(file)
        assert pixels(source, 1).shape == (12, 12, 3)
        for row in (0, 2):
            with pytest.raises(Unreadable):
                source.open(row)
        with pytest.raises(Image.UnidentifiedImageError):
            source.open(3)

    def test_columns(self, tmp_path):
        file = self.write(tmp_path / "x.parquet", left=[encoded()], right=[encoded(1)], kind=["x"])
        with pytest.raises(DataError, match=r"no column of images found; it has left, right, kind"):
            read_path(file)
        assert read_path(file, image_column="right", label_column="kind").labels == ["x"]
        with pytest.raises(DataError, match=r"data.image_column: no column 'rigth'.*Did you mean 'right'"):
            read_path(file, image_column="rigth")

    def test_damaged(self, tmp_path):
        (tmp_path / "x.parquet").write_bytes(b"PAR1 rubbish")
        with pytest.raises(DataError, match="not a whole Parquet file"):
            read_path(tmp_path / "x.parquet")

    def test_empty_files(self, tmp_path):
        self.write(tmp_path / "0.parquet", image=pa.array([], pa.binary()))
        with pytest.raises(DataError, match="the tables have no rows"):
            read_path(tmp_path)
        self.write(tmp_path / "1.parquet", image=[encoded()] * 2)
        assert read_path(tmp_path).ids == ["1/0", "1/1"]

    def test_files_that_differ(self, tmp_path):
        self.write(tmp_path / "0.parquet", image=[encoded()], a=[1])
        self.write(tmp_path / "1.parquet", image=[encoded()], b=["x"])
        assert read_path(tmp_path).columns == {"a": [1, None], "b": [None, "x"]}
        self.write(tmp_path / "1.parquet", image=[[7]], a=[1])
        with pytest.raises(DataError, match="must have the same columns"):
            read_path(tmp_path)


class TestHub:
    def test_splits_are_joined(self, monkeypatch):
        datasets = pytest.importorskip("datasets")
        tables = datasets.DatasetDict(
            {
                name: datasets.Dataset.from_dict(
                    {"image": [{"bytes": encoded(i), "path": None} for i in range(n)], "label": [0] * n}
                ).cast_column("image", datasets.Image())
                for name, n in (("test", 2), ("train", 3))
            }
        )
        asked = []
        monkeypatch.setattr(
            datasets,
            "load_dataset",
            lambda name, config, split=None: asked.append((name, config)) or (tables[split] if split else tables),
        )
        source = read_path("hf:me/things:small")
        assert asked == [("me/things", "small")]
        assert source.ids == ["train/0", "train/1", "train/2", "test/0", "test/1"]
        assert source.columns["part"][-1] == "test"
        assert read_path("hf:me/things", split="test").ids == ["test/0", "test/1"]

    def test_offline(self):
        code = (
            "from latentviz.modalities.image.detect import detect\n"
            "try:\n    detect('hf:nobody/nothing')\nexcept Exception as e:\n    print(type(e).__name__, e)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            text=True,
            capture_output=True,
            check=True,
        )
        assert done.stdout.startswith("DataError hf:nobody/nothing: cannot be had from the Hugging Face hub")
        assert done.stdout.count("\n") == 1
        assert not done.stderr

    def test_no_name(self):
        with pytest.raises(DataError, match="write hf:NAME"):
            read_path("hf:")


class TestDecode:
    """Every mode decodes to the same image: a red square with a white right half."""

    def picture(self, mode: str) -> Image.Image:
        image = Image.new("RGBA", (16, 16), (200, 0, 0, 255))
        image.paste((0, 255, 0, 0), (8, 0, 16, 16))  # transparent green: shows as white
        if mode in {"RGBA", "LA"}:
            return image.convert(mode)
        flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        return flat if mode == "RGB" else flat.convert(mode)

    @pytest.mark.parametrize(
        ("mode", "suffix"),
        [
            ("RGB", "png"),
            ("RGBA", "png"),
            ("LA", "png"),
            ("L", "png"),
            ("P", "png"),
            ("P", "gif"),
            ("CMYK", "tiff"),
            ("CMYK", "jpg"),
            ("YCbCr", "jpg"),
            ("1", "png"),
            ("RGBA", "webp"),
            ("RGB", "bmp"),
            ("RGB", "ppm"),
            ("LAB", "tiff"),
            ("RGB", "tga"),
            ("RGB", "jp2"),
            ("I", "tiff"),
            ("F", "tiff"),
        ],
    )
    def test_modes(self, tmp_path, mode, suffix):
        self.picture(mode).save(tmp_path / f"a.{suffix}")
        with read_path(tmp_path).open(0) as image:
            seen = decode(image, (3, 16, 16), "crop")
        assert seen.shape == (3, 16, 16)
        assert seen.dtype == np.uint8
        left, right = seen[:, 4:12, 2:6].mean((1, 2)), seen[:, 4:12, 10:14].mean((1, 2))
        assert (right > 240).all()
        if mode in {"RGB", "RGBA", "P", "YCbCr"}:
            assert left[0] > 180
            assert left[1:].max() < 40
        elif mode in {"L", "LA", "I", "F"}:
            assert left == pytest.approx(60, abs=2)

    def test_palette_with_transparency(self, tmp_path):
        image = Image.new("P", (16, 16), 1)
        image.putpalette([0, 255, 0, 200, 0, 0])
        image.paste(0, (8, 0, 16, 16))
        image.save(tmp_path / "a.png", transparency=0)
        with read_path(tmp_path).open(0) as image:
            seen = decode(image, (3, 16, 16), "crop")
        assert seen[:, 0, 0].tolist() == [200, 0, 0]
        assert seen[:, 0, 15].tolist() == [255, 255, 255]

    @pytest.mark.parametrize("mode", ["L", "1", "RGB"])
    def test_one_transparent_value(self, tmp_path, mode):
        Image.new(mode, (9, 9)).save(tmp_path / "a.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
        with read_path(tmp_path).open(0) as image:
            assert (decode(image, (1, 9, 9), "crop") == 255).all()

    def test_sixteen_bits(self, tmp_path):
        Image.fromarray(np.array([[0, 32768, 65535]] * 3, np.uint16)).save(tmp_path / "a.png")
        with read_path(tmp_path).open(0) as image:
            assert decode(image, (1, 3, 3), "crop")[0, 0].tolist() == [0, 128, 255]
        with read_path(tmp_path).open(0) as image:
            assert decode(image, (1, 3, 3), "crop", (0, 131070))[0, 0].tolist() == [0, 64, 128]

    def test_nan(self, tmp_path):
        Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "a.tiff")
        with read_path(tmp_path).open(0) as image, pytest.raises(Unreadable, match="NaN"):
            decode(image, (1, 9, 9), "crop")

    def test_first_frame(self, tmp_path):
        frames = [Image.new("L", (9, 9), value) for value in (10, 200)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        with read_path(tmp_path).open(0) as image:
            assert (decode(image, (1, 9, 9), "crop") == 10).all()

    @pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
    @pytest.mark.parametrize("orientation", [1, 3, 6, 8])
    def test_exif(self, tmp_path, suffix, orientation):
        upright = Image.new("L", (32, 16), 255)
        upright.paste(0, (0, 0, 16, 16))  # dark on the left
        back = {
            1: None,
            3: Image.Transpose.ROTATE_180,
            6: Image.Transpose.ROTATE_90,
            8: Image.Transpose.ROTATE_270,
        }
        stored = upright.transpose(back[orientation]) if back[orientation] is not None else upright
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / f"a.{suffix}", exif=exif)
        with read_path(tmp_path).open(0) as image:
            seen = decode(image, (1, 16, 32), "stretch")[0]
        assert seen[:, :14].max() < 30
        assert seen[:, 18:].min() > 225

    def test_fit(self):
        image = Image.new("RGB", (40, 20), (10, 20, 30))
        image.paste((250, 250, 250), (10, 5, 30, 15))
        crop = decode(image.copy(), (3, 10, 10), "crop")
        pad = decode(image.copy(), (3, 10, 10), "pad")
        stretch = decode(image.copy(), (3, 10, 10), "stretch")
        assert crop[0, 5].min() > 220  # the middle 20 of 40 columns
        assert pad[:, 0, 0].tolist() == [10, 20, 30]  # bars of the border's colour
        assert pad[0, 5, 5] > 150
        assert stretch[0, 5, 0] < 30
        assert stretch[0, 5, 5] > 240

    @pytest.mark.parametrize("shape", [(21, 49), (30, 31), (48, 47)])
    def test_crop_stays_inside_the_image_despite_rounding(self, shape):
        for width in range(1, 70):
            assert decode(Image.new("L", (width, 37)), (1, *shape), "crop").shape == (1, *shape)

    def test_scaling_down_averages(self, tmp_path):
        board = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
        for suffix in ("png", "jpg"):
            Image.fromarray(board).save(tmp_path / f"a.{suffix}", quality=95)
            with Image.open(tmp_path / f"a.{suffix}") as image:
                assert np.abs(decode(image, (1, 16, 16), "crop").astype(int) - 127).max() < 12
