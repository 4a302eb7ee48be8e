"""Shows texts in a terminal and as .txt files. Loads without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentviz.progress import one_line
from latentviz.runs.items import Items

SHEET, CAPTION = 2_000, 80  # characters of a text and of a caption in the sheet, at most


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[str]:
    """Returns the texts in these rows."""
    del cache
    texts: list[str] = items.table.column("text").take(np.asarray(rows, np.int64)).to_pylist()
    return texts


def lines(outputs: Sequence[str]) -> list[str]:
    """Returns one line per text, for a terminal."""
    return [one_line(text) for text in outputs]


def draw(
    folder: Path, outputs: Sequence[str], groups: Sequence[tuple[str, Sequence[str]]]
) -> tuple[list[str], list[str]]:
    """Writes one file per output, and the sheet; returns the names of the sheet's files and of the outputs' files.

    Args:
        folder: where the files go.
        outputs: texts.
        groups: rows of the sheet, each with its caption.
    """
    digits = max(3, len(str(len(outputs))))
    names = [f"{number:0{digits}}.txt" for number in range(1, len(outputs) + 1)]
    for name, text in zip(names, outputs, strict=True):
        (folder / name).write_text(f"{text}\n", encoding="utf-8", errors="replace")
    return draw_sheet(folder, groups), names


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Writes `sheet.txt`, one line per text under the caption of its group; returns its name."""
    written = []
    for caption, texts in (group for group in groups if len(group[1])):
        written += [f"{one_line(caption, CAPTION)}:"] if caption else []
        written += [*(f"  {one_line(text, SHEET)}" for text in texts), ""]
    (folder / "sheet.txt").write_text("\n".join(written), encoding="utf-8", errors="replace")
    return ["sheet.txt"]
