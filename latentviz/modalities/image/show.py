"""Draws items and decoded outputs as image files, and training progress epoch by epoch. Does not import torch."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentviz.modalities.image.prepare import load
from latentviz.runs.files import atomic_write
from latentviz.runs.items import Items

GAP = 2  # white pixels between tiles
LEAST_TILE = 32  # pixels; smaller images are magnified by whole factors
WIDEST = 40  # tiles per row of a sheet; longer rows wrap
INK = 90  # grey level of captions
CAPTIONS = ("held-out items", "decoded from mu", "drawn from the prior")  # of the rows of an epoch's picture
LARGEST_SHEET = 2**27  # bytes; further tiles are left out of the sheet, but not out of the folder


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """The items' images, uint8 (c, h, w) each."""
    return list(load(cache, len(items))[np.asarray(rows, np.int64)])


def lines(outputs: Sequence[np.ndarray]) -> list[str]:
    """One line per output for the terminal: none for images."""
    del outputs
    return []


def draw(
    folder: Path, outputs: Sequence[np.ndarray], groups: Sequence[tuple[str, Sequence[np.ndarray]]]
) -> tuple[list[str], list[str]]:
    """Writes each output as an image file, and the sheet; returns the names of the sheet's and of the outputs' files.

    Args:
        folder: where to write.
        outputs: uint8 (c, h, w) each.
        groups: captions and rows of the sheet.
    """
    names = save(folder, outputs)
    return draw_sheet(folder, groups), names


def save(folder: Path, outputs: Sequence[np.ndarray]) -> list[str]:
    """Writes each image, uint8 (c, h, w), as a file; returns the names."""
    digits = max(3, len(str(len(outputs))))
    names = [f"{number:0{digits}}.png" for number in range(1, len(outputs) + 1)]
    for name, image in zip(names, outputs, strict=True):
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / name)
    return names


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[np.ndarray]]]) -> list[str]:
    """Writes `sheet.png` with each group's images next to its caption; returns the names of the written files."""
    rows, captions = [], []
    for caption, images in (group for group in groups if len(group[1])):
        for start in range(0, len(images), WIDEST):
            rows.append(np.asarray(images[start : start + WIDEST]))
            captions.append(caption if start == 0 else "")
    fit = max(1, LARGEST_SHEET // (rows[0].nbytes * max(1, (LEAST_TILE // max(rows[0].shape[2:])) ** 2) + 1))
    _add_captions(sheet(rows[:fit]), captions[:fit]).save(folder / "sheet.png")
    return ["sheet.png"]


def _add_captions(picture: Image.Image, captions: Sequence[str]) -> Image.Image:
    """Adds a caption to the left of each row; all rows have the same height."""
    if not any(captions):
        return picture
    font, margin = ImageFont.load_default(12), _margin(captions)
    captions = [_short(caption) for caption in captions]
    wide = Image.new(picture.mode, (picture.width + margin, picture.height), "white")
    wide.paste(picture, (margin, 0))
    pen, height = ImageDraw.Draw(wide), (picture.height - GAP) / len(captions)
    ink = INK if picture.mode == "L" else (INK, INK, INK)
    for row, caption in enumerate(captions):
        pen.text((margin - 6, GAP + (row + 0.5) * height), caption, fill=ink, font=font, anchor="rm")
    return wide


def _short(caption: str) -> str:
    return caption if len(caption) <= 28 else f"{caption[:27]}…"


def _margin(captions: Sequence[str]) -> int:
    """Returns the width in pixels that the captions take."""
    font = ImageFont.load_default(12)
    return int(max(font.getlength(_short(caption)) for caption in captions)) + 12


def sheet(rows: Sequence[np.ndarray]) -> Image.Image:
    """Draws each row's images side by side on white.

    Args:
        rows: uint8 (k, c, h, w) each; k may differ.
    """
    c, h, w = rows[0].shape[1:]
    factor = max(1, -(-LEAST_TILE // max(h, w)))
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (h * factor + GAP) + GAP, columns * (w * factor + GAP) + GAP, c), 255, np.uint8)
    for r, row in enumerate(rows):
        for i, tile in enumerate(row):
            large = tile.transpose(1, 2, 0).repeat(factor, 0).repeat(factor, 1)  # (h·factor, w·factor, c)
            top, left = GAP + r * (h * factor + GAP), GAP + i * (w * factor + GAP)
            canvas[top : top + h * factor, left : left + w * factor] = large
    return Image.fromarray(canvas.squeeze(-1) if c == 1 else canvas)


def to_uint8(mean: np.ndarray) -> np.ndarray:
    """Converts pixel means in [0, 1] to uint8."""
    pixels: np.ndarray = (mean.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


class Recorder:
    """Writes `epoch-*.png` (items, their reconstructions, samples), and in the end `progress.png`.

    Args:
        folder: where to write.
        initial: uint8 (k, c, h, w), the items to reconstruct.
    """

    def __init__(self, folder: Path, initial: np.ndarray) -> None:
        self.folder, self.initial = folder, initial

    def epoch(self, name: str, decoded: np.ndarray, samples: np.ndarray) -> None:
        """Draws one epoch; `decoded` and `samples` are means in [0, 1], (k, c, h, w)."""
        rows = sheet([self.initial, to_uint8(decoded), to_uint8(samples)])
        picture = _add_captions(rows, CAPTIONS)
        with atomic_write(self.folder / f"{name}.png") as temporary:
            picture.save(temporary, "PNG")

    def finish(self, strips: int = 10) -> Path | None:
        """Writes `progress.png`: the samples of up to `strips` epochs, first on top; all rows have the same z."""
        pictures = sorted(self.folder.glob("epoch-*.png"))
        chosen = np.unique(np.linspace(0, len(pictures) - 1, strips).round().astype(int))
        rows: list[np.ndarray] = []
        captions: list[str] = []
        width = 0
        for path in (pictures[i] for i in reversed(chosen) if pictures):
            with suppress(OSError, SyntaxError), Image.open(path) as picture:  # skips damaged ones
                top = 2 * (picture.height - GAP) // 3
                width = width or picture.width - _margin(CAPTIONS)  # earlier versions drew no captions
                rows.insert(0, np.asarray(picture)[top : -GAP or None, -width:])
                captions.insert(0, f"epoch {int(path.stem.removeprefix('epoch-'))}")
        if not rows:
            return None
        strip = np.concatenate([*rows, np.full_like(rows[0][:GAP], 255)])
        target = self.folder / "progress.png"
        with atomic_write(target) as temporary:
            _add_captions(Image.fromarray(strip), captions).save(temporary, "PNG")
        return target
