"""The data kind "image": where its parts are. Loads without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from latentviz.modalities.base import MapContents, Modality, ReadNew, Show
from latentviz.modalities.image.config import ImageFitConfig, ResolvedImageConfig
from latentviz.modalities.image.detect import detect

if TYPE_CHECKING:
    import numpy as np

    from latentviz.modalities.image.kind import ImageKind
    from latentviz.modalities.length import Length
    from latentviz.runs.items import Items


class ImageModality(Modality[ImageFitConfig, ResolvedImageConfig, "np.ndarray"]):
    """Images."""

    config = ImageFitConfig
    resolved = ResolvedImageConfig
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {"quick": {"data": {"size": "small"}}}

    def detect(self, path: str) -> bool:
        """Whether bare data at `path` is images."""
        return detect(path)

    @property
    def data_kind(self) -> type[ImageKind]:
        """Training, encoding and decoding."""
        from latentviz.modalities.image.kind import ImageKind

        return ImageKind

    @property
    def show(self) -> Show[np.ndarray]:
        """Items and outputs as pictures."""
        from latentviz.modalities.image import show

        return show

    @property
    def new(self) -> ReadNew[ResolvedImageConfig, np.ndarray]:
        """New images."""
        from latentviz.modalities.image import new

        return new

    def stored(self, path: str, config: ResolvedImageConfig, trained: Path) -> np.ndarray | None:
        """Return an array of 8 bits that has the size and the channels of the run's images."""
        from latentviz.modalities.image.new import stored

        return stored(path, config, trained)

    def length(self, config: ImageFitConfig) -> Length | None:
        """Return how long a training would be."""
        from latentviz.modalities.image.length import length

        return length(config)

    def open_originals(self, config: ResolvedImageConfig, items: Items) -> Callable[[int], np.ndarray]:
        """Return a reader of images in their source."""
        from latentviz.modalities.image.originals import open_originals

        return open_originals(config, items)

    def on_map(self, cache: Path) -> MapContents:
        """Return the images."""
        from latentviz.modalities.image.prepare import load

        return MapContents(images=load(cache))


MODALITY = ImageModality()
