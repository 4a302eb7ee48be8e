"""The recipe `shapes`: a level draws and says what it names, and nothing else varies."""

import numpy as np
import pytest

from latentviz.errors import DataError
from latentviz.modalities.joint.config import JointData
from latentviz.modalities.joint.read import Parts, read
from latentviz.modalities.joint.shapes import COLOURS, GROUNDS, PLAIN, RADII, SHAPES, SIZE
from latentviz.shell.cli import main

CAPTIONS = {1: 5, 2: 10, 3: 50, 4: 200, 5: 400}  # different ones, by level


def shapes(level: int) -> Parts:
    return read(JointData(path="python:shapes", parts=["image", "caption"], level=level))


@pytest.mark.parametrize("level", CAPTIONS)
def test_a_level_draws_what_its_captions_say(level: int) -> None:
    found = shapes(level)
    assert len(set(found.captions)) == CAPTIONS[level]
    for row in range(40):
        words, pixels = (found.captions[row] or "").split(), np.asarray(found.source.open(row))
        assert pixels.shape == (SIZE, SIZE, 3)
        ground = tuple(pixels[0, 0].tolist())
        inside = (pixels != ground).any(2)
        y, x = (each.mean() for each in np.nonzero(inside))
        named = [word for word in words if word in COLOURS]
        colour = COLOURS[named[0]] if named else PLAIN
        away = np.abs(pixels.astype(int) - ground).sum(2)
        assert tuple(pixels[np.unravel_index(away.argmax(), away.shape)].tolist()) == colour
        assert found.source.labels[row] == next(word for word in words if word in SHAPES)
        extent = 1 + max(np.ptp(each) for each in np.nonzero(inside))
        assert [word for word in words if word in RADII] == ["big" if extent > 11 else "small"] * (level > 1)
        if level > 3:
            assert {"top" if y < SIZE / 2 else "bottom", "left" if x < SIZE / 2 else "right"} < {*words}
        else:
            assert max(abs(x - SIZE / 2), abs(y - SIZE / 2)) < 4
        assert ground == (GROUNDS[words[-2]] if level > 4 else (0, 0, 0))


def test_the_same_items_are_drawn_each_time() -> None:
    one, other = shapes(5), shapes(5)
    assert one.captions == other.captions
    assert (np.asarray(one.source.open(7)) == np.asarray(other.source.open(7))).all()


def test_without_a_level_all_of_it_varies() -> None:
    assert read(JointData(path="python:shapes", parts=["image", "caption"])).captions == shapes(5).captions


@pytest.mark.parametrize("path", ["python:glyphs", "python:other"])
def test_what_has_no_levels_says_so(path: str) -> None:
    with pytest.raises(DataError, match=r"data\.level|python:shapes"):
        read(JointData(path=path, parts=["image", "caption"], level=2))


@pytest.mark.parametrize(
    "words", [("glyphs", "data.level=2"), ("shapes", "data.level=6"), ("{folder}", "data.level=2")]
)
def test_a_level_that_cannot_act_is_refused(words, tmp_path, capsys) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,caption\na.png,a word\n")
    source, level = words
    parts = ["data.parts=image,caption"] if source == "{folder}" else []
    given = ["fit", source.format(folder=tmp_path), level, *parts, "--outputs", str(tmp_path / "out")]
    assert main(given) == 2
    assert "data.level" in capsys.readouterr().err
