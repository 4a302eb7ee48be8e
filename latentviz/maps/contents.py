"""The blocks of a map file: each function packs one part of `MapData` for the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentviz.clustering.tree import central
from latentviz.maps import blocks
from latentviz.maps.columns import MANY, pack_column
from latentviz.maps.data import FILE_LIMIT, ClusterInfo, MapData
from latentviz.maps.framing import bulk_box
from latentviz.maps.palette import NOISE, cluster_colours

# A file's budget in bytes: fixed part, and per point, per item's latent, per thumbnail (as base64). Beyond the file's
# limit thumbnails are reduced first, then latents of some items are dropped: coarser latents of all items would make
# the decoder draw something else.
BASE, A_POINT, A_LATENT, A_THUMBNAIL = 2_000_000, 10, 25, 210
# Nearest neighbours stored per item and bytes per neighbour at a million items; fewer where the limit asks for it.
NEIGHBOURS, A_NEIGHBOUR = 8, 2.5
SMALL_SHEETS = 3_000_000  # bytes that thumbnails may always take, so that small maps have sharp ones
SMALL_LATENTS = 1_200_000  # bytes that the decoder and the latents may always take
TEXT_LIMIT = 20_000  # characters
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
    meta = {
        "count": len(order),
        "rows": len(data),
        "bounds": [*low, *high],
        "bulk": bulk_box(points),
        "clusters": clusters,
    }
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
    columns = {} if data.labels is None else {"label": pack_column(data.labels, data, named=True)}
    for name, values in data.columns.items():
        if name not in columns:
            given = data.column_colours.get(name)
            columns[name] = pack_column(values, data, named=given is not None, given=given)
    for k, column in enumerate(columns.values()):
        packed[f"field-{k}"] = column.values
        if column.names:
            packed[f"names-{k}"] = blocks.pack_json(column.names)
    fields = [{"name": name, **column.meta} for name, column in columns.items()]
    return Part(packed, {"fields": fields, "sources": bool(data.sources), "texts": data.texts is not None})


def pack_annotations(data: MapData) -> Part:
    """Packs what a person found out on an earlier map, as JSON."""
    return Part({"found": blocks.pack_json(data.annotations)} if data.annotations else {})


def pack_neighbours(data: MapData) -> Part:
    """Packs each item's nearest neighbours in mu; on large maps the page computes them from the latents instead."""
    n = len(data.order)
    if data.neighbours is None or (n > MANY and data.decoder is not None and data.decoder.texts is None):
        return Part()
    room = latent_room(n, data.file_limit, thumbnails=data.images is not None)
    k = min(NEIGHBOURS, data.neighbours.shape[1], max(1, int(room / (A_NEIGHBOUR * max(1, n)))))
    near = data.place[np.asarray(data.neighbours)[data.order][:, :k]].astype(np.int32)
    return Part({"neighbours": blocks.pack(blocks.planes(near.reshape(-1)))}, {"k": k})
