"""Finds the vectors that `data.path` names: chooses the reader, which returns a `Source`."""

from dataclasses import replace
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io import memory
from latentviz.modalities.io.containers import located
from latentviz.modalities.io.files import TABLE_SUFFIXES, refusing, require_exists, suffix_of
from latentviz.modalities.io.names import as_label, printable
from latentviz.modalities.io.numpy_files import read_array, read_headers
from latentviz.modalities.vectors.arrays import read_arrays
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.source import About, Source
from latentviz.modalities.vectors.tables import read_vectors
from latentviz.progress import plural

_FORMATS = "give a .npy or .npz file, or a table such as .csv, .jsonl, .parquet or .arrow"


def read(data: VectorData) -> Source:
    """Finds the vectors that `data.path` names, with the labels of `data.labels`."""
    with located(data.path) as place:
        source = _read(data.model_copy(update={"path": place.path}))
    about = source.about
    if place.path != place.shown:
        about = replace(about, notes=[*place.notes, *map(place.as_named, about.notes)])
        source = replace(source, origin=place.as_named(source.origin))
    if data.labels != "none":
        about = replace(about, labels=_read_labels(data.labels, len(source)))
    return replace(source, about=_with_given(about, data.path))


def _with_given(about: About, path: str) -> About:
    """Adds what the user gave along with an object."""
    content = memory.find(path)
    if content is None:
        return about
    return replace(
        about,
        ids=content.ids or about.ids or content.index_ids,
        labels=content.labels or about.labels,
        texts=content.captions or about.texts,
        columns={**about.columns, **content.columns},
        notes=[*content.notes, *about.notes],
    )


def _read(data: VectorData) -> Source:
    shown = printable(data.path)
    if (content := memory.find(data.path)) is not None:
        return read_arrays(Path(data.path), data) if content.arrays else read_vectors(data.path, data)
    with refusing(data.path):
        path = Path(data.path) if data.path.startswith("hf:") else require_exists(data.path, _FORMATS)
        if path.is_dir():
            raise DataError(f"{shown}: a folder; vectors come in one file; {_FORMATS}")
        if path.suffix.lower() in {".npy", ".npz"}:
            source = read_arrays(path, data)
        elif data.path.startswith("hf:") or suffix_of(path.name) in TABLE_SUFFIXES:
            source = read_vectors(data.path, data)
        else:
            what = path.suffix.lower() or "nameless"
            raise DataError(f"{shown}: a {what} file holds no vectors that can be read; {_FORMATS}")
    return source


def _read_labels(name: str, n: int) -> list[str | None]:
    """Reads n labels from a .npy file, or from a text file with one label per line."""
    path, shown = Path(name), printable(name)
    if not path.is_file():
        raise DataError(f"data.labels: {shown}: no such file; give a .npy file, or a text file with one label per line")
    if path.suffix.lower() == ".npy":
        values = read_array(path, "", read_headers(path)[""]).ravel().tolist()
    else:
        values = read_lines(path, "data.labels")
    if len(values) != n:
        raise DataError(
            f"data.labels: {shown} has {plural(len(values), 'label')} for {plural(n, 'vector')}; every vector needs "
            "one label; give the matching file"
        )
    return [as_label(value) for value in values]


def read_lines(path: Path, key: str) -> list[str]:
    """Reads the lines of a text file, including empty ones; raises a DataError unless it is UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{key}: {printable(str(path))}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
