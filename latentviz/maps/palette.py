"""Cluster colours: neighbours on the map differ for normal, deutan and protan vision."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from colorspacious import cspace_convert
from scipy.spatial import Delaunay, QhullError

from latentviz.maps.decoder import finite_rows

MARKED = "#d6406b"  # of items that are to be seen among others in the grey of noise
NOISE = "#b9bcc4"
# Reads well on white and on near-black; small maps use these, in this order.
BASE = ["#4269d0", "#ef9f1c", "#e8505b", "#17a398", "#8e5bd6", "#6da34d"]
BASE += ["#ff8ab7", "#8c5a3c", "#52b6e8", "#b5b02c", "#c02f8f", "#2f7d54"]
# CAM02-UCS distance between neighbours. At 20 normal, deutan and protan vision tell them apart at a glance.
TARGET = 22.0
ROUNDS = 30  # of swaps, at most
# sRGB as each kind of vision sees it; 100 is full dichromacy (Machado, Oliveira & Fernandes 2009).
VISIONS = {
    "normal": "sRGB1",
    "deutan": {"name": "sRGB1+CVD", "cvd_type": "deuteranomaly", "severity": 100},
    "protan": {"name": "sRGB1+CVD", "cvd_type": "protanomaly", "severity": 100},
}


def to_rgb(hexes: list[str]) -> np.ndarray:
    """Converts colours such as "#4269d0" to sRGB, float64 (k, 3) in [0, 1]."""
    return np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes]).reshape(-1, 3) / 255


def to_hex(rgb: np.ndarray) -> list[str]:
    """Converts sRGB (k, 3) in [0, 1] to colours such as "#4269d0"."""
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in np.rint(rgb * 255).astype(int)]


def cam02ucs(rgb: np.ndarray, vision: str = "normal") -> np.ndarray:
    """Converts sRGB (k, 3) in [0, 1] to J', a', b' (k, 3) (Luo, Cui & Li 2006) for one of `VISIONS`."""
    seen = np.clip(cspace_convert(rgb, VISIONS[vision], "sRGB1"), 0, 1)
    converted: np.ndarray = cspace_convert(seen, "sRGB1", "CAM02-UCS")
    return converted


