"""Texts or images of the items, from the file or folder that `data.items` names, in the order of the vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentviz.errors import DataError
from latentviz.modalities.io.columns import is_plain, plain_values
from latentviz.modalities.io.containers import located
from latentviz.modalities.io.files import TABLE_SUFFIXES, suffix_of
from latentviz.modalities.io.names import LABEL_NAMES, by_name, choose_column, natural, printable
from latentviz.modalities.io.tables import read_table
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read_lines
from latentviz.modalities.vectors.source import ID_NAMES, TEXT_NAMES, About, about_items
from latentviz.progress import plural
from latentviz.runs.items import ITEM_COLUMNS

_FORMATS = "give a .txt file with one line per vector, a table, or a folder of images"


def read_items_file(data: VectorData, n: int, cache: Path, seed: int) -> About:
    """Reads what `data.items` says about n vectors; decodes images into `cache/images.npy`."""
    with located(data.items) as place:
        return _read_items_file(data.model_copy(update={"items": place.path}), n, cache, seed)


def _read_items_file(data: VectorData, n: int, cache: Path, seed: int) -> About:
    path, shown = Path(data.items), printable(data.items)
    if not data.items.startswith("hf:") and not path.exists():
        raise DataError(f"data.items: {shown}: no such file or folder; {_FORMATS}")
    from latentviz.modalities.image.detect import detect  # images are the only other kind used here

    if path.suffix.lower() == ".txt":
        lines = read_lines(path, "data.items")
        _check_count(len(lines), n, shown, "lines")
        return About(texts=lines, notes=[f"items: the {plural(n, 'line')} of {shown}, line i for vector i"])
    if detect(data.items):
        return _read_images(data, n, cache, seed)
    if data.items.startswith("hf:") or suffix_of(path.name) in TABLE_SUFFIXES:
        return _read_texts(data, n)
    raise DataError(f"data.items: {shown}: neither texts nor images; {_FORMATS}")


def _check_count(found: int, n: int, shown: str, what: str) -> None:
    if found != n:
        raise DataError(
            f"data.items: {shown} has {plural(found, what[:-1])} for {plural(n, 'vector')}; {what[:-1]} i belongs to "
            "vector i, so the numbers must be equal; give the matching file"
        )


def _read_images(data: VectorData, n: int, cache: Path, seed: int) -> About:
    from latentviz.modalities.image.config import ImageData
    from latentviz.modalities.image.prepare import prepare
    from latentviz.modalities.image.read import read

    settings = ImageData(path=data.items)
    source = read(settings)
    _check_count(len(source), n, printable(data.items), "images")
    prepared = prepare(settings, cache, seed, source=source, learn=False)
    if prepared.bad:
        bad = prepared.bad[0]
        raise DataError(
            f"data.items: {bad.source}: {bad.reason}; {len(prepared.bad)} of {n:,} images cannot be read, and image i "
            "belongs to vector i; repair it, or remove it together with its vector"
        )
    table, ids = prepared.items.table, prepared.items.column("id")
    own = [name for name in table.column_names if name not in ITEM_COLUMNS]
    columns = {name: table.column(name).to_pylist() for name in own}
    note = f"items: the {plural(n, 'image')} of {printable(data.items)} in order, from {ids[0]} to {ids[-1]}"
    return About(ids, prepared.items.labels, columns=columns, notes=[note])


def _read_texts(data: VectorData, n: int) -> About:
    """Reads the rows of a table, usually with a column of texts."""
    table = read_table(data.items)
    shown = table.shown
    if table.bad:
        raise DataError(f"data.items: {table.bad[0].source}: {table.bad[0].reason}; repair the row, or remove the file")
    _check_count(len(table), n, shown, "rows")
    plain = [field.name for field in table.schema if is_plain(field.type)]
    strings = (*LABEL_NAMES, *TEXT_NAMES, *ID_NAMES)
    columns = {printable(name): plain_values(table.column(name), name, data.items, strings) for name in plain}
    names = list(columns)
    named = data.label_column if data.label_column in names else None  # it may be in the file of the vectors
    label = by_name(names, LABEL_NAMES) if data.label_column == "auto" else named
    text = choose_column(names, "text_column", data.text_column)
    if data.text_column == "auto":
        text = _text_column(columns, label)
    return about_items(columns, label, text, f"items: the {plural(n, 'row')} of {shown}")


def _text_column(columns: Mapping[str, Sequence[Any]], label: str | None) -> str | None:
    """Finds the column of texts: by its name, otherwise the one with the longest strings."""
    lengths = {
        name: sum(len(value) for value in values if value)
        for name, values in columns.items()
        if name != label and all(value is None or isinstance(value, str) for value in values)
    }
    named = by_name([name for name in columns if name != label], TEXT_NAMES)
    return named or max(sorted(lengths, key=natural), key=lambda name: lengths[name], default=None)
