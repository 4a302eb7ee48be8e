"""Items and decoded vectors as they are shown: their texts, ids and images. Knows no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.modalities.vectors.prepare import IMAGES, VECTORS
from latentviz.runs.items import Items


class Shown(str):
    """What is shown of an item or of a decoded vector: a line of text, and what goes with it.

    Attributes:
        image: uint8 (c, h, w), the item's image or the nearest item's; None where there are no images.
        vector: float32 (m,), what the decoder made; None for an item.
    """

    __slots__ = ("image", "vector")
    image: np.ndarray | None
    vector: np.ndarray | None

    def __new__(cls, text: str, image: np.ndarray | None = None, vector: np.ndarray | None = None) -> "Shown":
        """Returns the text with what goes with it."""
        shown = super().__new__(cls, text)
        shown.image, shown.vector = image, vector
        return shown


def load_images(cache: Path) -> np.ndarray | None:
    """Returns the items' images, uint8 (n, c, h, w), memory-mapped, or None where there are none."""
    file = cache / IMAGES
    images: np.ndarray | None = np.load(file, mmap_mode="r", allow_pickle=False) if file.exists() else None
    return images


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[Shown]:
    """Returns items as they are shown: their texts, or without texts their ids, and their images."""
    chosen, images = items.table.take(np.asarray(rows, np.int64)), load_images(cache)
    ids = chosen.column("id").to_pylist()
    texts = chosen.column("text").to_pylist() if "text" in chosen.column_names else ids
    return [
        Shown(text or name, None if images is None else np.array(images[row]))
        for text, name, row in zip(texts, ids, rows, strict=True)
    ]


def lines(outputs: Sequence[str]) -> list[str]:
    """Returns what a terminal shows of items or decoded vectors, a line each."""
    return [one_line(output) for output in outputs]


def one_line(text: str) -> str:
    r"""Returns a text without its line ends.

    >>> one_line("a\n  b")
    'a b'
    """
    return " ".join(text.split())


def draw(
    folder: Path, outputs: Sequence[Shown], groups: Sequence[tuple[str, Sequence[Any]]]
) -> tuple[list[str], list[str]]:
    """Writes the decoded vectors, float32 (m, d), and the sheet; returns the sheet's names and each output's place.

    Args:
        folder: where they go.
        outputs: what the decoder made.
        groups: the rows of the sheet with their captions.
    """
    np.save(folder / VECTORS, np.stack([np.asarray(output.vector, np.float32) for output in outputs]))
    return draw_sheet(folder, groups), [f"{VECTORS}#{row}" for row in range(len(outputs))]


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
    """Writes `sheet.txt`, each group below its caption, and where there are images `sheet.png`; returns their names."""
    files = ["sheet.txt"]
    (folder / files[0]).write_text(
        "".join(f"{caption}\n" + "".join(f"  {one_line(shown)}\n" for shown in group) for caption, group in groups),
        encoding="utf-8",
    )
    pictures = [
        (caption, [shown.image for shown in group if getattr(shown, "image", None) is not None])
        for caption, group in groups
    ]
    if any(images for _, images in pictures):
        from latentviz.modalities.image.show import draw_sheet as draw_pictures

        files = [*draw_pictures(folder, pictures), *files]
    return files
