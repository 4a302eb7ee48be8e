"""The content of run.json and of clusters.json, as types."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

Content = Mapping[str, object]  # a JSON object that is written, or has been read and not checked yet


class RunSummary(TypedDict, total=False):
    """What the training came to; runs of earlier versions lack some keys.

    Attributes:
        about: lines on the data that the map shows.
        log_likelihood: nats per held-out item, as is `kl`.
        content_dim: how many of the first dimensions of μ are clustered.
        given_dim: how many of the first dimensions of μ are computed rather than learnt.
        contrast: its weight in the loss.
    """

    about: list[str]
    items: int
    bad_items: int
    epochs: int
    latent_dim: int
    content_dim: int
    given_dim: int
    contrast: float
    active_units: int
    log_likelihood: float
    kl: float
    parameters: int


class RunInfo(TypedDict, total=False):
    """The content of run.json; `checksums` are CRC-32 by file."""

    format_version: int
    kind: str
    fingerprint: str
    seed: int
    versions: dict[str, str]
    seconds: dict[str, float]
    summary: RunSummary
    checksums: dict[str, str]


class ClusterEntry(TypedDict, total=False):
    """One cluster of clusters.json; of a run that continues another one also its colour, and its earlier name."""

    cluster: int
    size: int
    size_with_nearest: int
    persistence: float | None
    exemplars: list[str]
    keywords: list[str]
    colour: str
    name: str


class TreeEntry(TypedDict, total=False):
    """One row of the condensed tree in clusters.json."""

    parent: float
    child: float
    keywords: list[str]


class RegionEntry(TypedDict):
    """One named region of the map."""

    level: int
    item: str
    size: int
    cluster: int
    keywords: list[str]


class ClusterChange(TypedDict):
    """What became of clusters of an earlier clustering.

    Attributes:
        change: kept, split, merged, born or gone.
        before: numbers of the earlier clusters.
        after: numbers of the new ones.
        items: that are in both; of a cluster that is born or gone, all its items.
    """

    change: str
    before: list[int]
    after: list[int]
    items: int


class Continued(TypedDict):
    """What a clustering took over from that of the run that this one continues.

    Attributes:
        run: its name.
        items: how many items the two have in common; they come first.
        kept: share of the items in an earlier cluster that are in the cluster of the same number.
        unused: the least cluster number that was never used.
        changes: what became of the clusters.
    """

    run: str
    items: int
    kept: float
    unused: int
    changes: list[ClusterChange]


class ClustersInfo(TypedDict, total=False):
    """The content of clusters.json; modularity to sweep are None or empty if no cut was chosen."""

    format_version: int
    lines: list[str]
    n_items: int
    n_landmarks: int | None
    n_clusters: int
    noise_share: float
    settings: dict[str, str | int]
    modularity: float | None
    agreement: float | None
    separation: float | None
    stability: float | None
    sweep: Sequence[Content]
    clusters: list[ClusterEntry]
    tree: list[TreeEntry]
    regions: list[RegionEntry]
    continued: Continued
    config: Content
    seconds: dict[str, float]
    checksums: dict[str, str]
