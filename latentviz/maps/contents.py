"""The blocks of a map file: each function packs one part of `MapData` for the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentviz.clustering.tree import central
from latentviz.maps import blocks
from latentviz.maps.data import FILE_LIMIT, MapData
from latentviz.maps.palette import NOISE, cluster_colours
from latentviz.maps.thumbnails import PER_SHEET, make_sheets

# The budget of one file: 2 MB, 10 B a point, 25 B for its latents and 210 B for its thumbnail as base64. Beyond the
# file's limit thumbnails give way first, then the latents of some of the points: coarser ones of all points would make
# the decoder draw something else.
BASE, A_POINT, A_LATENT, A_THUMBNAIL = 2_000_000, 10, 25, 210
# So many neighbours of each item, each of some 2.5 B at a million; fewer where they would make the file too large.
NEIGHBOURS, A_NEIGHBOUR = 8, 2.5
# Small maps may spend this much on sharper thumbnails.
SMALL_SHEETS = 3_000_000
# And this much on the decoder and finer latents.
SMALL_LATENTS = 1_200_000
# Above this many points numbers travel as 8 instead of 16 bits, and neighbours are found in the page.
MANY = 20_000
TEXT_LIMIT = 20_000
# Categories beyond this many share the grey: no eye tells more colours apart.
COLOURED = 80


def for_thumbnails(count: int, beside: int, limit: int = FILE_LIMIT) -> int:
    """Returns the bytes of base64 that the file's limit leaves for thumbnails of so many points.

    Args:
        count: points.
        beside: bytes that the latents take.
        limit: bytes that the file may take.
    """
    left = limit - BASE - A_POINT * count - beside
    return max(SMALL_SHEETS * 4 // 3, min(A_THUMBNAIL * count, left))


def for_latents(count: int) -> int:
    """Returns the bytes of base64 that the decoder and the latents of so many points would best take."""
    return max(SMALL_LATENTS, A_LATENT * count)


def left_for_latents(count: int, limit: int = FILE_LIMIT, *, pictured: bool = True) -> int:
    """Returns the bytes of base64 that the file's limit leaves for the decoder and latents, thumbnails at their least.

    Args:
        count: points.
        limit: bytes that the file may take.
        pictured: whether there are thumbnails.
    """
    return limit - BASE - A_POINT * count - (SMALL_SHEETS * 4 // 3 if pictured else 0)


@dataclass(frozen=True)
class Part:
    """What one layer puts into the file.

    Attributes:
        blocks: name → packed base64 text.
        meta: what the page must know about them, as JSON.
        notes: what the reader must be told, such as that only some items have thumbnails.
    """

    blocks: dict[str, str] = field(default_factory=dict)
    meta: Any = None
    notes: list[str] = field(default_factory=list)


def order_of(data: MapData) -> np.ndarray:
    """Returns the rows (m,) with a place on the map in drawing order: noise first, then by cluster."""
    rows = np.flatnonzero(data.placed)
    ordered: np.ndarray = rows[np.argsort(np.asarray(data.cluster)[rows], kind="stable")]
    return ordered


def pack_points(data: MapData, order: np.ndarray) -> Part:
    """Returns coordinates, rows, probabilities and outlier scores, and the list of clusters."""
    points = np.asarray(data.points, np.float64)[order]
    low, high = (points.min(axis=0), points.max(axis=0)) if len(order) else (np.zeros(2), np.ones(2))
    high = np.where(high > low, high, low + 1)
    cluster = np.asarray(data.cluster)[order]
    packed = b"".join(
        [
            *(blocks.planes(blocks.quantise(points[:, axis], low[axis], high[axis])) for axis in (0, 1)),
            blocks.planes(np.diff(order, prepend=0).astype(np.int32)),
            blocks.quantise(np.asarray(data.probability)[order], 0, 1, 8).tobytes(),
            blocks.quantise(np.asarray(data.outlier_score)[order], 0, 1, 8).tobytes(),
            blocks.planes(np.asarray(data.nearest_cluster)[order][cluster < 0].astype(np.int16)),
        ]
    )
    meta = {"count": len(order), "rows": len(data), "bounds": [*low, *high], "clusters": describe_clusters(data, order)}
    return Part({"points": blocks.pack(packed)}, meta)


def describe_clusters(data: MapData, order: np.ndarray) -> list[dict[str, Any]]:
    """Returns what the page knows of each cluster, noise first; items are given by their place in `order`."""
    cluster = np.asarray(data.cluster)[order]
    points = np.asarray(data.points)
    names, starts, sizes = np.unique(cluster, return_index=True, return_counts=True)
    colours = cluster_colours(points[order], cluster, [int(c) for c in names if c >= 0])
    place = np.full(len(data), -1, np.int64)
    place[order] = np.arange(len(order))
    found = []
    for name, start, size in zip(names.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        rows = order[start : start + size]
        info = dict(data.cluster_info.get(name, {})) if name >= 0 else {}
        exemplars = [int(place[row]) for row in info.get("exemplars", [])[:12]]
        medoid = int(place[info["medoid"]]) if info.get("medoid") is not None else int(start + central(points[rows]))
        found.append(
            {
                "id": name,
                "name": data.name(name),
                "start": start,
                "size": size,
                "colour": colours.get(name, NOISE),
                "centre": points[rows[central(points[rows])]],
                "medoid": medoid,
                "exemplars": [e for e in exemplars if e >= 0],
                "persistence": info.get("persistence"),
                "keywords": list(info.get("keywords", []))[:12],
                "label": dominant([data.labels[row] for row in rows]) if data.labels is not None else None,
            }
        )
    return found


def dominant(labels: Sequence[str | None]) -> list[Any] | None:
    """Returns the commonest label and its share.

    >>> dominant(["cat", "cat", "dog", None])
    ['cat', 0.5]
    """
    known = Counter(label for label in labels if label is not None)
    if not known:
        return None
    label, times = known.most_common(1)[0]
    return [label, times / len(labels)]


def pack_items(data: MapData, order: np.ndarray) -> Part:
    """Returns ids, sources, texts, and the fields to colour and filter by: the label, then every column."""
    packed = {"ids": blocks.pack_json(blocks.texts(data.ids))}
    if data.sources:
        packed["sources"] = blocks.pack_json(blocks.texts(data.sources))
    if data.texts is not None:
        packed["texts"] = blocks.pack_json({"list": [str(text)[:TEXT_LIMIT] for text in data.texts]})
    named: dict[str, Sequence[Any]] = {} if data.labels is None else {"label": data.labels}
    fields: list[dict[str, Any]] = []
    for name, values in [*named.items(), *data.columns.items()]:
        meta, content = pack_field(values, order, np.asarray(data.points))
        packed[f"field-{len(fields)}"] = content
        fields.append({"name": name, **meta})
    return Part(packed, {"fields": fields, "sources": bool(data.sources), "texts": data.texts is not None})


def pack_field(values: Sequence[Any], order: np.ndarray, points: np.ndarray) -> tuple[dict[str, Any], str]:
    """Returns the description and the packed content of one column: numbers, categories, or texts.

    Step 0 of numbers and category 0 stand for a missing value. Categories that lie side by side on the map get
    colours that differ, as clusters do.
    """
    taken = [values[row] for row in order]
    present = [value for value in taken if not _missing(value)]
    if present and all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in present):
        numbers = np.array([np.nan if _missing(v) else float(v) for v in taken])
        whole = all(float(v).is_integer() for v in present)
        return _pack_numbers(numbers, whole=whole)
    names = sorted({str(value) for value in present})
    if len(names) <= max(20, min(256, len(taken) // 4)):
        number = {name: i + 1 for i, name in enumerate(names)}
        steps = np.array([0 if _missing(v) else number[str(v)] for v in taken], np.uint16)
        colours = cluster_colours(points[order], steps.astype(np.int32) - 1, list(range(min(len(names), COLOURED))))
        meta = {
            "kind": "category",
            "bits": 16,
            "names": names,
            "colours": [colours.get(k, NOISE) for k in range(len(names))],
        }
        return meta, blocks.pack(blocks.planes(steps))
    return {"kind": "text"}, blocks.pack_json(blocks.texts([None if _missing(v) else v for v in values]))


def _pack_numbers(numbers: np.ndarray, *, whole: bool) -> tuple[dict[str, Any], str]:
    """Returns the description and content of numbers, in equal steps of their range."""
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    exact = whole and high - low < 65_534
    bits = 8 if (exact and high - low < 254) or (not exact and len(numbers) > MANY) else 16
    top = 2**bits - 2
    reach = top if exact else (high - low) or 1.0
    steps = blocks.quantise(numbers, low - reach / top, low + reach, bits)
    steps[~np.isfinite(numbers)] = 0
    meta = {"kind": "number", "bits": bits, "low": low, "step": reach / top, "high": high, "whole": whole}
    return meta, blocks.pack(blocks.planes(steps))


def _missing(value: Any) -> bool:
    """Returns whether a value says that there is none."""
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def pack_thumbnails(data: MapData, order: np.ndarray) -> Part:
    """Returns the WebP sheets, as sharp as the file's budget allows."""
    if data.images is None or not len(order):
        return Part()
    decodes = data.decoder is not None and data.decoder.texts is None
    latents = min(for_latents(len(order)), left_for_latents(len(order), data.file_limit)) if decodes else 0
    budget = for_thumbnails(len(order), latents, data.file_limit) * 3 // 4
    sheets = make_sheets(data.images, order, budget)
    packed = {f"sheet-{i}": blocks.encode(webp) for i, webp in enumerate(sheets.webp)}
    notes = []
    if len(sheets.places) < len(order):
        packed["pictured"] = blocks.pack_places(sheets.places)
        notes.append(f"Thumbnails of {len(sheets.places):,} of {len(order):,} items, to keep the file small.")
    pixels = data.images.shape[2:]
    if (sheets.height, sheets.width) != pixels:
        size = f"{sheets.width}×{sheets.height}"
        notes.append(f"Thumbnails are {size} pixels; the images, {pixels[1]}×{pixels[0]}.")
    meta = {
        "width": sheets.width,
        "height": sheets.height,
        "count": len(sheets.places),
        "per_sheet": PER_SHEET,
        "quality": sheets.quality,
    }
    return Part(packed, meta, notes)


def pack_neighbours(data: MapData, order: np.ndarray) -> Part:
    """Returns the nearest neighbours in μ of few items; of many, the page finds them in the latents."""
    if data.neighbours is None or (len(order) > MANY and data.decoder is not None and data.decoder.texts is None):
        return Part()
    left = left_for_latents(len(order), data.file_limit, pictured=data.images is not None)
    fitting = int(left / (A_NEIGHBOUR * max(1, len(order))))
    k = min(NEIGHBOURS, data.neighbours.shape[1], max(1, fitting))
    place = np.full(len(data), -1, np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    near = place[np.asarray(data.neighbours)[order][:, :k]]
    return Part({"neighbours": blocks.pack(blocks.planes(near.reshape(-1)))}, {"k": k})
