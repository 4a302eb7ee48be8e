"""Finds the vectors that `data.path` names: chooses the reader, which returns a `Source`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.io.files import TABLE_SUFFIXES, suffix_of
from latentviz.modalities.io.names import as_label, printable
from latentviz.modalities.io.numpy_files import read_array, read_headers
from latentviz.modalities.vectors.arrays import read_arrays
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import Source
from latentviz.modalities.vectors.tables import read_vectors

_FORMATS = "give a .npy or .npz file, or a table such as .csv, .jsonl, .parquet or .arrow"


def read(data: VectorData) -> Source:
    """Finds the vectors that `data.path` names, with the labels of `data.labels`.

    Raises:
        DataError: the path does not exist, or holds no vectors.
    """
    path, shown = Path(data.path), printable(data.path)
    suffix = path.suffix.lower()
    try:
        if data.path.startswith("hf:"):
            source = read_vectors(data.path, data)
        elif path.is_dir():
            raise DataError(f"{shown}: a folder; vectors come in one file; {_FORMATS}")
        elif not path.is_file():
            raise DataError(f"{shown}: no such file; check data.path")
        elif suffix in {".npy", ".npz"}:
            source = read_arrays(path, data)
        elif suffix_of(path.name) in TABLE_SUFFIXES:
            source = read_vectors(data.path, data)
        else:
            raise DataError(f"{shown}: a {suffix or 'nameless'} file holds no vectors that can be read; {_FORMATS}")
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error.strerror or error}); check its permissions") from None
    return source if data.labels == "none" else replace(source, labels=read_labels(data.labels, len(source)))


def read_labels(name: str, n: int) -> list[str | None]:
    """Reads n labels from a .npy file, or from a text file with one label per line.

    Raises:
        DataError: there is no such file, or it does not hold n labels.
    """
    path, shown = Path(name), printable(name)
    if not path.is_file():
        raise DataError(f"data.labels: {shown}: no such file; give a .npy file, or a text file with one label per line")
    wanted = f"for {n:,} vectors; every vector needs one label; give the matching file"
    if path.suffix.lower() == ".npy":
        header = read_headers(path)[""]
        if int(np.prod(header.shape)) != n:
            raise DataError(f"data.labels: {shown} has the shape {header.shape} {wanted}")
        values = read_array(path, "", header).reshape(-1).tolist()
    else:
        values = read_lines(path, "data.labels")
    if len(values) != n:
        raise DataError(f"data.labels: {shown} has {len(values):,} labels {wanted}")
    return [as_label(value) for value in values]


def read_lines(path: Path, key: str) -> list[str]:
    """Reads the lines of a text file, including empty ones; raises a DataError unless it is UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{key}: {printable(str(path))}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
