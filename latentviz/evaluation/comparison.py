"""How far two clusterings of the same items agree: what moved, and the figures, as compared.json holds them."""

from collections.abc import Mapping

import numpy as np
from typing_extensions import TypedDict

from latentviz.clustering.matching import PART
from latentviz.progress import plural

ABSENT = -2  # the counterpart of a cluster that has none


class SideInfo(TypedDict):
    """What compared.json says of one of the two; `clusters` and `noise`, a share, are of all its items."""

    run: str
    path: str
    clustering: str
    items: int
    clusters: int
    noise: float


class Moved(TypedDict):
    """How many items are not in the counterpart of their cluster; noise is the counterpart of noise."""

    items: int
    between_clusters: int
    into_noise: int
    out_of_noise: int


class SameNeighbours(TypedDict):
    """Shares of an item's k nearest that are the same; `in_mu` is None for one same mu, `on_map` for a layout."""

    k: int
    items: int
    in_mu: float | None
    on_map: float | None
    by_chance: float


class Flow(TypedDict):
    """How many items are in a cluster of the first and in one of the second, and whether they have moved."""

    cluster_a: int
    cluster_b: int
    items: int
    moved: bool


class Compared(TypedDict):
    """The content of compared.json; `neighbours` is None with too few items that have a place on both maps."""

    a: SideInfo
    b: SideInfo
    items: int
    ari: float
    nmi: float
    moved: Moved
    neighbours: SameNeighbours | None
    matched: list[tuple[int, int]]
    flow: list[Flow]
    files: list[str]


def counterparts(in_a: np.ndarray, in_b: np.ndarray) -> dict[int, int]:
    """Matches clusters one to one so that most items stay (Kuhn 1955).

    Two clusters that have less than a quarter of the smaller one's items in common are no counterparts.

    Args:
        in_a: int (m,), the clusters of the items in the first, −1 for noise.
        in_b: int (m,), those in the second.

    >>> counterparts(np.array([0, 0, 1, 1, 1, -1]), np.array([5, 5, 7, 7, 5, 5]))
    {0: 5, 1: 7}
    """
    from scipy.optimize import linear_sum_assignment

    rows, row, row_sizes = np.unique(in_a, return_inverse=True, return_counts=True)
    columns, column, column_sizes = np.unique(in_b, return_inverse=True, return_counts=True)
    overlap = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(overlap, (row, column), 1)
    overlap[rows < 0] = overlap[:, columns < 0] = 0
    least = np.maximum(1, PART * np.minimum.outer(row_sizes, column_sizes))
    pairs = zip(*linear_sum_assignment(-overlap), strict=True)
    return {int(rows[i]): int(columns[j]) for i, j in pairs if overlap[i, j] >= least[i, j]}


def has_moved(in_a: np.ndarray, in_b: np.ndarray, matched: Mapping[int, int]) -> np.ndarray:
    """Returns which items, bool (m,), are not in the counterpart of their cluster; noise is that of noise.

    >>> has_moved(np.array([0, 0, 1, -1]), np.array([5, 7, -1, -1]), {0: 5}).tolist()
    [False, True, True, False]
    """
    table = np.full(int(in_a.max(initial=0)) + 2, ABSENT)
    table[-1] = -1
    table[list(matched)] = list(matched.values())
    moved: np.ndarray = table[in_a] != in_b
    return moved


def flow(in_a: np.ndarray, in_b: np.ndarray, moved: np.ndarray) -> list[Flow]:
    """Counts the items in each cluster of the first and each of the second, most items first."""
    pairs, counts = np.unique(np.stack([in_a, in_b, moved], axis=1), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [
        Flow(cluster_a=a, cluster_b=b, items=items, moved=bool(gone))
        for (a, b, gone), items in zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    ]


def title(side: SideInfo) -> str:
    """Returns what pages and messages call one of the two."""
    return f"{side['run']} · {side['clustering']}"


def figures(info: Compared) -> list[tuple[str, object]]:
    """Returns names and values of the figures, as they are printed and shown on the page."""
    a, b, n, moved, near = info["a"], info["b"], info["items"], info["moved"], info["neighbours"]
    parts = {
        "between clusters": moved["between_clusters"],
        "into noise": moved["into_noise"],
        "out of noise": moved["out_of_noise"],
    }
    kinds = ", ".join(f"{count:,} {words}" for words, count in parts.items() if count)
    rows: list[tuple[str, object]] = [
        ("items in both", f"{n:,}" if a["items"] == b["items"] == n else f"{n:,} of {a['items']:,} and {b['items']:,}"),
        ("clusters", f"{a['clusters']} and {b['clusters']}"),
        ("noise", f"{a['noise']:.1%} and {b['noise']:.1%}"),
        ("ARI", f"{info['ari']:.3f}"),
        ("NMI", f"{info['nmi']:.3f}"),
        ("moved", f"{plural(moved['items'], 'item')}, {moved['items'] / n:.1%}" + (f": {kinds}" if kinds else "")),
    ]
    if near is not None:
        for words, share in (("in mu", near["in_mu"]), ("on the map", near["on_map"])):
            if share is not None:
                text = f"{share:.1%} of an item's {near['k']} (by chance {near['by_chance']:.1%})"
                rows.append((f"same neighbours {words}", text))
        if near["on_map"] is None:
            rows.append(("layout", "the same"))
    return rows


def number(cluster: int) -> str:
    """Returns a cluster's number as text."""
    return "noise" if cluster < 0 else str(cluster)
