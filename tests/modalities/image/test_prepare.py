"""From files to the memory-mapped cache: choices, images left out, errors."""

import errno
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentviz.errors import DataError, RunError
from latentviz.modalities.image import prepare as module
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.pixels import Header
from latentviz.modalities.image.prepare import load, prepare
from latentviz.modalities.image.survey import choose_size
from latentviz.modalities.io.prepared import FEWEST, Prepared


def run(path: Path | str, cache: Path, seed: int = 0, **settings) -> Prepared:
    return prepare(ImageData(path=str(path), **settings), cache, seed)


def noise(height: int, width: int, channels: int, seed: int) -> Image.Image:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def folder(path: Path, n: int = 20, size: tuple[int, int] = (12, 16), channels: int = 1) -> Path:
    path.mkdir(parents=True)
    for i in range(n):
        noise(*size, channels, i).save(path / f"{i}.png")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "run" / "cache"


class TestGood:
    def test_digits(self, cache):
        prepared = run("sklearn:digits", cache)
        images = load(cache)
        assert images.shape == (1797, 1, 8, 8)
        assert images.dtype == np.uint8
        assert isinstance(images, np.memmap)
        assert (int(images.min()), int(images.max())) == (0, 255)
        assert (prepared.data.size, prepared.data.channels) == (8, 1)
        assert prepared.items.table.column_names == ["id", "split", "label", "source"]
        assert len(prepared.items.val) == 180
        assert prepared.items.labels[:3] == ["0", "1", "2"]
        assert prepared.bad == []

    def test_folder(self, tmp_path, cache):
        prepared = run(folder(tmp_path / "x"), cache)
        images = load(cache)
        assert images.shape == (20, 1, 12, 16)
        assert prepared.data.size == (12, 16)
        assert prepared.items.column("id") == [f"{i}.png" for i in range(20)]
        for i in (0, 19):
            with Image.open(tmp_path / "x" / f"{i}.png") as image:
                assert (images[i, 0] == np.asarray(image)).all()
        assert sorted(p.name for p in cache.iterdir()) == ["images.npy"]

    def test_order_does_not_depend_on_threads(self, tmp_path, cache, monkeypatch):
        path = folder(tmp_path / "x", n=200, size=(8, 8))
        first = run(path, cache)
        content = load(cache).tobytes()
        monkeypatch.setattr(module, "_BLOCK", 3)
        monkeypatch.setattr(module, "WORKERS", 7)
        second = run(path, cache)
        assert load(cache).tobytes() == content
        assert second.fingerprint == first.fingerprint
        assert second.items.table.equals(first.items.table)

    def test_fingerprint_changes_with_pixels_and_names(self, tmp_path, cache):
        path = folder(tmp_path / "x")
        prints = [run(path, cache).fingerprint]
        noise(12, 16, 1, 99).save(path / "3.png")
        prints.append(run(path, cache).fingerprint)
        (path / "3.png").rename(path / "3a.png")
        prints.append(run(path, cache).fingerprint)
        prints.append(run(path, cache, size=8).fingerprint)
        assert len(set(prints)) == 4

    def test_split(self, tmp_path, cache):
        path = folder(tmp_path / "x", n=100, size=(8, 8))
        split = run(path, cache, seed=1).items.column("split")
        assert split == run(path, cache, seed=1).items.column("split")
        assert split != run(path, cache, seed=2).items.column("split")
        assert split.count("val") == 10
        assert run(path, cache, val_fraction=0.001).items.column("split").count("val") == 1

    def test_split_does_not_look_at_labels(self, tmp_path, cache):
        np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((50, 8, 8)), y=np.arange(50) // 25)
        with_labels = run(tmp_path / "x.npz", cache).items
        without = run(tmp_path / "x.npz", cache, label_column="none").items
        assert with_labels.labels is not None
        assert without.labels is None
        assert with_labels.column("split") == without.column("split")

    def test_ids_are_unique(self, tmp_path, cache):
        path = folder(tmp_path / "x")
        rows = "".join(f"{i}.png,{word}\n" for i in range(20) for word in "ab")
        (path / "metadata.csv").write_text(f"file_name,word\n{rows}")
        ids = run(path, cache).items.column("id")
        assert ids[:3] == ["0.png", "0.png (2)", "1.png"]
        assert len(set(ids)) == 40

    def test_own_columns(self, tmp_path, cache):
        path = folder(tmp_path / "x")
        rows = "".join(f"{i}.png,{i},{'abc'[i % 3]},{i / 2}\n" for i in range(20))
        (path / "metadata.csv").write_text(f"file_name,id,label,weight\n{rows}")
        table = run(path, cache).items.table
        assert table.column_names == ["id", "split", "label", "source", "data_id", "weight"]
        assert table.column("weight").to_pylist()[:3] == [0.0, 0.5, 1.0]
        assert table.column("label").to_pylist()[:3] == ["a", "b", "c"]


