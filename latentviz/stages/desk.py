"""What the page of `explore` may ask of a run: originals, decoding, the place of a new item, rows of the table."""

import base64
import io
import re
import threading
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from pydantic import Base64Bytes, Field

from latentviz.errors import ArgumentError, DataError, LatentvizError, choose
from latentviz.maps.data import Served
from latentviz.modalities.base import Shown
from latentviz.model.encoding import posteriors
from latentviz.progress import one_line
from latentviz.queries.filter import select
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import Options, at_position
from latentviz.runs.files import is_file
from latentviz.serving.server import Call, Question
from latentviz.stages.again import Again, AskAgain, AskKeep
from latentviz.stages.encode import Frozen, Thresholds, thresholds
from latentviz.stages.recommend import Search, compared
from latentviz.stages.sharing import AskAnnotate, AskAnnotations, RowNumber, Shared

LARGEST_FILE = 2**25  # bytes of a new item
LARGEST_CHANGE = 2**25  # bytes of a change of annotations: a tag for some 4 million rows
LONGEST_TEXT = 2**15  # characters of a new item
NEAREST = 12  # items listed for a new one
PAGE = 500  # rows of the table in one answer
WIDEST = 300  # characters of a cell
LOSSLESS = 2**20  # pixels up to which an image is sent as PNG; larger ones as JPEG, which is ten times as small
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,8}){0,2}")

D = TypeVar("D", bound="Desk")
Q = TypeVar("Q", bound=Question)
Finite = Annotated[float, Field(allow_inf_nan=False)]


class AskOriginal(Question):
    """Asks for an item as its source has it."""

    row: RowNumber


class AskSpot(Question):
    """Asks what the decoder makes of a position on the map."""

    x: Finite
    y: Finite


class AskPlace(Question):
    """Asks where a new item belongs: a text, or the bytes of a file with its suffix."""

    text: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    file: Base64Bytes | None = None
    suffix: Annotated[str, Field(max_length=18)] = ""


class AskRows(Question):
    """Asks for a part of the table: the rows that meet `where`, sorted."""

    start: RowNumber = 0
    count: Annotated[int, Field(ge=0, le=PAGE)] = 100
    sort: str | None = None
    descending: bool = False
    where: Annotated[str, Field(max_length=2_000)] = ""


class AskMatching(Question):
    """Asks which rows meet a condition; an empty one: all."""

    where: Annotated[str, Field(max_length=2_000)] = ""


def _one_at_a_time(answer: Callable[[D, Q], Mapping[str, object]]) -> Callable[[D, Q], Mapping[str, object]]:
    """Lets a method run in one thread at a time: model, caches and Pillow's warnings are shared."""

    @wraps(answer)
    def call(desk: D, question: Q) -> Mapping[str, object]:
        with desk.busy:
            return answer(desk, question)

    return call


