"""Data sets on the Hugging Face hub, `hf:NAME` or `hf:NAME:CONFIG`, through `datasets` → a `Source`."""

import logging
from collections.abc import Callable
from typing import TypeVar

from latentviz.errors import DataError
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.source import PARTS, Source, printable
from latentviz.modalities.image.tables import find_images, first_line, quiet, table_source

T = TypeVar("T")


def hub_has_images(path: str) -> bool:
    """Returns whether a data set on the hub has a column of images; no data is fetched.

    Raises:
        DataError: the hub cannot be reached, or has no such data set.
    """
    import datasets  # two seconds to import

    features = _ask(path, lambda name, config: datasets.load_dataset_builder(name, config).info.features)
    if features is None:  # not written down: the first row shows it
        splits = _ask(path, lambda name, config: datasets.load_dataset(name, config, streaming=True))
        row = _ask(path, lambda *_: next(iter(next(iter(splits.values())))))
        return any(hasattr(value, "getexif") for value in row.values())
    return (
        any(isinstance(f, datasets.Image) for f in features.values()) or find_images(features.arrow_schema) is not None
    )


def read_hub(data: ImageData) -> Source:
    """Returns the images of a data set on the hub, which `datasets` keeps in its own cache.

    Raises:
        DataError: the hub cannot be reached, or has no such data set, split or column.
    """
    import datasets  # two seconds to import

    split = None if data.split == "all" else data.split
    loaded = _ask(data.path, lambda name, config: datasets.load_dataset(name, config, split=split))
    tables = {str(data.split): loaded} if split else {str(s): t for s, t in loaded.items() if len(t)}
    order = ("train", "validation", "test")
    ordered = sorted(tables, key=lambda s: order.index(PARTS[s]) if s in PARTS else len(order))
    if not ordered:
        raise DataError(f"{data.path}: the data set is empty")
    joined = _ask(data.path, lambda *_: datasets.concatenate_datasets([tables[s] for s in ordered]))
    rows = [(s, row) for s in ordered for row in range(len(tables[s]))]
    ids = [printable(f"{s}/{row}") for s, row in rows]
    return table_source(
        joined,
        ids,
        [printable(f"{data.path}/{s}#{row}") for s, row in rows],
        data,
        parts=[PARTS.get(s, s) for s, _ in rows] if len(ordered) > 1 else None,
    )


def _ask(path: str, call: Callable[[str, str | None], T]) -> T:
    """Returns what `call(name, config)` returns.

    Raises:
        DataError: it raised; the hub, its client and the builders of data sets raise errors of many families.
    """
    name, _, config = path.removeprefix("hf:").partition(":")
    if not name:
        raise DataError(f"{path}: no data set is named; write hf:NAME or hf:NAME:CONFIG, as in hf:ylecun/mnist")
    # The client logs each of its tries; one line at the end says as much.
    client = logging.getLogger("huggingface_hub")
    level = client.level
    client.setLevel(logging.CRITICAL)
    try:
        with quiet():
            return call(name, config or None)
    except Exception as error:  # noqa: BLE001 - see above
        raise DataError(
            f"{printable(path)}: cannot be had from the Hugging Face hub ({_said(error)}); check the name at "
            "https://huggingface.co/datasets and the network, or fetch the files and give their folder"
        ) from None
    finally:
        client.setLevel(level)


def _said(error: Exception) -> str:
    """Returns what an error says in one line that is not too long."""
    return printable(first_line(error))[:300]
