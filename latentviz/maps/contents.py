"""The blocks of a map file: each function packs one part of `MapData` for the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentviz.clustering.tree import central
from latentviz.maps import blocks
from latentviz.maps.data import FILE_LIMIT, ClusterInfo, MapData
from latentviz.maps.palette import NOISE, cluster_colours

# A file's budget in bytes: fixed part, and per point, per item's latent, per thumbnail (as base64). Beyond the file's
# limit thumbnails are reduced first, then latents of some items are dropped: coarser latents of all items would make
# the decoder draw something else.
BASE, A_POINT, A_LATENT, A_THUMBNAIL = 2_000_000, 10, 25, 210
# Nearest neighbours stored per item and bytes per neighbour at a million items; fewer where the limit asks for it.
NEIGHBOURS, A_NEIGHBOUR = 8, 2.5
SMALL_SHEETS = 3_000_000  # bytes that thumbnails may always take, so that small maps have sharp ones
SMALL_LATENTS = 1_200_000  # bytes that the decoder and the latents may always take
MANY = 20_000  # points above which numbers are stored in 8 instead of 16 bits and the page finds neighbours itself
TEXT_LIMIT = 20_000  # characters
COLOURED = 80  # categories with a colour; the eye does not tell more apart, so the rest are grey
SHOWN = 12  # exemplars and keywords of a cluster


def thumbnail_budget(count: int, latents: int, limit: int = FILE_LIMIT) -> int:
    """Computes the bytes of base64 for the thumbnails of `count` points, given those that the latents take."""
    return max(SMALL_SHEETS * 4 // 3, min(A_THUMBNAIL * count, limit - BASE - A_POINT * count - latents))


def latent_budget(count: int) -> int:
    """Computes the bytes of base64 wanted for the decoder and the latents of `count` points."""
    return max(SMALL_LATENTS, A_LATENT * count)


def latent_room(count: int, limit: int = FILE_LIMIT, *, thumbnails: bool = True) -> int:
    """Computes the bytes of base64 that the limit leaves for decoder and latents, thumbnails at their smallest."""
    return limit - BASE - A_POINT * count - (SMALL_SHEETS * 4 // 3 if thumbnails else 0)


@dataclass(frozen=True)
class Part:
    """What one layer puts into the file."""

    blocks: dict[str, str] = field(default_factory=dict)  # name → packed base64 text
    meta: Mapping[str, object] | None = None  # what the page must know about them, as JSON
    # limitations to show to the reader, such as that only some items have thumbnails
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MapCluster:
    """A cluster as the page shows it; items are given by their index in the drawing order."""

    id: int  # number, −1 for noise
    name: str
    start: int  # index of its first item
    size: int
    colour: str
    centre: np.ndarray  # (2,), map coordinates of its label
    medoid: int
    exemplars: Sequence[int]
    persistence: float | None
    keywords: Sequence[str]
    label: tuple[str, float] | None  # its commonest label and that label's share

    @property
    def rows(self) -> slice:
        """Its items in the drawing order."""
        return slice(self.start, self.start + self.size)


def pack_points(data: MapData) -> Part:
    """Packs coordinates, rows, probabilities and outlier scores, and the list of clusters."""
    order = data.order
    points = np.asarray(data.points, np.float64)[order]
    low, high = (points.min(axis=0), points.max(axis=0)) if len(order) else (np.zeros(2), np.ones(2))
    high = np.where(high > low, high, low + 1)
    noise = np.asarray(data.cluster)[order] < 0
    packed = b"".join(
        [
            *(blocks.planes(blocks.quantise(points[:, axis], low[axis], high[axis])) for axis in (0, 1)),
            blocks.planes(np.diff(order, prepend=0).astype(np.int32)),
            blocks.quantise(np.asarray(data.probability)[order], 0, 1, 8).tobytes(),
            blocks.quantise(np.asarray(data.outlier_score)[order], 0, 1, 8).tobytes(),
            blocks.planes(np.asarray(data.nearest_cluster)[order][noise].astype(np.int16)),
        ]
    )
    clusters = [vars(cluster) for cluster in describe_clusters(data)]
    meta = {"count": len(order), "rows": len(data), "bounds": [*low, *high], "clusters": clusters}
    return Part({"points": blocks.pack(packed)}, meta)


def describe_clusters(data: MapData) -> list[MapCluster]:
    """Describes the clusters for the page, noise first."""
    order, place, points = data.order, data.place, np.asarray(data.points)
    cluster = np.asarray(data.cluster)[order]
    names, starts, sizes = np.unique(cluster, return_index=True, return_counts=True)
    colours = cluster_colours(points[order], cluster, [int(c) for c in names if c >= 0], data.cluster_colours)
    found = []
    for name, start, size in zip(names.tolist(), starts.tolist(), sizes.tolist(), strict=True):
        rows = order[start : start + size]
        info = data.cluster_info.get(name, ClusterInfo()) if name >= 0 else ClusterInfo()
        middle = central(points[rows])
        exemplars = [int(place[row]) for row in info.exemplars[:SHOWN]]
        found.append(
            MapCluster(
                id=name,
                name=data.name(name),
                start=start,
                size=size,
                colour=colours.get(name, NOISE),
                centre=points[rows[middle]],
                medoid=int(start + middle if info.medoid is None else place[info.medoid]),
                exemplars=[index for index in exemplars if index >= 0],
                persistence=info.persistence,
                keywords=list(info.keywords)[:SHOWN],
                label=None if data.labels is None else dominant([data.labels[row] for row in rows]),
            )
        )
    return found


def dominant(labels: Sequence[str | None]) -> tuple[str, float] | None:
    """Finds the commonest label and its share.

    >>> dominant(["cat", "cat", "dog", None])
    ('cat', 0.5)
    """
    known = Counter(label for label in labels if label is not None)
    return next(((label, times / len(labels)) for label, times in known.most_common(1)), None)


def pack_items(data: MapData) -> Part:
    """Packs ids, sources, texts, and the fields to colour and filter by: the label, then every column."""
    packed = {"ids": blocks.pack_json(blocks.texts(data.ids))}
    if data.sources:
        packed["sources"] = blocks.pack_json(blocks.texts(data.sources))
    if data.texts is not None:
        packed["texts"] = blocks.pack_json({"list": [str(text)[:TEXT_LIMIT] for text in data.texts]})
    columns: dict[str, Sequence[object]] = {} if data.labels is None else {"label": data.labels}
    fields: list[dict[str, object]] = []
    for name, values in [*columns.items(), *data.columns.items()]:
        meta, packed[f"field-{len(fields)}"] = pack_field(values, data)
        fields.append({"name": name, **meta})
    return Part(packed, {"fields": fields, "sources": bool(data.sources), "texts": data.texts is not None})


def pack_field(values: Sequence[object], data: MapData) -> tuple[dict[str, object], str]:
    """Describes and packs one column: numbers, categories, or texts.

    Step 0 of numbers and category 0 stand for a missing value. Categories next to each other on the map get colours
    that differ, as clusters do.
    """
    order = data.order
    taken = [values[row] for row in order]
    present = [value for value in taken if not _missing(value)]
    numbers = [float(v) for v in present if isinstance(v, (int, float, np.number)) and not isinstance(v, bool)]
    if present and len(numbers) == len(present):
        filled = np.full(len(taken), np.nan)
        filled[[not _missing(value) for value in taken]] = numbers
        return _pack_numbers(filled, whole=all(v.is_integer() for v in numbers))
    names = sorted({str(value) for value in present})
    if len(names) > max(20, min(256, len(taken) // 4)):
        return {"kind": "text"}, blocks.pack_json(blocks.texts([None if _missing(v) else v for v in values]))
    index = {name: i + 1 for i, name in enumerate(names)}
    steps = np.array([0 if _missing(v) else index[str(v)] for v in taken], np.uint16)
    chosen = list(range(min(len(names), COLOURED)))
    colours = cluster_colours(np.asarray(data.points)[order], steps.astype(np.int32) - 1, chosen)
    shown = [colours.get(k, NOISE) for k in range(len(names))]
    return {"kind": "category", "bits": 16, "names": names, "colours": shown}, blocks.pack(blocks.planes(steps))


def _pack_numbers(numbers: np.ndarray, *, whole: bool) -> tuple[dict[str, object], str]:
    """Describes and packs numbers as equal steps of their range."""
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


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def pack_neighbours(data: MapData) -> Part:
    """Packs each item's nearest neighbours in mu; on large maps the page computes them from the latents instead."""
    n = len(data.order)
    if data.neighbours is None or (n > MANY and data.decoder is not None and data.decoder.texts is None):
        return Part()
    room = latent_room(n, data.file_limit, thumbnails=data.images is not None)
    k = min(NEIGHBOURS, data.neighbours.shape[1], max(1, int(room / (A_NEIGHBOUR * max(1, n)))))
    near = data.place[np.asarray(data.neighbours)[data.order][:, :k]].astype(np.int32)
    return Part({"neighbours": blocks.pack(blocks.planes(near.reshape(-1)))}, {"k": k})
