"""Which column of a table holds the texts, the labels, the ids: named by the user, or found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import DataError
from latentviz.modalities.io.columns import described, is_plain, is_text, left_out
from latentviz.modalities.io.names import PART, as_label, by_name, find_label, printable, require
from latentviz.modalities.io.tables import read_table
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.source import Source

# Columns of these names hold the texts, the first that is there.
TEXT_NAMES = (
    "text",
    "texts",
    "sentence",
    "sentences",
    "content",
    "contents",
    "body",
    "document",
    "review",
    "comment",
    "message",
    "tweet",
    "post",
    "question",
    "abstract",
    "description",
    "caption",
    "headline",
    "summary",
    "title",
)
_ID_NAMES = ("id", "uid", "uuid", "key")
_LOOKED_AT = 1_000  # values that tell what a column holds
_SHARED = 2  # texts a label must have on average; "target" is also what a sentence to translate is called


def read_texts(path: str, data: TextData, files: Sequence[Path] = ()) -> Source:
    """Returns the texts of a table, of several with the same columns, or of a data set on the hub.

    Args:
        path: a file, a folder, or hf:NAME.
        data: which columns hold texts, labels and ids, and the encoding.
        files: the tables of the folder.

    Raises:
        DataError: a file cannot be read, or there is no column of text.
    """
    table = read_table(path, files=files, encoding=data.encoding, split=data.split)
    plain = [field.name for field in table.schema if is_plain(field.type)]
    columns = pa.table({name: table.column(name) for name in plain})
    parts = table.parts() if len(table.pieces) > 1 else None
    if parts is not None and PART not in plain:
        columns = columns.append_column(PART, pa.array(parts, pa.string()))
    left = left_out([name for name in table.schema.names if name not in plain])
    return table_source(columns, table.ids(), table.origins(), data, notes=[*table.notes, *left], bad=table.bad)


def table_source(
    table: pa.Table, rows: Sequence[str], origins: Sequence[str], data: TextData, notes: Sequence[str] = (), **more: Any
) -> Source:
    """Returns the texts in a table as a source; rows without a text are passed over, counted in a note.

    Args:
        table: the columns, of any type.
        rows: what to call each row where no column says it.
        origins: where each row comes from.
        data: which columns hold texts, labels and ids.
        notes: for the user, before those of this function.
        more: further fields of the source.

    Raises:
        DataError: a column is missing, or none holds text.
    """
    names = list(table.column_names)
    for setting in ("text_column", "label_column", "id_column"):
        require(names, setting, getattr(data, setting))
    label = find_label(names) if data.label_column == "auto" else _named(data.label_column)
    name = find_text(table, [label] if label else [], data) if data.text_column == "auto" else data.text_column
    if data.label_column == "auto":
        label = find_label([other for other in names if other != name])
    texts = pc.utf8_trim_whitespace(_as_strings(table.column(name)))
    there = pc.fill_null(pc.greater(pc.utf8_length(texts), 0), False)
    kept = np.flatnonzero(there.to_numpy()).tolist()
    if not len(kept):
        raise DataError(
            f"{printable(data.path)}: the column {printable(name)} holds no text in any of its "
            f"{len(table):,} rows; name another with data.text_column=…, of "
            f"{', '.join(map(printable, names))}"
        )
    table, texts = table.filter(there), texts.filter(there)
    labels, said = _labels(table, label, chosen=data.label_column != "auto")
    key = _id_column(table, name, data)
    ids = [rows[i] for i in kept]
    if key:
        ids = [printable(as_label(value) or row) for value, row in zip(table.column(key).to_pylist(), ids, strict=True)]
    groups = {group.strip() for group in data.group_column.split(",")}
    used = {name, key, label if labels is not None else None} - groups
    passed = len(there) - len(kept)
    found = f"texts: column {printable(name)}; labels: {said}"
    return Source(
        texts,
        ids=ids,
        origins=[origins[i] for i in kept],
        labels=labels if labels is not None else [None] * len(kept),
        columns={other: table.column(other) for other in names if other not in used},
        notes=[*notes, found + (f"; {passed:,} rows without a text passed over" if passed else "")],
        **more,
    )


def find_text(table: pa.Table, taken: Sequence[str], data: TextData) -> str:
    """Returns the column that holds texts: one that is called so, else the one with the longest, most varied values.

    Raises:
        DataError: there is no column of text; the message lists those there are.
    """
    strings = [name for name in table.column_names if is_text(table.schema.field(name).type)]
    if named := by_name(strings, TEXT_NAMES):
        return named
    scores: Mapping[str, float] = {name: _wordy(table.column(name)) for name in strings if name not in taken} or {
        name: _wordy(table.column(name)) for name in strings
    }
    if not scores or not max(scores.values()):
        raise DataError(
            f"{printable(data.path)}: no column of text; it has {described(table.schema)}. Name one with "
            "data.text_column=…"
        )
    return max(scores, key=lambda name: scores[name])


def _wordy(column: pa.ChunkedArray) -> float:
    """Returns the mean length of a column's values times the share of them that are distinct."""
    values = [value for value in column.slice(0, _LOOKED_AT).to_pylist() if value]
    return sum(map(len, values)) * len(set(values)) / len(values) ** 2 if values else 0.0


def _as_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns any column as text; numbers are a text as well where the user says so."""
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        return pa.chunked_array([pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())])


def _named(setting: str) -> str | None:
    return None if setting == "none" else setting


def _labels(table: pa.Table, label: str | None, *, chosen: bool) -> tuple[list[str | None] | None, str]:
    """Returns the labels, or None where the column is no label, and what to say of them."""
    if label is None:
        return None, "none found" if not chosen else "none"
    labels = [as_label(value) for value in table.column(label).to_pylist()]
    if not chosen and len(set(labels)) * _SHARED > len(labels):
        return None, f"none ({printable(label)} has {len(set(labels)):,} different values)"
    return labels, f"column {printable(label)}"


def _id_column(table: pa.Table, name: str, data: TextData) -> str | None:
    """Returns the column with the ids; auto: one that is called so and says something else in each row."""
    if data.id_column != "auto":
        return _named(data.id_column)
    lower: dict[str, str] = {column.lower(): column for column in reversed(table.column_names) if column != name}
    for wanted in _ID_NAMES:
        if wanted in lower and len(pc.unique(table.column(lower[wanted]))) == len(table):
            return lower[wanted]
    return None
