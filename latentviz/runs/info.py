"""The content of run.json and of clusters.json, as types; `checked` compares what was read with them."""

import re
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,  # pydantic takes these alone before Python 3.12
    TypeVar,
    cast,
)

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from latentviz.errors import RunError
from latentviz.progress import one_line

STANDS_STILL = "neighbours stand still"  # `ended` of a training that ended by itself

T = TypeVar("T")
Content = Mapping[str, object]  # a JSON object that is written, or has been read and not checked yet
Finite = Annotated[float, Field(allow_inf_nan=False)]
ClusterNumber = Annotated[int, Field(ge=0, lt=10**6)]  # of runs that continue others some numbers are unused
ClusterKey = Annotated[str, StringConstraints(pattern="^[0-9]{1,6}$")]  # a cluster's number as a key of JSON
Count = Annotated[int, Field(ge=0, lt=2**63)]


def _inside(name: str) -> str:
    """Returns a file's name in a folder; a ValueError if it leads out of the folder."""
    if not name or "\0" in name or "\\" in name or name.startswith("/") or {"", ".", ".."} & set(name.split("/")):
        raise ValueError("not the name of a file in this folder")
    return name


FileName = Annotated[str, AfterValidator(_inside)]
Checksums = dict[FileName, Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}$")]]


class RunSummary(TypedDict, total=False):
    """What the training came to; runs of earlier versions lack some keys.

    Attributes:
        about: lines on the data that the map shows.
        ended: what ended the training: the limit, the time, or that the neighbours stand still.
        items: how many there are.
        bad_items: how many could not be read.
        epochs: how many the training had.
        latent_dim: dimensions of μ.
        active_units: dimensions in which μ varies.
        log_likelihood: nats per held-out item.
        kl: nats per held-out item.
        parameters: of the model.
        content_dim: how many of the first dimensions of μ are clustered.
        given_dim: how many of the first dimensions of μ are computed rather than learnt.
        contrast: its weight in the loss.
    """

    about: list[str]
    items: Required[Annotated[int, Field(ge=1, lt=2**63)]]
    bad_items: Required[Count]
    epochs: Required[Count]
    ended: str
    latent_dim: Required[Annotated[int, Field(ge=1, lt=2**31)]]
    content_dim: Annotated[int, Field(ge=1)]
    given_dim: Count
    contrast: Finite
    active_units: Required[Count]
    log_likelihood: Required[Finite]
    kl: Required[Finite]
    parameters: Count


class RunInfo(TypedDict, total=False):
    """The content of run.json; `checksums` are CRC-32 by file."""

    format_version: int
    kind: Required[str]
    fingerprint: str
    seed: Count
    versions: Required[dict[str, str]]
    seconds: Required[dict[str, Finite]]
    summary: Required[RunSummary]
    checksums: Checksums


class ClusterEntry(TypedDict, total=False):
    """One cluster of clusters.json.

    Attributes:
        cluster: its number, from 0.
        size: how many items are in it.
        size_with_nearest: that, and the noise nearest to it.
        persistence: over how much of the tree's range it is one cluster, in [0, 1]; None if the method has no tree.
        exemplars: ids of typical items.
        keywords: words that are typical, of texts and captions.
        colour: of a run that continues another one.
        name: the one that `cluster.names` gives it, or that of the cluster that it continues.
    """

    cluster: Required[ClusterNumber]
    size: Required[Count]
    size_with_nearest: Count
    persistence: Required[Finite | None]
    exemplars: Required[list[str]]
    keywords: list[str]
    colour: Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$")]
    name: str


class TreeEntry(TypedDict, total=False):
    """One row of the condensed tree in clusters.json."""

    parent: Required[Finite]
    child: Required[Finite]
    keywords: list[str]


class RegionEntry(TypedDict):
    """One named region of the map."""

    level: Count
    item: str
    size: Count
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
    items: Count


class EarlierMap(TypedDict):
    """A map by whose title and number of points browsers keep the names that a reader gave to its clusters."""

    title: str
    points: Count


class Continued(TypedDict):
    """What a clustering took over from that of the run that this one continues.

    Attributes:
        run: its name.
        items: how many items the two have in common; they come first.
        kept: share of the items in an earlier cluster that are in the cluster of the same number.
        unused: the least cluster number that was never used.
        changes: what became of the clusters.
        maps: of the earlier clusterings, newest first.
    """

    run: str
    items: Count
    kept: Finite
    unused: Annotated[int, Field(ge=0, le=10**6)]
    changes: list[ClusterChange]
    maps: list[EarlierMap]


class ClusterAnnotations(TypedDict):
    """What a person found out about clusters; the items' part is in points.parquet.

    Attributes:
        names: cluster → name.
        merges: cluster → the cluster that it is a part of.
    """

    names: dict[ClusterKey, str]
    merges: dict[ClusterKey, ClusterNumber]


class AssignedNoise(TypedDict):
    """What `cluster.max_noise` did.

    Attributes:
        items: noise that was given to clusters.
        raw_share: share of the items that was noise before.
        probability: their mean membership.
        agreement: of the layouts on the clusters of the items that were in one before; None with one layout.
        agreement_after: of the layouts, on those of the items that are in one now.
    """

    items: Count
    raw_share: Annotated[float, Field(ge=0, le=1)]
    probability: Finite
    agreement: Finite | None
    agreement_after: Finite | None


class LabelledInfo(TypedDict):
    """Where the predicted labels come from.

    Attributes:
        given: how many labels were given.
        classes: how many differ.
        method: vote by cluster, spreading on the neighbour graph, or the decoder of labels (head).
        accuracy: of labels left out, in [0, 1]; None where none could be left out.
        tested: how many these are.
        bare_clusters: clusters without any label that was given.
        bare_items: the items in them.
    """

    given: Count
    classes: Count
    method: Literal["vote", "spreading", "head"]
    accuracy: Annotated[float, Field(ge=0, le=1)] | None
    tested: Count
    bare_clusters: NotRequired[Count]  # it and the next one: not in earlier runs
    bare_items: NotRequired[Count]


class ClustersInfo(TypedDict, total=False):
    """The content of clusters.json; modularity to sweep are None or empty if no cut was chosen."""

    format_version: int
    lines: Required[list[str]]
    n_items: Required[Count]
    n_landmarks: Count | None
    n_clusters: Required[Count]
    noise_share: Required[Annotated[float, Field(ge=0, le=1)]]
    settings: Required[dict[str, str | int]]
    modularity: Finite | None
    agreement: Finite | None
    separation: Finite | None
    distinct: Finite | None
    sweep: list[dict[str, str | int | Finite | bool | None]]
    clusters: Required[list[ClusterEntry]]
    tree: list[TreeEntry]
    regions: list[RegionEntry]
    continued: Continued
    annotations: ClusterAnnotations
    assigned_noise: AssignedNoise
    labelled: LabelledInfo
    config: dict[str, object]
    seconds: dict[str, Finite]
    checksums: Checksums


adapter = cache(TypeAdapter[Any])  # building one takes milliseconds


def checked(kind: type[T], content: Content, path: Path, again: str) -> T:
    """Returns the content of a JSON file as a type, without keys that it does not have.

    Raises:
        RunError: a key is missing, has another type, or holds a number that is not finite; the message names it, and
            `again`, what makes the file again.
    """
    try:
        value: T = adapter(cast("Hashable", kind)).validate_python(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = one_line(".".join(str(part) for part in first["loc"]), 80)
        raise RunError(f"{path}: damaged ({key}: {re.sub('^Value error, ', '', first['msg'])}); {again}") from None
    return value
