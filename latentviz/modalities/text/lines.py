"""Text files: one item per line, or one per file with subfolders as labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.io.files import examine, in_order, stem_of, suffix_of, text_of, walk
from latentviz.modalities.io.names import PART, BadItem, folder_labels, part_of, printable
from latentviz.modalities.io.prepared import FEWEST
from latentviz.modalities.text.detect import LINE_SUFFIXES
from latentviz.modalities.text.source import Source

_BLOCK = 65_536  # lines held as Python strings at a time


@dataclass(frozen=True)
class _Lines:
    """The non-blank lines of a file, stripped, with their numbers from 1, and how many were blank."""

    texts: pa.ChunkedArray
    numbers: list[int]
    blank: int


def text_files(folder: Path) -> list[Path]:
    """Returns the text files of a folder and its subfolders in natural order."""
    return in_order([file for file in walk(folder) if suffix_of(file.name) in LINE_SUFFIXES], folder)


def read_lines(files: Sequence[Path], encoding: str, root: Path) -> Source:
    """Reads one item per line; blank lines are skipped.

    Args:
        files: in order.
        encoding: of files without a byte order mark.
        root: folder that the files lie in, left out of the ids.

    Raises:
        DataError: a file is not text, or all lines are blank.
    """
    found = {printable(file.relative_to(root).as_posix()): _lines(file, encoding) for file in files}
    chunks = [chunk for lines in found.values() for chunk in lines.texts.chunks]
    blank, n = sum(lines.blank for lines in found.values()), sum(len(lines.numbers) for lines in found.values())
    if not n:
        what = printable(str(files[0])) if len(files) == 1 else f"{printable(str(root))}: its {len(files):,} files"
        raise DataError(f"{what}: only blank lines ({blank:,} of them); give a file with one item per line")
    parts = [part_of(Path(name).name) for name, lines in found.items() for _ in lines.numbers]
    return Source(
        pa.chunked_array(chunks, pa.string()),
        ids=[f"{stem_of(name)}/{number}" for name, lines in found.items() for number in lines.numbers],
        origins=[f"{name}:{number}" for name, lines in found.items() for number in lines.numbers],
        labels=[None] * n,
        columns={PART: parts} if len(files) > 1 and None not in parts else {},
        notes=[f"texts: one per line{f'; {blank:,} blank lines skipped' if blank else ''}"],
    )


def _lines(file: Path, encoding: str) -> _Lines:
    numbers: list[int] = []
    chunks: list[pa.Array] = []
    block: list[str] = []
    number = 0
    with text_of(file, examine(file, encoding)) as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text:
                block.append(text)
                numbers.append(number)
            if len(block) == _BLOCK:
                chunks.append(pa.array(block, pa.string()))
                block = []
    chunks.append(pa.array(block, pa.string()))
    return _Lines(pa.chunked_array(chunks), numbers, number - len(numbers))


def read_files(files: Sequence[Path], encoding: str, root: Path, label_column: str) -> Source:
    """Reads one item per file, labelled by its subfolder; a handful of files are corpora, read line by line.

    Raises:
        DataError: a corpus cannot be read.
    """
    if len(files) < FEWEST:
        return read_lines(files, encoding, root)
    texts, kept, bad, blank = [], [], [], 0
    for file in files:
        path = file.relative_to(root).as_posix()
        try:
            if not file.stat().st_size:
                blank += 1
                continue
            with text_of(file, examine(file, encoding)) as stream:
                text = stream.read().strip()
        except DataError as error:
            bad.append(BadItem(printable(path), str(error).removeprefix(f"{printable(str(file))}: ")))
            continue
        blank += not text
        if text:
            texts.append(text)
            kept.append(path)
    labels, parts, notes = folder_labels(kept)
    skipped = f"; {blank:,} blank files skipped" if blank else ""
    names = [printable(path) for path in kept]
    return Source(
        pa.chunked_array([pa.array(texts, pa.string())]),
        ids=[stem_of(name) for name in names],
        origins=names,
        labels=[None] * len(kept) if label_column == "none" else labels,
        columns={PART: parts} if parts is not None else {},
        notes=[f"texts: one per file, {len(kept):,} files{skipped}", *notes],
        bad=bad,
    )
