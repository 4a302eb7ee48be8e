"""The data kind "joint": where its parts are. Loads without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentviz.modalities.base import MapContents, Modality, ReadNew, Show
from latentviz.modalities.joint.config import JointFitConfig, ResolvedJointConfig

if TYPE_CHECKING:
    from latentviz.clustering.keywords import Terms
    from latentviz.modalities.joint.kind import JointKind
    from latentviz.modalities.joint.show import Shown
    from latentviz.modalities.length import Length
    from latentviz.runs.items import Items


class JointModality(Modality[JointFitConfig, ResolvedJointConfig, "Shown"]):
    """Items with several parts, such as an image and its caption."""

    config = JointFitConfig
    resolved = ResolvedJointConfig
    takes_words = True
    writes_texts = True

    def detect(self, path: str) -> bool:
        """No data is of this kind unless data.parts says so."""
        del path
        return False

    @property
    def data_kind(self) -> type[JointKind]:
        """Training, encoding and decoding."""
        from latentviz.modalities.joint.kind import JointKind

        return JointKind

    @property
    def show(self) -> Show[Shown]:
        """Items and outputs as images with words."""
        from latentviz.modalities.joint import show

        return show

    @property
    def new(self) -> ReadNew[ResolvedJointConfig, Shown]:
        """New items."""
        from latentviz.modalities.joint import new

        return new

    def length(self, config: JointFitConfig) -> Length | None:
        """Return how long a training would be."""
        from latentviz.modalities.joint.length import length

        return length(config)

    def on_map(self, cache: Path) -> MapContents:
        """Return the images and the captions."""
        from latentviz.modalities.vectors.prepare import load_texts
        from latentviz.modalities.vectors.show import load_images

        return MapContents(load_texts(cache), load_images(cache))

    def terms(self, items: Items) -> Terms | None:
        """Return how often each term occurs in each caption; None without captions."""
        from latentviz.modalities.text.keywords import terms

        return terms(items) if "text" in items.table.column_names else None


MODALITY = JointModality()
