"""Reads the parts of items into a cache: images, the words of captions, labels, and which item has what."""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.image.prepare import load_values
from latentviz.modalities.image.prepare import prepare as prepare_images
from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import ImageSource
from latentviz.modalities.joint.config import JointData, Part
from latentviz.modalities.joint.layout import IMAGES, WORDS, Layout
from latentviz.modalities.joint.read import Parts, label_remedy, read
from latentviz.modalities.text.keywords import split
from latentviz.modalities.vectors.prepare import write_texts
from latentviz.progress import plural
from latentviz.runs.files import read_npy

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
    learn = trained is None
    parts = read(data, learn=learn)
    source = parts.source
    images = prepare_images(
        data.of_images(data.path),
        cache,
        seed,
        source=_drawn(parts),
        learn=learn,
        trained=None if trained is None else load_values(trained),
    )
    good = np.array(images.items.column(ROW), np.int64)
    drawn = np.zeros(len(source), bool)
    drawn[good] = True
    some = drawn | (~parts.drawn & np.array([_has_other(parts, data.parts, row) for row in range(len(source))], bool))
    rows = np.flatnonzero(some).tolist()
    lost = np.flatnonzero(~parts.drawn & ~some).tolist()
    bad = [*images.bad, *(BadItem(source.origins[row], "no part of it is there") for row in lost)]
    captions, labels = [parts.captions[row] for row in rows], [source.labels[row] for row in rows]
    left = parts.columns if len(parts.columns) == 1 else ()
    items, changed = prepared.item_table(
        [source.ids[row] for row in rows],
        labels,
        [source.origins[row] for row in rows],
        prepared.held_out(len(rows), data, seed) if len(rows) > 1 else np.zeros(len(rows), bool),
        {name: prepared.chosen(values, np.array(rows)) for name, values in source.columns.items() if name not in left},
        pa.array(captions, pa.string()) if "caption" in data.parts else None,
    )
    shape = read_npy(cache / IMAGES).shape[1:]
    layout = learnt(data, shape, captions, labels, items.train) if trained is None else Layout.load(trained)
    layout.save(cache)
    _write_images(cache / IMAGES, drawn[rows])
    rest = layout.rest(captions, labels, drawn[rows])
    with prepared.writing(cache / WORDS, rest.nbytes) as out:
        prepared.write_header(out, np.uint8, rest.shape)
        out.write(rest.data)
    if "caption" in data.parts:
        write_texts(cache, [caption or "" for caption in captions])
    digest = hashlib.sha256(images.fingerprint.encode())
    digest.update(rest.data)
    resolved = data.model_copy(
        update={
            "size": images.data.size,
            "channels": images.data.channels,
            **({"caption_column": ",".join(parts.columns)} if parts.columns else {}),
        }
    )
    notes = [*images.notes, *changed, counted(layout, rest)]
    return Prepared(items, resolved, bad, prepared.fingerprint(digest, items), notes)


def counted(layout: Layout, rest: np.ndarray) -> str:
    """Return the line that says how many items have each part."""
    sizes = {"caption": f" of {plural(len(layout.words), 'word')}", "label": f" of {len(layout.labels):,} kinds"}
    said = [f"{part}{sizes.get(part, '')} {int(rest[:, mark].sum()):,}" for mark, part in enumerate(layout.parts)]
    return f"parts of {plural(len(rest), 'item')}: {', '.join(said)}"


def _drawn(parts: Parts) -> ImageSource:
    """Return the items that have an image, with a column of their rows."""
    source, rows = parts.source, np.flatnonzero(parts.drawn).tolist()
    return replace(
        source,
        ids=[source.ids[row] for row in rows],
        labels=[source.labels[row] for row in rows],
        origins=[source.origins[row] for row in rows],
        open=lambda i: source.open(rows[i]),
        columns={ROW: rows},
    )


def _has_other(parts: Parts, wanted: Collection[Part], row: int) -> bool:
    """Whether an item has another part than an image."""
    label = "label" in wanted and parts.source.labels[row] is not None
    return label or ("caption" in wanted and parts.captions[row] is not None)


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
            f"{printable(data.path)}: data.parts has label, and all {plural(labelled, 'item')} have the label "
            f"{printable(kinds[0])}; {label_remedy(data)}, or leave label out of data.parts"
        )
    c, h, w = shape
    return Layout(tuple(data.parts), (c, h, w), words, idf, tuple(kinds))