class TestShape:
    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ([(28, 28)], (28, 28)),
            ([(100, 128)], (100, 128)),
            ([(3, 40)], (8, 40)),  # the networks need 8
            ([(480, 640)], (48, 64)),
            ([(129, 129)], (64, 64)),
            ([(480, 640), (960, 1280), (240, 320)], (48, 64)),
            ([(30, 40), (32, 40), (20, 60)], (30, 30)),
            ([(300, 400), (400, 300)], (64, 64)),
            ([(20, 20), (24, 24), (400, 400)], (24, 24)),  # never beyond the median
        ],
    )
    def test_auto_size(self, sizes, expected):
        headers = [Header(height, width, "L") for height, width in sizes]
        height, width, notes = choose_size(headers, ImageData(path="x"))
        assert (height, width) == expected
        assert len(notes) == 1

    @pytest.mark.parametrize(("size", "shape"), [(16, (16, 16)), ((8, 24), (8, 24))])
    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    def test_given_size(self, tmp_path, cache, size, shape, fit):
        prepared = run(folder(tmp_path / "x"), cache, size=size, fit=fit)
        assert load(cache).shape[2:] == shape
        assert prepared.data.size == size

    @pytest.mark.parametrize("size", [7, 513, (8, 1000)])
    def test_size_outside_what_networks_take(self, tmp_path, cache, size):
        with pytest.raises(DataError, match=r"data.size: a side must be from 8 to 512 pixels"):
            run(folder(tmp_path / "x"), cache, size=size)

    def test_channels(self, tmp_path, cache):
        path = folder(tmp_path / "x", channels=1)
        assert run(path, cache).data.channels == 1
        assert run(path, cache, channels=3).data.channels == 3
        assert load(cache).shape == (20, 3, 12, 16)
        for file in path.iterdir():  # grey, stored in colour
            Image.open(file).convert("RGB").save(file)
        assert run(path, cache).data.channels == 1
        noise(12, 16, 3, 5).save(path / "5.png")
        assert run(path, cache).data.channels == 3

    def test_sixteen_bits_share_one_scale(self, tmp_path, cache):
        path = tmp_path / "x"
        path.mkdir()
        for i in range(20):
            Image.fromarray(np.full((8, 8), 200 * i, np.uint16)).save(path / f"{i}.png")
        prepared = run(path, cache)
        assert load(cache)[:, 0, 0, 0].tolist() == [round(255 * 200 * i / 4095) for i in range(20)]
        assert any("4095 is white" in note for note in prepared.notes)


