"""Files with several images: pages of TIFFs, frames of animations; and HEIC."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from latentviz.errors import DataError
from latentviz.modalities.image import pixels
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.frames import count_pages
from latentviz.modalities.image.prepare import load, prepare
from latentviz.modalities.image.read import read


def grey(value: int) -> Image.Image:
    return Image.fromarray(np.full((12, 14), value, np.uint8))


def colour(value: int) -> Image.Image:
    return grey(value).convert("RGB")


def stack(path: Path, values: range, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [grey(value) if path.suffix == ".tif" else colour(value) for value in values]
    first.save(path, save_all=True, append_images=others, **options)
    return path


def values(source) -> list[int]:
    found = []
    for row in range(len(source)):
        with source.open(row) as image:
            found.append(int(np.asarray(image.convert("L"))[0, 0]))
    return found


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
def test_pages_of_a_tiff_are_items(tmp_path: Path, options) -> None:
    """Reported: alephdata/aleph#20."""
    source = read(ImageData(path=str(stack(tmp_path / "scan.tif", range(20), **options))))
    assert len(source) == 20
    assert source.ids[3] == "scan.tif#3"
    assert source.origins[3].endswith("scan.tif#3")
    assert values(source) == list(range(20))
    assert list(source.columns["frame"]) == list(range(20))
    assert any("20 items" in note and "data.frames=first" in note for note in source.notes)


def test_pages_have_the_label_of_their_file(tmp_path: Path) -> None:
    for number in range(4):
        stack(tmp_path / "ab"[number // 2] / f"{number}.tif", range(number * 5, number * 5 + 5))
    source = read(ImageData(path=str(tmp_path)))
    assert source.labels == ["a"] * 10 + ["b"] * 10
    assert values(source) == list(range(20))
    first = read(ImageData(path=str(tmp_path), frames="first"))
    assert first.ids == ["a/0.tif", "a/1.tif", "b/2.tif", "b/3.tif"]


def test_smaller_copies_and_masks_are_no_pages(tmp_path: Path) -> None:
    file = tmp_path / "x.tif"
    with TiffImagePlugin.AppendingTiffWriter(str(file), new=True) as out:
        for value, kind in ((1, 0), (2, 1), (3, 4), (4, 0)):
            info = TiffImagePlugin.ImageFileDirectory_v2()
            info[254] = kind
            grey(value).save(out, format="TIFF", tiffinfo=info)
            out.newFrame()
    assert count_pages(file) == [0, 3]


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"II*\0\x08\0\0\0" + b"\0" * 3, b"II*\0\x08\0\0\0\0\0\x08\0\0\0", b"no TIFF"]
)
def test_a_damaged_tiff_has_one_page(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.tif"
    file.write_bytes(content)
    assert count_pages(file) == [0]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_frames_of_animations(tmp_path: Path, suffix: str) -> None:
    """Reported: policratus/pupyl#19."""
    for i in range(20):
        stack(
            tmp_path / "data" / f"{i}{suffix}",
            range(i * 10, i * 10 + 3),
            **({"lossless": True} if suffix == ".webp" else {}),
        )
    prepared = prepare(ImageData(path=str(tmp_path / "data")), tmp_path / "cache", 0)
    assert len(prepared.items) == 20
    assert any("20 images have several frames" in note and "data.frames=all" in note for note in prepared.notes)
    every = read(ImageData(path=str(tmp_path / "data"), frames="all"))
    assert len(every) == 60
    assert values(every)[3:6] == pytest.approx([10, 11, 12], abs=2)
    two = read(ImageData(path=str(tmp_path / "data"), frames=2))
    assert list(two.columns["frame"])[:4] == [0, 2, 0, 2]
    assert (
        prepare(ImageData(path=str(tmp_path / "data"), frames="first"), tmp_path / "again", 0).notes != prepared.notes
    )


def test_single_images_are_read_as_before(tmp_path: Path) -> None:
    for i in range(20):
        grey(i).save(tmp_path / f"{i}.png")
    source = read(ImageData(path=str(tmp_path), frames="all"))
    assert not source.columns
    assert source.ids[0] == "0.png"


def test_the_next_step_about_a_single_animation_works(tmp_path: Path) -> None:
    file = stack(tmp_path / "film.gif", range(0, 200, 10))
    with pytest.raises(DataError, match=r"data\.frames=all"):
        read(ImageData(path=str(file)))
    assert len(read(ImageData(path=str(file), frames="all"))) == 20
    short = stack(tmp_path / "short.gif", range(0, 30, 10))
    with pytest.raises(DataError) as refused:
        read(ImageData(path=str(short)))
    assert "data.frames" not in str(refused.value)


class TestHeic:
    """Reported: saimn/sigal#436."""

    def folder(self, tmp_path: Path) -> Path:
        heif = pytest.importorskip("pillow_heif")
        heif.register_heif_opener()
        for i in range(20):
            colour(i * 10).save(tmp_path / f"IMG_{i}.HEIC", format="HEIF")
        return tmp_path

    def test_read(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path)
        prepared = prepare(ImageData(path=str(folder)), tmp_path / "cache", 0)
        assert not prepared.bad
        assert load(tmp_path / "cache").shape == (20, 1, 12, 14)

    def test_without_the_package(self, tmp_path: Path, monkeypatch) -> None:
        folder = self.folder(tmp_path)
        monkeypatch.setattr(pixels, "formats", lambda: ("PNG", "JPEG"))
        with pytest.raises(DataError, match=r"pip install 'latentviz\[heic\]'"):
            prepare(ImageData(path=str(folder)), tmp_path / "cache", 0)
