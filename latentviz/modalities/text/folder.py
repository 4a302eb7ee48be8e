"""A folder of text files, with the tables that describe them, or a folder of tables."""

from dataclasses import replace
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io.descriptions import describe
from latentviz.modalities.io.files import contents, walk
from latentviz.modalities.io.names import as_label, printable
from latentviz.modalities.io.prepared import FEWEST
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.io.tables import table_files
from latentviz.modalities.text.columns import read_texts
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.detect import LINE_SUFFIXES, MANY_NOTES, is_note
from latentviz.modalities.text.lines import read_files


def read_folder(path: Path, data: TextData, formats: str) -> TextSource:
    """Reads the text files of a folder, or its tables if they are as many; says what it passes over."""
    found, tables = walk(path), table_files(path)
    lines = found.of(LINE_SUFFIXES)
    notes = [file for file in found.files if is_note(file)]
    files = sorted([*lines, *notes], key=found.files.index) if len(notes) >= MANY_NOTES else lines
    if tables and len(tables) >= len(files):
        source, used = read_texts(data.path, data, tables), {file.relative_to(path).as_posix() for file in tables}
    elif files:
        source = read_files([path / file for file in files], data.encoding, path, data.label_column)
        used = set(files)
        if len(files) >= FEWEST:
            said = describe(path, source.origins, found, frozenset(LINE_SUFFIXES | {".md"}), what="text")
            used |= set(said.used)
            column = said.label(data.label_column)
            labels = [as_label(v) for v in said.columns.pop(column)] if column else source.labels
            source = replace(
                source,
                labels=labels,
                columns={**source.columns, **said.columns},
                notes=[*source.notes, *said.notes, *([f"labels: column {printable(column)}"] if column else [])],
            )
    else:
        what = (
            f"holds no texts (got {contents(found.files)})"
            if found.files
            else "the folder is empty, runs and hidden files apart"
        )
        raise DataError(f"{printable(data.path)}: {what}; {formats}")
    ignored = [file for file in found.files if file not in used]
    return replace(source, notes=[*source.notes, *([f"ignored files: {contents(ignored)}"] if ignored else [])])
