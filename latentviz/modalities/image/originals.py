"""Opens the images that a run was trained on as they are in their source: the cache has them smaller."""

from collections.abc import Callable

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.image.config import ResolvedImageConfig
from latentviz.modalities.image.pixels import GREY_MODES, decode, header, reason, strict
from latentviz.modalities.image.read import read
from latentviz.runs.items import Items


def open_originals(config: ResolvedImageConfig, items: Items) -> Callable[[int], np.ndarray]:
    """Returns a reader of item `row` at full size, uint8 (c, h, w).

    Items are found by file, or file and row, so that what was added to the source meanwhile does not matter. Where the
    source is on the Hugging Face hub, nothing is downloaded again.

    Raises:
        DataError: the source is not there any more.
    """
    if config.data.path.startswith("hf:"):
        raise DataError(f"{config.data.path}: is not on this machine")
    source = read(config.data)
    place = {origin: row for row, origin in enumerate(source.origins)}
    origins = items.column("source")

    def original(row: int) -> np.ndarray:
        if (found := place.get(origins[row])) is None:
            raise DataError(f"{origins[row]}: is not there any more")
        try:
            with strict(), source.open(found) as image:
                head = header(image)
                shape = 1 if head.mode in GREY_MODES else 3, head.height, head.width
                return decode(image, shape, "stretch", source.values)
        except Exception as error:  # noqa: BLE001 - Pillow raises nearly anything on damaged files
            raise DataError(f"{origins[row]}: {reason(error)}") from None

    return original
