"""What a map is drawn from: one record of plain arrays and texts, row i of everything is item i."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latentviz.maps.decoder import DecoderData

FILE_LIMIT = 25_000_000


@dataclass(frozen=True)
class MapData:
    """Everything the map shows.

    Attributes:
        ids: n unique names of the items.
        points: float32 (n, 2), the picture; rows that are not finite are left out of the drawing, and said.
        cluster: int32 (n,), −1 for noise.
        nearest_cluster: int32 (n,), the cluster an item is nearest to; for noise, where it would go.
        probability: float32 (n,) in [0, 1], strength of the membership in the cluster.
        outlier_score: float32 (n,) in [0, 1], higher is odder.
        labels: n known classes, None where an item has none; None where no item has one.
        sources: n files, or file and row, that the items came from.
        columns: more about each item, n values a column: metadata, captions, log_likelihood, kl.
        texts: n texts to show; None for other data.
        images: uint8 (n, c, h, w) with c 1 or 3, possibly memory-mapped; thumbnails are made from it.
        cluster_names: cluster → its name; a missing one is called "Cluster 3".
        cluster_info: cluster → what is known of it: `size`, `persistence`, `exemplars` (rows), `medoid`
            (row), `keywords` (texts), and `decoded`, uint8 (c, h, w): the decoder's picture of its mean μ.
        tree: the condensed tree's clusters, one row each: `node`, `parent`, `size`, `birth`, `death` (both
            λ), `cluster` (or None), `row` (its most central item); `condensed_tree` makes them. `keywords` tell
            a part from the rest of its parent.
        regions: parts of the map at several zoom levels, one row each: `level` (0 the coarsest), `row` (an item in
            its middle), `size`, `cluster` (that most of it is in, −1 for noise), `keywords`.
        decoder: weights and latents with which the page decodes spots of the map.
        title: the map's heading.
        summary: lines below it, such as "1,797 items, 10 clusters, 3% noise", and warnings in plain words.
        neighbours: int32 (n, k), rows of the k items whose μ are nearest, nearest first, without itself.
        file_limit: bytes that the file may take; thumbnails, then the latents of some items are left out for it.
    """

    ids: Sequence[str]
    points: np.ndarray
    cluster: np.ndarray
    nearest_cluster: np.ndarray
    probability: np.ndarray
    outlier_score: np.ndarray
    labels: Sequence[str | None] | None = None
    sources: Sequence[str] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    texts: Sequence[str] | None = None
    images: np.ndarray | None = None
    cluster_names: Mapping[int, str] = field(default_factory=dict)
    cluster_info: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    tree: Sequence[Mapping[str, Any]] | None = None
    regions: Sequence[Mapping[str, Any]] = ()
    decoder: DecoderData | None = None
    title: str = "Map"
    summary: Sequence[str] = ()
    neighbours: np.ndarray | None = None
    file_limit: int = FILE_LIMIT

    def __post_init__(self) -> None:
        """Raises a ValueError if a part has not exactly one entry an item."""
        n = len(self.ids)
        if np.shape(self.points) != (n, 2):
            raise ValueError(f"points must have shape ({n}, 2), one row an id. Got {np.shape(self.points)}")
        parts: dict[str, Any] = {
            "cluster": self.cluster,
            "nearest_cluster": self.nearest_cluster,
            "probability": self.probability,
            "outlier_score": self.outlier_score,
            "labels": self.labels,
            "sources": self.sources or None,
            "texts": self.texts,
            "images": self.images,
            "neighbours": self.neighbours,
            **{f"columns[{name!r}]": values for name, values in self.columns.items()},
        }
        for name, part in parts.items():
            if part is not None and len(part) != n:
                raise ValueError(f"{name} must have {n} entries, one an id. Got {len(part)}")

    def __len__(self) -> int:
        """Returns n."""
        return len(self.ids)

    @property
    def clusters(self) -> list[int]:
        """The clusters that have items, ascending, without noise."""
        return [int(c) for c in np.unique(self.cluster) if c >= 0]

    @property
    def placed(self) -> np.ndarray:
        """Bool (n,): whether the item has a place on the map; UMAP gives none to items without neighbours."""
        finite: np.ndarray = np.isfinite(self.points).all(axis=1)
        return finite

    def name(self, cluster: int) -> str:
        """Returns a cluster's name; "Noise" for −1."""
        return "Noise" if cluster < 0 else str(self.cluster_names.get(cluster, f"Cluster {cluster}"))

    def described(self) -> list[str]:
        """Returns the summary, or one made from the counts, and what the reader must know besides."""
        n, noise = len(self), int(np.count_nonzero(np.asarray(self.cluster) < 0))
        share = f"{noise / max(n, 1):.0%} noise"
        lines = list(self.summary) or [f"{n:,} items, {count(len(self.clusters), 'cluster')}, {share}"]
        if n and not self.clusters and not any("No cluster" in line for line in lines):
            lines.append("No cluster was found: every item is noise. Try a smaller cluster.min_cluster_size.")
        if missing := n - int(np.count_nonzero(self.placed)):
            lines.append(f"{count(missing, 'item')} without a place on the map left out.")
        return lines


def count(n: int, noun: str) -> str:
    """Returns a number with its noun.

    >>> count(1, "cluster"), count(1200, "item")
    ('1 cluster', '1,200 items')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
