"""Texts in files of their own kind: an item a line, or an item a file, with subfolders for labels."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.io.files import examine, in_order, stem_of, suffix_of, text_of, walk
from latentviz.modalities.io.names import PART, BadItem, folder_labels, part_of, printable
from latentviz.modalities.io.prepared import FEWEST
from latentviz.modalities.text.detect import LINE_SUFFIXES
from latentviz.modalities.text.source import Source

_BLOCK = 65_536  # lines that are Python's at a time


@dataclass(frozen=True)
class Lines:
    """The lines of a file that are not blank.

    Attributes:
        texts: strings without the spaces around them.
        numbers: int64, of each line, from 1.
        blank: how many were left out.
    """

    texts: pa.ChunkedArray
    numbers: list[int]
    blank: int


def read_lines(files: list[Path], encoding: str, root: Path) -> Source:
    """Returns the lines of files, an item each; blank ones are passed over.

    Args:
        files: in order.
        encoding: of files without a byte order mark.
        root: folder that the files lie in, left out of the ids.

    Raises:
        DataError: a file is no text, or holds only blank lines.
    """
    found = {file: _lines(file, encoding) for file in files}
    chunks = [chunk for lines in found.values() for chunk in lines.texts.chunks]
    names = {file: printable(file.relative_to(root).as_posix()) for file in files}
    blank, n = sum(lines.blank for lines in found.values()), sum(len(lines.numbers) for lines in found.values())
    if not n:
        what = printable(str(files[0])) if len(files) == 1 else f"{printable(str(root))}: its {len(files):,} files"
        raise DataError(f"{what}: only blank lines ({blank:,} of them); give a file with an item a line")
    parts = [part_of(file.name) for file in files for _ in found[file].numbers]
    notes = [f"texts: each line is one{f'; {blank:,} blank lines passed over' if blank else ''}"]
    return Source(
        pa.chunked_array(chunks, pa.string()),
        ids=[f"{stem_of(names[file])}/{i}" for file in files for i in found[file].numbers],
        origins=[f"{names[file]}:{i}" for file in files for i in found[file].numbers],
        labels=[None] * n,
        columns={PART: parts} if len(files) > 1 and None not in parts else {},
        notes=notes,
    )


def _lines(file: Path, encoding: str) -> Lines:
    encoding = examine(file, encoding)
    numbers: list[int] = []
    chunks: list[pa.Array] = []
    block: list[str] = []
    number = 0
    with text_of(file, encoding) as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text:
                block.append(text)
                numbers.append(number)
            if len(block) == _BLOCK:
                chunks.append(pa.array(block, pa.string()))
                block = []
    chunks.append(pa.array(block, pa.string()))
    return Lines(pa.chunked_array(chunks), numbers, number - len(numbers))


def text_files(folder: Path) -> list[Path]:
    """Returns the text files of a folder and its subfolders in natural order, no hidden ones, none outside of it."""
    return in_order([file for file in walk(folder) if suffix_of(file.name) in LINE_SUFFIXES], folder)


def read_files(files: list[Path], encoding: str, root: Path, label_column: str) -> Source:
    """Returns the texts of files, an item each; a subfolder's name is the label.

    Few files are taken for whole corpora instead, of which each line is an item.

    Raises:
        DataError: none of them can be read.
    """
    if len(files) < FEWEST:
        return read_lines(files, encoding, root)
    texts, kept, bad, blank = [], [], [], 0
    for file in files:
        name = printable(file.relative_to(root).as_posix())
        try:
            if not file.stat().st_size:
                blank += 1
                continue
            with text_of(file, examine(file, encoding)) as stream:
                text = stream.read().strip()
        except DataError as error:
            bad.append(BadItem(name, str(error).removeprefix(f"{printable(str(file))}: ")))
            continue
        blank += not text
        if text:
            texts.append(text)
            kept.append(file.relative_to(root))
    labels, parts, notes = folder_labels([path.as_posix() for path in kept])
    passed = f"; {blank:,} blank files passed over" if blank else ""
    notes.insert(0, f"texts: each of {len(kept):,} files is one{passed}")
    names = [printable(path.as_posix()) for path in kept]
    return Source(
        pa.chunked_array([pa.array(texts, pa.string())]),
        ids=[stem_of(name) for name in names],
        origins=names,
        labels=[None] * len(kept) if label_column == "none" else labels,
        columns={PART: parts} if parts is not None else {},
        notes=notes,
        bad=bad,
    )
