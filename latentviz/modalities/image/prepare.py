"""Decodes every image once into a memory-mapped cache, so that training opens no image file."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from latentviz.errors import DataError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.pixels import binarise, decode, reason, strict
from latentviz.modalities.image.read import read
from latentviz.modalities.image.survey import Shape, survey
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import ImageSource
from latentviz.progress import plural
from latentviz.runs.files import atomic_write, read_npy

IMAGES, VALUES = "images.npy", "values.npy"

# Pillow releases the GIL while it decodes: threads use all cores, and nothing is copied between processes.
WORKERS = min(32, os.cpu_count() or 1)
_BLOCK = 64  # images that a thread decodes at a time


def load(cache: Path, n: int | None = None) -> np.ndarray:
    """Opens the decoded images, uint8 (n, c, h, w) in [0, 255], memory-mapped; a RunError if damaged, or not n."""
    return read_npy(cache / IMAGES, prepared.again(cache), shape=(n, None, None, None), kinds="u")


def load_values(cache: Path) -> tuple[float, float] | None:
    """Loads the values of black and white of the training data; None if it has 8 bits, or is of an earlier format."""
    if not (cache / VALUES).exists():
        return None
    black, white = read_npy(cache / VALUES, prepared.again(cache)).tolist()
    return black, white


def prepare(
    data: ImageData,
    cache: Path,
    seed: int,
    *,
    source: ImageSource | None = None,
    learn: bool = True,
    trained: tuple[float, float] | None = None,
) -> Prepared:
    """Decodes the images of `data` into `cache/images.npy` and makes the item table.

    Args:
        data: where the images are and what they are converted to.
        cache: folder for the decoded images; created if missing.
        seed: of the training/validation split, which does not depend on labels.
        source: images already found; None: those at `data.path`.
        learn: the images are for training, so they must be enough and differ.
        trained: the values of black and white that a trained model knows; None: there is no model yet.
    """
    with strict(), ThreadPoolExecutor(max_workers=WORKERS) as pool:
        try:
            source = source or read(data)
            shape = survey(source, data, pool, trained)
            repeats = prepared.Repeated(data, "images", learn=learn)
            good, bad, digest = _write(source, data, shape, cache / IMAGES, pool, repeats, learn=learn)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if learn and (values := source.values or shape.scale) is not None:
        with atomic_write(cache / VALUES) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(values, np.float64))
    items, changed = prepared.item_table(
        [source.ids[row] for row in good],
        [source.labels[row] for row in good],
        [source.origins[row] for row in good],
        prepared.held_out(len(good), data, seed),
        {name: [values[row] for row in good] for name, values in source.columns.items()},
    )
    notes = [*source.notes, *shape.notes, *repeats.notes, *changed]
    size = shape.height if shape.height == shape.width else (shape.height, shape.width)
    resolved = data.model_copy(update={"size": size, "channels": shape.channels})
    return Prepared(
        items, resolved, [*bad, *repeats.dropped], prepared.fingerprint(hashlib.sha256(digest), items), notes
    )


def _write(
    source: ImageSource,
    data: ImageData,
    shape: Shape,
    file: Path,
    pool: ThreadPoolExecutor,
    repeats: prepared.Repeated,
    *,
    learn: bool,
) -> tuple[list[int], list[BadItem], bytes]:
    """Decodes every readable image into `file`, in order; returns their rows, the others, and the cache's SHA-256."""
    good: list[int] = []
    bad = list(source.bad)
    digest = hashlib.sha256()
    first, identical = None, True
    with prepared.writing(file, len(source) * int(np.prod(shape.chw))) as out:
        prepared.write_header(out, np.uint8, (len(source), *shape.chw))
        for rows, pixels, failed in _decoded(source, data, shape, pool):
            bad += failed
            if not rows:
                continue
            kept = repeats.new(pixels, [source.origins[row] for row in rows] if repeats.drop else ())
            good += [row for row, new in zip(rows, kept, strict=True) if new]
            written = pixels if kept.all() else pixels[kept]
            first = pixels[0] if first is None else first
            identical = identical and bool((pixels == first).all())
            digest.update(written.data)
            out.write(written.data)
        if learn:
            prepared.require_trainable(len(good), bad, data, "image", alike=identical)
        elif not good:
            why = f" ({prepared.examples(bad)})" if bad else ""
            none = f"none of its {plural(len(bad), 'image')} can be read{why}"
            raise DataError(f"{printable(data.path)}: {none}; repair or replace them")
        out.seek(0)
        prepared.write_header(out, np.uint8, (len(good), *shape.chw))
    digest.update(repr((len(good), shape.chw)).encode())
    return good, bad, digest.digest()


_Block = tuple[list[int], np.ndarray, list[BadItem]]  # rows, uint8 (b, c, h, w), images left out


def _decoded(source: ImageSource, data: ImageData, shape: Shape, pool: ThreadPoolExecutor) -> Iterator[_Block]:
    """Yields decoded blocks in order, keeping a bounded number of them in the pool."""
    waiting: deque[Future[_Block]] = deque()
    starts = iter(range(0, len(source), _BLOCK))
    with tqdm(total=len(source), desc="reading images", unit="image", delay=1, leave=False, disable=None) as bar:
        while True:
            while len(waiting) < 4 * WORKERS and (start := next(starts, None)) is not None:
                rows = range(start, min(start + _BLOCK, len(source)))
                waiting.append(pool.submit(_decode_block, source, data, shape, rows))
            if not waiting:
                return
            block = waiting.popleft().result()
            yield block
            bar.update(len(block[0]) + len(block[2]))


def _decode_block(source: ImageSource, data: ImageData, shape: Shape, rows: Sequence[int]) -> _Block:
    pixels = np.empty((len(rows), *shape.chw), np.uint8)
    good: list[int] = []
    bad: list[BadItem] = []
    for row in rows:
        try:
            with source.open(row) as image:
                decoded = decode(image, shape.chw, data.fit, shape.scale)
        except Exception as error:  # noqa: BLE001 - Pillow raises nearly anything on damaged files
            bad.append(BadItem(source.origins[row], reason(error)))
            continue
        pixels[len(good)] = binarise(decoded) if data.binarise else decoded
        good.append(row)
    return good, pixels[: len(good)], bad
