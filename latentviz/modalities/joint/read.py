"""Finds the parts of items that `data.path` names: images or texts, and the captions and labels next to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentviz.config import MEMORY
from latentviz.errors import DataError
from latentviz.modalities.image.config import IMAGE_SUFFIXES
from latentviz.modalities.image.detect import detect as detect_images
from latentviz.modalities.image.folder import image_files, metadata_files, read_metadata
from latentviz.modalities.image.pixels import NoImage, open_image
from latentviz.modalities.image.read import read as read_images
from latentviz.modalities.io.containers import located, renamed
from latentviz.modalities.io.descriptions import values_of
from latentviz.modalities.io.files import walk
from latentviz.modalities.io.labels import given_labels, read_pairs
from latentviz.modalities.io.memory import stem
from latentviz.modalities.io.names import LABEL_NAMES, as_label, by_name, choose_column, printable
from latentviz.modalities.io.roles import CAPTION_NAMES
from latentviz.modalities.io.source import ImageSource, Source, TextSource
from latentviz.modalities.joint.config import JointData
from latentviz.modalities.joint.glyphs import read_glyphs
from latentviz.modalities.joint.shapes import LEVELS, read_shapes
from latentviz.modalities.joint.vectors import Vectors, aligned, described, read_vectors
from latentviz.modalities.text.read import read as read_texts
from latentviz.progress import plural
from latentviz.runs.files import unique_ids

if TYPE_CHECKING:
    from PIL import Image

SEPARATOR = "; "  # between the columns of a caption


@dataclass(frozen=True)
class Parts:
    """The parts of n items, row i for item i.

    Attributes:
        source: the items; its images are of those that have one, in their order.
        drawn: bool (n,), the items that have an image.
        captions: n texts, None for an item without one.
        columns: the columns that the captions are in.
        texts: n texts, None for an item without one; None: texts are no part.
        vectors: float (n, m), NaN for an item without one; None: none are given.
    """

    source: Source
    drawn: np.ndarray
    captions: Sequence[str | None]
    columns: Sequence[str]
    texts: Sequence[str | None] | None = None
    vectors: np.ndarray | None = None

    def open(self, row: int) -> "Image.Image":
        """Open the image of an item that has one."""
        assert isinstance(self.source, ImageSource)
        return self.source.open(row)


def read(data: JointData, *, learn: bool = True) -> Parts:
    """Find the parts of the items at `data.path`.

    Args:
        data: where they are.
        learn: they are for training, so each part that is named must be there.

    Raises:
        DataError: a part is missing in all items, or nothing can be read.
    """
    given = read_vectors(data, learn=learn) if "vectors" in data.parts and data.features == "none" else None
    found = _texts(data, given, learn=learn) if data.main == "text" else _images(data, given, learn=learn)
    source = found.source
    if data.labels != "none":
        source = replace(source, labels=_labels(data, source))
    if learn and "label" in data.parts and not any(label is not None for label in source.labels):
        raise DataError(
            f"{printable(data.path)}: data.parts has label, and no item has one; {label_remedy(data)}, or leave label "
            "out"
        )
    if given is None:
        return replace(found, source=source)
    vectors, note = aligned(given, source, data)
    return replace(found, vectors=vectors, source=replace(source, notes=[*source.notes, note]))


def _texts(data: JointData, given: Vectors | None, *, learn: bool) -> Parts:
    """Find texts: those of the vectors, or those at `data.path`."""
    if given is None:
        source: Source = read_texts(data.of_texts(data.shown))
        assert isinstance(source, TextSource)
        texts: list[str | None] = source.texts.to_pylist()
    else:
        about = described(given, data)
        if learn and not any(about.texts or ()):
            raise DataError(
                f"{printable(data.path)}: data.parts has text, but there are no texts; name a .txt file or "
                "a table of them with data.items=…, or their column with data.text_column=…"
            )
        n, begin = len(given), stem(data.path)
        texts = [text.strip() or None for text in about.texts] if about.texts else [None] * n
        source = Source(
            ids=about.ids or [f"{begin}/{row}" for row in range(n)],
            origins=[f"{given.origin}#{row}" for row in range(n)],
            labels=about.labels or [None] * n,
            columns=about.columns,
            notes=about.notes,
        )
    return Parts(source, np.zeros(len(source), bool), [None] * len(source), (), texts)


def _images(data: JointData, given: Vectors | None, *, learn: bool) -> Parts:
    """Find images, with captions and labels; of new items that are vectors alone, nothing more."""
    path = data.shown
    if given is not None and not learn and not detect_images(path):
        about, n = given.about, len(given)
        ids = about.ids or [f"{stem(path)}/{row}" for row in range(n)]
        origins = [f"{given.origin}#{row}" for row in range(n)]
        blank = ImageSource(
            ids=ids, origins=origins, labels=about.labels or [None] * n, open=_nothing, notes=about.notes
        )
        return Parts(blank, np.zeros(n, bool), about.texts or [None] * n, ())
    data = data.model_copy(update={"path": path})
    if data.path.startswith("python:"):
        source, drawn = _own(data), None
    elif Path(data.path).suffix.lower() in IMAGE_SUFFIXES and Path(data.path).is_file():
        file, drawn = Path(data.path), None
        source = ImageSource(
            ids=[printable(file.name)], origins=[printable(str(file))], labels=[None], open=lambda _: open_image(file)
        )
    else:
        with located(data.path) as place:
            own = data.model_copy(update={"path": place.path})
            source, drawn = _with_undrawn(read_images(own.of_images(place.path)), own)
            source = renamed(source, place)
    if not len(source) and source.bad:
        raise _unmatched(source, data.path)
    wanted = "caption" in data.parts
    columns = caption_columns(list(source.columns), data.caption_column) if wanted else []
    if learn and wanted and not columns:
        raise DataError(
            f"{printable(data.path)}: data.parts has caption, and no column of captions was found among "
            f"{', '.join(map(printable, source.columns)) or 'none'} (those of ids and labels are no captions); name it "
            "with data.caption_column=…"
        )
    captions = joined([_values(source.columns[name]) for name in columns], len(source))
    present = np.ones(len(source), bool) if drawn is None else drawn
    return Parts(source, present, captions, columns)


def label_remedy(data: JointData) -> str:
    """Return what to do about labels that cannot be learnt."""
    return (
        "name another column with data.label_column=…" if data.labels == "none" else f"correct {printable(data.labels)}"
    )


def _labels(data: JointData, source: Source) -> list[str | None]:
    """Return the labels of `data.labels`, in the place of the items' own."""
    where = f"data.labels: {printable(data.labels)}"
    found = given_labels(read_pairs(data.labels, where), unique_ids(source.ids), where, printable(data.path))
    return [found.get(row) for row in range(len(source))]


