"""Copies the vectors into a memory-mapped cache and measures them in the same pass; memory does not grow with n."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import DataError
from latentviz.modalities.io import prepared
from latentviz.modalities.io.memory import stem
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.items_file import read_items_file
from latentviz.modalities.vectors.read import read
from latentviz.modalities.vectors.source import About, Source, choose_scale, unlike
from latentviz.modalities.vectors.units import COARSE, SMALLEST, UNITS, Units, find_units, named, unit_notes
from latentviz.progress import plural
from latentviz.runs.files import atomic_write, read_npy, read_npz, read_parquet
from latentviz.runs.items import Items

VECTORS, STANDARD, TEXTS, IMAGES = "vectors.npy", "standard.npz", "texts.parquet", "images.npy"
# Tolerance for a length of 1: float16 rounds a sum over a thousand numbers by about .001.
UNIT = 0.01
# Single precision holds the squares of numbers up to this, and sums over many of them; `units.SMALLEST` is the least.
LARGEST = 1e15
# A row that holds more of the variance than this, or than that of TYPICAL rows, hides the differences of the others.
DOMINANT, TYPICAL, MOST_DOMINANT = 0.2, 20, 0.8


class Standard(NamedTuple):
    """The standardisation (x − centre) / deviation."""

    centre: np.ndarray  # float32 (d,), the mean vector
    # The root of the columns' mean variance, which keeps their proportions; or float32 (d,), of each column.
    deviation: "float | np.ndarray"

    @property
    def units(self) -> np.ndarray | None:
        """The deviation of each column, float32 (d,); None if all columns have the same."""
        return self.deviation if isinstance(self.deviation, np.ndarray) else None


def load(cache: Path, n: int | None = None) -> np.ndarray:
    """Opens the vectors, float32 or float16 (n, d), memory-mapped; a RunError if they are damaged, or not n."""
    return read_npy(cache / VECTORS, prepared.again(cache), shape=(n, None), kinds="f")


def load_standard(cache: Path) -> Standard:
    """Loads the standardisation of a run; a RunError if it is damaged."""
    with read_npz(cache / STANDARD, prepared.again(cache)) as content:
        found = content["deviation"]
        return Standard(content["centre"], found if found.ndim else float(found))


def load_texts(cache: Path) -> list[str] | None:
    """Loads the text of each item; None if there are no texts."""
    file = cache / TEXTS
    texts: list[str] | None = None
    if file.exists():
        texts = read_parquet(file, prepared.again(cache)).column("text").to_pylist()
    return texts


def write_texts(cache: Path, texts: pa.ChunkedArray | Sequence[str]) -> None:
    """Writes the text of each item."""
    with atomic_write(cache / TEXTS) as temporary:
        pq.write_table(pa.table({"text": texts}), temporary, compression="zstd")


def prepare(
    data: VectorData,
    cache: Path,
    seed: int,
    *,
    learn: bool = True,
    dimensions: int | None = None,
    units: Units | None = None,
    source: Source | None = None,
) -> Prepared:
    """Copies the vectors of `data` into `cache/vectors.npy` and makes the item table.

    Args:
        data: where the vectors are and what belongs to them.
        cache: folder for the vectors; created if missing.
        seed: of the training/validation split, which does not depend on labels.
        learn: the vectors are for training, so they must be enough and differ.
        dimensions: the length of vector that a trained model takes; None: there is no model yet.
        units: in which a trained model takes them; None: as they are.
        source: vectors already found; None: those at `data.path`.
    """
    source = source or read(data)
    if not learn and source.names and isinstance(data.columns, list):
        source = source.in_order(data.columns)
    if not learn and not len(source):
        raise DataError(f"{source.origin}: holds 0 vectors, so there is nothing to encode; give at least one row")
    if dimensions not in {None, source.shape[1]}:
        raise DataError(
            f"{source.origin}: its vectors have {plural(source.shape[1], 'number')}, but the run was trained on "
            f"vectors of {dimensions:,}; make them with the model that made the run's vectors"
        )
    about = read_items_file(data, len(source), cache, seed) if data.items != "none" else About()
    notes = [*source.about.notes, *about.notes]
    repeats, rows = prepared.Repeated(data, "vectors", learn=learn), np.arange(len(source))
    if repeats.drop:
        rows = _distinct(source, repeats)
        source, about = _chosen(source, about, rows)
    all_unit = data.metric == "auto" and _all_unit(source)
    metric = "cosine" if all_unit or data.metric == "cosine" else "euclidean"
    cosine = metric == "cosine"
    measured = _write(source, cache / VECTORS, rows, repeats, cosine=cosine, units=units)
    if learn and measured.lost.any() and (units := find_units(source, measured.lost & (not cosine))) is not None:
        if not repeats.drop:
            repeats = prepared.Repeated(data, "vectors")
        measured = _write(source, cache / VECTORS, rows, repeats, cosine=cosine, units=units)
        with atomic_write(cache / UNITS) as temporary, temporary.open("wb") as file:
            np.savez(file, shift=units.shift, unit=units.unit)
        notes += unit_notes(units, source.names)
    scale = choose_scale(data.scale, measured.deviations, named=bool(source.names))
    if learn:
        alike = bool(measured.constant.all())
        prepared.require_trainable(len(source), (), data, "vector", alike=alike, name=source.origin)
        if measured.deviation < SMALLEST:
            why = "have one direction; set data.metric=euclidean to compare their lengths"
            if not cosine:
                why = f"differ only by {measured.deviation:.3g}, too little for single precision; subtract their mean"
            raise DataError(f"{source.origin}: all vectors {why}")
        with atomic_write(cache / STANDARD) as temporary, temporary.open("wb") as file:
            np.savez(file, centre=measured.mean.astype(np.float32), deviation=measured.scaled(scale))
        notes += measured.notes(data.metric, rows, source.names, all_unit=all_unit)
        notes += measured.scale_notes(data.scale, scale, source.names)
        notes += repeats.notes
    out = prepared.held_out(len(source), data, seed) if learn else np.zeros(len(source), bool)
    items, changed = _items(source, about, data, out, rows)
    if "text" in items.table.column_names:
        write_texts(cache, items.table.column("text"))
    decided: dict[str, object] = {"metric": metric, "scale": scale, "decimal": source.decimal}
    if source.names:  # new data is read from the columns of these names
        decided["columns"] = list(source.names)
    resolved = data.model_copy(update=decided)
    fingerprint = prepared.fingerprint(hashlib.sha256(measured.digest), items)
    return Prepared(items, resolved, repeats.dropped, fingerprint, [*notes, *changed])


def _distinct(source: Source, repeats: prepared.Repeated) -> np.ndarray:
    """Returns the rows, int64, of vectors that are equal to no earlier one."""
    kept, start = [], 0
    for block in source.blocks():
        origins = [f"{source.origin}#{row}" for row in range(start, start + len(block))]
        kept.append(repeats.new(block + block.dtype.type(0), origins))  # + 0 makes −0 equal 0
        start += len(block)
    return np.flatnonzero(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def _chosen(source: Source, about: About, rows: np.ndarray) -> tuple[Source, About]:
    """Returns these rows of the vectors, and of what is known of them."""
    kept = np.zeros(len(source), bool)
    kept[rows] = True

    def blocks() -> Iterator[np.ndarray]:
        start = 0
        for block in source.blocks():
            yield block[kept[start : start + len(block)]]
            start += len(block)

    def known(about: About) -> About:
        return replace(
            about,
            ids=about.ids and [about.ids[i] for i in rows],
            labels=about.labels and [about.labels[i] for i in rows],
            texts=about.texts and [about.texts[i] for i in rows],
            columns={name: prepared.chosen(values, rows) for name, values in about.columns.items()},
        )

    chosen = replace(source, shape=(len(rows), source.shape[1]), blocks=blocks, about=known(source.about))
    return chosen, known(about)


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
    farthest: int = 0  # row of the longest vector
    zeros: int = 0  # vectors of length 0
    constant: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # (d,), columns of one value as given
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
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        if lengths.max() > self.longest:
            self.farthest = self.n + int(lengths.argmax())
        self.n = n
        self.low, self.high = np.minimum(self.low, block.min(axis=0)), np.maximum(self.high, block.max(axis=0))
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

    def scaled(self, scale: str) -> "float | np.ndarray":
        """What vectors are divided by: one number, or float32 (d,); constant columns are divided by 1."""
        if scale == "standard":
            return np.where(self.deviations > 0, self.deviations, 1).astype(np.float32)
        return 1.0 if scale == "none" else self.deviation

    def scale_notes(self, wanted: str, scale: str, names: Sequence[str]) -> list[str]:
        """A line for the user about columns of different scales; without names, only where they differ much."""
        found = self.deviations
        varying = np.flatnonzero(found > 0)
        if scale == "none" or not (names or unlike(found)):
            return []
        low, high = varying[found[varying].argmin()], varying[found[varying].argmax()]
        called = [printable(names[i]) if names else f"column {i}" for i in (low, high)]
        spread = f"from {found[low]:.3g} ({called[0]}) to {found[high]:.3g} ({called[1]})"
        if scale == "standard":
            other = "; data.scale=global keeps their proportions" if wanted == "auto" else ""
            return [f"scales: deviations {spread}: every column is divided by its own{other}"]
        return [f"scales: deviations {spread}: all are divided by the same number; data.scale=standard levels them"]

    @property
    def lost(self) -> np.ndarray:
        """Columns, bool (d,), whose differences single precision cannot hold, or hardly."""
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        coarse = np.sqrt(self.squares / max(1, self.n)) <= COARSE * size
        return np.asarray(~self.constant & (coarse | (self.deviation < SMALLEST)))

    @property
    def dominance(self) -> float:
        """The share of the variance that the longest vector holds, at least."""
        away = max(0.0, self.longest - float(np.linalg.norm(self.mean)))
        return float(away**2 / max(float(self.squares.sum()), 1e-300))

    def notes(self, metric: str, rows: np.ndarray, names: Sequence[str], *, all_unit: bool) -> list[str]:
        """Lines for the user about the vectors' number and lengths, the metric (a setting) and constant columns."""
        why = {
            "cosine": "scaled to unit length: compared by cosine",
            "euclidean": "compared by Euclidean distance",
            "auto": f"of lengths from {self.shortest:.3g} to {self.longest:.3g}: compared by Euclidean distance; "
            "data.metric=cosine compares directions",
        }[metric]
        d, constant = len(self.mean), np.flatnonzero(self.constant)
        why = "all of unit length: compared by cosine" if all_unit else why
        notes = [f"{plural(self.n, 'vector')} of {plural(d, 'number')}, {why}"]
        if len(constant):
            many = f"constant and without information: {len(constant):,} of {plural(d, 'column')}"
            notes.append(f"{many}: {named(constant, names)}")
        if len(lost := np.flatnonzero(self.lost)):
            notes.append(
                "warning: columns that differ too little for single precision next to the others: "
                f"{named(lost, names)}; multiply them by a constant"
            )
        if self.dominance > min(MOST_DOMINANT, max(DOMINANT, TYPICAL / self.n)):
            notes.append(
                f"warning: row {rows[self.farthest]:,} (from 0) alone holds {self.dominance:.0%} of the variance, so "
                f"the others look alike; its length is {self.longest:.3g}, the shortest {self.shortest:.3g}; correct "
                "or remove it if it is a mistake, or set data.metric=cosine"
            )
        if self.zeros:
            notes.append(f"{plural(self.zeros, 'vector is', 'vectors are')} all 0")
        return notes


