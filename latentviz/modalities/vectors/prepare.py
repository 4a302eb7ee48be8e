"""Writes every vector once into a memory-mapped cache and measures it on the way; memory does not grow with n."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import DataError, WriteError
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import FEWEST, Prepared, held_out, item_table, load_array
from latentviz.modalities.vectors.beside import Beside, read_beside
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read
from latentviz.modalities.vectors.source import Source
from latentviz.runs.files import atomic_write
from latentviz.runs.items import Items

VECTORS, STANDARD, TEXTS, IMAGES = "vectors.npy", "standard.npz", "texts.parquet", "images.npy"
# A length counts as 1 within this: float16 rounds a sum over a thousand numbers to about .001.
UNIT = 0.01
# Squares of numbers within these bounds, and sums over many of them, fit into single precision.
LARGEST, SMALLEST = 1e15, 1e-15


class Standard(NamedTuple):
    """How vectors are standardised: (x − centre) / deviation.

    Attributes:
        centre: float32 (d,), the mean vector.
        deviation: one for all columns, so that their proportions stay: the root of their mean variance.
    """

    centre: np.ndarray
    deviation: float


def load(cache: Path) -> np.ndarray:
    """Returns the vectors, float32 or float16 (n, d), memory-mapped and read-only.

    Raises:
        DataError: the cache is missing or damaged.
    """
    return load_array(cache / VECTORS, "vectors")


def load_standard(cache: Path) -> Standard:
    """Returns how the vectors of a run are standardised.

    Raises:
        DataError: the cache is missing or damaged.
    """
    try:
        with np.load(cache / STANDARD, allow_pickle=False) as content:
            return Standard(content["centre"], float(content["deviation"]))
    except Exception as error:  # noqa: BLE001 - zipfile and numpy raise a dozen kinds for a damaged file
        raise DataError(
            f"{cache / STANDARD}: missing or damaged ({error}); `latentviz fit` with --force makes it again"
        ) from None


def load_texts(cache: Path) -> list[str] | None:
    """Returns the text of each item, or None where there are none."""
    file = cache / TEXTS
    texts: list[str] | None = pq.read_table(file).column("text").to_pylist() if file.exists() else None
    return texts


def prepare(data: VectorData, cache: Path, seed: int, *, learn: bool = True, dimensions: int | None = None) -> Prepared:
    """Returns the items of `data`, after writing their vectors into `cache/vectors.npy`.

    Args:
        data: where the vectors are and what belongs to them.
        cache: folder for the vectors; made if it is missing.
        seed: of the split into training and validation, which looks at no label.
        learn: whether something is to be learnt from them, which takes some vectors and differences.
        dimensions: how many numbers a trained model takes; None: it is still to be trained.

    Raises:
        DataError: the data cannot be read, nothing can be learnt from it, or the cache cannot be written.
    """
    source = read(data)
    if learn:
        _enough(source)
    if dimensions not in {None, source.shape[1]}:
        raise DataError(
            f"{source.origin}: its vectors have {source.shape[1]:,} numbers, and the run was trained on "
            f"vectors of {dimensions:,}; make them as those of the run were made"
        )
    beside = read_beside(data, len(source), cache, seed) if data.items != "none" else Beside()
    found = data.metric == "auto" and _all_unit(source)
    metric = "cosine" if found or data.metric == "cosine" else "euclidean"
    measured = _write(source, cache / VECTORS, cosine=metric == "cosine")
    if learn:
        measured.check(source.origin)
        with atomic_write(cache / STANDARD) as temporary, temporary.open("wb") as file:
            np.savez(file, centre=measured.mean.astype(np.float32), deviation=measured.deviation)
    items = _items(source, beside, data, seed, learn=learn)
    if "text" in items.table.column_names:
        with atomic_write(cache / TEXTS) as temporary:
            pq.write_table(items.table.select(["text"]), temporary, compression="zstd")
    fingerprint = hashlib.sha256(measured.digest)
    for name in ("id", "label"):
        fingerprint.update(repr(items.column(name)).encode())
    notes = [*source.notes, *beside.notes, *(measured.notes(data.metric, found=found) if learn else [])]
    return Prepared(items, data.model_copy(update={"metric": metric}), [], fingerprint.hexdigest()[:32], notes)


def _all_unit(source: Source) -> bool:
    """Returns whether every vector has length 1: then it is their directions that say something."""
    for block in source.blocks():
        values = block.astype(np.float64)
        with np.errstate(all="ignore"):  # what overflows or is no number is told later
            lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
        if not (np.abs(lengths - 1) < UNIT).all():
            return False
    return True


@dataclass
class Measured:
    """What is seen of the vectors as they go by.

    Attributes:
        n: how many there were.
        mean: float64 (d,).
        squares: float64 (d,), the summed squared distances from the mean.
        low: float64 (d,), the least value of each column.
        high: float64 (d,), the greatest.
        shortest: the least length of a vector.
        longest: the greatest.
        zeros: how many vectors have length 0.
        digest: of all their bytes.
    """

    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int = 0
    shortest: float = np.inf
    longest: float = 0.0
    zeros: int = 0
    digest: bytes = field(default=b"", repr=False)

    def add(self, block: np.ndarray) -> None:
        """Takes a block, float64 (b, d), into account (Chan, Golub & LeVeque 1979)."""
        b = len(block)
        if not b:
            return
        mean = block.mean(axis=0)
        shift, n = mean - self.mean, self.n + b
        self.squares += np.square(block - mean).sum(axis=0) + np.square(shift) * (self.n * b / n)
        self.mean += shift * (b / n)
        self.n = n
        self.low, self.high = np.minimum(self.low, block.min(axis=0)), np.maximum(self.high, block.max(axis=0))
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        self.shortest = min(self.shortest, float(lengths.min()))
        self.longest = max(self.longest, float(lengths.max()))
        self.zeros += int((lengths == 0).sum())

    @property
    def deviation(self) -> float:
        """The root of the columns' mean variance."""
        return float(np.sqrt(self.squares.mean() / max(1, self.n)))

    def check(self, origin: str) -> None:
        """Raises a DataError if nothing can be learnt from the vectors."""
        if (self.low == self.high).all():
            raise DataError(
                f"{origin}: all {self.n:,} rows are identical; a VAE learns from differences; check that "
                "this is the right data"
            )
        if self.deviation < SMALLEST:
            raise DataError(
                f"{origin}: its values differ by {self.deviation:.3g} only, too little for single "
                "precision; multiply them by a constant"
            )

    def notes(self, metric: str, *, found: bool) -> list[str]:
        """Returns what the user is told: how many, what makes them alike, which columns say nothing.

        Args:
            metric: as the user gave it.
            found: whether all turned out to have length 1.
        """
        why = {
            "cosine": "scaled to unit length: compared by the cosine",
            "euclidean": "compared by Euclidean distance",
            "auto": f"of lengths from {self.shortest:.3g} to {self.longest:.3g}: compared by Euclidean distance; "
            "data.metric=cosine compares directions",
        }[metric]
        d = len(self.mean)
        notes = [
            f"{self.n:,} vectors of {d:,} numbers, " + ("all of unit length: compared by the cosine" if found else why)
        ]
        constant = int((self.low == self.high).sum())
        if constant:
            notes.append(f"{constant:,} of {d:,} columns have one value throughout and say nothing")
        if self.zeros:
            notes.append(f"{self.zeros:,} vectors are all 0")
        return notes


