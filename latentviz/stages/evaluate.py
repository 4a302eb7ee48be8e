"""`latentviz evaluate`: measures the VAE, the map, the clusters and, if there are any, the labels' agreement."""

import shlex

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy.sparse import csr_matrix

from latentviz.clustering.agreement import partition_agreement
from latentviz.clustering.clusterers import CLUSTERERS
from latentviz.clustering.description import cluster_names
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.reducers import REDUCERS, directions, reduce
from latentviz.display import data_uri
from latentviz.evaluation import metrics
from latentviz.evaluation.reconstruction import normal
from latentviz.evaluation.report import Group, render
from latentviz.evaluation.results import KNN, Clusters, Evaluation, Labels, Training
from latentviz.evaluation.vae_health import examine
from latentviz.evaluation.verdicts import judge
from latentviz.maps.thumbnails import thumbnail
from latentviz.modalities.loading import OpenRun
from latentviz.progress import say, stage
from latentviz.runs.files import atomic_write, write_json
from latentviz.runs.items import Items
from latentviz.runs.metrics import loss_fall, read_metrics
from latentviz.runs.run import FORMAT_VERSION, ClusterFolder, RunFolder
from latentviz.stages.layout import find_clusters
from latentviz.stages.space import Space, read_space

NEIGHBOURS = 15  # k of trustworthiness, overlap, votes and kNN accuracy; UMAP's default neighbourhood
ALL_BELOW = 5_000  # up to here the neighbourhoods of all items are compared
SAMPLED = 2_000  # above, those of so many
PAIRS = 5_000  # items in silhouette and DBCV, which compare all pairs
RESEED_BELOW = 10_000  # up to here a second UMAP takes seconds
INPUT_ITEMS = 3_000  # labelled items among which neighbours in mu and in the input are compared
CONFUSION = 30  # labels and clusters in the confusion matrix
PICTURE_SIDE = 64  # pixels of a cluster's picture, shown at half of this