def _write(
    source: Source,
    file: Path,
    rows: np.ndarray,
    repeats: prepared.Repeated,
    *,
    cosine: bool,
    units: Units | None = None,
) -> Measured:
    """Copies the vectors into `file` block by block and measures them."""
    n, d = source.shape
    measured = Measured(np.zeros(d), np.zeros(d), np.full(d, np.inf), np.full(d, -np.inf))
    measured.constant, start = np.ones(d, bool), np.zeros(0)
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
            if len(values):
                start = start if len(start) else values[0]
                constant = np.flatnonzero(measured.constant)
                measured.constant[constant] = (values[:, constant] == start[constant]).all(axis=0)
            if not invalid:
                stored = as_stored(values, dtype, units, cosine=cosine)
                measured.add(stored.astype(np.float64))
                if not repeats.drop:
                    repeats.new(stored)
                digest.update(stored.data)
                out.write(stored.data)
        if invalid:
            raise DataError(
                f"{source.origin}: {invalid:,} of {n:,} rows have {problem}; the first is row {rows[first]:,}; "
                "correct them, or remove them together with their items"
            )
    measured.digest = digest.digest()
    return measured


def as_stored(values: np.ndarray, dtype: type, units: Units | None, *, cosine: bool) -> np.ndarray:
    """Converts vectors, float64 (b, d), to the form of the cache, (b, d) of `dtype`; with cosine to unit length."""
    if units is not None:
        values = units.stored(values)
    if cosine:
        values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300)
    return np.ascontiguousarray(values, dtype)


