"""From a run to its evaluation: the health of the VAE, the faithfulness of the map, the clusters, and the labels."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from latentviz.clustering.clusterers import cluster
from latentviz.clustering.cut import fill
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.reducers import directions, reduce
from latentviz.clustering.stability import partition_agreement, posterior_draws, stability
from latentviz.errors import RunError
from latentviz.evaluation import metrics
from latentviz.evaluation.report import write_report
from latentviz.evaluation.vae_health import examine
from latentviz.evaluation.verdicts import judge
from latentviz.modalities.loading import load_model, read_config
from latentviz.progress import say, stage
from latentviz.runs.files import write_json
from latentviz.runs.run import FORMAT_VERSION, ClusterFolder, RunFolder

NEIGHBOURS = 15  # k of trustworthiness, overlap, votes and kNN accuracy; UMAP's default neighbourhood
ALL_BELOW = 5_000  # up to here each item is asked
ASKED = 2_000  # of more items
PAIRS = 5_000  # items in silhouette and DBCV, which compare all pairs
STABILITY_ITEMS, STABILITY_DRAWS = 2_000, 5
RESEED_BELOW = 10_000  # up to here a second UMAP takes seconds
CONFUSION = 30  # labels and clusters in the confusion table


class Space(NamedTuple):
    """A clustering and the spaces it lies in; row i is item i.

    Attributes:
        folder: where it is.
        mu: the dimensions of μ that were clustered, the content's unless `cluster.on` says otherwise, float32 (n, d).
        logvar: of the same dimensions, (n, d).
        metric: "euclidean" or "cosine", which the map was made by.
        coordinates: what was clustered, (n, k).
        points: what is looked at, (n, 2).
        labels: int (n,), −1 for noise.
        nearest: int (n,), noise given to the nearest cluster.
        given: μ is not learnt, so that its posterior's width says nothing of the clusters.
    """

    folder: ClusterFolder
    mu: np.ndarray
    logvar: np.ndarray
    metric: str
    coordinates: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    nearest: np.ndarray
    given: bool = False

    @property
    def vectors(self) -> np.ndarray:
        """What the map was made from: μ, of unit length where the metric is the cosine, float32 (n, d)."""
        return directions(self.mu, self.metric)


def appraise(run: RunFolder, name: str | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Evaluates a run and writes `evaluation.html`, then `evaluation.json`; returns what the latter holds.

    An evaluation follows from the run alone, so an earlier one is replaced.

    Args:
        run: a finished run.
        name: of the clustering; None: "default", and without it the health of the model alone.
        seed: of every sample and draw.

    Raises:
        RunError: the run is unfinished or damaged, or has no clustering of this name.
    """
    folder = choose_clustering(run, name)
    seconds: dict[str, float] = {}
    items = run.items()
    with stage("examining the model", seconds):
        run.verify(all_of_it=True)
        loaded = load_model(run)
        health = examine(loaded.vae, loaded.kind, run.mu(), run.logvar(), items.val, seed=seed)
    content: dict[str, Any] = {
        "run": run.name,
        "kind": run.info()["kind"],
        "clustering": None if folder is None else folder.name,
        "n_items": len(items),
        "seed": seed,
        "health": asdict(health),
    }
    if folder is not None:
        content |= map_figures(run, folder, items.labels, seed, seconds)
    config = read_config(run)
    content["verdicts"] = [verdict._asdict() for verdict in judge(content, config.model.model_dump())]
    content["collapsed"] = any(verdict["collapsed"] for verdict in content["verdicts"])
    content["seconds"] = seconds
    place = run if folder is None else folder
    write_report(
        place.evaluation_report,
        content,
        clusters=None if folder is None else folder.info(),
        map=None if folder is None else folder.map_file.name,
    )
    write_json(place.evaluation_file, {"format_version": FORMAT_VERSION, **content})
    return content


def choose_clustering(run: RunFolder, name: str | None) -> ClusterFolder | None:
    """Returns the clustering to evaluate, or None where none was asked for and there is no "default"."""
    if name is not None:
        return run.clustering(name).require()
    folder = run.clustering()
    if folder.finished:
        return folder
    others = run.clusterings
    there = f"; there is {', '.join(others)}: choose one with --clustering" if others else ""
    say(f"{run.path} has no clusters/default{there}. Evaluating the model alone")
    return None


