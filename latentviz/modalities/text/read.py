"""Finds the texts that `data.path` names: chooses the reader, which returns a `Source`."""

from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io import memory
from latentviz.modalities.io.containers import read_located
from latentviz.modalities.io.files import TABLE_SUFFIXES, refusing, require_exists, suffix_of
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.text.columns import read_texts
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.docstrings import read_docstrings
from latentviz.modalities.text.folder import read_folder
from latentviz.modalities.text.lines import read_files, read_lines, read_strings
from latentviz.modalities.text.tang import PACKAGE, is_package, read_tang

_FORMATS = "give a .txt, .csv, .tsv, .jsonl, .json, .parquet or .arrow file, or a folder of text files"


def read(data: TextData) -> TextSource:
    """Reads the texts that `data.path` names."""
    source = read_located(data.path, lambda path: _read(data.model_copy(update={"path": path})))
    return memory.described(source, data.path)


def _read_object(content: memory.InMemory, data: TextData) -> TextSource:
    if content.files:
        return read_files(content.present, data.encoding, content.root, data.label_column)
    if content.texts is None:
        return read_texts(data.path, data)
    return read_strings(content)


def _read(data: TextData) -> TextSource:
    scheme, _, name = data.path.partition(":")
    shown = printable(data.path)
    if scheme == "python":
        if name != "docstrings":
            raise DataError(f"{shown}: no such data; only python:docstrings exists")
        return read_docstrings()
    if scheme == "hf":
        return read_texts(data.path, data)
    if (content := memory.find(data.path)) is not None:
        return _read_object(content, data)
    with refusing(data.path):
        if Path(data.path).name == PACKAGE and not Path(data.path).exists():
            raise DataError(
                f"{shown}: no such folder; `make tang` downloads the npm package {PACKAGE} into it, or give its path, "
                "or a table of couplets, with data.path=…"
            )
        path = require_exists(data.path, _FORMATS)
        if path.is_dir():
            return read_tang(path, data) if is_package(path) else read_folder(path, data, _FORMATS)
        if suffix_of(path.name) in TABLE_SUFFIXES:
            return read_texts(data.path, data)
        return read_lines([path], data.encoding, path.parent)