def _enough(source: Source) -> None:
    n = len(source)
    if n < FEWEST:
        raise DataError(
            f"{source.origin}: holds {n} vector{'s' * (n != 1)}; a VAE learns what many have in common, so "
            f"at least {FEWEST} are needed; add more"
        )


def _write(source: Source, file: Path, *, cosine: bool) -> Measured:
    """Copies every vector into `file`, block by block, and returns what was seen of them."""
    n, d = source.shape
    seen = Measured(np.zeros(d), np.zeros(d), np.full(d, np.inf), np.full(d, -np.inf))
    wrong = _Wrong(source.origin, n)
    digest = hashlib.sha256(repr(source.shape).encode())
    out = None
    try:
        with atomic_write(file) as temporary, temporary.open("wb") as stream:
            for block in source.blocks():
                stored = np.float16 if block.dtype == np.float16 and not cosine else np.float32
                if out is None:
                    np.lib.format.write_array_header_1_0(
                        stream,
                        {
                            "descr": np.lib.format.dtype_to_descr(np.dtype(stored)),
                            "fortran_order": False,
                            "shape": (n, d),
                        },
                    )
                    out = stored
                values = _finite(block, wrong, cosine=cosine)
                if not wrong.rows:
                    kept = np.ascontiguousarray(values, out)
                    seen.add(kept.astype(np.float64))
                    digest.update(kept.data)
                    stream.write(kept.data)
            wrong.tell()
    except WriteError as error:
        raise DataError(
            f"{file}: cannot be written ({error.reason}); the vectors need "
            f"{n * d * 4 / 1e6:,.1f} MB; make room, or choose another folder with --outputs DIR"
        ) from None
    seen.digest = digest.digest()
    return seen


