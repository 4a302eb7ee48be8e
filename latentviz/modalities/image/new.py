"""New images for a trained model: read, and made to fit the size and the channels it knows. Knows no torch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES, ImageFitConfig
from latentviz.modalities.image.pixels import (
    GREY_MODES,
    Header,
    Unreadable,
    binarise,
    decode,
    formats,
    header,
    reason,
    strict,
)
from latentviz.modalities.image.prepare import load, prepare
from latentviz.modalities.image.read import read
from latentviz.modalities.image.source import Source
from latentviz.modalities.image.survey import spread
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.runs.files import is_file

LOOKED_AT = 500  # headers that tell what has to be converted


def read_item(
    word: str, config: ImageFitConfig, trained: Path | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Returns the image in a file as it is shown, as it is stored, and what was done to it; None: no such file.

    Shown and stored are one for images, uint8 (c, h, w) of the size and channels that the model takes; these stand in
    the config, so that nothing is asked of `trained`, the run's cache.

    Raises:
        DataError: the file is no image.
    """
    del trained
    if not is_file(word):
        return None
    path = Path(word)
    data = config.data
    try:
        with strict(), Image.open(path, formats=formats()) as image:
            seen = header(image)
            pixels = decode(image, shape_of(config), data.fit)
            pixels = binarise(pixels) if data.binarise else pixels
    except Unreadable as error:
        raise DataError(f"{word}: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever Pillow raises on a damaged file
        hint = "" if path.suffix.lower() in IMAGE_SUFFIXES else "; this run takes image files, ids and row numbers"
        raise DataError(f"{word}: {reason(error)}{hint}") from None
    return pixels, pixels, conversions([seen], config)


def read_items(
    path: str, config: ImageFitConfig, cache: Path, trained: Path | None = None
) -> tuple[Prepared, np.ndarray]:
    """Returns the items at `path` and their images, uint8 (n, c, h, w) as the model takes them, decoded into `cache`.

    One image will do, and damaged ones are left out and listed, however many there are.

    Raises:
        DataError: there is nothing there that can be read.
    """
    del trained
    data = config.data.model_copy(update={"path": path, "max_bad": 1.0})
    file = Path(path)
    if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
        source = Source(
            [printable(file.name)], [printable(path)], [None], lambda _: Image.open(file, formats=formats())
        )
    else:
        source = read(data)
    prepared = prepare(data, cache, config.seed_everything, source=source, learn=False)
    with strict():
        notes = [*prepared.notes, *conversions(_headers(source), config)]
    return replace(prepared, notes=notes), load(cache)


def _headers(source: Source) -> list[Header]:
    found = []
    for row in spread(len(source), LOOKED_AT):
        try:
            with source.open(row) as image:
                found.append(header(image))
        except Exception:  # noqa: BLE001, S112 - damaged ones were counted when they were decoded
            continue
    return found


def shape_of(config: ImageFitConfig) -> tuple[int, int, int]:
    """Returns the (c, h, w) that the model was trained on."""
    size, channels = config.data.size, config.data.channels
    assert size != "auto"
    assert channels != "auto"
    h, w = (size, size) if isinstance(size, int) else size
    return channels, h, w


def conversions(headers: list[Header], config: ImageFitConfig) -> list[str]:
    """Returns what has to be done to images so that the model can take them, a line each; nothing: no line."""
    c, h, w = shape_of(config)
    notes, n = [], len(headers)

    def share(count: int) -> str:
        return "" if n == 1 else f"{count:,} of {n:,} images: "

    other = [seen for seen in headers if (seen.height, seen.width) != (h, w)]
    if other:
        sizes = sorted({(seen.height, seen.width) for seen in other})
        what = f"{sizes[0][0]}×{sizes[0][1]}" if len(sizes) == 1 else f"{len(sizes)} sizes"
        notes.append(
            f"{share(len(other))}resized from {what} to the {h}×{w} pixels of the run (data.fit={config.data.fit})"
        )
    grey = [seen.mode in GREY_MODES for seen in headers]
    if c == 1 and not all(grey):
        notes.append(f"{share(n - sum(grey))}colour turned into the grey of the run")
    if c == 3 and any(grey):
        notes.append(f"{share(sum(grey))}grey shown to a run that was trained on colour")
    return notes
