"""What reading NumPy arrays shares between the kinds: blocks of bounded size, and errors that name the arrays."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.numpy_files import Header, listing

BLOCK_BYTES = 2**25  # read at a time from a memory-mapped array


def row_blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block) over the first axis of a memory-mapped array."""
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def require_array(path: Path, headers: Mapping[str, Header], setting: str, key: str) -> None:
    """Raises a DataError if an .npz file lacks the array that `data.<setting>` names; "auto" and "none" name none."""
    if key not in {"auto", "none", *headers}:
        raise DataError(
            f"data.{setting}: {printable(str(path))} has no array {key!r}; "
            f"it has {listing(headers)}.{did_you_mean(key, headers)}"
        )
