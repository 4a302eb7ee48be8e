"""From a run's μ to `clusters/<name>/`: neighbours, coordinates, clusters, points, map."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from latentviz.cluster import CLUSTERERS, Clustering, cluster, fill
from latentviz.config import ClusterConfig
from latentviz.errors import RunError, choose
from latentviz.log import stage, warn
from latentviz.maps import write_map, write_static
from latentviz.maps.data import MapData
from latentviz.modalities import part
from latentviz.neighbours import Neighbours, neighbours
from latentviz.reduce import REDUCERS, reduce
from latentviz.run import ClusterFolder, Items, Run

SHOWN_NEIGHBOURS = 12  # of each item, on the map's cards


def make_clustering(run: Run, config: ClusterConfig, *, name: str, force: bool) -> ClusterFolder:
    """Clusters a run and draws its map.

    Raises:
        RunError: the run is unfinished or damaged, or the name is taken.
    """
    seconds: dict[str, float] = {}
    mu = np.asarray(run.mu())
    if config.cluster.on == "mu":
        mu = np.ascontiguousarray(mu[:, : run.info()["summary"]["content_dim"]])
    items = run.items()
    if len(items) != len(mu):
        raise RunError(f"{run.mu_file}: damaged ({len(mu)} rows, and {run.items_file} has {len(items)}); "
                       "`latentviz fit` makes the run again with --force")
    choose(REDUCERS, config.reduce.method, "reduce.method")
    choose(CLUSTERERS, config.cluster.method, "cluster.method")
    folder = run.clustering(name)
    folder.begin(force=force)
    config, notes = fit_to_size(config, len(mu))
    for note in notes:
        warn(note)
    reduction, seed = config.reduce, config.seed_everything
    with stage("neighbours", seconds):
        graph = neighbours(mu, reduction.n_neighbors, metric=reduction.metric, seed=seed)
    with stage("reducing", seconds):
        coordinates, points = place(mu, graph, config)
    with stage("clustering", seconds):
        found = cluster(config.cluster.method, coordinates, seed=seed,
                        **config.cluster.model_dump(exclude={"method", "on"}))
        nearest = fill(found.labels, graph.indices)
    table = points_table(items, points, found, nearest)
    info = describe(found, nearest, items, notes)
    folder.reopen()
    with stage("drawing the map", seconds):
        data = map_data(run, items, points, found, nearest, graph, config, info["lines"])
        write_map(folder.map_file, data)
        write_static(folder.picture_file, folder.vector_file, data)
    effective = config.model_copy(update={"cluster": config.cluster.model_copy(update={
        key: value for key, value in found.settings.items() if key in type(config.cluster).model_fields})})
    folder.write(effective, table, {**info, "seconds": seconds})
    return folder


def fit_to_size(config: ClusterConfig, n: int) -> tuple[ClusterConfig, list[str]]:
    """Returns the config with what cannot be had from n items lowered, and a line about each thing lowered."""
    notes, reduction = [], config.reduce
    if reduction.n_neighbors >= n:
        lowered = max(2, n - 1)
        notes.append(f"reduce.n_neighbors: {n} items have no {reduction.n_neighbors} neighbours each; using {lowered}")
        reduction = reduction.model_copy(update={"n_neighbors": lowered})
    clusters = config.cluster
    for key, most, why in (("n_clusters", n, "no more clusters than items"),
                           ("min_cluster_size", n // 2, "no two clusters of that size")):
        wanted = getattr(clusters, key)
        if wanted != "auto" and wanted > most:
            notes.append(f"cluster.{key}: {n} items have {why} (got {wanted}); using {most}")
            clusters = clusters.model_copy(update={key: most})
    return config.model_copy(update={"reduce": reduction, "cluster": clusters}), notes


def place(mu: np.ndarray, graph: Neighbours, config: ClusterConfig) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coordinates to cluster, float32 (n, k), and the points to look at, float32 (n, 2)."""
    reduction = config.reduce
    settings = {"seed": config.seed_everything, "metric": reduction.metric, "repeatable": reduction.repeatable}
    coordinates = reduce(reduction.method, mu, graph, reduction.n_components, min_dist=0.0, **settings)
    points = reduce(reduction.method, mu, graph, 2, min_dist=reduction.min_dist, **settings)
    return coordinates, points


def points_table(items: Items, points: np.ndarray, found: Clustering, nearest: np.ndarray) -> pa.Table:
    """Returns the plain table that any viewer opens; row i is item i."""
    own = {name: items.table.column(name) for name in items.table.column_names
           if name not in {"id", "split", "label", "source"}}
    return pa.table({
        "id": items.table.column("id"),
        "x": points[:, 0].astype(np.float32),
        "y": points[:, 1].astype(np.float32),
        "cluster": found.labels.astype(np.int32),
        "nearest_cluster": nearest.astype(np.int32),
        "probability": found.probabilities,
        "outlier_score": found.outlier_scores,
        "label": items.table.column("label"),
        "source": items.table.column("source"),
        **own,
    })


def describe(found: Clustering, nearest: np.ndarray, items: Items, notes: list[str]) -> dict[str, Any]:
    """Returns what clusters.json holds: counts, settings, and each cluster's size, persistence and exemplars."""
    ids = items.column("id")
    lines = [f"{len(ids):,} items, {found.k} cluster{'' if found.k == 1 else 's'}, {found.noise_share:.0%} noise"]
    if found.k == 0:
        lines.append("No cluster was found: the items form one cloud, or lie too evenly")
    return {
        "lines": [*lines, *notes],
        "n_items": len(ids),
        "n_clusters": found.k,
        "noise_share": found.noise_share,
        "settings": dict(found.settings),
        "clusters": [{
            "cluster": number,
            "size": int((found.labels == number).sum()),
            "size_with_nearest": int((nearest == number).sum()),
            "persistence": found.persistence.get(number),
            "exemplars": [ids[row] for row in found.exemplars.get(number, ())],
        } for number in range(found.k)],
        "tree": list(found.tree),
    }


def map_data(run: Run, items: Items, points: np.ndarray, found: Clustering, nearest: np.ndarray, graph: Neighbours,
             config: ClusterConfig, lines: list[str]) -> MapData:
    """Returns what the map shows."""
    kind = part(str(run.info()["kind"]), "kind").KIND
    shown: Mapping[str, Any] = kind.shown(run.cache)  # the images or the texts
    columns = {name: items.column(name) for name in items.table.column_names
               if name not in {"id", "label", "source"}}
    info = {number: {"size": int((found.labels == number).sum()), "persistence": found.persistence.get(number),
                     "exemplars": list(found.exemplars.get(number, ())),
                     "medoid": next(iter(found.exemplars.get(number, ())), None)} for number in range(found.k)}
    return MapData(
        ids=items.column("id"), points=points, cluster=found.labels, nearest_cluster=nearest,
        probability=found.probabilities, outlier_score=found.outlier_scores, labels=items.labels,
        sources=items.column("source"), columns=columns, cluster_info=info,
        title=config.map.title or run.name, summary=lines,
        neighbours=graph.indices[:, 1 : 1 + SHOWN_NEIGHBOURS], **shown,
    )