class TestBad:
    def test_damaged_images_are_left_out(self, tmp_path, cache):
        path = folder(tmp_path / "x", n=40)
        (path / "7.png").write_bytes((path / "7.png").read_bytes()[:150])
        (path / "9.png").write_bytes(b"")
        (path / "39.png").write_text("no image")
        prepared = run(path, cache)
        assert [bad.source for bad in prepared.bad] == [str(path / name) for name in ("7.png", "9.png", "39.png")]
        assert all(bad.reason and "\n" not in bad.reason for bad in prepared.bad)
        images = load(cache)
        assert len(images) == len(prepared.items) == 37
        assert prepared.items.column("id")[6:9] == ["6.png", "8.png", "10.png"]
        with Image.open(path / "8.png") as image:
            assert (images[7, 0] == np.asarray(image)).all()
        assert (cache / "images.npy").stat().st_size == 128 + images.nbytes

    def test_too_many(self, tmp_path, cache):
        path = folder(tmp_path / "x", n=40)
        for i in range(5):
            (path / f"{i}.png").write_text("no image")
        with pytest.raises(
            DataError,
            match=r"5 of 40 images cannot be read, more than data.max_bad=0.1 .*0.png: not an "
            r"image.*; and 2 more",
        ) as error:
            run(path, cache)
        assert "\n" not in str(error.value)
        assert list(cache.iterdir()) == []
        assert len(run(path, cache, max_bad=0.2).bad) == 5

    def test_bombs(self, tmp_path, cache, monkeypatch):
        path = folder(tmp_path / "x", n=40)
        noise(30, 30, 1, 1).save(path / "0.png")  # twice the limit: an error of Pillow
        noise(20, 15, 1, 1).save(path / "1.png")  # once the limit: only a warning
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
        prepared = run(path, cache)
        assert [Path(bad.source).name for bad in prepared.bad] == ["0.png", "1.png"]
        assert all("limit of 200 against decompression bombs" in bad.reason for bad in prepared.bad)

    def test_named_but_missing(self, tmp_path, cache):
        path = folder(tmp_path / "x")
        rows = "".join(f"{i}.png\n" for i in range(21))
        (path / "metadata.csv").write_text(f"file_name\n{rows}")
        prepared = run(path, cache)
        assert [bad.source for bad in prepared.bad] == [str(path / "20.png")]
        (path / "metadata.csv").write_text("file_name\na.png\nb.png\n")
        with pytest.raises(DataError, match="2 of 2 images cannot be read"):
            run(path, cache)

    @pytest.mark.parametrize("n", [1, FEWEST - 1])
    def test_too_few(self, tmp_path, cache, n):
        with pytest.raises(DataError, match=rf"holds {n} images?; .*at least {FEWEST}"):
            run(folder(tmp_path / "x", n=n), cache)

    def test_too_few_good_ones(self, tmp_path, cache):
        path = folder(tmp_path / "x", n=FEWEST)
        (path / "0.png").write_text("no image")
        with pytest.raises(DataError, match=rf"{FEWEST - 1} of its {FEWEST} images can be read"):
            run(path, cache)

    def test_identical(self, tmp_path, cache):
        path = tmp_path / "x"
        path.mkdir()
        for i in range(100):
            noise(8, 8, 1, 0).save(path / f"{i}.png")
        with pytest.raises(DataError, match="all 100 images are identical"):
            run(path, cache)
        noise(8, 8, 1, 1).save(path / "99.png")
        assert len(run(path, cache).items) == 100

    def test_full_disk(self, tmp_path, cache):
        path = folder(tmp_path / "x", n=100, size=(64, 64))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(
                DataError, match=r'images.npy: cannot be written .*needs 0.4 MB; .*outputs="DIR"'
            ) as error:
                run(path, cache)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "\n" not in str(error.value)
        assert list(cache.iterdir()) == []

    def test_unwritable(self, tmp_path, cache, monkeypatch):
        def refuse(*_args, **_options):
            raise PermissionError(errno.EACCES, "Permission denied")

        path = folder(tmp_path / "x")
        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(DataError, match=r"cannot be written .Permission denied"):
            run(path, cache)

    def test_damaged_cache(self, tmp_path):
        with pytest.raises(RunError, match=r"images.npy: (damaged|missing).*--force"):
            load(tmp_path)
        (tmp_path / "images.npy").write_bytes(b"rubbish")
        with pytest.raises(RunError, match=r"images.npy: (damaged|missing).*--force"):
            load(tmp_path)

    def test_an_interrupt_leaves_nothing_behind(self, tmp_path, cache, monkeypatch):
        def interrupt(*_arguments):
            raise KeyboardInterrupt

        path = folder(tmp_path / "x")
        monkeypatch.setattr(module, "decode", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(path, cache)
        assert list(cache.iterdir()) == []
