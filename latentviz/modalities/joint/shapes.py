"""Drawn shapes with captions of a small grammar, in five levels: joint data of which every part can be scored exactly.

After the description of CdSprites+ (Sejnova et al. 2022, arXiv 2209.03048): a level adds one attribute to those of the
level below. What the caption leaves open, the exact place and size, is the style of an item.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from latentviz.modalities.io.source import ImageSource

SIZE = 32  # pixels
LEVELS = 5
ITEMS = 6_000
FINER = 4  # pixels a side that one pixel is drawn from
JITTER = 2.0  # pixels that a centre is off its place, at most
SHAPES = ("circle", "square", "triangle", "star", "heart")
RADII = {"small": (4.0, 5.0), "big": (7.0, 8.5)}  # least and greatest, in pixels
COLOURS = {"red": (220, 40, 40), "green": (30, 150, 60), "blue": (50, 80, 220), "yellow": (250, 220, 40)}
COLOURS |= {"pink": (240, 130, 200)}
PLACES = {
    f"{row} {column}": (x, y) for row, y in (("top", 11), ("bottom", 21)) for column, x in (("left", 11), ("right", 21))
}
GROUNDS = {"dark": (30, 30, 30), "light": (190, 190, 190)}
PLAIN, BLACK, MIDDLE = (255, 255, 255), (0, 0, 0), (SIZE / 2, SIZE / 2)  # of the attributes that a level lacks


class Drawing(NamedTuple):
    """The attributes of an item; those that its level lacks are empty."""

    shape: str
    size: str = ""
    colour: str = ""
    place: str = ""
    ground: str = ""

    @property
    def caption(self) -> str:
        """Its caption: "big red star at the top left on a dark ground"."""
        where = f"at the {self.place}" if self.place else ""
        on = f"on a {self.ground} ground" if self.ground else ""
        return " ".join(part for part in (self.size, self.colour, self.shape, where, on) if part)


def values(level: int) -> Mapping[str, Sequence[str]]:
    """Return the values of each attribute that a level has."""
    known: Sequence[Sequence[str]] = (SHAPES, [*RADII], [*COLOURS], [*PLACES], [*GROUNDS])
    return dict(zip(Drawing._fields[:level], map(tuple, known[:level]), strict=True))


def read_shapes(level: int) -> ImageSource:
    """Draw 6,000 shapes, 32×32, always the same ones; the label is the shape.

    Args:
        level: 1: the shape; 2: and its size; 3: and its colour; 4: and its place; 5: and its ground.
    """
    random = np.random.default_rng(level)
    drawings = [Drawing(*(str(random.choice(each)) for each in values(level).values())) for _ in range(ITEMS)]
    styles = random.random((ITEMS, 3))
    names = [f"shape-{row:04d}" for row in range(ITEMS)]
    return ImageSource(
        ids=names,
        origins=[f"python:shapes/{name}" for name in names],
        labels=[drawing.shape for drawing in drawings],
        open=lambda row: draw(drawings[row], styles[row]),
        columns={"caption": [drawing.caption for drawing in drawings]},
        notes=[f"shapes: {ITEMS:,} drawings of level {level}, such as: {drawings[0].caption}"],
    )


def draw(drawing: Drawing, style: np.ndarray) -> Image.Image:
    """Draw an item, RGB (32, 32); `style`, (3,) in [0, 1], is the exact place and size."""
    least, most = RADII[drawing.size or "big"]
    x, y = PLACES.get(drawing.place, MIDDLE)
    across, down, larger = style
    at = (x + JITTER * (2 * across - 1), y + JITTER * (2 * down - 1))
    ground = Image.new("RGB", (SIZE, SIZE), GROUNDS.get(drawing.ground, BLACK))
    shape = mask(drawing.shape, at, least + (most - least) * larger)
    ground.paste(COLOURS.get(drawing.colour, PLAIN), (0, 0), shape)
    return ground


def mask(shape: str, at: tuple[float, float], radius: float) -> Image.Image:
    """Draw where a shape is, grey (32, 32): 255 inside."""
    fine = Image.new("L", (FINER * SIZE, FINER * SIZE))
    corners = [(FINER * (at[0] + radius * x), FINER * (at[1] + radius * y)) for x, y in _outline(shape)]
    ImageDraw.Draw(fine).polygon(corners, fill=255)
    return fine.resize((SIZE, SIZE), Image.Resampling.BOX)


@cache
def _outline(shape: str) -> Sequence[tuple[float, float]]:
    """Return the corners of a shape of radius 1, y downwards."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    if shape == "circle":
        x, y = 0.9 * np.cos(turn), 0.9 * np.sin(turn)
    elif shape == "square":
        x, y = 0.8 * np.array([-1, 1, 1, -1]), 0.8 * np.array([-1, -1, 1, 1])
    elif shape == "triangle":
        x, y = np.array([0, 1, -1]), np.array([-0.95, 0.75, 0.75])
    elif shape == "star":
        points, inner = np.arange(10), np.where(np.arange(10) % 2, 0.4, 1.05)
        x, y = inner * np.sin(np.pi * points / 5), -inner * np.cos(np.pi * points / 5)
    else:  # a heart: x = sin³t, y of four cosines
        x = np.sin(turn) ** 3
        y = -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)) / 16
    return [*zip(x.tolist(), y.tolist(), strict=True)]
