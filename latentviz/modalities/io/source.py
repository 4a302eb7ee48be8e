"""What readers of images and texts return."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from latentviz.modalities.io.names import BadItem

if TYPE_CHECKING:
    import pyarrow as pa
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Source:
    """n items; row i of every field is item i."""

    ids: Sequence[str]  # need not be unique
    origins: Sequence[str]  # file, or file and line or row, as in "x.csv:12" and "x.npy#12"
    labels: Sequence[str | None]  # class names
    columns: Mapping[str, Any] = field(default_factory=dict)  # other columns: Arrow arrays or lists
    notes: Sequence[str] = ()  # lines for the user about what was found
    bad: Sequence[BadItem] = ()  # further items, which are missing or cannot be read

    def __len__(self) -> int:
        """The number of items."""
        return len(self.ids)


@dataclass(frozen=True, kw_only=True)
class ImageSource(Source):
    """n images that were found but not decoded."""

    open: "Callable[[int], Image.Image]"  # opens image i, reading its header only; raises what Pillow raises
    values: tuple[float, float] | None = None  # of black and white, if the images are arrays


@dataclass(frozen=True, kw_only=True)
class TextSource(Source):
    """n texts."""

    texts: "pa.ChunkedArray"  # strings, none missing or blank
