"""Which cluster gets which colour: neighbours on the map must differ, for every kind of eye."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.spatial import Delaunay, QhullError

from latentviz.maps.colour import cam02ucs, distances, to_hex, to_rgb

NOISE = "#b9bcc4"
# Reads well on white and on near-black; the first ones are what a small map gets.
BASE = [
    "#4269d0",
    "#ef9f1c",
    "#e8505b",
    "#17a398",
    "#8e5bd6",
    "#6da34d",
    "#ff8ab7",
    "#8c5a3c",
    "#52b6e8",
    "#b5b02c",
    "#c02f8f",
    "#2f7d54",
]
# Where 20 is reached everywhere, neighbours are told apart at a glance also by deutan and protan eyes.
TARGET = 22.0


def neighbouring(points: np.ndarray, cluster: np.ndarray, limit: int = 12_000) -> dict[tuple[int, int], int]:
    """Returns how often clusters lie side by side: Delaunay edges that join two of them.

    Args:
        points: float (n, 2).
        cluster: int (n,); noise, −1, does not separate neighbours.
        limit: points looked at; of more, every so-manieth is taken.
    """
    rows = np.flatnonzero((cluster >= 0) & np.isfinite(points).all(axis=1))
    rows = rows[:: max(1, len(rows) // limit)]
    names = np.unique(cluster[rows])
    # The rarest clusters can fall through the sampling, so each is there with its middle besides.
    middles = np.array([np.median(points[rows][cluster[rows] == c], axis=0) for c in names]).reshape(-1, 2)
    places = np.concatenate([points[rows], middles]).astype(np.float64)
    owner = np.concatenate([cluster[rows], names])
    if len(names) < 2:
        return {}
    try:
        triangles = Delaunay(places, qhull_options="QJ").simplices
    except (QhullError, ValueError):
        return {(int(a), int(b)): 1 for i, a in enumerate(names) for b in names[i + 1 :]}
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    pairs = np.sort(owner[edges], axis=1)
    pairs, times = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
    return {(int(a), int(b)): int(t) for (a, b), t in zip(pairs, times, strict=True)}


@cache
def pool(size: int) -> tuple[str, ...]:
    """Returns at least `size` colours, `BASE` first, each further one the farthest from all before it."""
    steps = np.linspace(0, 1, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    place = cam02ucs(grid)
    strong = (place[:, 0] > 38) & (place[:, 0] < 78) & (abs(np.hypot(place[:, 1], place[:, 2]) - 26.5) < 9.5)
    grid = grid[strong]
    chosen = to_rgb([*BASE, NOISE])
    while len(chosen) <= size:
        between = distances_between(grid, chosen)
        chosen = np.concatenate([chosen, grid[[int(between.min(axis=1).argmax())]]])
    return (*BASE, *to_hex(chosen[len(BASE) + 1 :]))


def distances_between(rgb: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns distances (k, m): mostly those for normal eyes, a third of them for deutan and protan eyes."""
    parts = [
        np.linalg.norm(cam02ucs(rgb, v)[:, None] - cam02ucs(others, v)[None], axis=2)
        for v in ("normal", "deutan", "protan")
    ]
    weighted: np.ndarray = parts[0] * 2 / 3 + np.minimum(parts[1], parts[2]) / 3
    return weighted


def cluster_colours(points: np.ndarray, cluster: np.ndarray, clusters: Sequence[int]) -> dict[int, str]:
    """Returns a colour for each cluster, so chosen that clusters side by side on the map differ most.

    A swap search from the pool's own order: it exchanges the colours of two clusters, or takes an unused one,
    wherever that lessens the shortfall from `TARGET` summed over the neighbours. Same input, same colours.
    """
    colours = list(pool(max(len(BASE), len(clusters) + 16))) if clusters else []
    apart = distances(to_rgb(colours)) if colours else np.zeros((0, 0))
    position = {c: i for i, c in enumerate(clusters)}
    k = len(clusters)
    beside = np.zeros((k, k))
    for (a, b), times in neighbouring(points, cluster).items():
        if a in position and b in position:
            weight = 1 + np.log1p(times) / 10
            beside[position[a], position[b]] = beside[position[b], position[a]] = weight
    given = _swap(np.arange(k), beside, np.maximum(TARGET - apart, 0) ** 3, len(colours))
    return {c: colours[given[i]] for c, i in position.items()}


def _swap(given: np.ndarray, beside: np.ndarray, penalty: np.ndarray, available: int) -> np.ndarray:
    """Returns the colour (k,) of each cluster after exchanging colours for as long as that helps."""
    k = len(given)
    # Colours far down the pool are odder; a small price keeps them for where they are needed.
    price = np.arange(available) * 0.3

    def cost(i: int, colour: int, skip: int = -1) -> float:
        row = beside[i] * penalty[colour, given]
        return float(row.sum() - (row[skip] if skip >= 0 else 0) + price[colour])

    for _ in range(30):
        before = given.copy()
        for i in sorted(range(k), key=lambda i: -cost(i, int(given[i]))):
            now = cost(i, int(given[i]))
            gains = []
            for j in range(k):
                if j != i:
                    a, b = int(given[i]), int(given[j])
                    gains.append(
                        (now + cost(j, b) - cost(i, b, j) - cost(j, a, i) - 2 * beside[i, j] * penalty[a, b], j, -1)
                    )
            unused = sorted(set(range(available)) - set(given.tolist()))
            gains.extend((now - cost(i, free), -1, free) for free in unused)
            gain, j, free = max(gains, default=(0.0, -1, -1))
            if gain > 1e-9 and j >= 0:
                given[i], given[j] = given[j], given[i]
            elif gain > 1e-9:
                given[i] = free
        if (before == given).all():
            break
    return given
