"""Describes a clustering: verdict, scores, and each cluster's size, exemplars and keywords, as in clusters.json."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from latentviz.clustering.cut import RELIABLE, REPRODUCIBLE, Choice
from latentviz.clustering.keywords import Keywords, Region, Terms, named, regions, tree_keywords
from latentviz.clustering.landmarks import Layout
from latentviz.clustering.noise import summary
from latentviz.clustering.partition import Clustering
from latentviz.progress import plural
from latentviz.runs.info import ClusterEntry, ClustersInfo, RegionEntry, TreeEntry

LONGEST_LABEL = 40  # characters of a label in a cluster's name


@dataclass(frozen=True)
class GroupKeywords:
    """Keywords of each cluster, of the tree's nodes by their number from the root's 0, and of regions of the map."""

    clusters: Sequence[list[str]]
    nodes: Mapping[int, list[str]]
    regions: Sequence[Region]


def describe(
    layout: Layout,
    choice: Choice | None,
    ids: Sequence[str],
    landmarks: int | None,
    notes: Sequence[str],
    keywords: GroupKeywords | None,
) -> ClustersInfo:
    """Returns the content of clusters.json.

    Args:
        layout: of all items.
        choice: the chosen cut, if one was chosen.
        ids: of the items.
        landmarks: how many items were laid out; None: all.
        notes: further lines to print and to show on the map.
        keywords: of the clusters, if the items have words.
    """
    found, scores = layout.clusters, choice.cut.scores if choice else None
    lines = [_counts(found), *_verdict(found, choice)]
    if layout.assigned is not None:
        lines.append(summary(layout.assigned, found.noise_share))
    if landmarks is not None:
        lines.append(f"{landmarks:,} of {len(ids):,} items were laid out, the others placed next to their neighbours")
    among = len(ids) if found.raw_tree is None else int((found.raw_tree["child"] < len(ids)).sum())
    if among < (landmarks or len(ids)):
        lines.append(f"the clusters were found among {plural(among, 'item')}; the others follow their neighbours")
    clusters = [
        ClusterEntry(
            cluster=number,
            size=int((found.labels == number).sum()),
            size_with_nearest=int((layout.nearest == number).sum()),
            persistence=found.persistence.get(number),
            exemplars=[ids[row] for row in found.exemplars.get(number, ())],
        )
        for number in found.numbers
    ]
    info = ClustersInfo(
        lines=[*lines, *notes],
        n_items=len(ids),
        n_landmarks=landmarks,
        n_clusters=found.k,
        noise_share=found.noise_share,
        settings=dict(found.settings),
        modularity=scores.normalised if scores else None,
        agreement=choice.agreement if choice else None,
        separation=scores.separation if scores else None,
        distinct=scores.distinct if scores else None,
        sweep=[asdict(row) for row in choice.sweep] if choice else [],
        clusters=clusters,
        tree=[TreeEntry(**row) for row in found.tree],  # type: ignore[typeddict-item]
    )
    if layout.assigned is not None:
        info["assigned_noise"] = layout.assigned
    if keywords is not None:
        root = int(min((row["parent"] for row in found.tree), default=0))
        for entry, words in zip(clusters, keywords.clusters, strict=True):
            entry["keywords"] = words
        for node in info["tree"]:
            node["keywords"] = keywords.nodes.get(int(node["child"]) - root, [])
        info["regions"] = [
            RegionEntry(
                level=region.level,
                item=ids[region.row],
                size=len(region.rows),
                cluster=int(np.bincount(found.labels[region.rows] + 1).argmax()) - 1,
                keywords=region.keywords,
            )
            for region in keywords.regions
            if region.keywords
        ]
    return info


def _counts(found: Clustering) -> str:
    return f"{plural(len(found.labels), 'item')}, {plural(found.k, 'cluster')}, {found.noise_share:.0%} noise"


def _verdict(found: Clustering, choice: Choice | None) -> list[str]:
    if found.k == 0:
        return ["No cluster was found: the items form one cloud, or lie too evenly"]
    if choice is None:
        return []
    share, where = choice.cut.scores.distinct, "with sparser places around them than a single cloud has"
    if share < RELIABLE:
        why = f"{share:.0%} of the items are in clusters {where}; {RELIABLE:.0%} should be"
    elif not choice.reproducible:
        why = f"they differ from layout to layout: agreement {choice.agreement:.2f}; {REPRODUCIBLE:g} should be"
    else:
        return []
    return [f"No reliable clusters ({why}): read the map as a landscape"]


def is_landscape(info: ClustersInfo) -> bool:
    """Whether a clustering has no reliable clusters, so that its map is read as a landscape."""
    distinct, agreement = info.get("distinct"), info.get("agreement")
    unreliable = distinct is not None and distinct < RELIABLE
    return not info["n_clusters"] or unreliable or (agreement is not None and agreement < REPRODUCIBLE)


def group_keywords(layout: Layout, terms: Terms) -> GroupKeywords:
    """Finds the keywords of a clustering's groups."""
    found, points = layout.clusters, layout.points
    keywords = Keywords(terms, points)
    clusters = keywords.of([np.flatnonzero(found.labels == number) for number in found.numbers])
    nodes = {} if found.raw_tree is None else tree_keywords(keywords, found.raw_tree, found.labels, points)
    return GroupKeywords(clusters, nodes, regions(points, keywords))


def label_names(cluster: np.ndarray, labels: Sequence[str | None]) -> dict[int, str]:
    """Names the clusters of which more than half of the items have one label; shared names get a number.

    Args:
        cluster: int (n,), −1 for noise.
        labels: n known classes, None where an item has none.

    >>> label_names(np.array([0, 0, 0, 1, 1, -1]), ["cat", "cat", "dog", "cat", None, "cat"])
    {0: 'mostly cat, 67%'}
    """
    counts: dict[int, Counter[str | None]] = {}
    for number, label in zip(cluster.tolist(), labels, strict=True):
        counts.setdefault(number, Counter())[label] += 1
    names = {}
    for number, found in sorted(counts.items()):
        label, times = found.most_common(1)[0]
        if number >= 0 and label is not None and times > found.total() / 2:
            shown = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
            names[number] = f"mostly {shown}, {times / found.total():.0%}"
    shared = {name for name, times in Counter(names.values()).items() if times > 1}
    return {number: f"{name} ({number})" if name in shared else name for number, name in names.items()}


def names(entries: list[ClusterEntry]) -> dict[int, str]:
    """Returns the names of clusters that have words: those that they were given first, or their keywords."""
    return named({entry["cluster"]: entry.get("keywords", []) for entry in entries}) | {
        entry["cluster"]: entry["name"] for entry in entries if "name" in entry
    }


def cluster_names(points: pa.Table, info: ClustersInfo) -> dict[int, str]:
    """Returns the names that a person gave to clusters, and of the others those that they have without one."""
    return found_names(points, info) | given_names(info)


def found_names(points: pa.Table, info: ClustersInfo) -> dict[int, str]:
    """Names the clusters that have words by these, and others by the label of most of their items, if there is one.

    Args:
        points: of the clustering.
        info: its clusters.json.
    """
    labels = label_names(points.column("cluster").to_numpy(), points.column("label").to_pylist())
    return labels | names(info["clusters"])


def given_names(info: ClustersInfo) -> dict[int, str]:
    """Returns the names that a person gave to clusters on the map."""
    return {int(number): name for number, name in info["annotations"]["names"].items()} if "annotations" in info else {}
