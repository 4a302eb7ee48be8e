"""The methods that `benchmarks/clustering.py` compares: one function per stage, each run in its own process.

    python benchmarks/clustering_methods.py STAGE PARAMETERS.json RESULT.json

A stage takes the parameters `source` (as for `latentviz fit`), `limit`, `data` (folder of the prepared images), `runs`
(folder of the runs), `seed`, `layout_seed`, `method` and `epochs` (of latentviz's training), and returns JSON. Labels
are only used by `score`, except that methods marked "given k" get the number of labels. All methods that find the
number of clusters themselves use latentviz's neighbours, layouts and automatic cut, at their defaults.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

APART = 100  # distance between the seeds of two clusterings, since each uses consecutive seeds for its layouts
KNN = 15  # neighbours that vote on an item's label
# Settings that differ from the defaults
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "latentviz": {},
    "limit": {"model": {"stop": "limit"}},
    "plain-vae": {"model": {"contrast": 0}},
    "plain-vae-limit": {"model": {"stop": "limit", "contrast": 0}},
    "contrast-alone": {"model": {"c": 1e-6}},
}
CODES = 10  # dimensions of the autoencoder, as in N2D


def prepare(data: str, source: str, limit: int | None, **_: Any) -> dict[str, Any]:
    """Read a data set as latentviz does into `images.npy` and `labels.npy`, and with a limit also into `data.npz`."""
    from latentviz.modalities import modality
    from latentviz.modalities.image.prepare import load
    from latentviz.modalities.sources import load_config

    folder = Path(data)
    config, _name = load_config(source, {})
    kind = modality("image").data_kind
    prepared = kind.prepare(config, folder)
    epochs = kind.resolve(config, prepared, folder).trainer["max_epochs"]
    images, labels = load(folder), prepared.items.column("label")
    rows = np.arange(len(images))
    if limit is not None and limit < len(images):
        rows = np.sort(np.random.default_rng(0).permutation(len(images))[:limit])
    chosen = np.array(images[rows])
    names = np.array([labels[row] for row in rows])
    np.save(folder / "labels.npy", names)
    np.save(folder / "chosen.npy", chosen)
    if limit is not None:
        np.savez(folder / "data.npz", images=chosen[:, 0] if chosen.shape[1] == 1 else chosen, labels=names)
    return {"n": len(rows), "k": len(np.unique(names)), "epochs": epochs}


def fit(source: str, data: str, runs: str, seed: int, method: str, limit: int | None, **_: Any) -> dict[str, Any]:
    """Train with latentviz, or as a plain VAE."""
    import latentviz as lv
    from latentviz.runs.run import RunFolder

    path = source if limit is None else str(Path(data) / "data.npz")
    run = lv.fit(path, run=f"{method}-{seed}", outputs=runs, force=True, seed_everything=seed, **SETTINGS[method])
    return {"seconds": RunFolder.open(run).info()["seconds"]}


def cluster(runs: str, seed: int, layout_seed: int, method: str, **_: Any) -> dict[str, Any]:
    """Cluster a run with latentviz's defaults, including the map, and score it."""
    import latentviz as lv
    from latentviz.clustering.reducers import directions
    from latentviz.runs.run import RunFolder

    result = lv.cluster(f"{method}-{seed}", outputs=runs, force=True, seed_everything=APART * layout_seed)
    config = RunFolder.open(result.run).clustering().config()
    kept = slice(result.run.summary["content_dim"] if config.cluster.on == "mu" else None)
    points = result.points
    return score(
        directions(np.array(result.mu[:, kept]), config.reduce.metric),
        points["label"].to_numpy(str),
        points["cluster"].to_numpy(),
        points["nearest_cluster"].to_numpy(),
    )


def pixels(data: str) -> np.ndarray:
    """The images, float32 (n, pixels) in [0, 1]."""
    images = np.load(Path(data) / "chosen.npy")
    return images.reshape(len(images), -1).astype(np.float32) / 255


def automatic(vectors: np.ndarray, data: str, seed: int) -> dict[str, Any]:
    """Lay out and cluster any vectors with the functions and defaults of `latentviz cluster`, by Euclidean distance."""
    from latentviz.stages.layout import find_clusters, lay_out

    graph, config = graphed(vectors, seed)
    found = find_clusters(lay_out(vectors, graph, config), graph, vectors, config)
    return score(vectors, np.load(Path(data) / "labels.npy"), found.clusters.labels, found.nearest)


