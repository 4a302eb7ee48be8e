"""`latentviz cluster`: from a run's μ to neighbours, coordinates, clusters and the map, in `clusters/<name>/`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from latentviz import resources
from latentviz.clustering.clusterers import CLUSTERERS, Clustering, cluster, from_cut
from latentviz.clustering.cut import Choice, choose_cut, fill
from latentviz.clustering.description import GroupKeywords, describe, group_keywords
from latentviz.clustering.landmarks import Layout, spread
from latentviz.clustering.landmarks import choose as choose_landmarks
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.reducers import REDUCERS, choose_backend, directions, fuzzy_graph, layouts, reduce
from latentviz.clustering.stability import Draws, posterior_draws
from latentviz.config import ClusterConfig
from latentviz.errors import RunError, choose
from latentviz.evaluation.metrics import sample
from latentviz.modalities.loading import OpenRun
from latentviz.model.encoding import kl_of_posteriors, log_likelihoods
from latentviz.progress import say, stage, warn
from latentviz.runs.items import Items
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.map import SHOWN_NEIGHBOURS, draw
from latentviz.stages.map import check as check_map

# Posterior draws for the choice of the cut: items, draws of each, and neighbours that vote on a draw's cluster.
DRAWN_ITEMS, DRAWS, DRAW_VOTERS = 5_000, 4, 5


def make_clustering(run: RunFolder, config: ClusterConfig, *, name: str, force: bool) -> ClusterFolder:
    """Clusters a run and draws its map; `force` replaces a clustering of this name.

    Raises:
        RunError: the run is unfinished or damaged, or the name is taken.
        ConfigError: a setting names a method, layer or column that does not exist.
        ResourceError: there is not enough memory.
    """
    seconds: dict[str, float] = {}
    opened = OpenRun(run)
    made, items, mu = opened.info, opened.items, clustered_mu(opened, config)
    if len(items) != len(mu):
        raise RunError(
            f"{run.mu_file}: damaged ({len(mu)} rows, and {run.items_file} has {len(items)}); "
            "`latentviz fit` makes the run again with --force"
        )
    choose(REDUCERS, config.reduce.method, "reduce.method")
    choose(CLUSTERERS, config.cluster.method, "cluster.method")
    check_map(config.map, items.table.column_names)
    folder = run.clustering(name)
    folder.begin(force=force)

    config, notes = fit_to_size(config, len(mu))
    for note in notes:
        warn(note)
    landmarks = resources.cluster(config, mu.shape, resources.pixels(run.cache))
    config = with_metric(updated(config, "reduce", landmarks=landmarks), opened)
    rows = choose_landmarks(len(mu), landmarks, config.seed_everything)
    layout, choice = lay_out_and_cluster(opened, mu, rows, config, seconds)

    model = opened.model
    with stage("measuring the items", seconds):
        measured = likelihoods(opened)
    keywords: GroupKeywords | None = None
    ids = items.column("id")
    if (terms := opened.modality.terms(items)) is not None:
        with stage("keywords", seconds):
            keywords = group_keywords(layout, terms)
    table = points_table(items, layout, measured)
    notes = [*made["summary"].get("about", []), *notes]
    info = describe(layout, choice, ids, len(rows) if rows is not None else None, notes, keywords)

    run.unchanged_since(made)
    folder.reopen()
    folder.write_coordinates(layout.coordinates)
    folder.write_neighbours(layout.neighbours[:, :SHOWN_NEIGHBOURS])
    folder.write_landmarks(rows)
    folder.write_tree(layout.clusters.raw_tree)
    with stage("writing the map", seconds):
        draw(folder, config.map, table, info, model)
    keys = type(config.cluster).model_fields
    effective = {key: value for key, value in layout.clusters.settings.items() if key in keys}
    folder.write(updated(config, "cluster", **effective), table, {**info, "seconds": seconds})
    return folder


def clustered_mu(opened: OpenRun, config: ClusterConfig) -> np.ndarray:
    """Returns the dimensions of μ that are clustered, float32 (n, d)."""
    mu = np.asarray(opened.mu)
    return np.ascontiguousarray(mu[:, : opened.content_dim]) if config.cluster.on == "mu" else mu


def updated(config: ClusterConfig, section: Literal["reduce", "cluster"], **values: str | int) -> ClusterConfig:
    """Returns the config with other values in a section."""
    current = config.reduce if section == "reduce" else config.cluster
    return config.model_copy(update={section: current.model_copy(update=values)})


def with_metric(config: ClusterConfig, opened: OpenRun) -> ClusterConfig:
    """Resolves `reduce.metric`: the cosine for latents trained by contrast, which compares directions."""
    if config.reduce.metric != "auto":
        return config
    return updated(config, "reduce", metric="cosine" if opened.contrast and config.cluster.on == "mu" else "euclidean")


def fit_to_size(config: ClusterConfig, n: int) -> tuple[ClusterConfig, list[str]]:
    """Clamps settings that exceed n items; returns a note on each."""
    notes, k = [], config.reduce.n_neighbors
    if k >= n:
        notes.append(f"reduce.n_neighbors: {n} items have no {k} neighbours each; using {max(2, n - 1)}")
        k = max(2, n - 1)
        config = updated(config, "reduce", n_neighbors=k)
    landmarks = config.reduce.landmarks
    if isinstance(landmarks, int) and 0 < landmarks <= k:
        raised = min(n, 10 * k)
        notes.append(f"reduce.landmarks: {landmarks} have no {k} neighbours each; using {raised}")
        config = updated(config, "reduce", landmarks=raised)
    section = config.cluster
    for key, value, most, why in (
        ("n_clusters", section.n_clusters, n, "no more clusters than items"),
        ("min_cluster_size", section.min_cluster_size, n // 2, "no two clusters of that size"),
    ):
        if value != "auto" and value > most:
            notes.append(f"cluster.{key}: {n} items have {why} (got {value}); using {most}")
            config = updated(config, "cluster", **{key: most})
    return config, notes


def lay_out_and_cluster(
    opened: OpenRun, mu: np.ndarray, rows: np.ndarray | None, config: ClusterConfig, seconds: dict[str, float]
) -> tuple[Layout, Choice | None]:
    """Returns the layout of all items, and the chosen cut if one is chosen.

    Lays out the landmarks `rows`, int64 (None: all items), by the dimensions `mu` (n, d) that are clustered.
    """
    vectors = laid = directions(mu, config.reduce.metric)
    if rows is not None:
        say(f"{len(rows):,} of {len(mu):,} items are laid out, the others placed next to their neighbours")
        laid, size = vectors[rows], config.cluster.min_cluster_size
        if size != "auto":  # it counts items, and the landmarks are fewer
            config = updated(config, "cluster", min_cluster_size=max(2, round(size * (len(rows) / len(mu)))))
    with stage("neighbours", seconds):
        graph = neighbours(laid, config.reduce.n_neighbors, seed=config.seed_everything)
    with stage("reducing", seconds):
        coordinates = lay_out(laid, graph, config)
    with stage("clustering", seconds):
        found = find_clusters(coordinates, graph, config, draws(opened, mu, rows, config))
    with stage("drawing", seconds):
        points = map_points(laid, graph, found.coordinates, config)
    layout = Layout(points, found.coordinates, graph.indices[:, 1:], found.clusters, found.nearest)
    if rows is not None:
        with stage("placing the others", seconds):
            layout = spread(rows, vectors, layout)
    return layout, found.choice


def lay_out(vectors: np.ndarray, graph: Neighbours, config: ClusterConfig) -> list[np.ndarray]:
    """Returns the coordinates to cluster, float32 (n, k), of each layout."""
    reduction, seed = config.reduce, config.seed_everything
    count = reduction.layouts if reduction.method == "umap" and chooses_cut(config) else 1
    return layouts(
        reduction.method,
        vectors,
        graph,
        reduction.n_components,
        range(seed, seed + count),
        repeatable=reduction.repeatable,
        backend=choose_backend(reduction.backend),
    )


def chooses_cut(config: ClusterConfig) -> bool:
    """Whether the cut of the tree is chosen from the data."""
    return config.cluster.method == "hdbscan" and config.cluster.min_cluster_size == "auto"


def draws(opened: OpenRun, mu: np.ndarray, rows: np.ndarray | None, config: ClusterConfig) -> Draws | None:
    """Draws from the posteriors of a sample of the landmarks `rows` (None: of all items), and compares with them alone.

    None if no cut is chosen, or if μ is given and not learnt.
    """
    if not chooses_cut(config) or (config.cluster.on == "mu" and opened.given_dim):
        return None
    logvar = opened.logvar[:, : mu.shape[1]]
    if rows is not None:
        mu, logvar = mu[rows], logvar[rows]
    return posterior_draws(
        mu,
        logvar,
        sample(len(mu), DRAWN_ITEMS, config.seed_everything),
        k=min(DRAW_VOTERS, len(mu) - 1),
        draws=DRAWS,
        seed=config.seed_everything,
        metric=config.reduce.metric,
    )


@dataclass(frozen=True)
class FoundClusters:
    """Clusters of laid-out items."""

    clusters: Clustering  # the clustering
    nearest: np.ndarray  # int32 (n,), the clusters with noise assigned to the nearest one
    coordinates: np.ndarray  # float32 (n, k), the layout that was clustered
    choice: Choice | None = None  # the chosen cut, if one was chosen


def find_clusters(
    coordinates: Sequence[np.ndarray], graph: Neighbours, config: ClusterConfig, drawn: Draws | None = None
) -> FoundClusters:
    """Clusters one of the layouts, float32 (n, k) each."""
    others, choice, chosen = graph.indices[:, 1:], None, coordinates[0]
    if chooses_cut(config):
        choice = choose_cut(coordinates, fuzzy_graph(graph), others, graph.distances[:, -1], drawn)
        chosen = coordinates[choice.cut.scores.layout]
        found = from_cut(chosen, choice.cut)
    else:
        settings = config.cluster.model_dump(exclude={"method", "on"})
        found = cluster(config.cluster.method, chosen, seed=config.seed_everything, **settings)
    return FoundClusters(found, fill(found.labels, others), chosen, choice)


def map_points(vectors: np.ndarray, graph: Neighbours, coordinates: np.ndarray, config: ClusterConfig) -> np.ndarray:
    """Returns the points of the map, float32 (n, 2): the clustered layout with more distance between the items."""
    reduction = config.reduce
    flat = coordinates.shape[1] == 2
    if flat and (reduction.method != "umap" or reduction.min_dist == 0):
        return coordinates
    return reduce(
        reduction.method,
        vectors,
        graph,
        2,
        min_dist=reduction.min_dist,
        seed=config.seed_everything,
        repeatable=reduction.repeatable,
        start=coordinates if flat else None,
        backend=choose_backend(reduction.backend),
    )


def likelihoods(opened: OpenRun) -> dict[str, np.ndarray]:
    """Returns log p(x|z = μ) and KL of each item in nats, float32 (n,): odd items have a low one or a high other."""
    model, mu = opened.model, np.asarray(opened.mu)
    return {
        "log_likelihood": log_likelihoods(model.vae, model.kind.dataset(), model.kind.to_input, mu),
        "kl": kl_of_posteriors(mu, np.asarray(opened.logvar)),
    }


def points_table(items: Items, layout: Layout, measured: Mapping[str, np.ndarray]) -> pa.Table:
    """Returns the table in points.parquet; row i is item i."""
    columns = {name: items.table.column(name) for name in items.table.column_names}
    del columns["split"]
    ends = {name: columns.pop(name) for name in ("id", "label", "source")}
    places = {"x": layout.points[:, 0].astype(np.float32), "y": layout.points[:, 1].astype(np.float32)}
    return pa.table({"id": ends.pop("id"), **places, **layout.columns(), **ends, **measured, **columns})
