"""The light half of the kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentviz.modalities.base import MapContents, Modality, ReadNew, Show
from tests.words.config import ResolvedWordConfig, WordConfig

if TYPE_CHECKING:
    from latentviz.clustering.keywords import Terms
    from latentviz.runs.items import Items
    from tests.words.kind import WordKind


class WordModality(Modality[WordConfig, ResolvedWordConfig, str]):
    """Five-letter words."""

    config = WordConfig
    resolved = ResolvedWordConfig
    takes_words = True
    writes_texts = True

    def detect(self, path: str) -> bool:
        """Whether `path` is a file of words."""
        return path.endswith(".words")

    @property
    def data_kind(self) -> type[WordKind]:
        """Training, encoding and decoding."""
        from tests.words.kind import WordKind

        return WordKind

    @property
    def show(self) -> Show[str]:
        """Words as texts."""
        from tests.words import show

        return show

    @property
    def new(self) -> ReadNew[ResolvedWordConfig, str]:
        """New words."""
        from tests.words import new

        return new

    def on_map(self, cache: Path) -> MapContents:
        """Return the words."""
        return MapContents(texts=(cache / "words.txt").read_text().split())

    def terms(self, items: Items) -> Terms:
        """Return how often each letter occurs in each word."""
        from scipy.sparse import csr_matrix

        from latentviz.clustering.keywords import Terms
        from tests.words.new import LETTERS

        counts = [[word.count(letter) for letter in LETTERS] for word in items.column("text")]
        return Terms(csr_matrix(counts, dtype="int64"), list(LETTERS))


MODALITY = WordModality()
