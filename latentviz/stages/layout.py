"""Lays items out and clusters them: neighbours, coordinates, clusters, and the points of the map."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from latentviz import resources
from latentviz.clustering.clusterers import cluster
from latentviz.clustering.cut import Choice, choose_cut, nearest_clusters
from latentviz.clustering.density import from_cut
from latentviz.clustering.exact import numbers
from latentviz.clustering.landmarks import Layout, spread, with_repeats
from latentviz.clustering.landmarks import choose as choose_landmarks
from latentviz.clustering.matching import Earlier
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.network import Network
from latentviz.clustering.noise import assign_noise
from latentviz.clustering.partition import Clustering
from latentviz.clustering.reducers import choose_backend, directions, reduce
from latentviz.clustering.reducers import layouts as lay_out_groups
from latentviz.clustering.repeats import Repeats
from latentviz.clustering.umap_layout import fuzzy_graph
from latentviz.config import ClusterConfig
from latentviz.config.methods import named
from latentviz.progress import say, stage

ENOUGH = 1.25  # times the sample; below it, all items cost no more than the sample and placing the others
SMALL = 0.01  # of the items that clusters are found among: groups of fewer may be missed in a sample
FEWEST = 16  # distinct items; fewer have no neighbourhoods


def updated(config: ClusterConfig, section: Literal["reduce", "cluster"], **values: object) -> ClusterConfig:
    """Returns the config with other values in a section."""
    current = config.reduce if section == "reduce" else config.cluster
    return config.model_copy(update={section: current.model_copy(update=values)})


def lay_out_and_cluster(
    mu: np.ndarray,
    rows: np.ndarray | None,
    config: ClusterConfig,
    seconds: dict[str, float],
    repeats: Repeats | None = None,
    earlier: Earlier | None = None,
) -> tuple[Layout, Choice | None]:
    """Returns the layout of all items, and the chosen cut if one is chosen.

    Lays out the landmarks `rows`, int64 (None: all items), by the dimensions `mu` (n, d) that are clustered. With
    `repeats` the distinct items alone are laid out, and `rows` are numbers of distinct items. An `earlier` clustering
    is where the layout starts, and its clusters should stay.
    """
    if repeats is not None and len(repeats.first) == 1:
        return with_repeats(one_spot(config), repeats), None
    counts = None
    if repeats is not None:
        mu, counts, earlier = mu[repeats.first], repeats.counts, earlier and earlier.of(repeats.first)
    layout, choice = _lay_out_and_cluster(mu, rows, config, seconds, counts, earlier)
    layout = assign_noise(layout, config.cluster.max_noise, counts, choice)
    return layout if repeats is None else with_repeats(layout, repeats), choice


def one_spot(config: ClusterConfig) -> Layout:
    """Returns the layout of one distinct item: one spot, one cluster."""
    settings: dict[str, str | int] = {"method": named(config.cluster.method)}
    if config.cluster.method == "hdbscan":
        settings |= {"min_cluster_size": 2, "min_samples": 1, "selection": "eom"}
    found = Clustering(
        np.zeros(1, np.int32), np.ones(1, np.float32), np.zeros(1, np.float32), exemplars={0: [0]}, settings=settings
    )
    spot = np.zeros((1, config.reduce.n_components), np.float32)
    return Layout(np.zeros((1, 2), np.float32), spot, np.zeros((1, 0), np.int32), found, found.labels)


def _lay_out_and_cluster(
    mu: np.ndarray,
    rows: np.ndarray | None,
    config: ClusterConfig,
    seconds: dict[str, float],
    counts: np.ndarray | None,
    earlier: Earlier | None,
) -> tuple[Layout, Choice | None]:
    """Lays out rows that differ, of which `counts` says how many items each stands for."""
    vectors = laid = directions(mu, config.reduce.metric)
    if len(mu) < FEWEST:  # UMAP and the choice of the cut need neighbourhoods
        config = updated(config, "reduce", method="pca")
    if rows is not None:
        counts, earlier = None if counts is None else counts[rows], earlier and earlier.of(rows)
        say(f"{len(rows):,} of {len(mu):,} items are laid out, the others placed next to their neighbours")
        laid, size = vectors[rows], config.cluster.min_cluster_size
        if size != "auto":  # it counts items, and the landmarks are fewer
            config = updated(config, "cluster", min_cluster_size=max(2, round(size * (len(rows) / len(mu)))))
    sampled = chooses_cut(config) and len(laid) > ENOUGH * config.reduce.sample
    core = choose_landmarks(len(laid), config.reduce.sample if sampled else 0, config.seed_everything)
    found = None if core is None else _from_core(core, laid, config, seconds, counts, earlier)
    layout, choice = found or _lay_out_all(laid, config, seconds, counts, earlier)
    if rows is not None:
        with stage("placing the others", seconds):
            layout = spread(rows, vectors, layout)
    return layout, choice


def _from_core(
    core: np.ndarray,
    vectors: np.ndarray,
    config: ClusterConfig,
    seconds: dict[str, float],
    counts: np.ndarray | None,
    earlier: Earlier | None,
) -> tuple[Layout, Choice | None] | None:
    """Finds clusters among some of the `vectors` (n, d), rows `core` int64, and lays out all from there.

    None if most clusters are so small that a sample may miss some.
    """
    counts, earlier = None if counts is None else counts[core], earlier and earlier.of(core)
    say(f"clusters are looked for among {len(core):,} of {len(vectors):,} items; the others follow their neighbours")
    layout, choice = _lay_out_all(vectors[core], config, seconds, counts, earlier, draw=False)
    labels = layout.clusters.labels
    if layout.clusters.k and np.median(np.bincount(labels[labels >= 0])) < SMALL * len(core):
        say("  most clusters are small, and others may be missed: now among all items")
        return None
    with stage("placing the others", seconds):
        layout = spread(core, vectors, layout)
    graph = graph_of(vectors, config, seconds)
    if layout.network is None:
        with stage("drawing", seconds):
            layout = replace(layout, points=map_points(vectors, graph, layout.coordinates, config))
    return replace(layout, neighbours=graph.indices[:, 1:]), choice


def _lay_out_all(
    vectors: np.ndarray,
    config: ClusterConfig,
    seconds: dict[str, float],
    counts: np.ndarray | None,
    earlier: Earlier | None,
    *,
    draw: bool = True,
) -> tuple[Layout, Choice | None]:
    """Lays out and clusters all `vectors` (n, d); without `draw` the coordinates are the points."""
    graph = graph_of(vectors, config, seconds)
    network = None
    with stage("reducing", seconds):
        if config.reduce.method == "parametric":
            network = network_of(vectors, graph, config)
            first, points = network(vectors)
            groups: Iterator[Sequence[np.ndarray]] = iter([[first]])
        else:
            laid = lay_out(vectors, graph, config, earlier)
            groups = itertools.chain([next(laid)], laid)
    with stage("clustering", seconds):  # with further layouts, if the first ones disagree
        found = find_clusters(groups, graph, vectors, config, counts, earlier)
    if network is None:
        points = found.coordinates
        if draw:
            with stage("drawing", seconds):
                points = map_points(vectors, graph, points, config)
    others = graph.indices[:, 1:]
    return Layout(points, found.coordinates, others, found.clusters, found.nearest, network=network), found.choice


def network_of(vectors: np.ndarray, graph: Neighbours, config: ClusterConfig) -> Network:
    """Trains the network that lays out `vectors` (n, d)."""
    from latentviz.clustering.parametric import fit_network

    section = config.reduce
    return fit_network(
        vectors,
        graph,
        section.n_components,
        min_dist=section.min_dist,
        seed=config.seed_everything,
        repeatable=section.repeatable,
    )


def graph_of(vectors: np.ndarray, config: ClusterConfig, seconds: dict[str, float]) -> Neighbours:
    """Returns the neighbours of all `vectors` (n, d), each its own first."""
    with stage("neighbours", seconds):
        return neighbours(vectors, config.reduce.n_neighbors, seed=config.seed_everything)


def lay_out(
    vectors: np.ndarray, graph: Neighbours, config: ClusterConfig, earlier: Earlier | None = None
) -> Iterator[Sequence[np.ndarray]]:
    """Returns groups of coordinates to cluster, float32 (n, k) of each layout; a group is laid out when asked for."""
    reduction, seed = config.reduce, config.seed_everything
    start = earlier.start(graph) if earlier and reduction.method == "umap" else None
    if start is not None and start.shape[1] != reduction.n_components:
        start = None
    sizes: Sequence[int] = (1,)
    if reduction.method == "umap" and chooses_cut(config):
        sizes = resources.LAYOUTS if reduction.layouts == "auto" else (reduction.layouts,)
    ends = list(itertools.accumulate(sizes, initial=seed))
    return lay_out_groups(
        reduction.method,
        vectors,
        graph,
        reduction.n_components,
        [range(*ends[i : i + 2]) for i in range(len(sizes))],
        repeatable=reduction.repeatable,
        start=start,
        backend=choose_backend(reduction.backend),
    )


def chooses_cut(config: ClusterConfig) -> bool:
    """Whether the cut of the tree is chosen from the data."""
    return config.cluster.method == "hdbscan" and config.cluster.min_cluster_size == "auto"


@dataclass(frozen=True)
class FoundClusters:
    """Clusters of laid-out items."""

    clusters: Clustering  # the clustering
    nearest: np.ndarray  # int32 (n,), the clusters with noise assigned to the nearest one
    coordinates: np.ndarray  # float32 (n, k), the layout that was clustered
    choice: Choice | None = None  # the chosen cut, if one was chosen


def find_clusters(
    layouts: Iterable[Sequence[np.ndarray]],
    graph: Neighbours,
    vectors: np.ndarray,
    config: ClusterConfig,
    counts: np.ndarray | None = None,
    earlier: Earlier | None = None,
) -> FoundClusters:
    """Clusters one of the groups of layouts, float32 (n, k) each, of `vectors` (n, d) with their `graph`.

    `counts` is how many items each row stands for.
    """
    others, choice = graph.indices[:, 1:], None
    if chooses_cut(config) and len(vectors) >= FEWEST:
        known = None if earlier is None else earlier.nearest
        wanted = numbers(config.cluster.n_clusters, len(vectors))
        choice = choose_cut(layouts, fuzzy_graph(graph), others, graph.distances[:, 1:], counts, known, wanted)
        chosen = choice.points
        found = from_cut(chosen, choice.cut, counts)
        if wanted is not None:
            found = replace(found, settings={**found.settings, "n_clusters": found.k})
    else:
        chosen = next(iter(layouts))[0]
        settings = config.cluster.model_dump(include={"min_cluster_size", "min_samples", "selection", "n_clusters"})
        given = {"seed": config.seed_everything, "counts": counts, "graph": graph, "vectors": vectors, **settings}
        found = cluster(config.cluster.method, chosen, **given)
    return FoundClusters(found, nearest_clusters(found.labels, others, vectors), chosen, choice)


def map_points(vectors: np.ndarray, graph: Neighbours, coordinates: np.ndarray, config: ClusterConfig) -> np.ndarray:
    """Returns the points of the map, float32 (n, 2): the clustered layout with more distance between the items."""
    reduction = config.reduce
    flat = coordinates.shape[1] == 2
    if flat and (reduction.method not in {"umap", "densmap"} or reduction.min_dist == 0):
        return coordinates
    if not isinstance(reduction.method, str):  # it lays out in its own number of dimensions
        return reduce("pca", coordinates, graph, 2)
    return reduce(
        reduction.method,
        vectors,
        graph,
        2,
        min_dist=reduction.min_dist,
        seed=config.seed_everything,
        repeatable=reduction.repeatable,
        start=coordinates if flat and reduction.method == "umap" else None,
        backend=choose_backend(reduction.backend),
    )
