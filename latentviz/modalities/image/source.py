"""What a reader of images returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from latentviz.modalities.io.names import BadItem


@dataclass(frozen=True)
class Source:
    """n images that were found but not decoded; row i of every field is image i."""

    ids: Sequence[str]  # unique where possible
    origins: Sequence[str]  # the file, or the file and row, as in "x.npy#12"
    labels: Sequence[str | None]  # class names
    open: Callable[[int], Image.Image]  # opens image i, reading its header only; raises what Pillow raises
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # other columns of the data
    notes: Sequence[str] = ()  # lines for the user about what was found
    bad: Sequence[BadItem] = ()  # listed but missing images

    def __len__(self) -> int:
        """The number of images."""
        return len(self.ids)
