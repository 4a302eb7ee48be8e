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
        texts: strings, none missing or blank.
        ids: of the items; need not be unique.
        origins: file and line (`x.csv:12`) or file and row (`x.parquet#12`) of each text.
        labels: class names; None for an item without one.
        columns: further columns, Arrow arrays or lists.
        notes: lines for the user: what was decided and why.
        bad: items that could not be read.
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
