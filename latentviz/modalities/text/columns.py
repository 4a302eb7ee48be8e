"""Tables with a column of texts: which column holds the texts, the labels, the ids; set by the user, or found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import DataError
from latentviz.modalities.io.names import LABEL_NAMES, PART, BadItem, as_label, by_name, choose_column, printable
from latentviz.modalities.io.plain import plain_columns
from latentviz.modalities.io.roles import judge
from latentviz.modalities.io.source import TextSource
from latentviz.modalities.io.table_kind import choose_text
from latentviz.modalities.io.tables import read_table, sampled
from latentviz.modalities.text.config import TextData
from latentviz.progress import plural

_ID_NAMES = ("id", "uid", "uuid", "key")
_SHARED = 2  # texts that a label has on average, at least; "target" may also hold the translation of a sentence


def read_texts(path: str, data: TextData, files: Sequence[Path] = ()) -> TextSource:
    """Reads the texts of a table, of a folder of tables (those in `files`), or of a data set on the hub."""
    table = read_table(path, files=files, encoding=data.encoding, split=data.split)
    plain, left = plain_columns(table)
    columns = pa.table(plain)
    parts = table.parts() if len(table.pieces) > 1 else None
    if parts is not None and PART not in plain:
        columns = columns.append_column(PART, pa.array(parts, pa.string()))
    notes = [*table.notes, *left]
    return table_source(columns, table.ids(), table.origins(), data, notes=notes, bad=table.bad)


def table_source(
    table: pa.Table,
    rows: Sequence[str],
    origins: Sequence[str],
    data: TextData,
    *,
    notes: Sequence[str] = (),
    bad: Sequence[BadItem] = (),
) -> TextSource:
    """Returns the texts in a table of plain columns; rows without a text are skipped, and counted in a note.

    `rows` are default ids, `origins` the file and line or row of each row; `notes` and `bad` are the reader's.
    """
    names = list(table.column_names)
    label = choose_column(names, "label_column", data.label_column, LABEL_NAMES)
    name = choose_column(names, "text_column", data.text_column) or choose_text(
        judge(sampled(table)), printable(data.path), label
    )
    key = choose_column(names, "id_column", data.id_column)
    if data.label_column == "auto":
        label = by_name([other for other in names if other != name], LABEL_NAMES)
    texts = pc.utf8_trim_whitespace(_as_strings(table.column(name)))
    there = pc.fill_null(pc.greater(pc.utf8_length(texts), 0), False)
    kept = np.flatnonzero(there.to_numpy()).tolist()
    if not kept:
        raise DataError(
            f"{printable(data.path)}: the column {printable(name)} holds no text in {plural(len(table), 'row')}; "
            f"name another with data.text_column=…, of {', '.join(map(printable, names))}"
        )
    table, texts = table.filter(there), texts.filter(there)
    labels, found = _labels(table, label, chosen=data.label_column != "auto")
    if data.id_column == "auto":  # the first with such a name and a different value in each row
        candidates = [other for other in names if other != name and other.lower() in _ID_NAMES]
        key = by_name([c for c in candidates if len(pc.unique(table.column(c))) == len(table)], _ID_NAMES)
    ids = [rows[i] for i in kept]
    if key:
        ids = [printable(as_label(value) or row) for value, row in zip(table.column(key).to_pylist(), ids, strict=True)]
    groups = {group.strip() for group in data.group_column.split(",")}
    used = {name, key, label if labels is not None else None} - groups
    skipped = len(there) - len(kept)
    note = f"texts: column {printable(name)}; labels: {found}"
    return TextSource(
        texts=texts,
        ids=ids,
        origins=[origins[i] for i in kept],
        labels=labels if labels is not None else [None] * len(kept),
        columns={other: table.column(other) for other in names if other not in used},
        notes=[*notes, note + (f"; {plural(skipped, 'row')} without a text skipped" if skipped else "")],
        bad=bad,
    )


def _as_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Converts any column to strings; a user may name a column of numbers."""
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())])


def _labels(table: pa.Table, label: str | None, *, chosen: bool) -> tuple[list[str | None] | None, str]:
    """Returns the labels, or None if the column is not one of labels, and words for the note."""
    if label is None:
        return None, "none" if chosen else "none found"
    labels = [as_label(value) for value in table.column(label).to_pylist()]
    distinct = len(set(labels))
    if not chosen and distinct * _SHARED > len(labels):
        return None, f"none ({printable(label)} has {plural(distinct, 'different value')})"
    return labels, f"column {printable(label)}"
