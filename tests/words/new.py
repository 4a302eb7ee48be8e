"""Reads words: a file with one per line, or a new word in quotes with a space before it."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from latentviz.config import DataSection
from latentviz.modalities.base import NewItem
from latentviz.modalities.io.prepared import Prepared
from latentviz.runs.items import Items
from tests.words.config import ResolvedWordConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def stored(word: str) -> np.ndarray:
    """Returns a word as numbers, int64 (5,)."""
    return np.array([LETTERS.index(letter) for letter in word])


def prepare(path: str, prefix: str, data: DataSection, cache: Path) -> Prepared:
    """Read the words of a file into the cache; every ninth is held out."""
    words = Path(path).read_text().split()
    cache.mkdir()
    (cache / "words.txt").write_text(" ".join(words))
    table = pa.table(
        {
            "id": [f"{prefix}{row}" for row in range(len(words))],
            "split": ["val" if row % 9 == 0 else "train" for row in range(len(words))],
            "label": pa.nulls(len(words), pa.string()),
            "source": [path] * len(words),
            "text": words,
        }
    )
    return Prepared(Items(table), data, [], "0", [])


def cached(cache: Path) -> np.ndarray:
    """Open the words, int64 (n, 5)."""
    return np.stack([stored(word) for word in (cache / "words.txt").read_text().split()])


def join(trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Write the words of both caches."""
    known, more = ((folder / "words.txt").read_text().split() for folder in (trained, fresh))
    words = [*known, *(more[row] for row in rows)]
    (cache / "words.txt").write_text(" ".join(words))
    return cached(cache)


def read_item(word: str, config: ResolvedWordConfig, trained: Path) -> NewItem[str] | None:
    """Read a quoted word."""
    return NewItem(word.strip(), stored(word.strip()), ["a new word"]) if word.startswith(" ") else None


def read_items(
    path: str, config: ResolvedWordConfig, cache: Path, trained: Path, given: Collection[str] = ()
) -> tuple[Prepared, np.ndarray]:
    """Read the words of a file."""
    prepared = prepare(path, "new-", config.data, cache)
    return prepared, np.stack([stored(word) for word in prepared.items.column("text")])
