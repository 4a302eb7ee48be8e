"""Texts as they are shown: in a terminal, and as one .txt file each. Knows no torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentviz.progress import one_line
from latentviz.runs.items import Items

SHEET, CAPTION = 2_000, 80  # of a text and of a caption in the sheet


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[str]:
    """Returns items as they are."""
    del cache
    texts: list[str] = items.table.column("text").take(np.asarray(rows, np.int64)).to_pylist()
    return texts


def lines(outputs: Sequence[str]) -> list[str]:
    """Returns what a terminal shows of items or decoded outputs, a line each."""
    return [one_line(text) for text in outputs]


def draw(
    folder: Path, outputs: Sequence[str], groups: Sequence[tuple[str, Sequence[str]]]
) -> tuple[list[str], list[str]]:
    """Writes each output as a file of its own, and the sheet; returns the sheet's names and the outputs' names.

    Args:
        folder: where they go.
        outputs: texts.
        groups: the rows of the sheet with their captions.
    """
    digits = max(3, len(str(len(outputs))))
    names = [f"{number:0{digits}}.txt" for number in range(1, len(outputs) + 1)]
    for name, text in zip(names, outputs, strict=True):
        (folder / name).write_text(f"{text}\n", encoding="utf-8", errors="replace")
    return draw_sheet(folder, groups), names


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Writes `sheet.txt`: each group's texts, a line each, under its caption; returns the names of what was written."""
    written = []
    for caption, texts in (group for group in groups if len(group[1])):
        written += [f"{one_line(caption, CAPTION)}:"] if caption else []
        written += [*(f"  {one_line(text, SHEET)}" for text in texts), ""]
    (folder / "sheet.txt").write_text("\n".join(written), encoding="utf-8", errors="replace")
    return ["sheet.txt"]
