"""New images for a trained model, and static binarisation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentviz.modalities.image.config import ImageFitConfig
from latentviz.modalities.image.new import read_item, read_items
from latentviz.modalities.image.pixels import binarise
from latentviz.modalities.image.prepare import load, prepare


def config(**data: object) -> ImageFitConfig:
    """The resolved config of a run on 8×8 grey images."""
    return ImageFitConfig.model_validate({"data": {"kind": "image", "path": "x", "size": 8, "channels": 1, **data}})


def test_a_word_that_names_no_file_is_none() -> None:
    assert read_item("nowhere.png", config()) is None
    assert read_item("x" * 5000, config()) is None
    assert read_item("a\0b", config()) is None


@pytest.mark.parametrize(("size", "channels", "shape"), [(8, 1, (1, 8, 8)), ((6, 12), 3, (3, 6, 12))])
def test_a_file_is_resized_and_converted(tmp_path: Path, size: object, channels: int, shape: tuple[int, ...]) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.jpg")
    given, stored, notes = read_item(str(tmp_path / "a.jpg"), config(size=size, channels=channels))
    assert given is stored
    assert given.shape == shape
    assert any("resized from 30×40" in note for note in notes)


def test_no_note_without_a_conversion(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert read_item(str(tmp_path / "a.png"), config())[2] == []


def test_a_grey_image_for_a_colour_run_gets_a_note(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (note,) = read_item(str(tmp_path / "a.png"), config(channels=3))[2]
    assert "grey" in note
    assert "colour" in note


def test_one_image_is_enough_and_identical_ones_are_accepted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("L", (8, 8), 7).save(tmp_path / name)
    prepared, images = read_items(str(tmp_path), config(), tmp_path / "cache")
    assert (images == 7).all()
    assert len(prepared.items) == 2
    prepared, images = read_items(str(tmp_path / "a.png"), config(), tmp_path / "cache2")
    assert prepared.items.column("id") == ["a.png"]
    assert images.shape == (1, 1, 8, 8)


def test_binarised_pixels_depend_only_on_the_image(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    images[3] = images[11]
    np.save(tmp_path / "x.npy", images)
    drawn = []
    for name in "ab":
        prepare(config(path=str(tmp_path / "x.npy"), binarise=True).data, tmp_path / name, 0)
        drawn.append(np.array(load(tmp_path / name)))
    assert np.array_equal(*drawn)
    assert set(np.unique(drawn[0])) == {0, 255}
    assert np.array_equal(drawn[0][3], drawn[0][11])
    assert np.array_equal(drawn[0][5, 0], binarise(images[5][None])[0])
    Image.fromarray(images[5]).save(tmp_path / "five.png")
    assert np.array_equal(read_item(str(tmp_path / "five.png"), config(binarise=True))[1], drawn[0][5])


def test_white_is_as_likely_as_the_pixel_is_bright() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (1, 4000, 1))
    share = (binarise(ramp) == 255).mean(axis=(0, 1))
    assert share == pytest.approx(np.arange(256) / 255, abs=0.04)
    assert (share[0], share[255]) == (0, 1)
