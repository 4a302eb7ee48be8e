"""What a reader of texts returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from latentviz.modalities.io.names import BadItem


@dataclass(frozen=True)
class Source:
    """n texts; row i of every field is text i.

    Attributes:
        texts: strings, none of them missing or blank.
        ids: what to call the items, wherever possible unique.
        origins: the file and line (`x.txt:12`), or the file and row (`x.csv#12`), that the item came from.
        labels: class names, None where there is none.
        columns: the data's own columns, Arrow arrays or lists.
        notes: lines for the user: what was decided and why.
        bad: what could not be read.
    """

    texts: pa.ChunkedArray
    ids: Sequence[str]
    origins: Sequence[str]
    labels: Sequence[str | None]
    columns: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    bad: Sequence[BadItem] = ()

    def __len__(self) -> int:
        """Returns n."""
        return len(self.ids)
