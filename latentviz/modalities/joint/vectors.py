"""The vectors of items: where they are, whose they are, and how a cache has them. Does not import torch."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.source import Source as Items
from latentviz.modalities.io.table_kind import is_table
from latentviz.modalities.joint.config import JointData
from latentviz.modalities.vectors.detect import detect
from latentviz.modalities.vectors.items_file import read_items_file
from latentviz.modalities.vectors.prepare import STANDARD, load, prepare
from latentviz.modalities.vectors.read import read
from latentviz.modalities.vectors.source import About, Source
from latentviz.modalities.vectors.units import UNITS, load_units
from latentviz.progress import plural

Vectors = Source


def read_vectors(data: JointData, *, learn: bool) -> Vectors | None:
    """Find the vectors at `data.path`; None if new items have none.

    Args:
        data: where they are.
        learn: they are for training, so they must be there.
    """
    if not learn and not _has_vectors(data.path):
        return None
    return read(data.of_vectors(data.path))


def _has_vectors(path: str) -> bool:
    """Whether a source has vectors, maybe next to images or texts."""
    if not is_table(path):
        return detect(path)
    from latentviz.modalities.io.roles import judge
    from latentviz.modalities.io.table_kind import sample, vectors

    return bool(vectors(judge(sample(Path(path))), alone=True))


def described(given: Vectors, data: JointData) -> About:
    """Return what is known of the items of vectors: the file of the vectors, and what `data.items` names.

    Raises:
        DataError: `data.items` names no texts, or not as many as there are vectors.
    """
    if data.items == "none":
        return given.about
    with TemporaryDirectory(prefix="latentviz-") as folder:
        about = read_items_file(data.of_vectors(data.path), len(given), Path(folder), 0)
    if about.texts is None:
        raise DataError(
            f"data.items: {printable(data.items)} has images, and data.parts has text; give data.parts=image,vectors, "
            "or a .txt file or a table with the texts"
        )
    return about


def aligned(given: Vectors, items: Items, data: JointData) -> tuple[np.ndarray, str]:
    """Return the vector of each item, float (n, m) with NaN for an item without one, and a line on how they were found.

    Vectors with ids belong to the items with these ids, others to the items in their order.

    Raises:
        DataError: there are as many as there are items neither by id nor in all, or a vector is damaged.
    """
    values = np.concatenate([np.asarray(block) for block in given.blocks()])
    values = values if values.dtype.kind == "f" else values.astype(np.float32)
    some, each = np.isnan(values).any(axis=1), np.isnan(values).all(axis=1)
    if (some & ~each).any():
        raise DataError(
            f"{given.origin}: row {int(np.flatnonzero(some & ~each)[0]):,} (from 0) has values that are NaN; correct "
            "it, or make all of its values NaN, which is a missing vector"
        )
    rows = {name: row for row, name in enumerate(given.about.ids or [])}
    known = [rows.get(name, -1) for name in items.ids]
    if any(row >= 0 for row in known) and data.items != "none":
        places = np.array(known)
        found = np.full((len(items), values.shape[1]), np.nan, values.dtype)
        found[places >= 0] = values[places[places >= 0]]
        return found, f"vectors: {(places >= 0).sum():,} of {plural(len(items), 'item')} have one by their id"
    if len(values) != len(items):
        left = f" and {plural(len(items.bad), 'row')} that cannot be read" if items.bad else ""
        raise DataError(
            f"{given.origin}: {plural(len(values), 'vector')} for {plural(len(items), 'item')}{left} of "
            f"{printable(data.shown)}; vector i belongs to item i, so the numbers must be equal; give the matching "
            "file, or a table with a column id and one of vectors"
        )
    return values, f"vectors: {given.origin}, in the order of the items"


class Stored(NamedTuple):
    """The vectors of items as a cache has them.

    Attributes:
        values: float32 (n, m), NaN for an item without a vector.
        metric: cosine: they have unit length; euclidean.
        notes: lines for the user.
    """

    values: np.ndarray
    metric: str
    notes: Sequence[str]


def store(
    values: np.ndarray, data: JointData, cache: Path, origin: str, *, trained: Path | None, dimensions: int
) -> Stored:
    """Check vectors, convert them to the form of the cache, and write their standardisation.

    Args:
        values: float (n, m), NaN for an item without a vector.
        data: the settings.
        cache: folder.
        origin: where they are from, for messages.
        trained: the cache of a trained run; None: they are for training.
        dimensions: numbers in a vector that a trained run takes.

    Raises:
        DataError: they cannot be learnt from.
    """
    there = ~np.isnan(values).any(axis=1)
    stored = np.full((len(values), values.shape[1] if trained is None else dimensions), np.nan, np.float32)
    if trained is not None and not there.any():
        return Stored(stored, data.metric, ())
    chosen = values[there]
    source = Source(origin, (len(chosen), chosen.shape[1]), lambda: iter([chosen]), About())
    settings = data.of_vectors(data.path).model_copy(update={"items": "none", "duplicates": "keep"})
    with TemporaryDirectory(prefix="latentviz-") as folder:
        found = prepare(
            settings,
            Path(folder),
            0,
            learn=trained is None,
            dimensions=None if trained is None else dimensions,
            units=None if trained is None else load_units(trained),
            source=source,
        )
        stored[there] = load(Path(folder))
        keep_standard(Path(folder), cache)
    return Stored(stored, found.data.metric, [note for note in found.notes if not note.startswith("repeated")])


def keep_standard(trained: Path, cache: Path) -> None:
    """Copy the standardisation of a run's vectors, if it has any."""
    for name in (STANDARD, UNITS):
        if (trained / name).exists():
            shutil.copyfile(trained / name, cache / name)


def scattered(values: np.ndarray, rows: Sequence[int], n: int) -> np.ndarray:
    """Return n vectors, float32 (n, m), of which those in `rows` are known and the others NaN."""
    found = np.full((n, values.shape[1]), np.nan, np.float32)
    found[list(rows)] = values
    return found
