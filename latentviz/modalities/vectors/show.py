"""Shows items and decoded vectors by texts, ids and images. Does not import torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentviz.modalities.io.prepared import again
from latentviz.modalities.vectors.prepare import IMAGES, VECTORS
from latentviz.progress import one_line
from latentviz.runs.files import read_npy
from latentviz.runs.items import Items

SHEET = 2_000  # characters of a text in the sheet


class Shown(str):
    """A line of text for an item or a decoded vector, with an image and the vector where they exist.

    Attributes:
        image: uint8 (c, h, w), the item's or the nearest item's image; None if there are no images.
        vector: float (m,), the decoded vector in the units of the data; None for an item.
    """

    __slots__ = ("image", "vector")
    image: np.ndarray | None
    vector: np.ndarray | None

    def __new__(cls, text: str, image: np.ndarray | None = None, vector: np.ndarray | None = None) -> "Shown":
        """Makes the line."""
        shown = super().__new__(cls, text)
        shown.image, shown.vector = image, vector
        return shown


def load_images(cache: Path, n: int | None = None) -> np.ndarray | None:
    """Opens the items' images, uint8 (n, c, h, w), memory-mapped; None if there are none."""
    file = cache / IMAGES
    return read_npy(file, again(cache), shape=(n, None, None, None), kinds="u") if file.exists() else None


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[Shown]:
    """The items' texts, or ids where they have no text, with their images."""
    chosen, images = items.table.take(np.asarray(rows, np.int64)), load_images(cache, len(items))
    ids = chosen.column("id").to_pylist()
    texts = chosen.column("text").to_pylist() if "text" in chosen.column_names else ids
    return [
        Shown(text or name, None if images is None else np.array(images[row]))
        for text, name, row in zip(texts, ids, rows, strict=True)
    ]


def lines(outputs: Sequence[str]) -> list[str]:
    """One line per item or decoded vector for the terminal."""
    return [one_line(output) for output in outputs]


def draw(
    folder: Path, outputs: Sequence[Shown], groups: Sequence[tuple[str, Sequence[Shown]]]
) -> tuple[list[str], list[str]]:
    """Writes the decoded vectors, float (m, d), and the sheet; returns the sheet's files and each output's place.

    Args:
        folder: where to write.
        outputs: decoded vectors.
        groups: captions and rows of the sheet.
    """
    np.save(folder / VECTORS, np.stack([np.asarray(output.vector) for output in outputs]))
    return draw_sheet(folder, groups), [f"{VECTORS}#{row}" for row in range(len(outputs))]


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[Shown]]]) -> list[str]:
    """Writes `sheet.txt` with each group below its caption, and `sheet.png` if there are images; returns the names."""
    files = ["sheet.txt"]
    (folder / files[0]).write_text(
        "".join(
            f"{caption}\n" + "".join(f"  {one_line(shown, SHEET)}\n" for shown in group) for caption, group in groups
        ),
        encoding="utf-8",
    )
    pictures = [(caption, [shown.image for shown in group if shown.image is not None]) for caption, group in groups]
    if any(images for _, images in pictures):
        from latentviz.modalities.image.show import draw_sheet as draw_pictures

        files = [*draw_pictures(folder, pictures), *files]
    return files
