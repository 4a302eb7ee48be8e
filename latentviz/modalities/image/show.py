"""Pictures of items, of what the decoder draws, and of what the model does epoch by epoch. Knows no torch."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentviz.modalities.image.prepare import load
from latentviz.runs.files import atomic_write
from latentviz.runs.items import Items

GAP = 2  # white pixels between tiles
LEAST_TILE = 32  # smaller images are magnified, each pixel a square
WIDEST = 40  # tiles in a row of a sheet; longer rows go on below
INK = 90  # grey of the captions
LARGEST_SHEET = 2**27  # bytes; more tiles than fit are left out of the sheet, never out of the folder


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns items as they are, uint8 (k, c, h, w)."""
    del items
    images: np.ndarray = load(cache)[np.asarray(rows, np.int64)]
    return images


def lines(outputs: Sequence[np.ndarray]) -> list[str]:
    """Returns what a terminal shows of items or decoded outputs, a line each: nothing, for images."""
    del outputs
    return []


def draw(
    folder: Path, outputs: Sequence[np.ndarray], groups: Sequence[tuple[str, Sequence[np.ndarray]]]
) -> tuple[list[str], list[str]]:
    """Writes each output as a picture of its own, and the sheet; returns the sheet's names and the outputs' names.

    Args:
        folder: where they go.
        outputs: uint8 (c, h, w) each.
        groups: the rows of the sheet with their captions.
    """
    digits = max(3, len(str(len(outputs))))
    names = [f"{number:0{digits}}.png" for number in range(1, len(outputs) + 1)]
    for name, image in zip(names, outputs, strict=True):
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / name)
    return draw_sheet(folder, groups), names


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[np.ndarray]]]) -> list[str]:
    """Writes `sheet.png`: each group's images behind its caption, and returns the names of what was written."""
    rows, captions = [], []
    for caption, images in (group for group in groups if len(group[1])):
        for start in range(0, len(images), WIDEST):
            rows.append(np.asarray(images[start : start + WIDEST]))
            captions.append(caption if start == 0 else "")
    fit = max(1, LARGEST_SHEET // (rows[0].nbytes * max(1, (LEAST_TILE // max(rows[0].shape[2:])) ** 2) + 1))
    picture = sheet(rows[:fit])
    _captioned(picture, captions[:fit]).save(folder / "sheet.png")
    return ["sheet.png"]


def _captioned(picture: Image.Image, captions: Sequence[str]) -> Image.Image:
    """Returns the picture with a caption left of each of its rows, which are equally high."""
    if not any(captions):
        return picture
    font = ImageFont.load_default(12)
    margin = int(max(font.getlength(_short(caption)) for caption in captions)) + 12
    wide = Image.new(picture.mode, (picture.width + margin, picture.height), "white")
    wide.paste(picture, (margin, 0))
    pen, height = ImageDraw.Draw(wide), (picture.height - GAP) / len(captions)
    for row, caption in enumerate(captions):
        ink = INK if picture.mode == "L" else (INK, INK, INK)
        pen.text((margin - 6, GAP + (row + 0.5) * height), _short(caption), fill=ink, font=font, anchor="rm")
    return wide


def _short(caption: str) -> str:
    return caption if len(caption) <= 28 else f"{caption[:27]}…"


def sheet(rows: Sequence[np.ndarray]) -> Image.Image:
    """Returns one picture with each row's images side by side on white.

    Args:
        rows: uint8 (k, c, h, w) each, k may differ.
    """
    c, h, w = rows[0].shape[1:]
    times = max(1, -(-LEAST_TILE // max(h, w)))
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (h * times + GAP) + GAP, columns * (w * times + GAP) + GAP, c), 255, np.uint8)
    for r, row in enumerate(rows):
        for i, tile in enumerate(row):
            big = tile.transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
            top, left = GAP + r * (h * times + GAP), GAP + i * (w * times + GAP)
            canvas[top : top + h * times, left : left + w * times] = big
    return Image.fromarray(canvas.squeeze(-1) if c == 1 else canvas)


def to_uint8(mean: np.ndarray) -> np.ndarray:
    """Returns pixel means in [0, 1] as uint8, same shape."""
    pixels: np.ndarray = (mean.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


class Recorder:
    """Writes `epoch-*.png` (initial, encoded–decoded, fresh samples) and, at the end, `progress.png`.

    Args:
        folder: where the pictures go.
        initial: uint8 (k, c, h, w), the items that are shown encoded and decoded.
    """

    def __init__(self, folder: Path, initial: np.ndarray) -> None:
        self.folder, self.initial = folder, initial

    def epoch(self, name: str, decoded: np.ndarray, samples: np.ndarray) -> None:
        """Writes one epoch's picture; `decoded` and `samples` are means in [0, 1], (k, c, h, w)."""
        picture = sheet([self.initial, to_uint8(decoded), to_uint8(samples)])
        with atomic_write(self.folder / f"{name}.png") as temporary:
            picture.save(temporary, "PNG")

    def finish(self, strips: int = 10) -> Path | None:
        """Writes `progress.png`: the samples row of up to `strips` epochs, first on top; same z in every row."""
        pictures = sorted(self.folder.glob("epoch-*.png"))
        if not pictures:
            return None
        chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, strips).round().astype(int))]
        rows = []
        for path in chosen:
            with suppress(OSError, SyntaxError), Image.open(path) as picture:  # a damaged one is left out
                top = 2 * (picture.height - GAP) // 3
                rows.append(np.asarray(picture)[top : -GAP or None])
        if not rows:
            return None
        strip = np.concatenate([*rows, np.full_like(rows[0][:GAP], 255)])
        target = self.folder / "progress.png"
        with atomic_write(target) as temporary:
            Image.fromarray(strip).save(temporary, "PNG")
        return target