def graphed(vectors: np.ndarray, seed: int) -> tuple[Any, Any]:
    """The nearest neighbours that `latentviz cluster` computes at its defaults, and its config."""
    from latentviz.clustering.neighbors import neighbours
    from latentviz.config import ClusterConfig
    from latentviz.stages.cluster import fit_to_size

    config, _notes = fit_to_size(ClusterConfig(seed_everything=APART * seed), len(vectors))
    return neighbours(vectors, config.reduce.n_neighbors, seed=config.seed_everything), config


def filled(vectors: np.ndarray, data: str, found: np.ndarray, seed: int) -> dict[str, Any]:
    """Score clusters with noise, which is assigned to the nearest cluster in the graph of neighbours."""
    from latentviz.clustering.cut import fill

    graph, _config = graphed(vectors, seed)
    return score(vectors, np.load(Path(data) / "labels.npy"), found, fill(found, graph.indices[:, 1:]))


def from_pixels(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """Pixels → UMAP → HDBSCAN."""
    return automatic(pixels(data), data, seed)


def from_pca(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """The first 50 principal components → UMAP → HDBSCAN."""
    from latentviz.modalities.image.augment import principal_components

    return automatic(principal_components(np.load(Path(data) / "chosen.npy"), seed), data, seed)


def n2d(data: str, seed: int, epochs: int, **_: Any) -> dict[str, Any]:
    """Autoencoder → UMAP → Gaussian mixture, given k (N2D, McConville et al. 2021).

    Uses latentviz's networks and number of epochs; N2D itself has a wide MLP and 1,000 epochs.
    """
    from sklearn.mixture import GaussianMixture

    from latentviz.clustering.neighbors import neighbours
    from latentviz.clustering.reducers import reduce

    labels = np.load(Path(data) / "labels.npy")
    k = len(np.unique(labels))
    codes = autoencode(np.load(Path(data) / "chosen.npy"), seed, epochs)
    coordinates = reduce("umap", codes, neighbours(codes, min(20, len(codes) - 1), seed=seed), k, seed=seed)
    found = GaussianMixture(k, random_state=seed).fit_predict(coordinates.astype(np.float64))
    return score(codes, labels, found, found)


def autoencode(images: np.ndarray, seed: int, epochs: int, batch: int = 256) -> np.ndarray:
    """Train an autoencoder with latentviz's networks, squared error and no KL; returns its codes, float32 (n, 10)."""
    import torch

    from latentviz.modalities.image.nets import build

    torch.manual_seed(seed)
    encoder, decoder = build("conv", images.shape[1:], latent_dim=CODES, width=32, likelihood="normal", c=1.0)
    x = torch.from_numpy(images)
    steps = max(50, round(epochs * len(x) / batch))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.02)
    for _ in range(steps):
        chosen = x[torch.randint(len(x), (batch,))].float() / 255
        loss = (decoder(encoder(chosen).mean).mean - chosen).square().flatten(1).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    encoder.eval()
    with torch.inference_mode():
        return torch.cat([encoder(part.float() / 255).mean for part in x.split(1024)]).numpy()


def kmeans(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """k-means on the pixels, given k; the best of 10 initialisations."""
    from sklearn.cluster import KMeans

    vectors, labels = pixels(data), np.load(Path(data) / "labels.npy")
    found = KMeans(len(np.unique(labels)), n_init=10, random_state=seed).fit_predict(vectors)
    return score(vectors, labels, found, found)


def evoc(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """EVoC on the pixels, at its defaults."""
    from evoc import EVoC

    vectors = pixels(data)
    return filled(vectors, data, np.asarray(EVoC(random_state=seed).fit_predict(vectors)), seed)


def umap_recipe(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """Pixels → UMAP → HDBSCAN with the settings of UMAP's documentation on clustering.

    30 neighbours, min_dist 0, min_samples 10 and, for 70,000 digits, clusters of 500 items: the same share here.
    """
    from hdbscan import HDBSCAN

    from latentviz.clustering.umap_layout import import_umap

    vectors = pixels(data)
    points = import_umap().UMAP(n_neighbors=30, min_dist=0.0, random_state=seed).fit_transform(vectors)
    found = HDBSCAN(min_samples=10, min_cluster_size=max(10, len(vectors) // 140)).fit_predict(points)
    return filled(vectors, data, found, seed)


def leiden(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """Leiden (modularity, resolution 1) on UMAP's graph of the pixels' neighbours."""
    import igraph
    import leidenalg

    from latentviz.clustering.umap_layout import fuzzy_graph

    vectors, labels = pixels(data), np.load(Path(data) / "labels.npy")
    weights = fuzzy_graph(graphed(vectors, seed)[0]).tocoo()
    once = weights.row < weights.col
    edges = np.stack([weights.row[once], weights.col[once]], axis=1)
    graph = igraph.Graph(len(vectors), edges.tolist(), edge_attrs={"weight": weights.data[once].tolist()})
    parts = leidenalg.find_partition(graph, leidenalg.ModularityVertexPartition, weights="weight", seed=seed)
    found = np.array(parts.membership)
    return score(vectors, labels, found, found)


def from_pacmap(data: str, seed: int, **_: Any) -> dict[str, Any]:
    """Pixels → PaCMAP at its defaults → HDBSCAN with latentviz's cut."""
    from pacmap import PaCMAP

    from latentviz.stages.layout import find_clusters

    vectors = pixels(data)
    graph, config = graphed(vectors, seed)
    points = np.asarray(PaCMAP(random_state=seed).fit_transform(vectors), np.float32)
    found = find_clusters([[points]], graph, vectors, config)
    return score(vectors, np.load(Path(data) / "labels.npy"), found.clusters.labels, found.nearest)


def score(vectors: np.ndarray, labels: np.ndarray, found: np.ndarray, nearest: np.ndarray) -> dict[str, Any]:
    """Score a method.

    Args:
        vectors: float32 (n, d), what was laid out.
        labels: str (n,), the true labels.
        found: int (n,), −1 for noise.
        nearest: int (n,), with noise assigned to the nearest cluster.
    """
    before, clock = used(), time.perf_counter()
    from latentviz.clustering.neighbors import neighbours
    from latentviz.evaluation import metrics

    codes, rows = np.unique(labels, return_inverse=True)[1], np.arange(len(labels))
    near = neighbours(vectors, KNN + 1).indices[:, 1:]
    found_scores = {
        "nearest_cluster": vars(metrics.agreement(labels, nearest)),
        "cluster": vars(metrics.agreement(labels, found)),
        "n_clusters": len(np.unique(found[found >= 0])),
        "noise_share": float((found < 0).mean()),
        "knn_accuracy": metrics.knn_accuracy(codes, np.ones(len(codes), bool), rows, near),
    }
    return {**found_scores, "used": {**before, "scoring": time.perf_counter() - clock}}


def used() -> dict[str, float]:
    """CPU seconds and peak memory of this process and its children so far."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, children))
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes on macOS, kilobytes elsewhere
    return {"cpu_seconds": round(seconds, 1), "peak_mb": round(max(own.ru_maxrss, children.ru_maxrss) / unit)}


Stage = Callable[..., dict[str, Any]]
# Method: its name in the table and its stages, of which the last one scores.
METHODS: Mapping[str, tuple[str, Mapping[str, Stage]]] = {
    "latentviz": ("latentviz", {"fit": fit, "cluster": cluster}),
    "limit": ("latentviz, `model.stop=limit`", {"fit": fit, "cluster": cluster}),
    "pixels": ("pixels → UMAP → HDBSCAN", {"pixels": from_pixels}),
    "pca": ("PCA (50) → UMAP → HDBSCAN", {"pca": from_pca}),
    "plain-vae": ("plain VAE → UMAP → HDBSCAN", {"fit": fit, "cluster": cluster}),
    "plain-vae-limit": ("plain VAE, `model.stop=limit` → UMAP → HDBSCAN", {"fit": fit, "cluster": cluster}),
    "contrast-alone": ("contrast without a decoder → UMAP → HDBSCAN", {"fit": fit, "cluster": cluster}),
    "n2d": ("autoencoder → UMAP → GMM, given k", {"n2d": n2d}),
    "kmeans": ("k-means on pixels, given k", {"kmeans": kmeans}),
    "evoc": ("EVoC on pixels", {"evoc": evoc}),
    "umap-recipe": ("pixels → UMAP → HDBSCAN, settings of UMAP's documentation", {"umap-recipe": umap_recipe}),
    "leiden": ("Leiden on the graph of pixels", {"leiden": leiden}),
    "pacmap": ("pixels → PaCMAP → HDBSCAN", {"pacmap": from_pacmap}),
}
STAGES: Mapping[str, Stage] = {"prepare": prepare} | {
    name: stage for _, stages in METHODS.values() for name, stage in stages.items()
}


def crossed(method: str) -> bool:
    """Whether a method's trainings are each clustered with several seeds of the layouts."""
    return "cluster" in METHODS[method][1]


def layout_seed(result: Mapping[str, Any]) -> int:
    """The seed of the layouts of a result line; without one, that of everything."""
    found: int = result.get("layout_seed", result["seed"])
    return found


def main(stage: str, parameters: str, result: str) -> None:
    """Run one stage and write its result with the time and memory it used, without scoring."""
    found = STAGES[stage](**json.loads(Path(parameters).read_text(encoding="utf-8")))
    Path(result).write_text(json.dumps({"used": used(), **found}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
