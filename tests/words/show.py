"""Words as they are shown: as text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.runs.items import Items


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[str]:
    """Returns items as they are."""
    texts = items.column("text")
    return [texts[row] for row in rows]


def lines(outputs: Sequence[str]) -> list[str]:
    """Returns what a terminal shows."""
    return list(outputs)


def draw(
    folder: Path, outputs: Sequence[str], groups: Sequence[tuple[str, Sequence[Any]]]
) -> tuple[list[str], list[str]]:
    """Writes each output and the sheet."""
    names = [f"{number:03}.txt" for number in range(1, len(outputs) + 1)]
    for name, text in zip(names, outputs, strict=True):
        (folder / name).write_text(text)
    return draw_sheet(folder, groups), names


def draw_sheet(folder: Path, groups: Sequence[tuple[str, Sequence[Any]]]) -> list[str]:
    """Writes the sheet."""
    (folder / "sheet.txt").write_text("".join(f"{caption}: {' '.join(texts)}\n" for caption, texts in groups))
    return ["sheet.txt"]
