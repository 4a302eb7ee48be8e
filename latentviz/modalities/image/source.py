"""What a reader of images returns: images that were found but not decoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from latentviz.modalities.io.names import BadItem


@dataclass(frozen=True)
class Source:
    """n images that were found but not decoded; row i of every field is image i.

    Attributes:
        ids: what to call the items, wherever possible unique.
        origins: the file, or the file and row (`x.npy#12`), that the item came from.
        labels: class names, None where there is none.
        open: opens image i with Pillow, which reads no more than the header; raises what Pillow raises.
        columns: the data's own columns.
        notes: lines for the user: what was decided and why.
        bad: what was announced but is not there.
    """

    ids: Sequence[str]
    origins: Sequence[str]
    labels: Sequence[str | None]
    open: Callable[[int], Image.Image]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    bad: Sequence[BadItem] = ()

    def __len__(self) -> int:
        """Returns n."""
        return len(self.ids)
