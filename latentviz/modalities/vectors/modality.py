"""The data kind "vectors": where its parts are. Loads without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentviz.modalities.base import MapContents, Modality, ReadNew, Show
from latentviz.modalities.vectors.config import ResolvedVectorConfig, VectorFitConfig
from latentviz.modalities.vectors.detect import detect

if TYPE_CHECKING:
    import numpy as np

    from latentviz.clustering.keywords import Terms
    from latentviz.modalities.length import Length
    from latentviz.modalities.vectors.kind import VectorKind
    from latentviz.modalities.vectors.show import Shown
    from latentviz.runs.items import Items


class VectorModality(Modality[VectorFitConfig, ResolvedVectorConfig, "Shown"]):
    """Vectors."""

    config = VectorFitConfig
    resolved = ResolvedVectorConfig
    writes_texts = True

    def detect(self, path: str) -> bool:
        """Whether bare data at `path` is vectors."""
        return detect(path)

    @property
    def data_kind(self) -> type[VectorKind]:
        """Training, encoding and decoding."""
        from latentviz.modalities.vectors.kind import VectorKind

        return VectorKind

    @property
    def show(self) -> Show[Shown]:
        """Items and outputs as the texts or ids of the nearest items."""
        from latentviz.modalities.vectors import show

        return show

    @property
    def new(self) -> ReadNew[ResolvedVectorConfig, Shown]:
        """New vectors."""
        from latentviz.modalities.vectors import new

        return new

    def stored(self, path: str, config: ResolvedVectorConfig, trained: Path) -> np.ndarray | None:
        """Return an array of valid vectors of the run's length."""
        from latentviz.modalities.vectors.new import stored

        return stored(path, config, trained)

    def length(self, config: VectorFitConfig) -> Length | None:
        """Return how long a training would be."""
        from latentviz.modalities.vectors.length import length

        return length(config)

    def on_map(self, cache: Path) -> MapContents:
        """Return the texts or images that the vectors stand for."""
        from latentviz.modalities.vectors.prepare import load_texts
        from latentviz.modalities.vectors.show import load_images

        return MapContents(load_texts(cache), load_images(cache))

    def terms(self, items: Items) -> Terms | None:
        """Return how often each term occurs in each text; None if the vectors have no texts."""
        from latentviz.modalities.text.keywords import terms

        return terms(items) if "text" in items.table.column_names else None


MODALITY = VectorModality()