def _own(data: JointData) -> ImageSource:
    """Return the items that latentviz draws itself."""
    if data.path == "python:shapes":
        return read_shapes(data.level)
    if data.path != "python:glyphs":
        raise DataError(
            f"{printable(data.path)}: no such data with several parts; there are python:glyphs and python:shapes"
        )
    if data.level != LEVELS:
        raise DataError(f"data.level: acts on the recipe shapes alone (got {data.level}); leave it out")
    return read_glyphs()


def _nothing(row: int) -> "Image.Image":
    raise NoImage(f"item {row} has none")


def caption_columns(names: Sequence[str], wanted: str) -> list[str]:
    """Return the columns of captions: those that `data.caption_column` names, or the first with a usual name.

    >>> caption_columns(["tags", "Title", "caption"], "auto"), caption_columns(["a", "b"], "b,a")
    (['caption'], ['b', 'a'])
    """
    if wanted in {"auto", "none"}:
        found = by_name(names, CAPTION_NAMES) if wanted == "auto" else None
        return [found] if found else []
    given = dict.fromkeys(each.strip() for each in wanted.split(","))
    return [name for each in given if (name := choose_column(names, "caption_column", each))]


def joined(columns: Sequence[Sequence[Any]], n: int) -> list[str | None]:
    """Return the captions of n items, of several columns one after another; None for an item without one."""
    rows = zip(*columns, strict=True) if columns else [()] * n
    return [SEPARATOR.join(text for cell in row if (text := str(cell or "").strip())) or None for row in rows]


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    return values


def _with_undrawn(source: ImageSource, data: JointData) -> tuple[ImageSource, np.ndarray]:
    """Return the items with those that have no image, and which have one, bool (n,)."""
    place = Path(data.path)
    drawn = np.ones(len(source), bool)
    if not data.path.startswith(MEMORY) and (place.is_dir() or place.name.startswith("metadata.")):
        root = place if place.is_dir() else place.parent
        found = walk(root)
        if image_files(found):  # else a folder of tables
            source = _with_nameless(source, root, metadata_files(found), data)
            return source, np.arange(len(source)) < len(drawn)
    for row in range(len(source)):
        try:
            source.open(row).close()
        except NoImage:
            drawn[row] = False
        except Exception:  # noqa: BLE001, S112 - Pillow raises nearly anything on damaged files; decoding reports it
            continue
    return source, drawn


def _with_nameless(source: ImageSource, root: Path, files: Sequence[str], data: JointData) -> ImageSource:
    """Add the rows of metadata files that name no image."""
    added: dict[str, list[Any]] = {}
    labels, ids = list[str | None](), list[str]()
    for file in files:
        table = read_metadata(root / file)
        rows = [row for row, name in enumerate(table.column("file_name").to_pylist()) if not name]
        values, _ = values_of(table, file, ("file_name", *LABEL_NAMES))
        label = choose_column(list(values), "label_column", data.label_column, LABEL_NAMES)
        cells = {name: [column[row] for row in rows] for name, column in values.items() if name != "file_name"}
        labels += [as_label(value) for value in cells.pop(label)] if label else [None] * len(rows)
        for name in source.columns:
            added.setdefault(name, []).extend(cells.get(name, [None] * len(rows)))
        ids += [f"{printable(file)}:{row + 1}" for row in rows]
    if not ids:
        return source
    return replace(
        source,
        ids=[*source.ids, *ids],
        origins=[*source.origins, *(printable(str(root / name)) for name in ids)],
        labels=[*source.labels, *labels],
        columns={name: [*_values(values), *added[name]] for name, values in source.columns.items()},
        bad=[bad for bad in source.bad if not bad.source.endswith("(no name)")],
    )


def _unmatched(source: ImageSource, path: str) -> DataError:
    """Return the error of a table whose names match no image, with one of each side."""
    place = Path(path)
    there = image_files(walk(place if place.is_dir() else place.parent))
    return DataError(
        f"{printable(path)}: 0 of {plural(len(source.bad), 'row')} name an image that is there, such as "
        f"{source.bad[0].source}, and the images are named as {printable(there[0]) if there else 'none'}; correct the "
        "names in the table"
    )
