"""Finds the texts that `data.path` names: chooses the reader, which returns a `Source`."""

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

_FORMATS = "give a .txt, .csv, .tsv, .jsonl, .json, .parquet or .arrow file, or a folder of text files"


def read(data: TextData) -> Source:
    """Reads the texts that `data.path` names.

    Raises:
        DataError: the path does not exist, or holds no texts.
    """
    scheme, _, name = data.path.partition(":")
    shown = printable(data.path)
    if scheme == "python":
        if name != "docstrings":
            raise DataError(f"{shown}: no such data; only python:docstrings exists")
        return read_docstrings()
    if scheme == "hf":
        return read_texts(data.path, data)
    path = Path(data.path)
    try:
        if path.is_dir():
            return _read_folder(path, data)
        if path.is_file():
            is_table = suffix_of(path.name) in TABLE_SUFFIXES
            return read_texts(data.path, data) if is_table else read_lines([path], data.encoding, path.parent)
        exists = path.exists()
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error.strerror or error}); check its permissions") from None
    if exists:
        raise DataError(f"{shown}: neither a file nor a folder; {_FORMATS}")
    if path.name == PACKAGE:
        raise DataError(
            f"{shown}: no such folder; `make tang` downloads the npm package {PACKAGE} into it, or give its path, or a "
            "table of couplets, with data.path=…"
        )
    raise DataError(f"{shown}: no such file or folder; check data.path")


def _read_folder(path: Path, data: TextData) -> Source:
    if is_package(path):
        return read_tang(path, data)
    files, tables = text_files(path), table_files(path)
    if tables and len(tables) >= len(files):
        return read_texts(data.path, data, tables)
    if files:
        return read_files(files, data.encoding, path, data.label_column)
    others = Counter(file.suffix.lower() or "without a suffix" for file in walk(path))
    contents = ", ".join(f"{count:,} {printable(suffix)}" for suffix, count in others.most_common(5))
    what = f"holds no texts (got {contents})" if others else "the folder is empty"
    raise DataError(f"{printable(data.path)}: {what}; {_FORMATS}")
