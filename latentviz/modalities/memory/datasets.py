"""Datasets of torch and of Hugging Face; what has to be read item by item is streamed to a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from tqdm import tqdm

from latentviz.errors import ObjectError
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import as_label
from latentviz.modalities.io.numpy_files import map_file
from latentviz.modalities.memory.arrays import numbers, numpy_of
from latentviz.modalities.memory.lists import sequence
from latentviz.progress import plural

_ROWS = 1_000  # of a streamed data set, at a time


def hugging_face(x: Any, kind: str | None) -> InMemory:
    """Takes the Arrow table of a Hugging Face data set, or of all its splits."""
    del kind
    if hasattr(x, "items"):
        import datasets  # is there, since the object is one of its types

        x = datasets.concatenate_datasets(list(x.values()))
    if not len(x):
        raise ObjectError("a Dataset without rows; check how it was made")
    table = x.with_format("arrow")[:].replace_schema_metadata(x.features.arrow_schema.metadata)
    return InMemory(shown=f"Dataset ({len(x)}, {table.num_columns})", n=len(x), table=table)


def hugging_face_stream(x: Any, kind: str | None) -> InMemory:
    """Streams the rows of an iterable Hugging Face data set to a temporary Arrow file."""
    del kind
    with tempfile.NamedTemporaryFile(prefix="latentviz-", suffix=".arrow") as file:
        writer, n = None, 0
        for rows in tqdm(x.with_format("arrow").iter(_ROWS), desc="reading rows", delay=1, leave=False, disable=None):
            if writer is None:
                schema = rows.schema if x.features is None else x.features.arrow_schema
                writer = pa.ipc.new_file(file.name, schema)
            writer.write_table(rows.cast(schema))
            n += len(rows)
        if writer is None:
            raise ObjectError("an IterableDataset without rows; check how it was made")
        writer.close()
        table = pa.ipc.open_file(pa.memory_map(file.name)).read_all()
    note = f"an IterableDataset: {plural(n, 'row')}, read one after the other into a temporary file"
    return InMemory(shown=f"IterableDataset ({n}, {table.num_columns})", n=n, table=table, notes=[note])


def torch_dataset(x: Any, kind: str | None) -> InMemory:
    """Streams the items of a torch Dataset, alone or with a label, to a temporary file.

    Raises:
        ObjectError: its items are neither images nor arrays of one shape nor strings.
    """
    name, classes, labels = type(x).__name__, _classes(x), list[str | None]()
    with tempfile.NamedTemporaryFile(prefix="latentviz-") as file:  # mapped before it is closed
        items = _Items(name, file)
        for row, item in enumerate(tqdm(_each(x), desc="reading items", delay=1, leave=False, disable=None)):
            pair = isinstance(item, (tuple, list)) and len(item) == 2 and not isinstance(item[0], (int, float))
            content, label = item if pair else (item, None)
            if isinstance(content, dict) or (isinstance(content, tuple) and any(np.ndim(part) for part in content)):
                raise ObjectError(
                    f"{name}: item {row} is a {type(content).__name__} of {len(content)}; a Dataset gives an item, or "
                    "(item, label)"
                )
            items.add(content, row)
            if label is not None and bool(getattr(label, "ndim", False)):
                raise ObjectError(
                    f"{name}: the label of item {row} has the shape {tuple(label.shape)}; a Dataset gives an item, or "
                    "(item, label), a number or a text"
                )
            labels.append(_label(label, classes))
        said = f"{name} ({len(labels)})"
        found = items.content(said, kind)
    sized = "" if hasattr(x, "__len__") else ", which has no length"
    note = f"{name}{sized}: {plural(len(labels), 'item')}, read one after the other into a temporary file"
    given = {"labels": labels} if any(label is not None for label in labels) else {}
    return InMemory(**{**vars(found), "notes": [*found.notes, note], **given})


def _each(x: Any) -> Iterator[Any]:
    if hasattr(x, "__len__") and hasattr(x, "__getitem__"):
        return (x[row] for row in range(len(x)))
    return iter(x)


def _classes(x: Any) -> list[Any]:
    """Returns the names of the classes of a Dataset, or of the one that it is a part of."""
    while hasattr(x, "dataset") and not hasattr(x, "classes"):
        x = x.dataset
    found = getattr(x, "classes", None)
    return list(found) if isinstance(found, (list, tuple)) else []


def _label(label: Any, classes: list[Any]) -> str | None:
    if hasattr(label, "ndim") and label.ndim == 0:
        label = label.item()
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
        label = classes[label]
    return as_label(label)


class _Items:
    """Items of a Dataset, written to a temporary file one after the other."""

    def __init__(self, name: str, file: Any) -> None:
        self.name, self.file = name, file
        self.shape: tuple[int, ...] | None = None
        self.dtype = np.dtype(np.float32)
        self.n = 0
        self.images: list[tuple[str, tuple[int, int], int, int]] = []  # mode, size, first byte, bytes
        self.texts: list[Any] = []

    def add(self, item: Any, row: int) -> None:
        """Appends one item."""
        if isinstance(item, str):
            self.texts.append(item)
        elif hasattr(item, "getexif"):
            image = item.convert("RGB") if item.mode in {"P", "PA"} else item
            content = image.tobytes()
            self.images.append((image.mode, image.size, self.file.tell(), len(content)))
            self.file.write(content)
        else:
            values = numpy_of(item) if hasattr(item, "detach") else np.asarray(item)
            if self.shape is None:
                self.shape, self.dtype = values.shape, values.dtype
            if values.shape != self.shape or values.dtype.kind not in "buif":
                raise ObjectError(
                    f"{self.name}: item {row} is {values.dtype} of shape {values.shape}, and item 0 has the shape "
                    f"{self.shape}; items are images, strings, or arrays of numbers of one shape"
                )
            self.file.write(np.ascontiguousarray(values, self.dtype).data)
            self.n += 1
        if bool(self.texts) + bool(self.images) + bool(self.n) > 1:
            raise ObjectError(f"{self.name}: item {row} is of another kind than the items before; give one kind")

    def content(self, said: str, kind: str | None) -> InMemory:
        """Returns all items; those on disk disappear with the last reference."""
        self.file.flush()
        if self.texts:
            return sequence(self.texts, kind or "text", said)
        if self.n:
            assert self.shape is not None
            return numbers(map_file(Path(self.file.name), 0, self.dtype, (self.n, *self.shape)), said)
        if not self.images:
            raise ObjectError(f"{said}: gave no items; check how it was made")
        stored = np.memmap(self.file.name, np.uint8, mode="r")

        def open_image(i: int) -> Image.Image:
            mode, size, start, length = self.images[i]
            return Image.frombytes(mode, size, stored[start : start + length].tobytes())

        return InMemory(shown=said, n=len(self.images), kind="image", images=open_image)
