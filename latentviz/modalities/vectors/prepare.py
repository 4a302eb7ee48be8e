"""Copies the vectors into a memory-mapped cache and measures them in the same pass; memory does not grow with n."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.items_file import read_items_file
from latentviz.modalities.vectors.read import read
from latentviz.modalities.vectors.source import About, Source
from latentviz.runs.files import atomic_write, read_npy
from latentviz.runs.items import Items

VECTORS, STANDARD, TEXTS, IMAGES = "vectors.npy", "standard.npz", "texts.parquet", "images.npy"
# Tolerance for a length of 1: float16 rounds a sum over a thousand numbers by about .001.
UNIT = 0.01
# Single precision holds the squares of numbers within these bounds, and sums over many of them.
LARGEST, SMALLEST = 1e15, 1e-15
UNLIKE = 10  # ratio of the deviations of two columns from which they are of different units


class Standard(NamedTuple):
    """The standardisation (x − centre) / deviation."""

    centre: np.ndarray  # float32 (d,), the mean vector
    # The root of the columns' mean variance, which keeps their proportions; or float32 (d,), of each column.
    deviation: "float | np.ndarray"

    @property
    def units(self) -> np.ndarray | None:
        """The deviation of each column, float32 (d,); None if all columns have the same."""
        return self.deviation if isinstance(self.deviation, np.ndarray) else None


def load(cache: Path) -> np.ndarray:
    """Opens the vectors, float32 or float16 (n, d), memory-mapped; a RunError if they are damaged."""
    return read_npy(cache / VECTORS, prepared.again(cache))


def load_standard(cache: Path) -> Standard:
    """Loads the standardisation of a run; a DataError if it is damaged."""
    try:
        with np.load(cache / STANDARD, allow_pickle=False) as content:
            found = content["deviation"]
            return Standard(content["centre"], found if found.ndim else float(found))
    except Exception as error:  # noqa: BLE001 - zipfile and numpy raise many types for a damaged file
        raise DataError(f"{cache / STANDARD}: missing or damaged ({error}); {prepared.again(cache)}") from None


def load_texts(cache: Path) -> list[str] | None:
    """Loads the text of each item; None if there are no texts."""
    file = cache / TEXTS
    texts: list[str] | None = pq.read_table(file).column("text").to_pylist() if file.exists() else None
    return texts


def prepare(data: VectorData, cache: Path, seed: int, *, learn: bool = True, dimensions: int | None = None) -> Prepared:
    """Copies the vectors of `data` into `cache/vectors.npy` and makes the item table.

    Args:
        data: where the vectors are and what belongs to them.
        cache: folder for the vectors; created if missing.
        seed: of the training/validation split, which does not depend on labels.
        learn: the vectors are for training, so they must be enough and differ.
        dimensions: the length of vector that a trained model takes; None: there is no model yet.
    """
    source = read(data)
    if dimensions not in {None, source.shape[1]}:
        raise DataError(
            f"{source.origin}: its vectors have {source.shape[1]:,} numbers, but the run was trained on vectors of "
            f"{dimensions:,}; make them with the model that made the run's vectors"
        )
    about = read_items_file(data, len(source), cache, seed) if data.items != "none" else About()
    all_unit = data.metric == "auto" and _all_unit(source)
    metric = "cosine" if all_unit or data.metric == "cosine" else "euclidean"
    measured = _write(source, cache / VECTORS, cosine=metric == "cosine")
    notes = [*source.about.notes, *about.notes]
    scale = measured.choose_scale(data.scale, source.names)
    if learn:
        alike = bool((measured.low == measured.high).all())
        prepared.require_trainable(len(source), (), data, "vector", alike=alike, name=source.origin)
        if measured.deviation < SMALLEST:
            raise DataError(
                f"{source.origin}: values differ only by {measured.deviation:.3g}, too little for single precision; "
                "multiply them by a constant"
            )
        with atomic_write(cache / STANDARD) as temporary, temporary.open("wb") as file:
            np.savez(file, centre=measured.mean.astype(np.float32), deviation=measured.scaled(scale))
        notes += measured.notes(data.metric, all_unit=all_unit)
        notes += measured.scale_notes(data.scale, scale, source.names)
    out = prepared.held_out(len(source), data, seed) if learn else np.zeros(len(source), bool)
    items, changed = _items(source, about, data, out)
    if "text" in items.table.column_names:
        with atomic_write(cache / TEXTS) as temporary:
            pq.write_table(items.table.select(["text"]), temporary, compression="zstd")
    decided: dict[str, object] = {"metric": metric, "scale": scale, "decimal": source.decimal}
    if source.names:  # new data is read from the columns of these names
        decided["columns"] = list(source.names)
    resolved = data.model_copy(update=decided)
    fingerprint = prepared.fingerprint(hashlib.sha256(measured.digest), items)
    return Prepared(items, resolved, [], fingerprint, [*notes, *changed])


def _all_unit(source: Source) -> bool:
    """Whether all vectors have length 1: only their directions carry information then."""
    for block in source.blocks():
        values = block.astype(np.float64)
        with np.errstate(all="ignore"):  # `_write` reports overflow and NaN
            lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
        if not (np.abs(lengths - 1) < UNIT).all():
            return False
    return True


@dataclass
class Measured:
    """Statistics of the vectors, updated block by block."""

    mean: np.ndarray  # float64 (d,)
    squares: np.ndarray  # float64 (d,), sums of squared deviations from the mean
    low: np.ndarray  # float64 (d,), the minimum of each column
    high: np.ndarray  # float64 (d,), the maximum of each column
    n: int = 0  # vectors
    shortest: float = np.inf  # length of a vector
    longest: float = 0.0
    zeros: int = 0  # vectors of length 0
    digest: bytes = field(default=b"", repr=False)  # SHA-256 of shape and stored bytes

    def add(self, block: np.ndarray) -> None:
        """Adds a block, float64 (b, d), by the pairwise update of Chan, Golub & LeVeque (1979)."""
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

    @property
    def deviations(self) -> np.ndarray:
        """The standard deviation of each column, float64 (d,)."""
        return np.asarray(np.sqrt(self.squares / max(1, self.n)))

    def choose_scale(self, wanted: str, names: Sequence[str]) -> str:
        """Resolve data.scale: "auto" is standard for named columns whose deviations differ by more than `UNLIKE`."""
        if wanted != "auto":
            return wanted
        varying = self.deviations[self.deviations > 0]
        unlike = len(varying) > 1 and varying.max() > UNLIKE * varying.min()
        return "standard" if names and unlike else "global"

    def scaled(self, scale: str) -> "float | np.ndarray":
        """What vectors are divided by: one number, or float32 (d,); constant columns are divided by 1."""
        if scale == "standard":
            return np.where(self.deviations > 0, self.deviations, 1).astype(np.float32)
        return 1.0 if scale == "none" else self.deviation

    def scale_notes(self, wanted: str, scale: str, names: Sequence[str]) -> list[str]:
        """A line for the user about columns of different scales."""
        if not names or scale == "none":
            return []
        found = self.deviations
        varying = np.flatnonzero(found > 0)
        low, high = (printable(names[i]) for i in (varying[found[varying].argmin()], varying[found[varying].argmax()]))
        spread = f"from {found[varying].min():.3g} ({low}) to {found[varying].max():.3g} ({high})"
        if scale == "standard":
            other = "; data.scale=global keeps their proportions" if wanted == "auto" else ""
            return [f"scales: deviations {spread}: every column is divided by its own{other}"]
        return [f"scales: deviations {spread}: all are divided by the same number; data.scale=standard levels them"]

    def notes(self, metric: str, *, all_unit: bool) -> list[str]:
        """Lines for the user about the vectors' number and lengths, the metric (a setting) and constant columns."""
        why = {
            "cosine": "scaled to unit length: compared by cosine",
            "euclidean": "compared by Euclidean distance",
            "auto": f"of lengths from {self.shortest:.3g} to {self.longest:.3g}: compared by Euclidean distance; "
            "data.metric=cosine compares directions",
        }[metric]
        d, constant = len(self.mean), int((self.low == self.high).sum())
        why = "all of unit length: compared by cosine" if all_unit else why
        notes = [f"{self.n:,} vectors of {d:,} numbers, {why}"]
        if constant:
            notes.append(f"{constant:,} of {d:,} columns are constant and carry no information")
        if self.zeros:
            notes.append(f"{self.zeros:,} vectors are all 0")
        return notes