class Desk:
    """Answers about one clustering of a run; what takes long to open is opened once, when it is first needed.

    Args:
        lookup: the run and the clustering.
    """

    def __init__(self, lookup: Lookup) -> None:
        self.lookup, self.busy = lookup, threading.Lock()
        self.shared, self.clusters = Shared(lookup.folder), Again(lookup)
        self._sorted: tuple[object, tuple[pa.Table, np.ndarray]] = (None, (pa.table({}), np.empty(0, np.int64)))

    @property
    def served(self) -> Served:
        """What the page may ask."""
        modality = self.lookup.opened.modality
        return Served(modality.takes_words, not modality.writes_texts, self.clusters.sizes, self.clusters.size)

    @property
    def calls(self) -> dict[str, Call]:
        """Every question, by the name that the page asks it with."""
        return {
            "original": Call(AskOriginal, self.original),
            "decode": Call(AskSpot, self.decode),
            "place": Call(AskPlace, self.place, LARGEST_FILE * 4 // 3 + 2**17),
            "rows": Call(AskRows, self.rows),
            "matching": Call(AskMatching, self.matching),
            "again": Call(AskAgain, self.again),
            "keep": Call(AskKeep, self.keep),
            "annotations": Call(AskAnnotations, self.shared.read),
            "annotate": Call(AskAnnotate, self.shared.change, LARGEST_CHANGE),
        }

    @cached_property
    def frozen(self) -> Frozen:
        """The clustering, ready to place new items in."""
        return Frozen(self.lookup)

    @cached_property
    def limits(self) -> Thresholds:
        """When a new item is unlike the training data."""
        return thresholds(self.lookup, self.frozen)

    @cached_property
    def search(self) -> Search:
        """Finds the items most similar to a new one, as `recommend` does."""
        return Search(self.lookup.mu[:, : compared(self.lookup.opened, "auto")])

    @cached_property
    def _originals(self) -> Callable[[int], np.ndarray] | None:
        opened = self.lookup.opened
        return opened.modality.open_originals(opened.config, opened.items)

    @_one_at_a_time
    def original(self, question: AskOriginal) -> Mapping[str, object]:
        """Return an item from its source or, where that is gone, from the run's cache, with the reason."""
        row = question.row
        if row >= len(self.lookup):
            raise ArgumentError(f"row: must be 0 to {len(self.lookup) - 1} (got {row})")
        try:
            if self._originals is not None:
                return {"from": "source", **shown(self._originals(row))}
        except LatentvizError as error:
            return {"from": "cache", "why": one_line(str(error)), **shown(self.lookup.given([row])[0])}
        return {"from": "cache", **shown(self.lookup.given([row])[0])}

    @_one_at_a_time
    def decode(self, question: AskSpot) -> Mapping[str, object]:
        """Return what `generate --at` makes of a position, and whether there is data near it."""
        plan = at_position(self.lookup, (question.x, question.y), Options(np.random.default_rng(0)))
        model = self.lookup.model
        [output] = model.kind.decode_all(model.vae, plan.z, plan.noise)
        return {"near": plan.facts["near_data"], **shown(output)}

    @_one_at_a_time
    def place(self, question: AskPlace) -> Mapping[str, object]:
        """Encode a new item; return its place on the map, its cluster, and the items most similar to it."""
        found, notes, stored = self._read(question)
        model = self.lookup.model
        latents = posteriors(model.vae, stored[None], model.kind.to_input)
        place = {name: values[0].item() for name, values in self.frozen.place(latents.mu).items()}
        unlike = bool(
            latents.log_likelihood[0] < self.limits.log_likelihood or place["distance"] > self.limits.distance
        )
        vectors = self.search.vectors
        near = self.search(latents.mu[0, : vectors.shape[1]], min(NEAREST, len(vectors)))
        return {
            **{name: place[name] for name in ("x", "y", "cluster", "nearest_cluster")},
            "unlike": unlike,
            "notes": notes,
            "near": [
                {"row": row, "score": round(score, 4)}
                for row, score in zip(near.rows.tolist(), near.scores.tolist(), strict=True)
            ],
            **shown(found),
        }

    @_one_at_a_time
    def again(self, question: AskAgain) -> Mapping[str, object]:
        """Return the clusters with another smallest size."""
        self.shared.current()
        return self.clusters.show(question)

    @_one_at_a_time
    def keep(self, question: AskKeep) -> Mapping[str, object]:
        """Write those clusters into the run."""
        self.shared.current()
        return self.clusters.keep(question)

    def _read(self, question: AskPlace) -> tuple[Shown, list[str], np.ndarray]:
        """Read a new item; no word of the page is taken for a path."""
        text, words = question.text, self.lookup.opened.modality.takes_words
        if (text is None) == (question.file is None):
            raise ArgumentError("text: give a text or a file, and not both")
        if text is not None and not words:
            raise ArgumentError("text: the items of this run are no texts; give a file")
        if not _SUFFIX.fullmatch(question.suffix):
            raise ArgumentError("suffix: must be one such as .png or .csv.gz")
        with TemporaryDirectory(prefix="latentviz-") as folder:
            word = text or ""
            if text is None or is_file(text):
                content = question.file if question.file is not None else (text or "").encode("utf-8", "replace")
                if len(content) > LARGEST_FILE:
                    raise ArgumentError(f"file: must have {LARGEST_FILE:,} bytes at most (got {len(content):,})")
                file = Path(folder) / f"item{question.suffix if text is None else '.txt'}"
                file.write_bytes(content)
                word = str(file)
            try:
                read = self.lookup.read(word)
            except LatentvizError as error:  # the page need not know where the file lay
                raise DataError(str(error).replace(f"{folder}/", "")) from None
        if read is None:
            raise DataError("nothing in it can be read as an item of this run; give another one")
        return read.shown, list(read.notes), read.stored

    @_one_at_a_time
    def rows(self, question: AskRows) -> Mapping[str, object]:
        """Return the rows of a part of the table, the names of its columns, and how many rows there are in all."""
        table, order = self._order(question.where.strip(), question.sort, descending=question.descending)
        names = table.column_names
        chosen = order[question.start : question.start + question.count]
        part = table.take(pa.array(chosen, pa.int64()))
        return {
            "columns": [{"name": name, "number": _is_number(part.schema.field(name).type)} for name in names],
            "total": len(order),
            "rows": chosen.tolist(),
            "cells": [[_cell(value) for value in part.column(name).to_pylist()] for name in names],
        }

    @_one_at_a_time
    def matching(self, question: AskMatching) -> Mapping[str, object]:
        """Return the numbers of the rows that meet a condition."""
        return {"rows": self._order(question.where.strip(), None, descending=False)[1].tolist()}

    def _order(self, where: str, sort: str | None, *, descending: bool) -> tuple[pa.Table, np.ndarray]:
        """Return the table, and the rows that meet a condition, int64, sorted.

        The table has the points with their annotations, and the split. The last result is kept for the next page of it.
        """
        version, points, _ = self.shared.current()
        asked = (version, where, sort, descending)
        if self._sorted[0] != asked:
            table = points.append_column("split", self.lookup.items.table.column("split"))
            met = select(where, table) if where else np.ones(table.num_rows, bool)
            order = np.arange(table.num_rows)
            if sort is not None:
                choose(dict.fromkeys(table.column_names), sort, "sort")
                values = table.column(sort)
                if pa.types.is_nested(values.type):
                    values = pa.chunked_array([pa.array([_cell(value) for value in values.to_pylist()], pa.string())])
                way = "descending" if descending else "ascending"
                order = pc.sort_indices(values, sort_keys=[("", way)]).to_numpy().astype(np.int64)
            self._sorted = asked, (table, order[met[order]])
        return self._sorted[1]


def shown(item: Shown) -> dict[str, object]:
    """Describe an item or an output as the page shows it: an image as a data URL with its size, and a text."""
    image = item if isinstance(item, np.ndarray) else getattr(item, "image", None)
    found: dict[str, object] = {} if isinstance(item, np.ndarray) else {"text": str(item)}
    if image is not None:
        c, h, w = image.shape
        picture = Image.fromarray(image[0] if c == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
        kind = "png" if h * w <= LOSSLESS else "jpeg"
        stream = io.BytesIO()
        picture.save(stream, kind, **({} if kind == "png" else {"quality": 92}))
        data = base64.b64encode(stream.getvalue()).decode()
        found |= {"image": f"data:image/{kind};base64,{data}", "width": w, "height": h}
    return found


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cell(value: object) -> object:
    """Return a value as JSON has it, texts cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"
