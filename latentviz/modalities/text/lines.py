"""Text files: one item per line, or one per file with subfolders as labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import DataError
from latentviz.modalities.io.files import examine, stem_of, text_of
from latentviz.modalities.io.memory import ROW, InMemory
from latentviz.modalities.io.names import PART, BadItem, folder_labels, part_of, printable
from latentviz.modalities.io.prepared import FEWEST
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.text.detect import is_note
from latentviz.progress import plural

_BLOCK = 65_536  # lines held as Python strings at a time


def read_lines(files: Sequence[Path], encoding: str, root: Path) -> TextSource:
    """Reads one item per line, without blank ones; the folder `root` is left out of the ids."""
    chunks: list[pa.Array] = []
    ids: list[str] = []
    origins: list[str] = []
    parts: list[str | None] = []
    blank = 0
    for file in files:
        name = printable(file.relative_to(root).as_posix())
        stem, part = stem_of(name), part_of(file.name)
        block: list[str] = []
        with text_of(file, examine(file, encoding)) as lines:
            for number, line in enumerate(lines, 1):
                text = line.strip()
                if not text:
                    blank += 1
                    continue
                block.append(text)
                ids.append(f"{stem}/{number}")
                origins.append(f"{name}:{number}")
                parts.append(part)
                if len(block) == _BLOCK:
                    chunks.append(pa.array(block, pa.string()))
                    block = []
        chunks.append(pa.array(block, pa.string()))
    if not ids:
        what = printable(str(files[0])) if len(files) == 1 else f"{printable(str(root))}, {plural(len(files), 'file')}"
        raise DataError(f"{what}: only blank lines ({blank:,} of them); give a file with one item per line")
    return TextSource(
        texts=pa.chunked_array(chunks, pa.string()),
        ids=ids,
        origins=origins,
        labels=[None] * len(ids),
        columns={PART: parts} if len(files) > 1 and None not in parts else {},
        notes=["texts: one per line" + (f"; {plural(blank, 'blank line')} skipped" if blank else "")],
    )


def read_strings(content: InMemory) -> TextSource:
    """Reads one item per string, without blank ones."""
    texts = pc.utf8_trim_whitespace(content.texts)
    there = pc.fill_null(pc.greater(pc.utf8_length(texts), 0), False)
    kept = np.flatnonzero(there.to_numpy(zero_copy_only=False)).tolist()
    blank = content.n - len(kept)
    if not kept:
        raise DataError(f"{content.shown}: only blank strings ({blank:,} of them); give texts")
    return TextSource(
        texts=pa.chunked_array([texts.filter(there)]),
        ids=[f"{ROW}/{row}" for row in kept],
        origins=[f"{content.shown}#{row}" for row in kept],
        labels=[None] * len(kept),
        notes=["texts: one per string" + (f"; {plural(blank, 'blank string')} skipped" if blank else "")],
    )


def read_files(files: Sequence[Path], encoding: str, root: Path, label_column: str) -> TextSource:
    """Reads one item per file, labelled by its subfolder; a handful of files are corpora, read line by line."""
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
    skipped = f"; {plural(blank, 'blank file')} skipped" if blank else ""
    names = [printable(path) for path in kept]
    return TextSource(
        texts=pa.chunked_array([pa.array(texts, pa.string())]),
        ids=[name if is_note(name) else stem_of(name) for name in names],  # a.txt may lie next to a.md
        origins=names,
        labels=[None] * len(kept) if label_column == "none" else labels,
        columns={PART: parts} if parts is not None else {},
        notes=[f"texts: one per file, {plural(len(kept), 'file')}{skipped}", *notes],
        bad=bad,
    )