def map_figures(
    run: RunFolder, folder: ClusterFolder, labels: list[str | None] | None, seed: int, seconds: dict[str, float]
) -> dict[str, Any]:
    """Returns the sections `faithfulness`, `clusters` and, where there are labels, `labels`."""
    space = read_space(run, folder)
    n = len(space.mu)
    rows = metrics.sample(n, n if n <= ALL_BELOW else ASKED, seed)
    k = min(NEIGHBOURS, max(1, (n - 1) // 3))
    with stage("comparing the map with μ", seconds):
        faithful = metrics.faithfulness(space.vectors, space.points, k, rows)
    with stage("testing the clusters", seconds):
        clusters = cluster_figures(space, k, seed)
    sections: dict[str, Any] = {
        "faithfulness": {
            "k": k,
            "items": len(rows),
            "dimensions": space.mu.shape[1],
            "trustworthiness": faithful.trustworthiness,
            "continuity": faithful.continuity,
            "overlap": faithful.overlap,
            "overlap_by_chance": k / (n - 1),
        },
        "clusters": clusters,
    }
    if labels is not None:
        with stage("comparing with the labels", seconds):
            sections["labels"] = label_figures(space, labels, rows, faithful)
    return sections


def read_space(run: RunFolder, folder: ClusterFolder) -> Space:
    """Returns a clustering with the latents that it was made from.

    Raises:
        RunError: the tables do not fit together.
    """
    config, points = folder.config(), folder.points()
    kept = slice(run.info()["summary"]["content_dim"] if config.cluster.on == "mu" else None)
    mu, logvar = np.array(run.mu()[:, kept]), np.array(run.logvar()[:, kept])
    if len(mu) != points.num_rows:
        raise RunError(
            f"{folder.points_file}: {points.num_rows} rows, and the run has {len(mu)} items; make it "
            f"again with `latentviz cluster {run.path} --name {folder.name} --force`"
        )
    picture = np.column_stack([points.column("x").to_numpy(), points.column("y").to_numpy()])
    clustered = folder.coordinates()
    return Space(
        folder,
        mu,
        logvar,
        config.reduce.metric,
        picture if clustered is None else clustered,
        picture,
        points.column("cluster").to_numpy(),
        points.column("nearest_cluster").to_numpy(),
        config.cluster.on == "mu" and bool(run.info()["summary"].get("given_dim")),
    )


def cluster_figures(space: Space, k: int, seed: int) -> dict[str, Any]:
    """Returns how good the clusters are, judged without a label."""
    labels, n, info = space.labels, len(space.labels), space.folder.info()
    pairs = metrics.sample(n, PAIRS, seed)
    found: dict[str, Any] = {
        "n_clusters": int(labels.max(initial=-1)) + 1,
        "noise_share": float((labels < 0).mean()),
        "items": len(pairs),
        "dbcv": metrics.dbcv(space.coordinates, labels, pairs),
        "silhouette": metrics.silhouette(space.coordinates, labels, pairs),
        "silhouette_in_mu": metrics.silhouette(space.vectors, labels, pairs),
        "modularity": info.get("modularity"),
        "stability": None,
        "agreement_of_layouts": None,
    }
    if found["n_clusters"] >= 2:
        found["agreement_of_layouts"] = info.get("agreement")
        if not space.given:
            asked = metrics.sample(n, STABILITY_ITEMS, seed)
            drawn = posterior_draws(
                space.mu,
                space.logvar,
                asked,
                k=k,
                draws=STABILITY_DRAWS,
                seed=seed,
                to_vectors=lambda z: directions(z, space.metric),
            )
            found["stability"] = {"items": len(asked), "draws": STABILITY_DRAWS, **stability(drawn, space.nearest)}
        if found["agreement_of_layouts"] is None and n <= RESEED_BELOW:
            found["agreement_of_layouts"] = reseeded(space)
    return found


def reseeded(space: Space) -> float:
    """Returns the ARI of the clusters with those of a layout from another seed, noise given to the nearest cluster."""
    config = space.folder.config()
    seed, reduction = config.seed_everything + 1, config.reduce
    graph = neighbours(space.vectors, reduction.n_neighbors, seed=seed)
    coordinates = reduce(
        reduction.method, space.vectors, graph, reduction.n_components, seed=seed, repeatable=reduction.repeatable
    )
    again = cluster(
        config.cluster.method, coordinates, seed=seed, **config.cluster.model_dump(exclude={"method", "on"})
    )
    return partition_agreement(space.nearest, fill(again.labels, graph.indices[:, 1:]))


def label_figures(
    space: Space, labels: list[str | None], rows: np.ndarray, faithful: metrics.Faithfulness
) -> dict[str, Any]:
    """Returns how the map and its clusters compare with the labels; items without one are left out."""
    known = np.array([label is not None for label in labels])
    names = np.array([label or "" for label in labels])
    asked = known[rows]
    codes = np.unique(names, return_inverse=True)[1]
    scores: Mapping[str, Any] = metrics.agreements(names[known], space.labels[known], space.nearest[known])
    sizes = np.bincount(codes[known])
    return {
        "items": int(known.sum()),
        "n_labels": int((sizes > 0).sum()),
        "largest_share": float(sizes.max() / known.sum()),
        "scores": scores,
        "knn": {
            "k": faithful.near_vectors.shape[1],
            "items": int(asked.sum()),
            "in_mu": metrics.knn_accuracy(codes, known, rows[asked], faithful.near_vectors[asked]),
            "in_picture": metrics.knn_accuracy(codes, known, rows[asked], faithful.near_points[asked]),
        },
        "confusion": metrics.confusion(names[known], space.nearest[known], CONFUSION),
    }
