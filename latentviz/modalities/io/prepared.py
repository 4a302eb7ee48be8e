"""Writes data into a run's cache, and describes it: the items in order, the split, and notes for the user."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from latentviz.clustering.repeats import equal_ones, hashed
from latentviz.config import DataSection
from latentviz.errors import DataError, WriteError, write_advice
from latentviz.modalities.io.columns import as_column
from latentviz.modalities.io.names import BadItem, printable
from latentviz.progress import plural
from latentviz.runs.files import atomic_write, read_npy, unique_ids
from latentviz.runs.items import RESERVED, Items, own_names
from latentviz.runs.run import RunFolder

# Fewer items make neither a validation set nor a map with neighbourhoods.
FEWEST = 16
BLOCK = 4096  # items copied at a time


@dataclass(frozen=True)
class Prepared:
    """Data that is ready to train on."""

    items: Items  # row i is item i of the cache
    data: Any  # the kind's own DataSection, without "auto"
    bad: list[BadItem]  # items that were left out
    fingerprint: str  # 32 hex digits that change with any item, id, label, or the order
    notes: list[str]  # lines for the user: what was decided and why


def again(cache: Path) -> str:
    """Returns what makes a cache again, for the error about a damaged file in it."""
    return RunFolder(cache.parent).again


@contextmanager
def writing(file: Path, size: int) -> Iterator[IO[bytes]]:
    """Opens a cache file of `size` bytes, which appears when it is complete.

    Rows are appended, not written to a memory map: a full disk then raises an error instead of killing the process.
    """
    try:
        with atomic_write(file) as temporary, temporary.open("wb") as out:
            yield out
    except WriteError as error:
        needed = f"it needs {size / 1e6:,.1f} MB"
        raise DataError(f"{file}: cannot be written ({error.reason}); {needed}; {write_advice(error.reason)}") from None


def write_header(out: IO[bytes], dtype: np.dtype | type, shape: tuple[int, ...]) -> None:
    """Writes the header of an .npy file. NumPy pads it, so its length does not depend on the number of rows."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})


