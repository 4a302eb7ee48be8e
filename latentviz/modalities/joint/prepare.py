"""Reads the parts of items into a cache: images, the words of captions, labels, and which item has what."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import ImageOps

from latentviz.errors import DataError
from latentviz.modalities.features import Item, MissingNetworkError, compute, load
from latentviz.modalities.image.prepare import load_values
from latentviz.modalities.image.prepare import prepare as prepare_images
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import ImageSource, TextSource
from latentviz.modalities.joint.config import JointData
from latentviz.modalities.joint.layout import IMAGES, WORDS, Layout
from latentviz.modalities.joint.read import Parts, label_remedy, read
from latentviz.modalities.joint.vectors import scattered, store
from latentviz.modalities.text.keywords import split
from latentviz.modalities.text.prepare import load as load_tokens
from latentviz.modalities.text.prepare import prepare as prepare_texts
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.vectors.prepare import write_texts
from latentviz.progress import plural
from latentviz.runs.files import read_npy
from latentviz.runs.items import Items

ROW = "joint row"  # a column that says which images could be read
BLANK = 255  # grey level of an item without an image on the map
MOST_LABELS = 1_000
NAMED = 3  # labels in a message


def prepare(data: JointData, cache: Path, seed: int, *, trained: Path | None = None) -> Prepared:
    """Read the items at `data.path` into a cache.

    Args:
        data: where the parts are.
        cache: folder; created if missing.
        seed: of the split.
        trained: the cache of a trained run, whose words and labels stay; None: the items are for training.

    Raises:
        DataError: they cannot be read, a part is missing in all, or they are too few to train on.
    """
    parts = read(data, learn=trained is None)
    wanted = _prepare_texts if data.main == "text" else _prepare_images
    found = wanted(data, parts, cache, seed, trained)
    rows, items = found.rows, found.items
    captions, labels = [parts.captions[row] for row in rows], [parts.source.labels[row] for row in rows]
    known = None if trained is None else Layout.load(trained)
    vectors, more = None, list[str]()
    if "vectors" in data.parts:
        given, more = _vectors(data, parts, rows, trained)
        m = given.shape[1] if known is None else known.vectors
        origin = printable(data.path if data.features == "none" else data.features)
        stored = store(given, data, cache, origin, trained=trained, dimensions=m)
        vectors, metric, more = stored.values, {"metric": stored.metric}, [*more, *stored.notes]
    else:
        metric = {}
    layout = known or learnt(data, found.shape, captions, labels, items.train)
    if known is None:
        layout = replace(
            layout,
            vectors=0 if vectors is None else vectors.shape[1],
            text=0 if found.tokens is None else found.tokens.shape[1],
        )
    layout.save(cache)
    rest = layout.rest(captions, labels, found.drawn, vectors=vectors, tokens=found.tokens)
    with prepared.writing(cache / WORDS, rest.nbytes) as out:
        prepared.write_header(out, np.uint8, rest.shape)
        out.write(rest.data)
    if "caption" in data.parts:
        write_texts(cache, [caption or "" for caption in captions])
    digest = hashlib.sha256(found.fingerprint.encode())
    digest.update(rest.data)
    resolved = data.model_copy(update={**found.settings, **metric})
    notes = [*found.notes, *more, counted(layout, rest)]
    return Prepared(items, resolved, found.bad, prepared.fingerprint(digest, items), notes)


class Main(NamedTuple):
    """What is known of the items once their images or texts are in the cache.

    Attributes:
        rows: the rows of the source that are items.
        items: the table.
        drawn: bool (n,), which items have an image.
        shape: (c, h, w).
        tokens: (n, t), ids of the texts; None: texts are no part.
        settings: that follow from the data.
        bad: rows that were left out.
        fingerprint: of images or texts.
        notes: lines for the user.
    """

    rows: Sequence[int]
    items: Items
    drawn: np.ndarray
    shape: tuple[int, ...]
    tokens: np.ndarray | None
    settings: Mapping[str, object]
    bad: list[BadItem]
    fingerprint: str
    notes: Sequence[str]


def _vectors(data: JointData, parts: Parts, rows: Sequence[int], trained: Path | None) -> tuple[np.ndarray, list[str]]:
    """Return the vectors of the items in these rows, float (n, m) with NaN where there are none, and notes.

    Raises:
        MissingNetworkError: the network that makes them is not here; new items do without.
    """
    n = len(rows)
    if data.features == "none":
        return np.full((n, 1), np.nan) if parts.vectors is None else parts.vectors[rows], []
    what = data.main
    if parts.texts is not None:
        texts = parts.texts
        there = [place for place, row in enumerate(rows) if texts[row]]
        given: Iterator[Item] = (texts[rows[place]] or "" for place in there)
    else:
        there = [place for place, row in enumerate(rows) if parts.drawn[row]]
        given = (ImageOps.exif_transpose(parts.open(rows[place])).convert("RGB") for place in there)
    try:
        if not there:
            return np.full((n, 1), np.nan), []
        return scattered(compute(data.features, given, len(there), what), there, n), [f"features: {data.features}"]
    except MissingNetworkError as error:
        if trained is None:
            raise
        return np.full((n, 1), np.nan), [f"{error}; without, items are encoded from their {what}s alone"]


def _prepare_images(data: JointData, parts: Parts, cache: Path, seed: int, trained: Path | None) -> Main:
    """Decode the images into the cache."""
    source = parts.source
    images = None
    drawn = np.zeros(len(source), bool)
    if parts.drawn.any() or trained is None:
        images = prepare_images(
            data.of_images(data.shown),
            cache,
            seed,
            source=_drawn(parts),
            learn=trained is None,
            trained=None if trained is None else load_values(trained),
        )
        drawn[np.array(images.items.column(ROW), np.int64)] = True
    some = drawn | (~parts.drawn & np.array([_has_other(parts, data, row) for row in range(len(source))], bool))
    rows = np.flatnonzero(some).tolist()
    lost = np.flatnonzero(~parts.drawn & ~some).tolist()
    bad = [BadItem(source.origins[row], "no part of it is there") for row in lost]
    left = parts.columns if len(parts.columns) == 1 else ()
    items, changed = prepared.item_table(
        [source.ids[row] for row in rows],
        [source.labels[row] for row in rows],
        [source.origins[row] for row in rows],
        prepared.held_out(len(rows), data, seed) if len(rows) > 1 else np.zeros(len(rows), bool),
        {name: prepared.chosen(values, np.array(rows)) for name, values in source.columns.items() if name not in left},
        pa.array([parts.captions[row] for row in rows], pa.string()) if "caption" in data.parts else None,
    )
    columns = {"caption_column": ",".join(parts.columns)} if parts.columns else {}
    if images is None:
        assert trained is not None
        shape = Layout.load(trained).image
        blank = np.full((len(rows), *shape), BLANK, np.uint8)
        with prepared.writing(cache / IMAGES, blank.nbytes) as out:
            prepared.write_header(out, np.uint8, blank.shape)
            out.write(blank.data)
        return Main(rows, items, drawn[rows], shape, None, columns, bad, "", [*source.notes, *changed])
    _write_images(cache / IMAGES, drawn[rows])
    return Main(
        rows,
        items,
        drawn[rows],
        read_npy(cache / IMAGES).shape[1:],
        None,
        {"size": images.data.size, "channels": images.data.channels, **columns},
        [*images.bad, *bad],
        images.fingerprint,
        [*images.notes, *changed],
    )


def _prepare_texts(data: JointData, parts: Parts, cache: Path, seed: int, trained: Path | None) -> Main:
    """Write the tokens of the texts into the cache."""
    source, texts = parts.source, parts.texts or ()
    rows = [row for row in range(len(source)) if texts[row] or _has_other(parts, data, row)]
    bad = [BadItem(source.origins[row], "no part of it is there") for row in sorted({*range(len(source))} - {*rows})]
    found = prepare_texts(
        data.of_texts(data.shown),
        cache,
        seed,
        source=TextSource(
            ids=[source.ids[row] for row in rows],
            origins=[source.origins[row] for row in rows],
            labels=[source.labels[row] for row in rows],
            columns={ROW: rows}
            | {name: prepared.chosen(each, np.array(rows)) for name, each in source.columns.items()},
            notes=source.notes,
            bad=[*source.bad, *bad],
            texts=pa.chunked_array([pa.array([texts[row] or "" for row in rows], pa.string())]),
        ),
        tokenizer=None if trained is None else Tokenizer.load(trained),
    )
    rows = found.items.column(ROW)
    settings = {name: getattr(found.data, name) for name in ("tokens", "min_count", "max_length")}
    settings |= {"size": 1, "channels": 1}  # there are no images
    return Main(
        rows,
        Items(found.items.table.drop_columns([ROW])),
        np.zeros(len(rows), bool),
        (0, 0, 0),
        np.array(load_tokens(cache)),
        settings,
        found.bad,
        found.fingerprint,
        found.notes,
    )


def counted(layout: Layout, rest: np.ndarray) -> str:
    """Return the line that says how many items have each part."""
    sizes = {"caption": f" of {plural(len(layout.words), 'word')}", "label": f" of {len(layout.labels):,} kinds"}
    said = [f"{part}{sizes.get(part, '')} {int(rest[:, mark].sum()):,}" for mark, part in enumerate(layout.parts)]
    return f"parts of {plural(len(rest), 'item')}: {', '.join(said)}"


def _drawn(parts: Parts) -> ImageSource:
    """Return the items that have an image, with a column of their rows."""
    source, rows = parts.source, np.flatnonzero(parts.drawn).tolist()
    assert isinstance(source, ImageSource)
    return replace(
        source,
        ids=[source.ids[row] for row in rows],
        labels=[source.labels[row] for row in rows],
        origins=[source.origins[row] for row in rows],
        open=lambda i: source.open(rows[i]),
        columns={ROW: rows},
    )


def _has_other(parts: Parts, data: JointData, row: int) -> bool:
    """Whether an item has another part than its image or text."""
    label = "label" in data.parts and parts.source.labels[row] is not None
    vector = parts.vectors is not None and not np.isnan(parts.vectors[row]).any()
    return label or vector or ("caption" in data.parts and parts.captions[row] is not None)


def _write_images(file: Path, drawn: np.ndarray) -> None:
    """Write blank images between those that could be read, so that row i is of item i."""
    if drawn.all():
        return
    images = np.array(read_npy(file))
    found = np.full((len(drawn), *images.shape[1:]), BLANK, np.uint8)
    found[drawn] = images
    with prepared.writing(file, found.nbytes) as out:
        prepared.write_header(out, np.uint8, found.shape)
        out.write(found.data)


def check(data: JointData, parts: Parts, seed: int) -> None:
    """Raise what `prepare` would raise of items to train on, without decoding their images."""
    n = len(parts.source)
    prepared.require_trainable(n, parts.source.bad, data, "item", alike=False)
    train = np.flatnonzero(~prepared.held_out(n, data, seed))
    learnt(data, (0, 0, 0), parts.captions, parts.source.labels, train)
    if data.features != "none":
        load(data.features, data.main)


def learnt(
    data: JointData,
    shape: tuple[int, ...],
    captions: Sequence[str | None],
    labels: Sequence[str | None],
    train: np.ndarray,
) -> Layout:
    """Learn the words of the training items' captions, and the labels.

    Raises:
        DataError: no word is in enough captions, or the labels are too many to be classes.
    """
    words: tuple[str, ...] = ()
    idf: tuple[float, ...] = ()
    if "caption" in data.parts:
        items: dict[str, int] = {}
        said = [set(split(caption, every=True)) for row in train.tolist() if (caption := captions[row]) is not None]
        for word in (word for each in said for word in each):
            items[word] = items.get(word, 0) + 1
        kept = sorted((word for word, n in items.items() if n >= data.min_items), key=lambda word: (-items[word], word))
        words = tuple(kept[: data.words])
        idf = tuple(math.log(len(said) / items[word]) for word in words)
        if not any(idf):
            raise DataError(
                f"{printable(data.path)}: no word is in {data.min_items:,} or more of the "
                f"{plural(len(said), 'caption')} of the training items and not in all; name other columns with "
                "data.caption_column=…, lower data.min_items, or leave caption out of data.parts"
            )
    kinds = sorted({label for label in labels if label is not None}) if "label" in data.parts else []
    labelled = sum(label is not None for label in labels)
    among = labelled if data.labels == "none" else len(labels)  # a few labels stand for many items
    if len(kinds) > min(MOST_LABELS, max(2, among // 2)):
        raise DataError(
            f"{printable(data.path)}: data.parts has label, and there are {plural(len(kinds), 'label')} for "
            f"{plural(labelled, 'item')}, such as {', '.join(map(printable, kinds[:NAMED]))}; a label is a class that "
            f"many items share, at most {MOST_LABELS:,} of them; {label_remedy(data)}, or leave label out "
            "of data.parts"
        )
    if "label" in data.parts and len(kinds) < 2:
        raise DataError(
            f"{printable(data.path)}: data.parts has label, and {plural(labelled, 'item has', 'items have')} the label "
            f"{printable(kinds[0])}; {label_remedy(data)}, or leave label out of data.parts"
        )
    c, h, w = shape
    return Layout(tuple(data.parts), (c, h, w), words, idf, tuple(kinds))