@dataclass
class _Wrong:
    """Counts the rows that cannot be used."""

    origin: str
    n: int
    seen: int = 0
    rows: int = 0
    first: int = 0
    what: str = ""

    def count(self, bad: np.ndarray, what: str) -> None:
        """Takes a block's bad rows, bool (b,), into account."""
        if bad.any() and not self.rows:
            self.first, self.what = self.seen + int(np.flatnonzero(bad)[0]), what
        self.rows += int(bad.sum())

    def tell(self) -> None:
        """Raises a DataError if there were any."""
        if self.rows:
            have = "has" if self.rows == 1 else "have"
            raise DataError(
                f"{self.origin}: {self.rows:,} of {self.n:,} rows {have} {self.what}; the first is row "
                f"{self.first:,}; mend them, or take them out, and with them their items"
            )


def _finite(block: np.ndarray, wrong: _Wrong, *, cosine: bool) -> np.ndarray:
    """Returns a block as float64 (b, d), for the cosine at unit length, after counting the rows that are no vectors."""
    values = block.astype(np.float64)
    finite: np.ndarray = np.asarray(np.isfinite(values).all(axis=1))
    wrong.count(~finite, "values that are NaN or infinite")
    largest = np.abs(np.where(finite[:, None], values, 0)).max(axis=1)
    wrong.count(largest > LARGEST, f"values beyond ±{LARGEST:g}, whose squares overflow in single precision")
    wrong.seen += len(block)
    if cosine:
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300)
    return values


def _items(source: Source, beside: Beside, data: VectorData, seed: int, *, learn: bool) -> Items:
    """Returns the item table; what `data.items` says goes before what the vectors' own file says."""
    n, stem = len(source), printable(Path(data.path).stem)
    columns: dict[str, Any] = {name: values for name, values in source.columns.items() if name != source.text}
    columns |= beside.columns
    texts = beside.texts
    if texts is None and source.text is not None:
        texts = ["" if value is None else str(value) for value in source.columns[source.text]]
    if texts is not None:
        columns = {
            "text": pa.array([printable_lines(text) for text in texts], pa.string()),
            **{f"data_{name}" if name == "text" else name: values for name, values in columns.items()},
        }
    ids = beside.ids or source.ids or [f"{stem}/{row}" for row in range(n)]
    labels = source.labels if source.labels is not None else beside.labels
    out = held_out(n, data, seed) if learn else np.zeros(n, bool)
    return item_table(
        ids, [None] * n if labels is None else labels, [f"{source.origin}#{row}" for row in range(n)], out, columns
    )


def printable_lines(text: str) -> str:
    """Returns a text with all but its line ends and tabs made printable."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.splitlines())


def blocks_of(vectors: np.ndarray, rows: int = 16_384) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block as float32) of the cache."""
    for start in range(0, len(vectors), rows):
        yield start, vectors[start : start + rows].astype(np.float32)