def _invalid(values: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Finds the rows of a block, float64 (b, d), that cannot be used: masks (b,) with descriptions."""
    finite = np.isfinite(values).all(axis=1)
    largest = np.abs(np.where(finite[:, None], values, 0)).max(axis=1)
    return [
        (~finite, "values that are NaN or infinite"),
        (largest > LARGEST, f"values beyond ±{LARGEST:g}, whose squares overflow in single precision"),
    ]


def _items(
    source: Source, about: About, data: VectorData, out: np.ndarray, rows: np.ndarray
) -> tuple[Items, list[str]]:
    """Makes the item table, and notes; `data.items` has priority over the file of the vectors, except for labels."""
    n, own, begin = len(source), source.about, stem(data.path)
    columns: dict[str, Any] = {**own.columns, **about.columns}
    texts = own.texts if about.texts is None else about.texts
    shown = None if texts is None else pa.array([printable_lines(text) for text in texts], pa.string())
    ids = about.ids or own.ids or [f"{begin}/{row}" for row in rows.tolist()]
    labels = about.labels if own.labels is None else own.labels
    origins = [f"{source.origin}#{row}" for row in rows.tolist()]
    return prepared.item_table(ids, [None] * n if labels is None else labels, origins, out, columns, texts=shown)


def printable_lines(text: str) -> str:
    """Makes a text printable, except for its line ends and tabs."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.splitlines())


def blocks_of(vectors: np.ndarray, rows: int = 16_384) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block as float32) of the cached vectors."""
    for start in range(0, len(vectors), rows):
        yield start, vectors[start : start + rows].astype(np.float32)
