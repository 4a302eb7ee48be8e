"""New words: a word in quotes that has a space before it, or a file with one a line."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.modalities.io.prepared import Prepared
from latentviz.runs.items import Items

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def stored(word: str) -> np.ndarray:
    """Returns a word as numbers, int64 (5,)."""
    return np.array([LETTERS.index(letter) for letter in word])


def read_item(word: str, config: Any, trained: Path) -> tuple[str, np.ndarray, list[str]] | None:
    """Returns a quoted word."""
    return (word.strip(), stored(word.strip()), ["a new word"]) if word.startswith(" ") else None


def read_items(path: str, config: Any, cache: Path, trained: Path) -> tuple[Prepared, np.ndarray]:
    """Returns the words of a file."""
    words = Path(path).read_text().split()
    cache.mkdir()
    table = pa.table(
        {
            "id": [f"new-{i}" for i in range(len(words))],
            "split": ["train"] * len(words),
            "label": pa.nulls(len(words), pa.string()),
            "source": [path] * len(words),
            "text": words,
        }
    )
    (cache / "words.txt").write_text(" ".join(words))
    return Prepared(Items(table), config.data, [], "", []), np.stack([stored(word) for word in words])
