"""Reads new images and converts them to the size and channels of a trained model. Does not import torch."""

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.base import NewItem
from latentviz.modalities.image import pixels
from latentviz.modalities.image.arrays import CHANNELS
from latentviz.modalities.image.config import IMAGE_SUFFIXES, ResolvedImageConfig
from latentviz.modalities.image.pixels import DEEP_MODES, GREY_MODES, Header, Unreadable, open_image, strict
from latentviz.modalities.image.prepare import IMAGES, VALUES, load, load_values, prepare
from latentviz.modalities.image.read import read
from latentviz.modalities.image.survey import spread
from latentviz.modalities.io import prepared
from latentviz.modalities.io.memory import find
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import ImageSource
from latentviz.runs.files import is_file

SAMPLED_HEADERS = 500  # to describe the conversions


def read_item(
    word: str,
    config: ResolvedImageConfig,
    trained: Path | None = None,
    remedy: str = "give an image file, or an id or row number of the run",
) -> NewItem[np.ndarray] | None:
    """Reads the image in a file: as shown, as stored (the same array), and what was converted; None: no such file.

    The array is uint8 (c, h, w); the run's cache (`trained`) holds the values of black and white. An error names the
    remedy where the file is of another type.
    """
    if not is_file(word):
        return None
    data = config.data
    try:
        with strict(), open_image(Path(word)) as image:
            head = pixels.header(image)
            values = load_values(trained) if trained is not None and head.mode in DEEP_MODES else None
            stored = pixels.decode(image, shape_of(config), data.fit, values)
            stored = pixels.binarise(stored) if data.binarise else stored
    except Exception as error:  # noqa: BLE001 - Pillow raises nearly anything on damaged files
        known = isinstance(error, Unreadable) or Path(word).suffix.lower() in IMAGE_SUFFIXES
        hint = "" if known else f"; {remedy}"
        raise DataError(f"{word}: {pixels.reason(error)}{hint}") from None
    return NewItem(stored, stored, conversions([head], config))


def read_items(
    path: str, config: ResolvedImageConfig, cache: Path, trained: Path | None = None, given: Collection[str] = ()
) -> tuple[Prepared, np.ndarray]:
    """Reads the items at `path` and decodes their images, uint8 (n, c, h, w), into `cache`.

    A single image is enough; damaged ones, however many, are left out and listed.
    """
    del given  # nothing in the settings of images describes only the run's own source
    known = None if trained is None else load_values(trained)
    data = config.data.model_copy(update={"path": path, "max_bad": 1.0})
    file = Path(path).expanduser()
    if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
        source = ImageSource(
            ids=[printable(file.name)], origins=[printable(path)], labels=[None], open=lambda _: open_image(file)
        )
    else:
        source = read(data, known)
    found = prepare(data, cache, config.seed_everything, source=source, learn=False, trained=known)
    headers = []
    for row in spread(len(source), SAMPLED_HEADERS):
        with suppress(Exception), strict(), source.open(row) as image:  # decoding has already reported damaged ones
            headers.append(pixels.header(image))
    return replace(found, notes=[*found.notes, *conversions(headers, config)]), load(cache)


def cached(cache: Path) -> np.ndarray:
    """Opens the items of a cache, uint8 (n, c, h, w)."""
    return load(cache)


def join(trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Writes the images of a run and new ones, uint8 (n, c, h, w); see `base.ReadNew`."""
    if (trained / VALUES).exists():
        shutil.copyfile(trained / VALUES, cache / VALUES)
    return prepared.join(cache / IMAGES, load(trained), load(fresh), rows)


def stored(path: str, config: ResolvedImageConfig, trained: Path) -> np.ndarray | None:
    """Returns an array in memory as the cache would store it; see `Modality.stored`."""
    content, (c, h, w) = find(path), shape_of(config)
    array = content.arrays.get("") if content is not None else None
    if array is None or array.dtype != np.uint8 or not len(array):
        return None
    if config.data.binarise or load_values(trained) != (0, 255):
        return None
    if c == 1 and array.shape[1:] == (h, w):
        return array[:, None]
    if array.shape[1:] == (c, h, w) and array.shape[-1] not in CHANNELS:
        return array
    return np.moveaxis(array, -1, 1) if array.shape[1:] == (h, w, c) else None


def shape_of(config: ResolvedImageConfig) -> tuple[int, int, int]:
    """The (c, h, w) that the model was trained on."""
    size, channels = config.data.size, config.data.channels
    h, w = (size, size) if isinstance(size, int) else size
    return channels, h, w


def conversions(headers: list[Header], config: ResolvedImageConfig) -> list[str]:
    """Lists how images were converted to fit the model, one line each."""
    c, h, w = shape_of(config)
    notes, n = [], len(headers)

    def note(count: int, text: str) -> None:
        if count:
            notes.append(text if n == 1 else f"{count:,} of {n:,} images: {text}")

    other = [head for head in headers if (head.height, head.width) != (h, w)]
    sizes = sorted({(head.height, head.width) for head in other})
    before = f"{sizes[0][0]}×{sizes[0][1]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
    note(len(other), f"resized from {before} to the run's {h}×{w} pixels (data.fit={config.data.fit})")
    grey = sum(head.mode in GREY_MODES for head in headers)
    if c == 1:
        note(n - grey, "converted from colour to grey, as the run's images are")
    else:
        note(grey, "grey, but the run was trained on colour")
    return notes
