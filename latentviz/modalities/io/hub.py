"""Data sets on the Hugging Face hub, `hf:NAME` or `hf:NAME:CONFIG`, through `datasets`."""

import logging
import sys
from collections.abc import Callable
from typing import TypeVar

import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.io.names import PARTS, printable

T = TypeVar("T")


def hub_schema(path: str) -> pa.Schema:
    """Returns the columns of a data set on the hub without downloading it; errors as in `ask`."""
    import datasets  # two seconds to import

    features = ask(path, lambda name, config: datasets.load_dataset_builder(name, config).info.features)
    if features is not None:
        return features.arrow_schema
    splits = ask(path, lambda name, config: datasets.load_dataset(name, config, streaming=True))
    row = ask(path, lambda *_: next(iter(next(iter(splits.values())))))
    picture = datasets.Image().pa_type
    return pa.schema({key: picture if hasattr(v, "getexif") else pa.array([v]).type for key, v in row.items()})


def read_splits(path: str, split: str) -> tuple[pa.Table, list[tuple[str, int]]]:
    """Downloads a data set into the cache of `datasets`; returns its rows and the number of rows of each split.

    The split "all" is every one, joined, train first; errors are those of `ask`.
    """
    import datasets  # two seconds to import

    one = None if split == "all" else split
    loaded = ask(path, lambda name, config: datasets.load_dataset(name, config, split=one))
    tables = {split: loaded} if one else {str(s): t for s, t in loaded.items() if len(t)}
    order = ("train", "validation", "test")
    ordered = sorted(tables, key=lambda s: order.index(PARTS[s]) if s in PARTS else len(order))
    if not ordered:
        raise DataError(f"{path}: the data set is empty; check its name and configuration")
    joined = ask(path, lambda *_: datasets.concatenate_datasets([tables[s] for s in ordered]))
    table = joined.with_format("arrow")[:].replace_schema_metadata(joined.features.arrow_schema.metadata)
    return table, [(s, len(tables[s])) for s in ordered]


def ask(path: str, call: Callable[[str, str | None], T]) -> T:
    """Returns `call(name, config)`.

    Raises:
        DataError: the hub cannot be reached, or has no such data set or split.
    """
    name, _, config = path.removeprefix("hf:").partition(":")
    if not name:
        raise DataError(f"{path}: no data set is named; write hf:NAME or hf:NAME:CONFIG, as in hf:ylecun/mnist")
    import datasets  # two seconds to import

    client = logging.getLogger("huggingface_hub")
    level, verbosity, bars = client.level, datasets.logging.get_verbosity(), datasets.is_progress_bar_enabled()
    client.setLevel(logging.CRITICAL)  # it logs every retry; the error below says as much
    datasets.logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        return call(name, config or None)
    except Exception as error:  # noqa: BLE001 - the hub, its client and the builders raise errors of many families
        cause = error.__cause__ or error
        line = next(iter(str(cause).strip().splitlines()), "") or type(cause).__name__
        raise DataError(
            f"{printable(path)}: cannot be had from the Hugging Face hub ({printable(line)[:300]}); check the name at "
            "https://huggingface.co/datasets and the network, or download the files and give their folder"
        ) from None
    finally:
        client.setLevel(level)
        datasets.logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
