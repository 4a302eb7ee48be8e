"""What writing a run's data cache shares between the kinds."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from latentviz.errors import DataError, WriteError
from latentviz.modalities.io.names import BadItem
from latentviz.modalities.io.prepared import FEWEST
from latentviz.runs.items import Items


def write_header(out: IO[bytes], dtype: np.dtype | type, shape: tuple[int, ...]) -> None:
    """Writes the header of an .npy file. NumPy pads it, so its length does not depend on the number of rows."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})


def require_enough(n: int, what: str, name: str, found: int | None = None) -> None:
    """Raises a DataError if there are too few items to train on.

    Args:
        n: readable items.
        what: the kind of item, in the singular: "image".
        name: the file or folder.
        found: items found, readable or not.
    """
    if n < FEWEST:
        count = f"holds {n} {what}{'s' * (n != 1)}" if found in {None, n} else f"{n} of its {found} {what}s can be read"
        raise DataError(f"{name}: {count}; training needs at least {FEWEST}; add more {what}s")


def require_readable(bad: Sequence[BadItem], found: int, what: str, name: str, most: float) -> None:
    """Raises a DataError if too many items cannot be read.

    Args:
        bad: the items that cannot be read.
        found: number of items, readable or not.
        what: the kind of item, in the singular: "image".
        name: the file or folder.
        most: share of bad items that `data.max_bad` allows.
    """
    if len(bad) > most * found:
        raise DataError(
            f"{name}: {len(bad):,} of {found:,} {what}s cannot be read, more than data.max_bad={most:g} allows "
            f"({examples(bad)}); repair or remove them, or raise data.max_bad"
        )


def examples(bad: Sequence[BadItem]) -> str:
    """Returns the first bad items with the reasons."""
    more = f"; and {len(bad) - 3:,} more" if len(bad) > 3 else ""
    return "; ".join(f"{item.source}: {item.reason}" for item in bad[:3]) + more


def fingerprint(digest: bytes, items: Items) -> str:
    """Returns 32 hex digits that change with the cached arrays (their SHA-256 `digest`), the ids or the labels."""
    total = hashlib.sha256(digest)
    for name in ("id", "label"):
        total.update(repr(items.column(name)).encode("utf-8", "surrogatepass"))
    return total.hexdigest()[:32]


def cannot_write(file: Path, error: WriteError, needed: int) -> DataError:
    """Returns the error for a cache file of `needed` bytes that could not be written."""
    return DataError(
        f"{file}: cannot be written ({error.reason}); it needs {needed / 1e6:,.1f} MB; "
        "free space or fix the permissions, or pass --outputs DIR"
    )
