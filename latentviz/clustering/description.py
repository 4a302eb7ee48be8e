"""Describes a clustering: verdict, scores, and each cluster's size, exemplars and keywords, as in clusters.json."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np

from latentviz.clustering.clusterers import Clustering
from latentviz.clustering.cut import SEPARATED, STABLE, Choice, CutScores
from latentviz.clustering.keywords import Keywords, Terms, regions, tree_keywords
from latentviz.clustering.landmarks import Layout
from latentviz.runs.info import ClustersInfo

REPRODUCIBLE = 0.5  # agreement of the layouts' clusters below which the verdict says so


@dataclass(frozen=True)
class ClusterEntry:
    """One cluster: its size without and with noise assigned to it, its persistence, and the ids of typical items."""

    cluster: int
    size: int
    size_with_nearest: int
    persistence: float | None
    exemplars: Sequence[str]


@dataclass(frozen=True)
class RegionEntry:
    """One region of the map: its level, the id of its central item, its size, most frequent cluster, and keywords."""

    level: int
    item: str
    size: int
    cluster: int
    keywords: Sequence[str]


@dataclass(frozen=True)
class GroupKeywords:
    """Keywords of each cluster, of the tree's nodes by their number from the root's 0, and of regions of the map."""

    clusters: Sequence[Sequence[str]]
    nodes: dict[int, list[str]]
    regions: Sequence[RegionEntry]


@dataclass(frozen=True)
class Description:
    """The content of clusters.json; the attributes are its keys, and `keywords` adds to the entries of three of them.

    Attributes:
        lines: what the command prints and the map shows first.
        settings: the effective settings of the clusterer.
        modularity: normalised, of the chosen cut; like the next four, None or empty if no cut was chosen.
    """

    lines: Sequence[str]
    n_items: int
    n_landmarks: int | None
    n_clusters: int
    noise_share: float
    settings: dict[str, str | int]
    modularity: float | None
    agreement: float | None
    separation: float | None
    stability: float | None
    sweep: Sequence[CutScores]
    clusters: Sequence[ClusterEntry]
    tree: Sequence[dict[str, float]]
    keywords: GroupKeywords | None

    def to_json(self) -> ClustersInfo:
        """Returns the content in the order of the file."""
        content = asdict(self)
        del content["keywords"]
        if self.keywords is not None:
            root = int(min((row["parent"] for row in self.tree), default=0))
            for entry, words in zip(content["clusters"], self.keywords.clusters, strict=True):
                entry["keywords"] = words
            for row in content["tree"]:
                row["keywords"] = self.keywords.nodes.get(int(row["child"]) - root, [])
            content["regions"] = [asdict(region) for region in self.keywords.regions]
        return cast("ClustersInfo", content)


def describe(
    layout: Layout,
    choice: Choice | None,
    ids: Sequence[str],
    landmarks: int | None,
    notes: Sequence[str],
    keywords: GroupKeywords | None,
) -> Description:
    """Describes a clustering.

    Args:
        layout: of all items.
        choice: the chosen cut, if one was chosen.
        ids: of the items.
        landmarks: how many items were laid out; None: all.
        notes: further lines.
        keywords: of the clusters, if the items have words.
    """
    found, scores = layout.clusters, choice.cut.scores if choice else None
    lines = [_counts(found), *_verdict(found, choice)]
    if landmarks is not None:
        lines.append(f"{landmarks:,} of {len(ids):,} items were laid out, the others placed next to their neighbours")
    return Description(
        lines=[*lines, *notes],
        n_items=len(ids),
        n_landmarks=landmarks,
        n_clusters=found.k,
        noise_share=found.noise_share,
        settings=dict(found.settings),
        modularity=scores.normalised if scores else None,
        agreement=choice.agreement if choice else None,
        separation=scores.separation if scores else None,
        stability=scores.stability if scores else None,
        sweep=choice.sweep if choice else [],
        clusters=[
            ClusterEntry(
                number,
                int((found.labels == number).sum()),
                int((layout.nearest == number).sum()),
                found.persistence.get(number),
                [ids[row] for row in found.exemplars.get(number, ())],
            )
            for number in range(found.k)
        ],
        tree=[dict(row) for row in found.tree],
        keywords=keywords,
    )


def _counts(found: Clustering) -> str:
    n, plural = len(found.labels), "" if found.k == 1 else "s"
    return f"{n:,} items, {found.k} cluster{plural}, {found.noise_share:.0%} noise"


def _verdict(found: Clustering, choice: Choice | None) -> list[str]:
    if found.k == 0:
        return ["No cluster was found: the items form one cloud, or lie too evenly"]
    if choice is None:
        return []
    scores, landscape = choice.cut.scores, ": read the map as a landscape"
    if scores.stability is not None and scores.stability < STABLE:
        why = f"(posterior draws agree with them at {scores.stability:.2f} of 1)"
    elif scores.separation < SEPARATED:
        why = "(items lie as densely between them as in them)"
    elif not choice.reliable:
        why = f"(graph modularity {scores.normalised:.2f} of 1)"
    elif choice.agreement is not None and choice.agreement < REPRODUCIBLE:
        return [f"Clusters differ from layout to layout (agreement {choice.agreement:.2f} of 1)"]
    else:
        return []
    return [f"No reliable clusters {why}{landscape}"]


def group_keywords(layout: Layout, ids: Sequence[str], terms: Terms) -> GroupKeywords:
    """Finds the keywords of a clustering's groups."""
    found, points = layout.clusters, layout.points
    keywords = Keywords(terms, points)
    return GroupKeywords(
        keywords.of([np.flatnonzero(found.labels == number) for number in range(found.k)]),
        {} if found.raw_tree is None else tree_keywords(keywords, found.raw_tree, found.labels, points),
        [
            RegionEntry(
                region.level,
                ids[region.row],
                len(region.rows),
                int(np.bincount(found.labels[region.rows] + 1).argmax()) - 1,
                region.keywords,
            )
            for region in regions(points, keywords)
            if region.keywords
        ],
    )
