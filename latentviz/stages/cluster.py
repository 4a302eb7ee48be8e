"""`latentviz cluster`: from a run's μ to neighbours, coordinates, clusters and the map, in `clusters/<name>/`."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from latentviz import resources
from latentviz.clustering.acting import check_size
from latentviz.clustering.clusterers import Clustering, cluster, from_cut
from latentviz.clustering.cut import Choice, choose_cut, nearest_clusters
from latentviz.clustering.description import GroupKeywords, describe, group_keywords
from latentviz.clustering.landmarks import Layout, spread, with_repeats
from latentviz.clustering.landmarks import choose as choose_landmarks
from latentviz.clustering.matching import Earlier
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.reducers import choose_backend, directions, fuzzy_graph, reduce
from latentviz.clustering.reducers import layouts as lay_out_groups
from latentviz.clustering.repeats import Repeats, find_repeats
from latentviz.config import ClusterConfig
from latentviz.errors import RunError
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.networks import listed
from latentviz.model.encoding import kl_of_posteriors, log_likelihoods
from latentviz.progress import plural, say, stage, warn
from latentviz.runs.items import ITEM_COLUMNS, Items, own_names
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.annotate import kept
from latentviz.stages.earlier import Previous
from latentviz.stages.map import MEASURED, SHOWN_NEIGHBOURS, draw
from latentviz.stages.map import check as check_map

ENOUGH = 1.25  # times the sample; below it, all items cost no more than the sample and placing the others
SMALL = 0.01  # of the items that clusters are found among: groups of fewer may be missed in a sample
FEWEST = 16  # distinct items; fewer have no neighbourhoods


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
    likely = opened.loadable and config.log_likelihood
    check_map(config.map, items.table.column_names, MEASURED if likely else ["kl"])
    folder = run.clustering(name)
    folder.begin(force=force)

    config = with_metric(config, opened)
    repeats = find_repeats(directions(mu, config.reduce.metric))
    distinct = len(mu) if repeats is None else len(repeats.first)
    config, notes = fit_to_size(config, distinct)
    for note in notes:
        warn(note)
    if repeats is not None:
        notes.append(counted(repeats))
        say(f"  {notes[-1]}")
    landmarks = resources.cluster(config, mu.shape, resources.pixels(run.cache), sampled=chooses_cut(config))
    config = updated(config, "reduce", landmarks=landmarks)
    rows = choose_landmarks(distinct, landmarks, config.seed_everything)
    previous, ids = Previous.of(run, name), items.column("id")
    earlier = None if previous is None else previous.aligned(ids)
    layout, choice = lay_out_and_cluster(mu, rows, config, seconds, repeats, earlier)
    layout, matched = (layout, None) if previous is None else previous.match(layout)
    if repeats is not None:
        rows = None if rows is None else repeats.first[rows]

    with stage("measuring the items", seconds):
        measured = likelihoods(opened, decoded=config.log_likelihood)
    keywords: GroupKeywords | None = None
    if (terms := opened.modality.terms(items)) is not None:
        with stage("keywords", seconds):
            keywords = group_keywords(layout, terms)
    if repeats is not None:
        measured["repeats"] = repeats.counts[repeats.which].astype(np.int32)
    table = points_table(items, layout, measured)
    notes = [*made["summary"].get("about", []), *notes]
    info = describe(layout, choice, ids, len(rows) if rows is not None else None, notes, keywords)
    if previous and matched:
        previous.add_to(info, matched, layout)
    table, info = kept(previous.folder if previous and not folder.finished else folder, table, info)

    run.unchanged_since(made)
    keys = type(config.cluster).model_fields
    effective = {key: value for key, value in layout.clusters.settings.items() if key in keys}
    with folder.replacing():
        write_layout(folder, layout, rows)
        with stage("writing the map", seconds):
            draw(folder, config.map, table, info, opened)
        folder.write(updated(config, "cluster", **effective), table, {**info, "seconds": seconds})
    return folder


def write_layout(folder: ClusterFolder, layout: Layout, landmarks: np.ndarray | None) -> None:
    """Writes the arrays of a clustering; `landmarks`, int64, are the rows that were laid out, None: all."""
    folder.write_coordinates(layout.coordinates)
    folder.write_neighbours(layout.neighbours[:, :SHOWN_NEIGHBOURS])
    folder.write_landmarks(landmarks)
    folder.write_tree(layout.clusters.raw_tree)


def clustered_mu(opened: OpenRun, config: ClusterConfig) -> np.ndarray:
    """Returns the dimensions of μ that are clustered, float32 (n, d).

    Raises:
        RunError: n is not the number of items.
        ConfigError: a setting is more than the items or the dimensions allow.
    """
    mu = np.asarray(opened.mu)
    if len(opened.items) != len(mu):
        raise RunError(
            f"{opened.run.mu_file}: damaged ({plural(len(mu), 'row')}, and {opened.run.items_file} has "
            f"{len(opened.items)}); `latentviz fit` makes the run again with --force"
        )
    found = np.ascontiguousarray(mu[:, : opened.content_dim]) if config.cluster.on == "mu" else mu
    check_size(config, *found.shape)
    return found


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
    """Clamps settings that exceed n distinct items; returns a note on each. `check_size` has compared them with all."""
    notes, k = [], config.reduce.n_neighbors
    if k >= n:
        notes.append(
            f"reduce.n_neighbors: {plural(n, 'item has', 'items have')} no {k} neighbours each; using {max(2, n - 1)}"
        )
        k = max(2, n - 1)
        config = updated(config, "reduce", n_neighbors=k)
    section = config.cluster
    for key, value, most, why in (
        ("n_clusters", section.n_clusters, n, "no more clusters than items"),
        ("min_cluster_size", section.min_cluster_size, n // 2, "no two clusters of that size"),
    ):
        if value != "auto" and value > most:
            notes.append(f"cluster.{key}: {plural(n, 'item has', 'items have')} {why} (got {value}); using {most}")
            config = updated(config, "cluster", **{key: most})
    return config, notes


def counted(repeats: Repeats) -> str:
    """Says how many items repeat others."""
    return (
        f"{repeats.repeated:,} of {len(repeats.which):,} items repeat another one (one {repeats.counts.max():,} "
        "times): items with the same mu are laid out and clustered as one, with their count"
    )


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
    if repeats is not None:
        if len(repeats.first) == 1:
            return with_repeats(one_spot(config), repeats), None
        earlier = earlier and earlier.of(repeats.first)
        layout, choice = _lay_out_and_cluster(mu[repeats.first], rows, config, seconds, repeats.counts, earlier)
        return with_repeats(layout, repeats), choice
    return _lay_out_and_cluster(mu, rows, config, seconds, None, earlier)


def one_spot(config: ClusterConfig) -> Layout:
    """Returns the layout of one distinct item: one spot, one cluster."""
    settings: dict[str, str | int] = {"method": config.cluster.method}
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
    with stage("drawing", seconds):
        points = map_points(vectors, graph, layout.coordinates, config)
    return replace(layout, points=points, neighbours=graph.indices[:, 1:]), choice


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
    with stage("reducing", seconds):
        groups = lay_out(vectors, graph, config, earlier)
        first = next(groups)
    with stage("clustering", seconds):  # with further layouts, if the first ones disagree
        found = find_clusters(itertools.chain([first], groups), graph, vectors, config, counts, earlier)
    points = found.coordinates
    if draw:
        with stage("drawing", seconds):
            points = map_points(vectors, graph, points, config)
    return Layout(points, found.coordinates, graph.indices[:, 1:], found.clusters, found.nearest), found.choice


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
        choice = choose_cut(layouts, fuzzy_graph(graph), others, graph.distances[:, 1:], counts, known)
        chosen = choice.points
        found = from_cut(chosen, choice.cut, counts)
    else:
        chosen = next(iter(layouts))[0]
        settings = config.cluster.model_dump(exclude={"method", "on"})
        found = cluster(config.cluster.method, chosen, seed=config.seed_everything, counts=counts, **settings)
    return FoundClusters(found, nearest_clusters(found.labels, others, vectors), chosen, choice)


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


def likelihoods(opened: OpenRun, *, decoded: bool = True) -> dict[str, np.ndarray]:
    """Returns log p(x|z = μ) and KL of each item in nats, float32 (n,): odd items have a low one or a high other.

    The log-likelihood needs all items `decoded`, and the code of the decoder, which may be the user's and not known
    here.
    """
    mu = np.asarray(opened.mu)
    kl = {"kl": kl_of_posteriors(mu, np.asarray(opened.logvar))}
    if not opened.loadable:
        say(
            f"  without the code of the networks ({listed(opened.config.networks)}) there are no log-likelihoods and "
            f'no decoder on the map; in Python, `lv.open("{opened.run.path}", …)` takes the networks'
        )
        return kl
    if not decoded:
        return kl
    vae, kind = opened.model.vae, opened.model.kind
    return {"log_likelihood": log_likelihoods(vae, kind.dataset(), kind.to_input, mu, lengths=kind.lengths()), **kl}


def points_table(items: Items, layout: Layout, measured: Mapping[str, np.ndarray]) -> pa.Table:
    """Returns the table in points.parquet; row i is item i."""
    ends = {name: items.table.column(name) for name in ITEM_COLUMNS if name != "split"}
    names = own_names(name for name in items.table.column_names if name not in ITEM_COLUMNS)  # runs of older versions
    columns = {kept: items.table.column(name) for name, kept in names.items()}
    places = {"x": layout.points[:, 0].astype(np.float32), "y": layout.points[:, 1].astype(np.float32)}
    return pa.table({"id": ends.pop("id"), **places, **layout.columns(), **ends, **measured, **columns})