def join(file: Path, known: np.ndarray, fresh: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Writes an .npy file of the items `known` (m, …) and these rows of `fresh` (k, …); returns them, memory-mapped."""
    dtype, shape = np.promote_types(known.dtype, fresh.dtype), known.shape[1:]
    n = len(known) + len(rows)
    with writing(file, n * int(np.prod(shape)) * dtype.itemsize) as out:
        write_header(out, dtype, (n, *shape))
        for start in range(0, len(known), BLOCK):
            out.write(np.ascontiguousarray(known[start : start + BLOCK], dtype).data)
        for start in range(0, len(rows), BLOCK):
            out.write(np.ascontiguousarray(fresh[rows[start : start + BLOCK]], dtype).data)
    return read_npy(file)


def fingerprint(digest: "hashlib._Hash", items: Items) -> str:
    """Returns 32 hex digits that change with what `digest` (SHA-256) was updated with, the ids or the labels."""
    for name in ("id", "label"):
        digest.update(repr(items.column(name)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def require_trainable(
    n: int, bad: Sequence[BadItem], data: DataSection, what: str, *, alike: bool, name: str = ""
) -> None:
    """Raises a DataError if n readable items (`what`: "image") are too few, all `alike`, or too many are bad."""
    name, found = name or printable(data.path), n + len(bad)
    if len(bad) > data.max_bad * found:
        raise DataError(
            f"{name}: {len(bad):,} of {plural(found, what)} cannot be read, more than data.max_bad={data.max_bad:g} "
            f"allows ({examples(bad)}); repair or remove them, or raise data.max_bad"
        )
    if n < FEWEST:
        count = f"{n} of its {plural(found, what)} can be read" if bad else f"holds {plural(n, what)}"
        cure = " without repeats, or set data.duplicates=keep" if data.duplicates == "drop" else ""
        raise DataError(f"{name}: {count}; training needs at least {FEWEST}; add more {what}s{cure}")
    if alike:
        raise DataError(
            f"{name}: all {n:,} {what}s are identical; a VAE learns from differences; check that this is the right data"
        )


def chosen(values: Any, rows: np.ndarray) -> Any:
    """Returns the rows of a column, an Arrow array or a list."""
    return values.take(pa.array(rows)) if isinstance(values, pa.Array | pa.ChunkedArray) else [values[i] for i in rows]


class Repeated:
    """Counts items that are equal to earlier ones, or lists them in `dropped` if `data.duplicates` is drop."""

    def __init__(self, data: DataSection, what: str, *, learn: bool = True) -> None:
        """`what` is the kind of item: "images"; nothing is dropped unless the items are to `learn` from."""
        self.what, self.drop = what, learn and data.duplicates == "drop"
        self.first: dict[int, str] = {}  # hash → origin
        self.n, self.dropped, self._hashes = 0, list[BadItem](), list[np.ndarray]()

    def new(self, rows: np.ndarray, origins: Sequence[str] = ()) -> np.ndarray:
        """Adds a block of items (b, …); returns which are kept, bool (b,): all, unless repeats are dropped."""
        hashes, kept = hashed(rows), np.ones(len(rows), bool)
        self.n += len(rows)
        if not self.drop:
            self._hashes.append(hashes)
            return kept
        for i, (key, origin) in enumerate(zip(hashes.tolist(), origins, strict=True)):
            if (first := self.first.setdefault(key, origin)) is not origin:
                kept[i] = False
                self.dropped.append(BadItem(origin, f"repeats {first}"))
        return kept

    @property
    def notes(self) -> list[str]:
        """The line for the user, if items are repeated."""
        again = len(self.dropped)
        if self._hashes:
            again = equal_ones(np.concatenate(self._hashes))
        return repeated(again, self.n, self.what, drop=self.drop)


def repeated(again: int, n: int, what: str, *, drop: bool) -> list[str]:
    """Returns the note on items (`what`: "images") that are equal to earlier ones, or none."""
    then = "left out (data.duplicates=drop)" if drop else "data.duplicates=drop leaves them out"
    return [f"repeated: {again:,} of {n:,} {what}, equal to earlier ones; {then}"] if again else []


def examples(bad: Sequence[BadItem]) -> str:
    """Returns the first bad items with the reasons."""
    more = f"; and {len(bad) - 3:,} more" if len(bad) > 3 else ""
    return "; ".join(f"{item.source}: {item.reason}" for item in bad[:3]) + more


def held_out(n: int, data: DataSection, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Chooses the items held out for validation, bool (n,), without regard to labels.

    With groups, int64 (n,), items of one group are held out together. n is at least 2.
    """
    wanted = min(n - 1, max(1, round(n * data.val_fraction)))
    random = np.random.default_rng(seed)
    out = np.zeros(n, bool)
    if groups is None:
        out[random.permutation(n)[:wanted]] = True
        return out
    sizes = np.bincount(groups)
    order = random.permutation(len(sizes))
    order = order[np.argsort(sizes[order] > wanted, kind="stable")]  # groups larger than the share come last
    enough = int(np.searchsorted(sizes[order].cumsum(), wanted)) + 1
    chosen = np.zeros(len(sizes), bool)
    chosen[order[: min(len(order) - 1, enough)]] = True  # never all of them
    return np.asarray(chosen[groups])


def item_table(
    ids: Sequence[str],
    labels: Sequence[str | None],
    origins: Sequence[str],
    out: np.ndarray,
    columns: Mapping[str, Any],
    texts: "pa.Array | pa.ChunkedArray | None" = None,
) -> tuple[Items, list[str]]:
    """Makes the item table, with unique ids; returns it with notes on ids and names of columns that were changed.

    Args:
        ids: of the items.
        labels: class names; None for an item without one.
        origins: the file, or file and line or row, of each item.
        out: bool (n,), True for items held out.
        columns: further columns, Arrow arrays or lists; a column with a reserved name becomes `data_…`.
        texts: the column `text`, if the items have texts.
    """
    unique = unique_ids(ids)
    table: dict[str, Any] = {
        "id": pa.array(unique, pa.string()),
        "split": pa.array(np.where(out, "val", "train").tolist(), pa.string()),
        "label": pa.array(labels, pa.string()),
        "source": pa.array(origins, pa.string()),
    }
    notes = []
    if unique != list(ids):
        changed = [row for row, (given, made) in enumerate(zip(ids, unique, strict=True)) if given != made]
        notes.append(
            f"ids: {len(changed):,} of {len(ids):,} came earlier, such as {ids[changed[0]]}; each item is kept, with "
            f"a number after its id: {unique[changed[0]]}"
        )
    taken = (*RESERVED, "text") if texts is not None else RESERVED
    names = own_names(columns, taken)
    if texts is not None:
        table["text"] = texts
    for name, values in columns.items():
        table[names[name]] = values if isinstance(values, pa.Array | pa.ChunkedArray) else as_column(list(values))
    if moved := [f"{printable(name)} → {printable(kept)}" for name, kept in names.items() if name != kept]:
        notes.append(f"columns renamed, because latentviz writes columns of these names: {', '.join(moved)}")
    return Items(pa.table(table)), notes