def distances(rgb: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Computes the CAM02-UCS distances (k, m) between two sets of colours, (k, 3) and (m, 3), for each vision."""
    pairs = {vision: (cam02ucs(rgb, vision), cam02ucs(others, vision)) for vision in VISIONS}
    return {vision: np.linalg.norm(a[:, None] - b[None], axis=2) for vision, (a, b) in pairs.items()}


def neighbouring(points: np.ndarray, cluster: np.ndarray, limit: int = 12_000) -> dict[tuple[int, int], int]:
    """Counts the Delaunay edges of points (n, 2) that join two different clusters (n,), for each such pair.

    Noise, −1, does not separate neighbours; maps of more than `limit` points are thinned evenly.
    """
    rows = np.flatnonzero((cluster >= 0) & np.isfinite(points).all(axis=1))
    rows = rows[:: max(1, len(rows) // limit)]
    names = np.unique(cluster[rows])
    # Thinning can drop small clusters, so each cluster's median is added.
    medians = np.array([np.median(points[rows][cluster[rows] == c], axis=0) for c in names]).reshape(-1, 2)
    owner = np.concatenate([cluster[rows], names])
    if len(names) < 2:
        return {}
    try:
        triangles = Delaunay(np.concatenate([points[rows], medians]).astype(float), qhull_options="QJ").simplices
    except (QhullError, ValueError):
        return {(int(a), int(b)): 1 for i, a in enumerate(names) for b in names[i + 1 :]}
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    pairs = np.sort(owner[edges], axis=1)
    pairs, times = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0, return_counts=True)
    return {(int(a), int(b)): int(t) for (a, b), t in zip(pairs, times, strict=True)}


@cache
def pool(size: int) -> tuple[str, ...]:
    """Extends `BASE` to `size` colours, each new one the farthest from all before it (Glasbey et al. 2007)."""
    steps = np.linspace(0, 1, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    lightness, a, b = cam02ucs(grid).T
    grid = grid[(lightness > 38) & (lightness < 78) & (abs(np.hypot(a, b) - 26.5) < 9.5)]

    def apart(chosen: np.ndarray) -> np.ndarray:
        """Computes the distance of each grid colour to the nearest chosen one; normal vision counts two thirds."""
        by_vision = distances(grid, chosen)
        impaired = np.minimum(by_vision["deutan"], by_vision["protan"])
        nearest: np.ndarray = (by_vision["normal"] * 2 / 3 + impaired / 3).min(axis=1)
        return nearest

    found: list[str] = []
    nearest = apart(to_rgb([*BASE, NOISE]))
    while len(BASE) + len(found) < size:
        added = grid[[int(nearest.argmax())]]
        found += to_hex(added)
        nearest = np.minimum(nearest, apart(added))
    return (*BASE, *found)


def cluster_colours(
    points: np.ndarray, cluster: np.ndarray, clusters: Sequence[int], given: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Chooses a colour for each cluster so that clusters next to each other on the map differ most.

    Starts from the pool's order and swaps the colours of two clusters, or takes an unused one, while that lowers the
    shortfall from `TARGET` summed over neighbours. Deterministic.

    Args:
        points: float (n, 2), the map.
        cluster: int (n,), the cluster of each item, −1 for noise.
        clusters: those to colour.
        given: colours that some clusters have already.
    """
    if not clusters:
        return {}
    given = {c: colour for c, colour in (given or {}).items() if c in clusters}
    k, colours = len(clusters), list(pool(max(len(BASE), len(clusters) + 16)))
    colours += sorted(set(given.values()) - set(colours))
    rgb = to_rgb(colours)
    shortfall = np.maximum(TARGET - np.min(list(distances(rgb, rgb).values()), axis=0), 0) ** 3
    index = {c: i for i, c in enumerate(clusters)}
    weight = np.zeros((k, k))
    for (a, b), times in neighbouring(points, cluster).items():
        if a in index and b in index:
            weight[index[a], index[b]] = weight[index[b], index[a]] = 1 + np.log1p(times) / 10
    fixed = {index[c]: colours.index(colour) for c, colour in given.items()}
    chosen = _swap(weight, shortfall, fixed)
    return {c: colours[chosen[i]] for c, i in index.items()}


def map_colours(points: np.ndarray, cluster: np.ndarray, given: Mapping[int, str]) -> dict[int, str]:
    """Returns the colours of all clusters (n,) on a map of points (n, 2), which may be given to some."""
    rows = finite_rows(points)
    rows = rows[np.argsort(cluster[rows], kind="stable")]  # as the map draws them
    return cluster_colours(points[rows], cluster[rows], np.unique(cluster[cluster >= 0]).tolist(), given)


def _swap(weight: np.ndarray, shortfall: np.ndarray, fixed: Mapping[int, int]) -> np.ndarray:
    """Assigns colours (k,) to clusters by greedy swaps, given weights (k, k) and colour costs (m, m).

    The clusters in `fixed` keep their colour.
    """
    k, available = len(weight), len(shortfall)
    free_colours = iter(colour for colour in range(available) if colour not in fixed.values())
    chosen = np.array([fixed[i] if i in fixed else next(free_colours) for i in range(k)])
    movable = [i for i in range(k) if i not in fixed]
    # Later colours of the pool look odder; a small price keeps them for where they are needed.
    price = np.arange(available) * 0.3

    def cost(i: int, colour: int, skip: int = -1) -> float:
        row = weight[i] * shortfall[colour, chosen]
        return float(row.sum() - (row[skip] if skip >= 0 else 0) + price[colour])

    for _ in range(ROUNDS):
        before = chosen.copy()
        for i in sorted(movable, key=lambda i: -cost(i, int(chosen[i]))):
            now, own = cost(i, int(chosen[i])), int(chosen[i])
            gains = [
                (now + cost(j, b) - cost(i, b, j) - cost(j, own, i) - 2 * weight[i, j] * shortfall[own, b], j, -1)
                for j, b in enumerate(chosen.tolist())
                if j != i and j not in fixed
            ]
            gains += [(now - cost(i, free), -1, free) for free in sorted(set(range(available)) - set(chosen.tolist()))]
            gain, j, free = max(gains, default=(0.0, -1, -1))
            if gain > 1e-9 and j >= 0:
                chosen[i], chosen[j] = chosen[j], chosen[i]
            elif gain > 1e-9:
                chosen[i] = free
        if (before == chosen).all():
            break
    return chosen
