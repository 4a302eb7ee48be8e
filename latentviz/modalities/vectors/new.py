"""Reads new vectors and checks that a trained model takes them. Does not import torch."""

import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.base import NewItem
from latentviz.modalities.io import prepared
from latentviz.modalities.io.memory import find, named
from latentviz.modalities.io.names import MissingColumnError, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.settings import found_again
from latentviz.modalities.vectors.config import ResolvedVectorConfig
from latentviz.modalities.vectors.prepare import (
    IMAGES,
    LARGEST,
    STANDARD,
    VECTORS,
    as_stored,
    load,
    load_texts,
    prepare,
    write_texts,
)
from latentviz.modalities.vectors.show import Shown, load_images
from latentviz.modalities.vectors.units import UNITS, load_units
from latentviz.runs.files import is_file


def read_item(word: str, config: ResolvedVectorConfig, trained: Path) -> NewItem[Shown] | None:
    """Reads the only vector in a file; see `base.ReadNew`."""
    if not is_file(word):
        return None
    with tempfile.TemporaryDirectory(prefix="latentviz-") as folder:
        found, vectors = read_items(word, config, Path(folder), trained)
        if len(vectors) != 1:
            raise DataError(
                f"{printable(word)}: holds {len(vectors):,} vectors; give a file with one, for example of shape "
                f"(1, {vectors.shape[1]}), or place them all with `latentviz encode`"
            )
        text = (load_texts(Path(folder)) or [""])[0]
        return NewItem(Shown(text or printable(Path(word).name)), np.array(vectors[0], np.float32), found.notes)


def read_items(
    path: str, config: ResolvedVectorConfig, cache: Path, trained: Path, given: Collection[str] = ()
) -> tuple[Prepared, np.ndarray]:
    """Copies the vectors at `path`, (n, d), into `cache`; see `base.ReadNew`.

    Looks for columns and arrays again, because the file may be named differently inside than the run's file.
    """
    auto = dict.fromkeys(("array", "vector_column", "label_column", "text_column", "decimal"), "auto")
    reset = found_again({"items": "none", "labels": "none", **auto}, given)
    data = config.data.model_copy(update={"path": path, **reset})
    d, units = load(trained).shape[1], load_units(trained)
    try:
        found = prepare(data, cache, config.seed_everything, learn=False, dimensions=d, units=units)
    except MissingColumnError as error:
        if config.data.columns == "auto" and config.data.exclude == "none":
            raise
        if missing := _missing(config.data.columns, error.columns):
            raise DataError(
                f"{printable(named(path))}: has no column {', '.join(missing[:3])}, on which the run was trained; give "
                "a table with the same columns, or an array of their numbers in the same order"
            ) from None
        data = data.model_copy(update={"columns": "auto", "exclude": "none"})
        found = prepare(data, cache, config.seed_everything, learn=False, dimensions=d, units=units)
    return found, load(cache)


def _missing(trained: str | Sequence[str], given: Collection[str]) -> list[str]:
    """Returns the columns that a table lacks, if it has others of the same names; one with none is read by order."""
    known = set(() if isinstance(trained, str) else trained)
    return [printable(name) for name in trained if name not in given] if known & set(given) else []


def cached(cache: Path) -> np.ndarray:
    """Opens the items of a cache, float32 or float16 (n, d)."""
    return load(cache)


def join(trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Writes the vectors of a run and new ones, float32 or float16 (n, d), with what is shown with them.

    See `base.ReadNew`. Items without a text or an image where the run's have one get an empty one.
    """
    known, more = load_texts(trained), load_texts(fresh)
    m = len(load(trained))
    texts = [*(known or [""] * m), *(prepared.chosen(more, rows) if more else [""] * len(rows))]
    shown = load_images(trained)
    if shown is not None:
        new = load_images(fresh)
        if new is None or new.shape[1:] != shown.shape[1:]:
            new = np.zeros((int(rows.max(initial=-1)) + 1, *shown.shape[1:]), shown.dtype)
        prepared.join(cache / IMAGES, shown, new, rows)
    else:
        (cache / IMAGES).unlink(missing_ok=True)
    if known or more:
        write_texts(cache, texts)
    for name in (STANDARD, UNITS):
        if (trained / name).exists():
            shutil.copyfile(trained / name, cache / name)
    return prepared.join(cache / VECTORS, load(trained), load(fresh), rows)


def stored(path: str, config: ResolvedVectorConfig, trained: Path) -> np.ndarray | None:
    """Returns an array in memory as the cache would store it; see `Modality.stored`."""
    content = find(path)
    array = content.arrays.get("") if content is not None else None
    if array is None or array.ndim != 2 or array.shape[1] != load(trained).shape[1] or not len(array):
        return None
    units, cosine = load_units(trained), config.data.metric == "cosine"
    if units is None and not cosine and array.dtype == np.float32:
        flat = array.reshape(-1)
        # Faster than a look at each number; NaN and infinity make it none. `read_items` says what is wrong.
        return array if np.dot(flat, flat) <= LARGEST**2 else None
    if not -LARGEST <= array.min() <= array.max() <= LARGEST:
        return None
    return as_stored(array.astype(np.float64), np.float32, units, cosine=cosine)
