"""Says what `fit` would learn from, before it reads more than the first rows: `--dry-run` and `lv.inspect`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentviz.config import MEMORY, FitConfig
from latentviz.errors import DataError
from latentviz.modalities.io.containers import Place, located
from latentviz.modalities.io.files import ARROW_SUFFIXES, contents, marked_encoding, suffix_of, text_of, walk
from latentviz.modalities.io.memory import find, named
from latentviz.modalities.io.names import LABEL_NAMES, by_name, choose_column, printable
from latentviz.modalities.io.roles import TEXT_NAMES, Column, Role, judge
from latentviz.modalities.io.table_kind import choose_text, image_finder, is_table, listed, sample
from latentviz.modalities.sources import load_config
from latentviz.progress import one_line, plural

if TYPE_CHECKING:
    from latentviz.modalities.io.source import ImageSource

SHOWN = 3  # items
_WIDEST = 100  # characters of an item


@dataclass(frozen=True, repr=False)
class Inspection:
    """What `fit` would learn from.

    Attributes:
        source: as it was named.
        kind: image, text, vectors or joint.
        count: how many items there are; None: only reading all of them would tell.
        taken: the columns that are learnt from; empty if the source is not a table.
        shown: the columns of labels and of texts to show, by what they are.
        left: the other columns, with what they hold, as in "customer_id (an id)".
        scaling: how columns of numbers would be scaled, as far as the first rows tell.
        notes: further lines.
        items: the first three items, one line each.
    """

    source: str
    kind: str
    count: int | None = None
    taken: Sequence[str] = ()
    shown: Mapping[str, str] = field(default_factory=dict)
    left: Sequence[str] = ()
    scaling: str = ""
    notes: Sequence[str] = ()
    items: Sequence[str] = ()

    def __str__(self) -> str:
        """At most five lines, and the first items."""
        count = "" if self.count is None else f", {plural(self.count, 'item')}"
        lines = [f"{named(self.source)}: {self.kind}{count}"]
        if self.taken:
            columns = "column" if len(self.taken) == 1 else plural(len(self.taken), "column")
            lines.append(f"learnt from: {columns} {listed(self.taken, 20)}")
        lines += [f"shown: {', '.join(f'{what}: {name}' for what, name in self.shown.items())}"] if self.shown else []
        lines += [f"not learnt from: {listed(self.left, 12)}"] if self.left else []
        lines += [f"scale: {self.scaling}"] if self.scaling else []
        lines += list(self.notes)[: max(0, 5 - len(lines))]
        return "\n".join([*lines, "first items:", *(f"  {item}" for item in self.items)])

    __repr__ = __str__


def inspect_source(source: str, overrides: Mapping[str, object]) -> Inspection:
    """Find what `fit SOURCE` would learn from; reads the first rows and writes nothing.

    Args:
        source: as for `fit`.
        overrides: nested settings.

    Raises:
        ConfigError: a setting is wrong.
        DataError: nothing can be learnt from, or two readings are near.
    """
    config = load_config(source, overrides)[0]
    path = config.data.path
    if config.data.kind == "joint":
        return _joint(source, config)
    if path.startswith("hf:"):
        return _hub(source, config)
    if path.startswith(MEMORY) and is_table(path):
        return _table(source, config, Path(path))
    if path.startswith(("sklearn:", "python:", MEMORY)):
        return _read_whole(source, config)
    from latentviz.modalities.text.tang import is_package

    with located(path) as place:
        if is_table(place.path):
            found = _table(source, config, Path(place.path))
        elif config.data.kind == "text" and is_package(Path(place.path)):
            return Inspection(source, "text", notes=["learnt from: the poems of the package"])
        else:
            found = _texts(source, config, place) if config.data.kind == "text" else _read_whole(source, config)
    if not found.items:
        raise DataError(f"{printable(source)}: holds no items to learn from; check how it was made")
    return found


def _table(source: str, config: FitConfig, file: Path) -> Inspection:
    columns = sample(file)
    found = judge(columns)
    taken, scaling = _choose(config, found, columns, file)
    settings = config.data.model_dump()
    others = [name for name in found if name not in taken]
    label = choose_column(others, "label_column", settings["label_column"], LABEL_NAMES)
    shown = {"labels": label} if label else {}
    if config.data.kind == "vectors":
        text = choose_column(others, "text_column", settings["text_column"], TEXT_NAMES)
        shown |= {"texts": text} if text else {}
    left = [found[name].shown for name in others if name not in shown.values()]
    rows = range(min(SHOWN, max((len(values) for values in columns.values()), default=0)))
    items = [one_line(_row(columns, taken, row), _WIDEST) for row in rows]
    content = find(str(file))
    count, notes = (_rows(file), ()) if content is None else (content.n, content.notes)
    said = [*(_refused(columns, taken) if config.data.kind == "vectors" else ()), *notes]
    return Inspection(source, config.data.kind, count, taken, shown, left, scaling, said, items)


def _refused(columns: Mapping[str, Sequence[Any]], taken: Sequence[str]) -> list[str]:
    """Say which columns `fit` would refuse for their empty cells, as far as the first rows tell."""
    empty = [
        name
        for name in taken
        if len(taken) > 1 and any(v is None or v == "" or (isinstance(v, float) and isnan(v)) for v in columns[name])
    ]
    if not empty:
        return []
    out = f", or leave the columns out with data.exclude={','.join(empty)}" if len(empty) < len(taken) else ""
    return [f"fit refuses the empty cells of {plural(len(empty), 'column')}: {listed(empty, 12)}; fill them{out}"]


def _choose(
    config: FitConfig, found: Mapping[str, Column], columns: Mapping[str, Sequence[Any]], file: Path
) -> tuple[list[str], str]:
    """Choose the columns to learn from as the readers do, and say how they are scaled."""
    shown, names, settings = printable(str(file)), list(found), config.data.model_dump()
    if config.data.kind == "text":
        label = choose_column(names, "label_column", settings["label_column"], LABEL_NAMES)
        return [choose_column(names, "text_column", settings["text_column"]) or choose_text(found, shown, label)], ""
    if config.data.kind == "image":
        images = [c.name for c in found.values() if c.role in {Role.IMAGES, Role.BYTES}]
        exists = image_finder(columns, file)
        named = {Role.IMAGE_PATHS, Role.PATHS, Role.ID, Role.NAMES}
        images += [c.name for c in sorted(found.values(), key=_paths_first) if c.role in named and exists(c.name)]
        name = choose_column(names, "image_column", settings["image_column"]) or next(iter(images), None)
        if name is None:
            raise DataError(f"{shown}: no column of images found; name it with data.image_column=…")
        return [name], ""
    from latentviz.modalities.vectors.config import VectorData
    from latentviz.modalities.vectors.tables import choose_list, choose_numbers, is_of_lists

    assert isinstance(config.data, VectorData)
    if is_of_lists(config.data, found):
        return [choose_list(config.data.vector_column, found, shown)], ""
    label = choose_column(names, "label_column", settings["label_column"], LABEL_NAMES)
    chosen = choose_numbers(found, config.data, label)
    if not chosen.names:
        raise DataError(f"{shown}: has no columns of numbers to learn from; choose with data.columns=A,B,…")
    return chosen.names, chosen.scaling(columns, found, config.data)


def _paths_first(column: Column) -> bool:
    return column.role is not Role.IMAGE_PATHS


def _row(columns: Mapping[str, Sequence[Any]], taken: Sequence[str], row: int) -> str:
    cells = [columns[name][min(row, len(columns[name]) - 1)] for name in taken]  # images have a placeholder alone
    if len(taken) > 1:
        return ", ".join(f"{printable(name)} {cell}" for name, cell in zip(taken, cells, strict=True))
    cell = cells[0]
    if isinstance(cell, bytes | dict):
        return f"image {row + 1}"
    return printable(str(cell))


def _rows(file: Path) -> int | None:
    """Return how many rows a table has, if its header says so."""
    if suffix_of(file.name) not in {".parquet", *ARROW_SUFFIXES}:
        return None
    from latentviz.modalities.io.tables import read_table

    return len(read_table(str(file)))


def _texts(source: str, config: FitConfig, place: Place) -> Inspection:
    """Inspect text files: the first lines of a file, or of the first files of a folder."""
    from latentviz.modalities.io.prepared import FEWEST
    from latentviz.modalities.text.detect import LINE_SUFFIXES

    path = Path(place.path)
    if path.is_file():
        return Inspection(source, "text", notes=["learnt from: each line that is not blank"], items=_lines(path))
    found = walk(path)
    tables = [file for file in found.files if is_table(str(path / file))]
    files = found.of(LINE_SUFFIXES)
    if tables and len(tables) >= len(files):
        first = _table(source, config, path / tables[0])
        return Inspection(source, "text", None, first.taken, first.shown, first.left, items=first.items)
    if not files:
        raise DataError(f"{printable(source)}: holds no texts; give a folder of .txt files, or a table")
    if len(files) < FEWEST:
        note = f"learnt from: each line of {plural(len(files), 'file')}"
        return Inspection(source, "text", notes=[note], items=_lines(path / files[0]))
    items = [one_line(f"{file}: {' '.join(_lines(path / file))}", _WIDEST) for file in files[:SHOWN]]
    others = sorted(set(found.files) - set(files))
    notes = ["learnt from: each file", *([f"not learnt from: {contents(others)}"] if others else [])]
    return Inspection(source, "text", len(files), notes=notes, items=items)


def _lines(file: Path) -> list[str]:
    with text_of(file, marked_encoding(file), "replace") as stream:
        return [one_line(line, _WIDEST) for line in islice((line for line in stream if line.strip()), SHOWN)]


def _read_whole(source: str, config: FitConfig) -> Inspection:
    """Inspect a source that is listed, or mapped into memory, without decoding its items."""
    if config.data.kind == "image":
        from latentviz.modalities.image.config import ImageData
        from latentviz.modalities.image.read import read as read_images

        assert isinstance(config.data, ImageData)
        images = read_images(config.data)
        shown = {"labels": f"{len(set(images.labels) - {None}):,} classes"} if any(images.labels) else {}
        notes, first = [*_first_image(images, config), *images.notes], [str(i) for i in images.ids[:SHOWN]]
        return Inspection(source, "image", len(images), shown=shown, notes=notes, items=first)
    if config.data.kind == "text":
        from latentviz.modalities.text.config import TextData
        from latentviz.modalities.text.read import read as read_texts

        assert isinstance(config.data, TextData)
        texts = read_texts(config.data)
        first = [one_line(text, _WIDEST) for text in texts.texts.slice(0, SHOWN).to_pylist()]
        return Inspection(source, "text", len(texts), notes=texts.notes, items=first)
    from latentviz.modalities.vectors.config import VectorData
    from latentviz.modalities.vectors.read import read as read_vectors

    assert isinstance(config.data, VectorData)
    found = read_vectors(config.data)
    block = next(found.blocks(), ())[:SHOWN]
    items = [one_line(", ".join(f"{x:.4g}" for x in row[:8]) + (", …" if len(row) > 8 else "")) for row in block]
    note = f"learnt from: vectors of {plural(found.shape[1], 'number')}"
    return Inspection(source, "vectors", len(found), notes=[note, *found.about.notes], items=items)


def _joint(source: str, config: FitConfig) -> Inspection:
    """Inspect the parts of items, without decoding their images."""
    import numpy as np

    from latentviz.modalities.joint.config import JointData
    from latentviz.modalities.joint.prepare import check
    from latentviz.modalities.joint.read import read as read_parts

    assert isinstance(config.data, JointData)
    found = read_parts(config.data)
    labelled = sum(label is not None for label in found.source.labels)
    check(config.data, found, config.seed_everything)
    counts = {
        "image": int(found.drawn.sum()),
        "caption": sum(caption is not None for caption in found.captions),
        "label": labelled,
        "text": sum(text is not None for text in found.texts or ()),
    }
    vectors = None if found.vectors is None else np.isnan(found.vectors).any(axis=1)
    counts["vectors"] = counts[config.data.main] if vectors is None else int((~vectors).sum())
    said = [f"{part} {counts[part]:,}" for part in config.data.parts]
    shown = {"captions": ", ".join(found.columns)} if found.columns else {}
    items = [
        one_line(f"{name}: {said or ''}", _WIDEST)
        for name, said in zip(found.source.ids[:SHOWN], found.texts or found.captions, strict=False)
    ]
    notes = [f"parts: {', '.join(said)}", *found.source.notes]
    return Inspection(source, "joint", len(found.source), shown=shown, notes=notes, items=items)


def _first_image(images: "ImageSource", config: FitConfig) -> list[str]:
    """Say how large the first image is, and which axes of an array were taken for what."""
    from latentviz.modalities.image.arrays import axes
    from latentviz.modalities.image.pixels import header

    try:
        with images.open(0) as first:
            found, channels = header(first), len(first.getbands())
    except Exception:  # noqa: BLE001 - Pillow raises nearly anything on damaged files; `fit` reports it
        return []
    size = f"the first image: {found.height} × {found.width} pixels, {channels} channel{'s' * (channels > 1)}"
    content = find(config.data.path)
    array = None if content is None else content.arrays.get("")
    return [size if array is None else f"{size}; axes {axes(array.shape)}"]


def _hub(source: str, config: FitConfig) -> Inspection:
    """Inspect a data set on the hub by the types of its columns, without downloading it."""
    from latentviz.modalities.io.columns import find_images, is_text, is_vectors
    from latentviz.modalities.io.hub import hub_schema

    schema = hub_schema(config.data.path)
    settings = config.data.model_dump()
    kinds = {"image": lambda _: False, "text": is_text, "vectors": is_vectors}
    fitting = [item.name for item in schema if kinds[config.data.kind](item.type)]
    wanted = settings.get(
        {"image": "image_column", "text": "text_column", "vectors": "vector_column"}[config.data.kind]
    )
    if wanted not in {None, "auto", "none"}:
        fitting = [str(wanted)]
    elif config.data.kind == "image":
        fitting = [str(find_images(schema))]
    elif named := by_name(fitting, TEXT_NAMES):
        fitting = [named]
    left = [f"{item.name} ({item.type})" for item in schema if item.name not in fitting]
    return Inspection(source, config.data.kind, None, fitting, left=left, notes=["the rows are on the hub"])
