"""From what the user names to texts: by the scheme, by what a folder holds, by a file's name."""

from collections import Counter
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io.files import TABLE_SUFFIXES, suffix_of, walk
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.tables import table_files
from latentviz.modalities.text.columns import read_texts
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.docstrings import read_docstrings
from latentviz.modalities.text.lines import read_files, read_lines, text_files
from latentviz.modalities.text.source import Source
from latentviz.modalities.text.tang import PACKAGE, is_package, read_tang

# How error messages name the files that can be read.
_FILES = "a .txt, .csv, .tsv, .jsonl, .json or .parquet file"


def read(data: TextData) -> Source:
    """Returns the texts that `data.path` names.

    Raises:
        DataError: there is nothing of this name, or nothing in it that is a text.
    """
    scheme, _, name = data.path.partition(":")
    if scheme == "python":
        if name != "docstrings":
            raise DataError(f"{printable(data.path)}: no such data; python:docstrings is what there is")
        return read_docstrings()
    if scheme == "hf":
        return read_texts(data.path, data)
    path, shown = Path(data.path), printable(data.path)
    try:
        if path.is_dir():
            return _read_folder(path, data)
        if path.is_file():
            return _read_file(path, data)
        there = path.exists()
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error.strerror or error})") from None
    if there:
        raise DataError(f"{shown}: neither a file nor a folder; give {_FILES}, or a folder of text files")
    if path.name == PACKAGE:
        raise DataError(
            f"{shown}: there is no such folder; `make tang` fetches the npm package {PACKAGE} into it, or "
            "give its path, or a table of couplets, with data.path=…"
        )
    raise DataError(f"{shown}: there is no such file or folder; check data.path")


def _read_folder(path: Path, data: TextData) -> Source:
    if is_package(path):
        return read_tang(path, data)
    files, tables = text_files(path), table_files(path)
    if tables and len(tables) >= len(files):
        return read_texts(data.path, data, tables)
    if files:
        return read_files(files, data.encoding, path, data.label_column)
    others = Counter(file.suffix.lower() or "without a suffix" for file in walk(path))
    held = ", ".join(f"{count:,} {printable(suffix)}" for suffix, count in others.most_common(5))
    what = f"holds no texts (got {held})" if others else "the folder is empty"
    raise DataError(f"{printable(data.path)}: {what}; give {_FILES}, or a folder of text files")


def _read_file(path: Path, data: TextData) -> Source:
    if suffix_of(path.name) in TABLE_SUFFIXES:
        return read_texts(data.path, data)
    return read_lines([path], data.encoding, path.parent)
