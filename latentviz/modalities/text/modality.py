"""The data kind "text": where its parts are. Loads without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentviz.modalities.base import MapContents, Modality, ReadNew, Show
from latentviz.modalities.text.config import ResolvedTextConfig, TextFitConfig
from latentviz.modalities.text.detect import detect

if TYPE_CHECKING:
    from latentviz.clustering.keywords import Terms
    from latentviz.modalities.length import Length
    from latentviz.modalities.text.kind import TextKind
    from latentviz.runs.items import Items


class TextModality(Modality[TextFitConfig, ResolvedTextConfig, "str"]):
    """Texts."""

    config = TextFitConfig
    resolved = ResolvedTextConfig
    takes_words = True
    writes_texts = True

    def detect(self, path: str) -> bool:
        """Whether bare data at `path` is texts."""
        return detect(path)

    @property
    def data_kind(self) -> type[TextKind]:
        """Training, encoding and decoding."""
        from latentviz.modalities.text.kind import TextKind

        return TextKind

    @property
    def show(self) -> Show[str]:
        """Items and outputs as texts."""
        from latentviz.modalities.text import show

        return show

    @property
    def new(self) -> ReadNew[ResolvedTextConfig, str]:
        """New texts."""
        from latentviz.modalities.text import new

        return new

    def length(self, config: TextFitConfig) -> Length | None:
        """Return how long a training would be."""
        from latentviz.modalities.text.length import length

        return length(config)

    def on_map(self, cache: Path) -> MapContents:
        """Return the texts."""
        from latentviz.modalities.text.prepare import load_texts

        return MapContents(texts=load_texts(cache))

    def terms(self, items: Items) -> Terms | None:
        """Return how often each term occurs in each text."""
        from latentviz.modalities.text.keywords import terms

        return terms(items)


MODALITY = TextModality()
