"""Decodes every image once into a memory-mapped cache, so that training never touches an image file."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from tqdm import tqdm

from latentviz.errors import DataError, WriteError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.pixels import Unreadable, binarise, decode, reason, strict
from latentviz.modalities.image.read import read
from latentviz.modalities.image.source import Source
from latentviz.modalities.image.survey import Shape, survey
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.prepared import FEWEST, Prepared, held_out, item_table, load_array
from latentviz.runs.files import atomic_write
from latentviz.runs.items import Items

IMAGES = "images.npy"

# Pillow decodes outside Python's lock, so that threads use all cores and need no copies between processes.
WORKERS = min(32, os.cpu_count() or 1)
_BLOCK = 64  # images a thread decodes in one go


def load(cache: Path) -> np.ndarray:
    """Returns the decoded images, uint8 (n, c, h, w) in [0, 255], memory-mapped and read-only.

    Raises:
        DataError: the cache is missing or damaged.
    """
    return load_array(cache / IMAGES, "decoded images")


def prepare(data: ImageData, cache: Path, seed: int, *, source: Source | None = None, learn: bool = True) -> Prepared:
    """Returns the items of `data`, after decoding them into `cache/images.npy`.

    Args:
        data: where the images are and what they are to become.
        cache: folder for the decoded images; made if it is missing.
        seed: of the split into training and validation, which looks at no label.
        source: the images, where they were found already; None: those that `data.path` names.
        learn: whether something is to be learnt from them, which takes more than one image and differences.

    Raises:
        DataError: the data cannot be read, nothing can be learnt from it, or the cache cannot be written.
    """
    with strict(), ThreadPoolExecutor(max_workers=WORKERS) as pool:
        try:
            source = source or read(data)
            if learn and not source.bad:
                _enough(len(source), len(source), data)
            shape = survey(source, data, pool)
            written = _write(source, data, shape, cache / IMAGES, pool, learn=learn)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    items = _items(source, written.good, data, seed)
    fingerprint = hashlib.sha256(written.digest)
    for name in ("id", "label"):
        fingerprint.update(repr(items.column(name)).encode())
    return Prepared(
        items, shape.resolve(data), written.bad, fingerprint.hexdigest()[:32], [*source.notes, *shape.notes]
    )


@dataclass(frozen=True)
class _Written:
    good: list[int]  # rows of the source, in the order of the cache
    bad: list[BadItem]
    digest: bytes


def _write(
    source: Source, data: ImageData, shape: Shape, file: Path, pool: ThreadPoolExecutor, *, learn: bool
) -> _Written:
    """Decodes every image into `file`, in order, leaving out what cannot be read.

    Rows are appended rather than mapped: a full disk is then an error that can be told, not a killed process.
    """
    good: list[int] = []
    bad = list(source.bad)
    digest = hashlib.sha256()
    first, alike = None, True
    try:
        with atomic_write(file) as temporary, temporary.open("wb") as out:
            _write_header(out, len(source), shape.chw)
            for rows, pixels, failed in _decoded(source, data, shape, pool):
                good += rows
                bad += failed
                if rows:
                    first = pixels[0] if first is None else first
                    alike = alike and bool((pixels == first).all())
                    digest.update(pixels.data)
                    out.write(pixels.data)
            if learn:
                _check(good, bad, alike, data)
            elif not good:
                some = f" ({bad[0].source}: {bad[0].reason})" if bad else ""
                raise DataError(f"{printable(data.path)}: none of its {len(bad):,} images can be read{some}")
            out.seek(0)
            _write_header(out, len(good), shape.chw)
    except WriteError as error:
        size = len(source) * int(np.prod(shape.chw)) / 1e6
        raise DataError(
            f"{file}: cannot be written ({error.reason}); the decoded images need {size:,.1f} MB; "
            "make room, or choose another folder with --outputs DIR"
        ) from None
    digest.update(repr((len(good), shape.chw)).encode())
    return _Written(good, bad, digest.digest())


def _write_header(out: IO[bytes], n: int, chw: tuple[int, int, int]) -> None:
    """Writes the header of an .npy file; numpy pads it so that its length does not depend on n."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, *chw)}
    np.lib.format.write_array_header_1_0(out, header)


_Block = tuple[list[int], np.ndarray, list[BadItem]]


def _decoded(source: Source, data: ImageData, shape: Shape, pool: ThreadPoolExecutor) -> Iterator[_Block]:
    """Yields (rows, uint8 (b, c, h, w), bad items) in order, with a bounded number of blocks ahead."""
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


def _decode_block(source: Source, data: ImageData, shape: Shape, rows: Sequence[int]) -> _Block:
    pixels = np.empty((len(rows), *shape.chw), np.uint8)
    good: list[int] = []
    bad: list[BadItem] = []
    for row in rows:
        try:
            with _opened(source, row) as image:
                decoded = decode(image, shape.chw, data.fit, shape.scale)
                pixels[len(good)] = binarise(decoded) if data.binarise else decoded
        except Unreadable as error:
            bad.append(BadItem(source.origins[row], str(error)))
        else:
            good.append(row)
    return good, pixels[: len(good)], bad


def _opened(source: Source, row: int) -> Any:
    try:
        return source.open(row)
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001 - damaged files make Pillow raise nearly anything
        raise Unreadable(reason(error)) from None


def _enough(n: int, found: int, data: ImageData) -> None:
    if n < FEWEST:
        what = f"holds {n} image{'s' * (n != 1)}" if n == found else f"{n} of its {found} images can be read"
        raise DataError(
            f"{printable(data.path)}: {what}; a VAE learns what many images have in common, so at least "
            f"{FEWEST} are needed; add more"
        )


def _check(good: Sequence[int], bad: Sequence[BadItem], alike: bool, data: ImageData) -> None:
    """Raises a DataError if too many images are bad, or nothing can be learnt from the good ones."""
    name, found = printable(data.path), len(good) + len(bad)
    if len(bad) > data.max_bad * found:
        some = "; ".join(f"{item.source}: {item.reason}" for item in bad[:3])
        more = f"; and {len(bad) - 3:,} more" if len(bad) > 3 else ""
        raise DataError(
            f"{name}: {len(bad):,} of {found:,} images cannot be read, more than "
            f"data.max_bad={data.max_bad:g} allows ({some}{more}); repair or remove them, or raise "
            "data.max_bad"
        )
    _enough(len(good), found, data)
    if alike:
        raise DataError(
            f"{name}: all {len(good):,} images are identical once decoded; a VAE learns from differences; "
            "check that this is the right data"
        )


def _items(source: Source, good: Sequence[int], data: ImageData, seed: int) -> Items:
    return item_table(
        [source.ids[row] for row in good],
        [source.labels[row] for row in good],
        [source.origins[row] for row in good],
        held_out(len(good), data, seed),
        {name: [values[row] for row in good] for name, values in source.columns.items()},
    )
