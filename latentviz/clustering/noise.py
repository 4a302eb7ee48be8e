"""Gives noise to clusters, the most certain items first, until at most a given share of the items is noise."""

from dataclasses import replace

import numpy as np

from latentviz.clustering.agreement import partition_agreement
from latentviz.clustering.cut import Choice
from latentviz.clustering.landmarks import Layout, renumbered
from latentviz.clustering.partition import by_size
from latentviz.progress import plural
from latentviz.runs.info import AssignedNoise


def membership(layout: Layout, rows: np.ndarray) -> np.ndarray:
    """Returns how surely items belong to their nearest cluster, float32 (m,) in [0, 1].

    As in HDBSCAN's soft clustering (hdbscan, `all_points_membership_vectors`), the product of two parts: which cluster
    it is, here the share of the item's neighbours that are in it or nearest to it, and how near the item is to one,
    here 1 − its outlier score.

    Args:
        layout: of n items.
        rows: int64 (m,), of items that have a nearest cluster.
    """
    near = layout.nearest[layout.neighbours[rows]] == layout.nearest[rows][:, None]
    share = near.mean(axis=1) if near.shape[1] else np.ones(len(rows))
    found: np.ndarray = (share * (1 - layout.clusters.outlier_scores[rows])).astype(np.float32)
    return found


def assign_noise(layout: Layout, most: float, counts: np.ndarray | None, choice: Choice | None) -> Layout:
    """Gives noise to the nearest clusters until at most the share `most` of the items is noise.

    Args:
        layout: of n rows.
        most: in [0, 1].
        counts: int64 (n,), how many items each row stands for; None: one.
        choice: the chosen cut, if one was chosen; says how far other layouts agree.
    """
    found = layout.clusters
    weights = np.ones(len(found.labels), np.int64) if counts is None else counts
    total, before = int(weights.sum()), int(weights[found.labels < 0].sum())
    over = before - int(most * total + 1e-9)
    rows = np.flatnonzero((found.labels < 0) & (layout.nearest >= 0))
    if over <= 0 or not len(rows):
        return layout
    certain = membership(layout, rows)
    order = np.lexsort((rows, -certain))
    enough = int(np.searchsorted(np.cumsum(weights[rows[order]]), over)) + 1
    given = rows[order[:enough]]
    labels, probabilities = found.labels.copy(), found.probabilities.copy()
    labels[given] = layout.nearest[given]
    probabilities[given] = certain[order[:enough]]
    agreement = _agreement(layout, found.labels >= 0, choice)
    assigned = AssignedNoise(
        items=int(weights[given].sum()),
        raw_share=before / total,
        probability=float(np.average(probabilities[given], weights=weights[given])),
        agreement=agreement,
        agreement_after=_agreement(layout, labels >= 0, choice),
    )
    _, old = by_size(labels, counts)
    whole = replace(
        layout,
        clusters=replace(found, labels=labels, probabilities=probabilities),
        raw=found.labels,
        assigned=assigned,
    )
    return renumbered(whole, {int(number): new for new, number in enumerate(old)})


def _agreement(layout: Layout, inside: np.ndarray, choice: Choice | None) -> float | None:
    """Returns the mean adjusted Rand index with the other layouts, of the items `inside` clusters, bool (n,)."""
    tree = layout.clusters.raw_tree
    if choice is None or not choice.others or tree is None:
        return None
    among = np.sort(tree["child"][tree["child"] < len(inside)])  # the items that the clusters were found among
    kept = inside[among]
    labels = layout.nearest[among][kept]
    return float(np.mean([partition_agreement(labels, other[kept]) for other in choice.others])) if kept.any() else None


def summary(assigned: AssignedNoise, share: float) -> str:
    """Says in one line what became of the noise, of which `share` is left."""
    before, after = assigned["agreement"], assigned["agreement_after"]
    line = (
        f"{plural(assigned['items'], 'noise item was', 'noise items were')} given to clusters, the most certain first: "
        f"noise {assigned['raw_share']:.1%} → {share:.1%}; their mean membership is {assigned['probability']:.2f}"
    )
    if before is None or after is None:
        return line
    return f"{line}; agreement of the layouts on items in clusters {before:.3f} → {after:.3f}"
