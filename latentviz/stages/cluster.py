"""From a run's μ to `clusters/<name>/`: neighbours, coordinates, clusters, points, map."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz import resources
from latentviz.clustering.clusterers import CLUSTERERS, Clustering, cluster, from_cut
from latentviz.clustering.cut import PARTED, STABLE, Choice, choose_cut, fill
from latentviz.clustering.keywords import Keywords, with_keywords
from latentviz.clustering.landmarks import choose as choose_landmarks
from latentviz.clustering.landmarks import spread
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.reducers import REDUCERS, choose_backend, directions, fuzzy_graph, layouts, reduce
from latentviz.clustering.stability import Draws, posterior_draws
from latentviz.config import ClusterConfig
from latentviz.errors import RunError, choose
from latentviz.evaluation.metrics import sample
from latentviz.modalities.loading import Loaded, OpenRun
from latentviz.model.encoding import kl_of_posteriors, log_likelihoods
from latentviz.progress import say, stage, warn
from latentviz.runs.items import Items
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.stages.map import SHOWN_NEIGHBOURS, draw
from latentviz.stages.map import check as check_map

# Items whose posterior is drawn from to choose the cut, how often, and how many neighbours say where a draw falls.
DRAWN_ITEMS, DRAWS, DRAW_VOTERS = 5_000, 4, 5
REPRODUCIBLE = 0.5  # agreement of the layouts' clusters below which the reader is told


def make_clustering(run: RunFolder, config: ClusterConfig, *, name: str, force: bool) -> ClusterFolder:
    """Clusters a run and draws its map.

    Raises:
        RunError: the run is unfinished or damaged, or the name is taken.
    """
    seconds: dict[str, float] = {}
    opened = OpenRun(run)
    made = opened.info
    mu = np.asarray(opened.mu)
    if config.cluster.on == "mu":
        mu = np.ascontiguousarray(mu[:, : opened.content_dim])
    items = opened.items
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
    config = with_metric(with_landmarks(config, landmarks), run)
    rows = choose_landmarks(len(mu), landmarks, config.seed_everything)
    parts, choice = lay_out(run, mu, rows, config, seconds)
    model = opened.model
    with stage("measuring the items", seconds):
        measured = likelihoods(run, model)
    points, found = parts["points"], parts["found"]
    table = points_table(items, points, found, parts["nearest"], measured)
    info = describe(found, parts["nearest"], items, [*made["summary"].get("about", []), *notes], choice, rows)
    if (terms := opened.modality.terms(items)) is not None:
        with stage("keywords", seconds):
            info = with_keywords(
                info, Keywords(terms, points), found.labels, found.raw_tree, points, items.column("id")
            )
    run.unchanged_since(made)
    folder.reopen()
    folder.write_coordinates(parts["coordinates"])
    folder.write_neighbours(parts["neighbours"][:, :SHOWN_NEIGHBOURS])
    folder.write_landmarks(rows)
    folder.write_tree(found.raw_tree)
    with stage("writing the map", seconds):
        draw(folder, config.map, table, info, model)
    effective = config.model_copy(
        update={
            "cluster": config.cluster.model_copy(
                update={key: value for key, value in found.settings.items() if key in type(config.cluster).model_fields}
            )
        }
    )
    folder.write(effective, table, {**info, "seconds": seconds})
    return folder


def with_landmarks(config: ClusterConfig, landmarks: int) -> ClusterConfig:
    """Returns the config with the number of items that are laid out, 0 for all."""
    return config.model_copy(update={"reduce": config.reduce.model_copy(update={"landmarks": landmarks})})


def lay_out(
    run: RunFolder, mu: np.ndarray, rows: np.ndarray | None, config: ClusterConfig, seconds: dict[str, float]
) -> tuple[dict[str, Any], Choice | None]:
    """Returns points, coordinates, neighbours, found and nearest of all items, and how the cut was chosen.

    Args:
        run: the run, for the posterior's widths.
        mu: float32 (n, d), the dimensions that are mapped.
        rows: int64, the items to lay out; None: all.
        config: with the metric resolved.
        seconds: where the stages' go.
    """
    vectors = laid = directions(mu, config.reduce.metric)
    if rows is not None:
        say(f"{len(rows):,} of {len(mu):,} items are laid out, the others placed beside their neighbours")
        laid, config = vectors[rows], to_landmarks(config, len(rows) / len(mu))
    with stage("neighbours", seconds):
        graph = neighbours(laid, config.reduce.n_neighbors, seed=config.seed_everything)
    with stage("reducing", seconds):
        coordinates = place(laid, graph, config)
    with stage("clustering", seconds):
        found, nearest, choice, number = find_clusters(coordinates, graph, config, draws(run, mu, rows, config))
    with stage("drawing", seconds):
        points = picture(laid, graph, coordinates[number], config)
    if rows is None:
        return {
            "points": points,
            "coordinates": coordinates[number],
            "neighbours": graph.indices[:, 1:],
            "found": found,
            "nearest": nearest,
        }, choice
    with stage("placing the others", seconds):
        return spread(rows, vectors, graph, coordinates[number], points, found, nearest), choice


def to_landmarks(config: ClusterConfig, share: float) -> ClusterConfig:
    """Returns the config with sizes that are counted in items as so many landmarks."""
    size = config.cluster.min_cluster_size
    if size == "auto":
        return config
    return config.model_copy(
        update={"cluster": config.cluster.model_copy(update={"min_cluster_size": max(2, round(size * share))})}
    )


def with_metric(config: ClusterConfig, run: RunFolder) -> ClusterConfig:
    """Returns the config with the metric resolved: contrast compares directions, so that the cosine is what it made."""
    if config.reduce.metric != "auto":
        return config
    metric = "cosine" if run.info()["summary"].get("contrast") and config.cluster.on == "mu" else "euclidean"
    return config.model_copy(update={"reduce": config.reduce.model_copy(update={"metric": metric})})


def fit_to_size(config: ClusterConfig, n: int) -> tuple[ClusterConfig, list[str]]:
    """Returns the config with what cannot be had from n items lowered, and a line about each thing lowered."""
    notes, reduction = [], config.reduce
    if reduction.n_neighbors >= n:
        lowered = max(2, n - 1)
        notes.append(f"reduce.n_neighbors: {n} items have no {reduction.n_neighbors} neighbours each; using {lowered}")
        reduction = reduction.model_copy(update={"n_neighbors": lowered})
    clusters = config.cluster
    if isinstance(reduction.landmarks, int) and 0 < reduction.landmarks <= reduction.n_neighbors:
        raised = min(n, 10 * reduction.n_neighbors)
        notes.append(
            f"reduce.landmarks: {reduction.landmarks} have no {reduction.n_neighbors} neighbours each; using {raised}"
        )
        reduction = reduction.model_copy(update={"landmarks": raised})
    for key, most, why in (
        ("n_clusters", n, "no more clusters than items"),
        ("min_cluster_size", n // 2, "no two clusters of that size"),
    ):
        wanted = getattr(clusters, key)
        if wanted != "auto" and wanted > most:
            notes.append(f"cluster.{key}: {n} items have {why} (got {wanted}); using {most}")
            clusters = clusters.model_copy(update={key: most})
    return config.model_copy(update={"reduce": reduction, "cluster": clusters}), notes


def place(vectors: np.ndarray, graph: Neighbours, config: ClusterConfig) -> list[np.ndarray]:
    """Returns the coordinates that are clustered, float32 (n, k), of each layout."""
    reduction, seed = config.reduce, config.seed_everything
    count = reduction.layouts if reduction.method == "umap" and searched(config) else 1
    return layouts(
        reduction.method,
        vectors,
        graph,
        reduction.n_components,
        range(seed, seed + count),
        repeatable=reduction.repeatable,
        backend=choose_backend(reduction.backend),
    )


def searched(config: ClusterConfig) -> bool:
    """Returns whether the cut is left to the data."""
    return config.cluster.method == "hdbscan" and config.cluster.min_cluster_size == "auto"


def draws(run: RunFolder, mu: np.ndarray, laid: np.ndarray | None, config: ClusterConfig) -> Draws | None:
    """Returns posterior draws of a sample of the items, which the cuts are held against.

    None where no cut is chosen, or where μ is not learnt.

    Args:
        run: for the posterior's widths.
        mu: float32 (n, d).
        laid: int64, the items that were laid out, which alone are drawn for and drawn among; None: all.
        config: of the clustering.
    """
    if not searched(config) or (config.cluster.on == "mu" and run.info()["summary"].get("given_dim")):
        return None
    logvar = run.logvar()[:, : mu.shape[1]]
    if laid is not None:
        mu, logvar = mu[laid], logvar[laid]
    rows = sample(len(mu), DRAWN_ITEMS, config.seed_everything)
    return posterior_draws(
        mu,
        logvar,
        rows,
        k=min(DRAW_VOTERS, len(mu) - 1),
        draws=DRAWS,
        seed=config.seed_everything,
        to_vectors=lambda z: directions(z, config.reduce.metric),
    )


def find_clusters(
    coordinates: list[np.ndarray], graph: Neighbours, config: ClusterConfig, drawn: Draws | None = None
) -> tuple[Clustering, np.ndarray, Choice | None, int]:
    """Returns the clusters, the nearest cluster of each item int32 (n,), how the cut was chosen, and its layout."""
    others = graph.indices[:, 1:]
    if not searched(config):
        settings = config.cluster.model_dump(exclude={"method", "on"})
        found = cluster(config.cluster.method, coordinates[0], seed=config.seed_everything, **settings)
        return found, fill(found.labels, others), None, 0
    choice = choose_cut(coordinates, fuzzy_graph(graph), others, graph.distances[:, -1], drawn)
    found = from_cut(coordinates[choice.cut.layout], choice.cut)
    return found, fill(found.labels, others), choice, choice.cut.layout


def picture(vectors: np.ndarray, graph: Neighbours, coordinates: np.ndarray, config: ClusterConfig) -> np.ndarray:
    """Returns the points to look at, float32 (n, 2): the clustered layout with more room between the items."""
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


def points_table(
    items: Items, points: np.ndarray, found: Clustering, nearest: np.ndarray, measured: Mapping[str, np.ndarray]
) -> pa.Table:
    """Returns the plain table that any viewer opens; row i is item i."""
    own = {
        name: items.table.column(name)
        for name in items.table.column_names
        if name not in {"id", "split", "label", "source"}
    }
    return pa.table(
        {
            "id": items.table.column("id"),
            "x": points[:, 0].astype(np.float32),
            "y": points[:, 1].astype(np.float32),
            "cluster": found.labels.astype(np.int32),
            "nearest_cluster": nearest.astype(np.int32),
            "probability": found.probabilities,
            "outlier_score": found.outlier_scores,
            "label": items.table.column("label"),
            "source": items.table.column("source"),
            **measured,
            **own,
        }
    )


def likelihoods(run: RunFolder, model: Loaded) -> dict[str, np.ndarray]:
    """Returns log p(x|z = μ) and KL of each item in nats, float32 (n,): odd items have a low one or a high other."""
    mu = np.asarray(run.mu())
    return {
        "log_likelihood": log_likelihoods(model.vae, model.kind.dataset(), model.kind.to_input, mu),
        "kl": kl_of_posteriors(mu, np.asarray(run.logvar())),
    }


def describe(
    found: Clustering,
    nearest: np.ndarray,
    items: Items,
    notes: list[str],
    choice: Choice | None,
    rows: np.ndarray | None,
) -> dict[str, Any]:
    """Returns what clusters.json holds: counts, settings, and each cluster's size, persistence and exemplars."""
    ids = items.column("id")
    lines = [f"{len(ids):,} items, {found.k} cluster{'' if found.k == 1 else 's'}, {found.noise_share:.0%} noise"]
    if found.k == 0:
        lines.append("No cluster was found: the items form one cloud, or lie too evenly")
    elif choice and choice.cut.stability is not None and choice.cut.stability < STABLE:
        lines.append(
            f"No reliable clusters (posterior draws agree with them at {choice.cut.stability:.2f} of 1): read "
            "the map as a landscape"
        )
    elif choice and choice.cut.separation < PARTED:
        lines.append("No reliable clusters (items lie as densely between them as in them): read the map as a landscape")
    elif choice and not choice.reliable:
        lines.append(
            f"No reliable clusters (graph modularity {choice.cut.normalised:.2f} of 1): read the map as a landscape"
        )
    elif choice and choice.agreement is not None and choice.agreement < REPRODUCIBLE:
        lines.append(f"Clusters differ from layout to layout (agreement {choice.agreement:.2f} of 1)")
    if rows is not None:
        lines.append(f"{len(rows):,} of {len(ids):,} items were laid out, the others placed beside their neighbours")
    return {
        "lines": [*lines, *notes],
        "n_items": len(ids),
        "n_landmarks": None if rows is None else len(rows),
        "n_clusters": found.k,
        "noise_share": found.noise_share,
        "settings": dict(found.settings),
        "modularity": choice.cut.normalised if choice else None,
        "agreement": choice.agreement if choice else None,
        "separation": choice.cut.separation if choice else None,
        "stability": choice.cut.stability if choice else None,
        "sweep": choice.sweep if choice else [],
        "clusters": [
            {
                "cluster": number,
                "size": int((found.labels == number).sum()),
                "size_with_nearest": int((nearest == number).sum()),
                "persistence": found.persistence.get(number),
                "exemplars": [ids[row] for row in found.exemplars.get(number, ())],
            }
            for number in range(found.k)
        ],
        "tree": list(found.tree),
    }
