"""Data sets on the Hugging Face hub, `hf:NAME` or `hf:NAME:CONFIG`, through `datasets`."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from latentviz.errors import DataError
from latentviz.modalities.io.names import PARTS, printable

T = TypeVar("T")


def read_splits(path: str, split: str) -> tuple[Any, list[tuple[str, int]]]:
    """Returns a data set on the hub, which `datasets` keeps in its own cache, and the split and row of each item.

    Args:
        path: hf:NAME or hf:NAME:CONFIG.
        split: its name; "all": every one, joined, those to train on first.

    Raises:
        DataError: the hub cannot be reached, or has no such data set or split.
    """
    import datasets  # two seconds to import

    one = None if split == "all" else split
    loaded = ask(path, lambda name, config: datasets.load_dataset(name, config, split=one))
    tables = {split: loaded} if one else {str(s): t for s, t in loaded.items() if len(t)}
    order = ("train", "validation", "test")
    ordered = sorted(tables, key=lambda s: order.index(PARTS[s]) if s in PARTS else len(order))
    if not ordered:
        raise DataError(f"{path}: the data set is empty")
    joined = ask(path, lambda *_: datasets.concatenate_datasets([tables[s] for s in ordered]))
    return joined, [(s, row) for s in ordered for row in range(len(tables[s]))]


def parts(rows: list[tuple[str, int]]) -> list[str] | None:
    """Returns the part of the data set that each row came from, or None where there is only one."""
    return [PARTS.get(s, s) for s, _ in rows] if len({s for s, _ in rows}) > 1 else None


def ask(path: str, call: Callable[[str, str | None], T]) -> T:
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


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, `datasets` draws no progress bars where nobody watches, and logs nothing that is raised as well."""
    import datasets  # two seconds to import

    bars, level = datasets.is_progress_bar_enabled(), datasets.logging.get_verbosity()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error, or the error that it stands for, says."""
    error = error.__cause__ or error
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
