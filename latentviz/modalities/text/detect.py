"""Whether bare data is texts."""

import os
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io.files import TABLE_SUFFIXES, suffix_of

LINE_SUFFIXES = frozenset({".txt", ".text"})
_FILES_LOOKED_AT = 10_000  # of a folder


def detect(path: str) -> bool:
    """Returns whether `path` looks like texts: a text file, a table, a folder of these.

    Raises:
        DataError: the file cannot be read, or the Hugging Face hub cannot be reached.
    """
    if path.startswith("hf:"):
        from latentviz.modalities.io.columns import is_text  # needs pyarrow
        from latentviz.modalities.io.hub import hub_schema

        return any(is_text(field.type) for field in hub_schema(path))
    if path.startswith("python:"):
        return True
    place = Path(path)
    try:
        return _folder_has_texts(place) if place.is_dir() else place.is_file() and _is_text_file(place.name)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _is_text_file(name: str) -> bool:
    return suffix_of(name) in LINE_SUFFIXES | TABLE_SUFFIXES


def _folder_has_texts(folder: Path) -> bool:
    files = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(_is_text_file(name) for name in names if not name.startswith(".")):
            return True
        files += len(names)
        if files > _FILES_LOOKED_AT:
            break
    return False
