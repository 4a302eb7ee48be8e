"""Shows items and decoded outputs by their image, caption and label. Does not import torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latentviz.modalities.image.show import save
from latentviz.modalities.joint.layout import Layout, Packed
from latentviz.modalities.text.show import draw as draw_texts
from latentviz.modalities.vectors.show import Shown, draw_sheet, lines
from latentviz.runs.items import Items

WORDS = 10  # likeliest words of an output, at most
LIKELY = 0.25  # of the probability of the likeliest word: less likely ones are not printed
LABELLED = " · "  # between the words and the label

__all__ = ["Shown", "draw", "draw_sheet", "given", "lines"]


def given(cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> list[Shown]:
    """Return the items' captions, or ids where they have none, with their images."""
    packed, rows = Packed(cache, len(items)), np.asarray(rows, np.int64)
    chosen = items.table.take(rows)
    ids = chosen.column("id").to_pylist()
    texts = chosen.column("text").to_pylist() if "text" in chosen.column_names else ids
    images = "image" in packed.layout.parts
    drawn = packed.has("image")[rows] if images else np.zeros(len(rows), bool)
    return [
        Shown(text or name, np.array(packed.images[row]) if there else None)
        for text, name, row, there in zip(texts, ids, rows, drawn, strict=True)
    ]


def described(layout: Layout, expected: np.ndarray) -> list[str]:
    """Return the likeliest words of each output, the most telling first, and its label.

    Words are in the order of p·idf: without idf, those that nearly all captions have would come first. Those that all
    captions have say nothing, and are left out.

    Args:
        layout: where the parts are.
        expected: float (m, p), what is expected of each part.
    """
    said = [list[str]() for _ in expected]
    if "caption" in layout.parts:
        idf = np.asarray(layout.idf)
        likely = np.where(idf > 0, expected[:, layout.slices["caption"]], 0)
        likely[likely < LIKELY * likely.max(axis=1, keepdims=True)] = 0
        for row, order in enumerate(np.argsort(-likely * idf, axis=1, kind="stable")[:, :WORDS]):
            said[row].append(" ".join(layout.words[word] for word in order if likely[row, word]))
    if "label" in layout.parts:
        for row, label in enumerate(expected[:, layout.slices["label"]].argmax(axis=1)):
            said[row].append(layout.labels[label])
    return [LABELLED.join(parts) for parts in said]


def draw(
    folder: Path, outputs: Sequence[Shown], groups: Sequence[tuple[str, Sequence[Shown]]]
) -> tuple[list[str], list[str]]:
    """Write each output as an image or a text, and the sheets; return the sheets' files and each output's file.

    Args:
        folder: where to write.
        outputs: decoded images with their words, or texts.
        groups: captions and rows of the sheet.
    """
    if all(output.image is None for output in outputs):
        return draw_texts(folder, outputs, groups)
    files = save(folder, [output.image for output in outputs if output.image is not None])
    return draw_sheet(folder, groups), files
