"""What a map is drawn from: plain arrays and texts; row i of everything is item i."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NotRequired, TypedDict

import numpy as np

from latentviz.maps.captions import CaptionData
from latentviz.maps.decoder import DecoderData, finite_rows
from latentviz.progress import plural

FILE_LIMIT = 25_000_000


@dataclass(frozen=True)
class ClusterInfo:
    """What is known of a cluster."""

    persistence: float | None = None  # of the cluster in the condensed tree
    exemplars: Sequence[int] = ()  # rows of typical items
    medoid: int | None = None  # row of the most central item; None: the item nearest to the median of the points
    keywords: Sequence[str] = ()  # words that tell it from the other clusters
    decoded: np.ndarray | None = None  # uint8 (c, h, w), the image decoded from the cluster's mean mu


@dataclass(frozen=True)
class Preview:
    """What the map of a training that goes on says of itself; files are named relative to it."""

    line: str  # what the training has reached
    stamp: int  # width of the image `mark` while this is the newest preview
    mark: str  # an image: the page can show files next to it, and not read them
    final: str  # the map that is drawn when the training has ended
    picture: str  # of that map, written after it


@dataclass(frozen=True)
class Served:
    """What the map of a run that is served may ask the server, in addition to what the page holds itself."""

    texts: bool  # new items are texts; else files
    images: bool  # the decoder makes images; else texts
    sizes: Sequence[int] = ()  # of the smallest cluster, ascending, with which it clusters again; none: it does not
    size: int = 0  # of the smallest cluster now


class TreeNode(TypedDict):
    """A node of the condensed tree, as `condensed_tree` makes them; `birth` and `death` are λ = 1/distance."""

    node: int
    parent: int | None
    size: int
    birth: float
    death: float
    cluster: int | None
    row: int
    rows: NotRequired[np.ndarray]
    keywords: NotRequired[Sequence[str]]
    name: NotRequired[str]


class Region(TypedDict):
    """A part of the map at zoom level `level` (0 the coarsest); most of it is in `cluster` (−1 for noise)."""

    level: int
    row: int
    size: int
    cluster: int
    keywords: Sequence[str]


@dataclass(frozen=True)
class MapData:
    """Everything the map shows."""

    ids: Sequence[str]  # n unique names of the items
    # float32 (n, 2), map coordinates; items without finite ones are left out, which the summary reports
    points: np.ndarray
    cluster: np.ndarray  # int32 (n,), −1 for noise
    nearest_cluster: np.ndarray  # int32 (n,), the nearest cluster, for noise too
    probability: np.ndarray  # float32 (n,) in [0, 1], strength of the membership in the cluster
    outlier_score: np.ndarray  # float32 (n,) in [0, 1], higher is more unusual
    # n known classes, None where an item has none; None where no item has one
    labels: Sequence[str | None] | None = None
    sources: Sequence[str] = ()  # n files, or file and row, that the items came from
    # name → n values: metadata, captions, log_likelihood, kl
    columns: Mapping[str, Sequence[object]] = field(default_factory=dict)
    # name of a column of categories → category → "#rrggbb"; columns that are not here get colours of their own
    column_colours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    texts: Sequence[str] | None = None  # n texts to show; None for other data
    # uint8 (n, c, h, w) with c 1 or 3, possibly memory-mapped; the source of the thumbnails
    images: np.ndarray | None = None
    cluster_names: Mapping[int, str] = field(default_factory=dict)  # cluster → its name; others are called "Cluster 3"
    cluster_colours: Mapping[int, str] = field(default_factory=dict)  # cluster → "#rrggbb"; others get a free colour
    cluster_info: Mapping[int, ClusterInfo] = field(default_factory=dict)  # cluster → what is known of it
    tree: Sequence[TreeNode] = ()  # the condensed tree
    regions: Sequence[Region] = ()  # named parts of the map
    landscape: bool = False  # whether there are no reliable clusters, so that contours are shown at first
    decoder: DecoderData | None = None  # weights and latents with which the page decodes spots of the map
    captions: CaptionData | None = None  # networks with which the page searches by meaning
    title: str = "Map"  # the map's heading
    # title and number of points of earlier maps with the same clusters, newest first: a browser keeps names by them
    earlier: Sequence[tuple[str, int]] = ()
    summary: Sequence[str] = ()  # lines below it, such as "1,797 items, 10 clusters, 3% noise", and warnings
    # int32 (n, k), rows of the k items with the nearest mu, nearest first, the item itself left out
    neighbours: np.ndarray | None = None
    # what a person found out, for the page to show and to save: run, clustering and fingerprint of the clustering, and
    # pairs of names, merges, splits, tags, notes
    annotations: Mapping[str, object] = field(default_factory=dict)
    preview: Preview | None = None  # of the map of a training that goes on
    served: Served | None = None  # of a map with a server behind it
    file_limit: int = FILE_LIMIT  # bytes of the file; thumbnails, then latents of some items are dropped to meet it

    def __post_init__(self) -> None:
        """Raises a ValueError if a field does not have one entry per item."""
        n = len(self.ids)
        if np.shape(self.points) != (n, 2):
            raise ValueError(f"points must have shape ({n}, 2), one row per id. Got {np.shape(self.points)}")
        one_per_item = ["cluster", "nearest_cluster", "probability", "outlier_score"]
        one_per_item += ["labels", "sources", "texts", "images", "neighbours"]
        parts = {name: getattr(self, name) for name in one_per_item if name != "sources" or self.sources}
        parts |= {f"columns[{name!r}]": values for name, values in self.columns.items()}
        for name, part in parts.items():
            if part is not None and len(part) != n:
                raise ValueError(f"{name} must have {n} entries, one per id. Got {len(part)}")

    def __len__(self) -> int:
        """Returns n."""
        return len(self.ids)

    @property
    def clusters(self) -> list[int]:
        """The clusters that have items, ascending, without noise."""
        return [int(c) for c in np.unique(self.cluster) if c >= 0]

    @cached_property
    def order(self) -> np.ndarray:
        """Int64 (m,): rows that have a position, in drawing order: noise first, then by cluster."""
        rows = finite_rows(np.asarray(self.points))
        ordered: np.ndarray = rows[np.argsort(np.asarray(self.cluster)[rows], kind="stable")]
        return ordered

    @cached_property
    def place(self) -> np.ndarray:
        """Int64 (n,): each row's index in `order`; −1 for rows without a position."""
        place = np.full(len(self), -1, np.int64)
        place[self.order] = np.arange(len(self.order))
        return place

    def name(self, cluster: int) -> str:
        """Returns a cluster's name; "Noise" for −1."""
        return "Noise" if cluster < 0 else str(self.cluster_names.get(cluster, f"Cluster {cluster}"))

    def described(self) -> list[str]:
        """Returns the summary, or one made from the counts, and warnings."""
        n, noise = len(self), int(np.count_nonzero(np.asarray(self.cluster) < 0))
        share = f"{noise / max(n, 1):.0%} noise"
        lines = list(self.summary) or [f"{plural(n, 'item')}, {plural(len(self.clusters), 'cluster')}, {share}"]
        if n and not self.clusters and not any("No cluster" in line for line in lines):
            lines.append("No cluster was found: every item is noise. Try a smaller cluster.min_cluster_size.")
        if missing := n - len(self.order):
            lines.append(f"{plural(missing, 'item')} without a place on the map left out.")
        return lines