def evaluate(run: RunFolder, clustering: str | None = None, *, seed: int = 0) -> Evaluation:
    """Evaluates a run and writes `evaluation.html`, then `evaluation.json`; an earlier evaluation is replaced.

    `verbs.evaluate` says which clustering; `seed` is that of every sample and draw.

    Raises:
        RunError: the run is unfinished or damaged, or has no clustering of this name.
    """
    folder = choose_clustering(run, clustering)
    seconds: dict[str, float] = {}
    with stage("examining the model", seconds):
        run.verify(all_of_it=True)
        opened = OpenRun(run)
        loaded = opened.model
        dataset, to_input = loaded.kind.dataset(), loaded.kind.to_input
        train, val = loaded.items.train, loaded.items.val
        lengths = loaded.kind.lengths()
        health = examine(
            loaded.vae, dataset, to_input, opened.mu, opened.logvar, val, train=train, lengths=lengths, seed=seed
        )
    faithfulness = clusters = labels = None
    if folder is not None:
        space = read_space(opened, folder)
        n = len(space.mu)
        rows = metrics.sample(n, n if n <= ALL_BELOW else SAMPLED, seed)
        k = min(NEIGHBOURS, max(1, (n - 1) // 3))
        with stage("comparing the map with μ", seconds):
            near = metrics.neighbourhoods(space.vectors, space.points, k, rows)
            faithfulness = metrics.faithfulness(space.vectors, space.points, near)
        with stage("testing the clusters", seconds):
            clusters = evaluate_clusters(space, seed)
        if loaded.items.labels is not None:
            with stage("comparing with the labels", seconds):
                labels = evaluate_labels(opened, space, loaded.items.labels, near, seed)
    training = how_far(opened)
    found = Evaluation(
        run=run.name,
        kind=loaded.config.data.kind,
        clustering=None if folder is None else folder.name,
        n_items=len(loaded.items),
        seed=seed,
        training=training,
        health=health,
        faithfulness=faithfulness,
        clusters=clusters,
        labels=labels,
        verdicts=judge(
            training,
            health,
            faithfulness,
            clusters,
            labels,
            loaded.config.model.model_dump(),
            longer(opened),
            "" if folder is None else again(run, folder),
        ),
        seconds=seconds,
    )
    place = run if folder is None else folder
    info = None if folder is None else folder.info()
    map_file = None if folder is None else folder.map_file.name
    sweep, chosen = (info.get("sweep", ()), info["settings"]) if info else ((), None)
    groups = {} if folder is None else describe_groups(opened, folder)
    page = render(found, groups=groups, sweep=sweep, chosen=chosen, map_file=map_file)
    with atomic_write(place.evaluation_report) as temporary:
        temporary.write_text(page, encoding="utf-8")
    write_json(place.evaluation_file, {"format_version": FORMAT_VERSION, **found.to_json()})
    return found


def how_far(opened: OpenRun) -> Training:
    """Reads how far the training went."""
    summary, file = opened.info["summary"], opened.run.metrics_file
    rows = read_metrics(file) if file.exists() else []
    return Training(epochs=summary["epochs"], ended=summary.get("ended", ""), loss_fall=loss_fall(rows))


def longer(opened: OpenRun) -> str:
    """Returns what trains the run on for as many epochs again: a command, or with networks of the user's own a call."""
    run, epochs = opened.run, 2 * opened.info["summary"]["epochs"]
    if not opened.config.networks:
        return f"`{run.fit_command(run.config_file)} --resume trainer.max_epochs={epochs}`"
    given = "".join(f", {role}=…" for role in opened.config.networks)
    place = f"run={run.name!r}, outputs={str(run.path.parent)!r}"
    return f'`lv.fit({str(run.config_file)!r}, {place}, resume=True, trainer={{"max_epochs": {epochs}}}{given})`'


def again(run: RunFolder, folder: ClusterFolder) -> str:
    """Returns the commands that cluster again with another seed and show what moves."""
    seed, other = folder.config().seed_everything + 1, f"{folder.name}-again"
    cluster_again = ["latentviz", "cluster", str(run.path), "--name", other, f"seed_everything={seed}"]
    compared = ["latentviz", "compare", str(run.path), "--clusterings", folder.name, other]
    return f"`{shlex.join(cluster_again)}` and `{shlex.join(compared)}`"


def describe_groups(opened: OpenRun, folder: ClusterFolder) -> dict[int, Group]:
    """Returns cluster → what the report shows of it."""
    points, info, images = folder.points(), folder.info(), opened.on_map.images
    names, pictures = cluster_names(points, info), {}
    if images is not None:
        medoids = {entry["cluster"]: entry["exemplars"][0] for entry in info["clusters"] if entry["exemplars"]}
        rows = pc.index_in(pa.array(medoids.values(), pa.string()), value_set=points.column("id").combine_chunks())
        for number, row in zip(medoids, rows.to_pylist(), strict=True):
            if row is not None:
                pictures[number] = data_uri(thumbnail(images, row, PICTURE_SIDE), "webp")
    return {
        entry["cluster"]: Group(names.get(entry["cluster"], ""), entry["size"], pictures.get(entry["cluster"]))
        for entry in info["clusters"]
    }


def choose_clustering(run: RunFolder, name: str | None) -> ClusterFolder | None:
    """Opens the clustering to evaluate; None if none was named and there is no "default"."""
    if name is not None:
        return run.clustered(name)
    folder = run.clustering()
    if folder.finished:
        return folder
    others = run.clusterings
    hint = f"; choose {' or '.join(others)} with --clustering" if others else ""
    say(f"{run.path}: no clusters/default{hint}. Evaluating the model alone")
    return None


def evaluate_clusters(space: Space, seed: int) -> Clusters:
    """Measures the clusters without labels."""
    labels, n, info = space.labels, len(space.labels), space.folder.info()
    pairs = metrics.sample(n, PAIRS, seed)
    count = len(np.unique(labels[labels >= 0]))
    several = count >= 2
    agreement = info.get("agreement") if several else None
    if several and agreement is None and n <= RESEED_BELOW:
        agreement = agreement_with_reseeded(space)
    return Clusters(
        n_clusters=count,
        noise_share=float((labels < 0).mean()),
        items=len(pairs),
        dbcv=metrics.dbcv(space.coordinates, labels, pairs),
        silhouette=metrics.silhouette(space.coordinates, labels, pairs),
        silhouette_in_mu=metrics.silhouette(space.vectors, labels, pairs),
        modularity=info.get("modularity"),
        distinct=info.get("distinct"),
        agreement_of_layouts=agreement,
    )


def agreement_with_reseeded(space: Space) -> float | None:
    """Computes the ARI with the clusters of a layout from another seed, noise assigned to the nearest cluster.

    None for a clustering by an object, which a run does not hold.
    """
    config = space.folder.config()
    if config.reduce.method not in REDUCERS or config.cluster.method not in CLUSTERERS:
        return None
    seed, settings = config.seed_everything + 1, config.reduce
    graph = neighbours(space.vectors, settings.n_neighbors, seed=seed)
    coordinates = reduce(
        settings.method, space.vectors, graph, settings.n_components, seed=seed, repeatable=settings.repeatable
    )
    found = find_clusters([[coordinates]], graph, space.vectors, config.model_copy(update={"seed_everything": seed}))
    return partition_agreement(space.nearest, found.nearest)


def evaluate_labels(
    opened: OpenRun, space: Space, labels: list[str | None], near: metrics.Neighbourhoods, seed: int
) -> Labels:
    """Compares the map and its clusters with the labels; items without one are left out."""
    known = np.array([label is not None for label in labels])
    names = np.array([label or "" for label in labels])
    codes = np.unique(names, return_inverse=True)[1]
    sizes = np.bincount(codes[known])
    asked = known[near.rows]
    in_mu, in_picture = (
        metrics.knn_accuracy(codes, known, near.rows[asked], neighbour_rows[asked])
        for neighbour_rows in (near.in_vectors, near.in_points)
    )
    compared = np.flatnonzero(known)[metrics.sample(int(known.sum()), INPUT_ITEMS, seed)]
    k, before = min(near.k, len(compared) - 1), input_features(opened, compared)
    balanced, in_input = (
        metrics.balanced_knn(codes[compared], features, k) if k and features is not None else None
        for features in (space.vectors[compared], before and before[1])
    )
    given_dim, in_learnt = opened.given_dim, None
    if given_dim and space.mu.shape[1] == given_dim and asked.any():
        learnt = directions(np.array(opened.mu[:, given_dim:]), space.metric)
        rows = near.rows[asked]
        in_learnt = metrics.knn_accuracy(codes, known, rows, metrics.nearest(learnt[rows], learnt, near.k, rows))
    return Labels(
        items=int(known.sum()),
        n_labels=int((sizes > 0).sum()),
        largest_share=float(sizes.max() / known.sum()),
        scores=metrics.agreements(names[known], space.labels[known], space.nearest[known]),
        balanced_match=metrics.balanced_match(names[known], space.nearest[known]),
        knn=KNN(
            k=near.k,
            items=int(asked.sum()),
            in_mu=in_mu,
            in_picture=in_picture,
            compared=len(compared),
            balanced=balanced,
            balanced_in_input=in_input,
            input=before[0] if before else "",
            given_dim=given_dim,
            in_learnt=in_learnt,
        ),
        confusion=metrics.confusion(names[known], space.nearest[known], CONFUSION),
    )


def input_features(opened: OpenRun, rows: np.ndarray) -> tuple[str, np.ndarray | csr_matrix] | None:
    """Returns what the items are before they are encoded, name and features (m, d); None if neither numbers nor terms.

    Neighbours by these are what those in mu are judged by. Numbers count in units of the likelihood's σ, as in the
    reconstruction, texts by their terms.
    """
    kind, vae = opened.model.kind, opened.model.vae
    with torch.inference_mode():
        x = kind.to_input(kind.dataset().__getitems__(rows.tolist())).cpu()
        if not x.is_floating_point():
            terms = opened.modality.terms(Items(opened.items.table.take(rows)))
            return ("terms", metrics.tfidf(csr_matrix(terms.counts))) if terms and len(terms.names) else None
        likelihood = normal(vae.likelihood(torch.from_numpy(np.array(opened.mu[:1])).to(vae.device)))
        units = None if likelihood is None else likelihood.scale.cpu()
    features = (x / units if units is not None and units.shape[1:] == x.shape[1:] else x).flatten(1).float().numpy()
    metric = opened.config.data.model_dump().get("metric", "euclidean")
    return "pixels" if x.ndim > 2 else "columns", directions(features, metric)