def _write(source: Source, file: Path, *, cosine: bool) -> Measured:
    """Copies the vectors into `file` block by block and measures them."""
    n, d = source.shape
    measured = Measured(np.zeros(d), np.zeros(d), np.full(d, np.inf), np.full(d, -np.inf))
    invalid, first, problem, row = 0, 0, "", 0
    digest = hashlib.sha256(repr(source.shape).encode())
    dtype: type | None = None
    with prepared.writing(file, n * d * 4) as out:
        for block in source.blocks():
            if dtype is None:
                dtype = np.float16 if block.dtype == np.float16 and not cosine else np.float32
                prepared.write_header(out, dtype, (n, d))
            values = block.astype(np.float64)
            for mask, what in _invalid(values):
                if mask.any() and not invalid:
                    first, problem = row + int(np.flatnonzero(mask)[0]), what
                invalid += int(mask.sum())
            row += len(block)
            if cosine:
                values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300)
            if not invalid:
                stored: np.ndarray = np.ascontiguousarray(values, dtype)
                measured.add(stored.astype(np.float64))
                digest.update(stored.data)
                out.write(stored.data)
        if invalid:
            raise DataError(
                f"{source.origin}: {invalid:,} of {n:,} rows have {problem}; the first is row {first:,}; "
                "correct them, or remove them together with their items"
            )
    measured.digest = digest.digest()
    return measured


def _invalid(values: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Finds the rows of a block, float64 (b, d), that cannot be used: masks (b,) with descriptions."""
    finite = np.isfinite(values).all(axis=1)
    largest = np.abs(np.where(finite[:, None], values, 0)).max(axis=1)
    return [
        (~finite, "values that are NaN or infinite"),
        (largest > LARGEST, f"values beyond ±{LARGEST:g}, whose squares overflow in single precision"),
    ]


def _items(source: Source, about: About, data: VectorData, out: np.ndarray) -> tuple[Items, list[str]]:
    """Makes the item table, and notes; `data.items` has priority over the file of the vectors, except for labels."""
    n, stem, own = len(source), printable(Path(data.path).stem), source.about
    columns: dict[str, Any] = {**own.columns, **about.columns}
    texts = own.texts if about.texts is None else about.texts
    shown = None if texts is None else pa.array([printable_lines(text) for text in texts], pa.string())
    ids = about.ids or own.ids or [f"{stem}/{row}" for row in range(n)]
    labels = about.labels if own.labels is None else own.labels
    origins = [f"{source.origin}#{row}" for row in range(n)]
    return prepared.item_table(ids, [None] * n if labels is None else labels, origins, out, columns, texts=shown)


def printable_lines(text: str) -> str:
    """Makes a text printable, except for its line ends and tabs."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.splitlines())


def blocks_of(vectors: np.ndarray, rows: int = 16_384) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block as float32) of the cached vectors."""
    for start in range(0, len(vectors), rows):
        yield start, vectors[start : start + rows].astype(np.float32)
