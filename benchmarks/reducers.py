"""Measure every reducer and clusterer on the same vectors, and draw a small picture of each.

    python benchmarks/reducers.py digits outputs/digits
    python benchmarks/reducers.py fashion-mnist fashion-mnist/ --n 10000
    python benchmarks/reducers.py digits outputs/digits --million

The source is a run, of which mu is taken, or images, of which the first 32 principal components of the pixels are. A
reducer's plane is scored by the accuracy of the 5 nearest neighbours' labels, each item left out, and by the share of
the 14 nearest neighbours in the vectors that are among the 14 nearest in the plane. Clusterers cluster UMAP's layout
and are scored against the labels, noise assigned to the nearest cluster. Labels are used for scores alone. Figures are
added to benchmarks/results/reducers.json as they come, and those that are there are not measured again; tables go to
benchmarks/results/reducers.md and pictures to docs/images/. Run with OMP_NUM_THREADS=1 for the seconds of one core.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from latentviz.clustering.clusterers import CLUSTERERS, cluster
from latentviz.clustering.cut import choose_cut, nearest_clusters
from latentviz.clustering.density import from_cut
from latentviz.clustering.landmarks import BATCH
from latentviz.clustering.neighbors import Neighbours, neighbours
from latentviz.clustering.parametric import fit_network
from latentviz.clustering.prediction import Membership
from latentviz.clustering.reducers import REDUCERS, directions, pca_reduce, reduce
from latentviz.clustering.umap_layout import fuzzy_graph
from latentviz.errors import LatentvizError
from latentviz.modalities import modality
from latentviz.modalities.image.prepare import load
from latentviz.modalities.loading import OpenRun
from latentviz.modalities.sources import load_config
from latentviz.runs.files import write_json
from latentviz.runs.ours import is_run
from latentviz.runs.run import RunFolder

RESULTS = Path(__file__).parent / "results" / "reducers.json"
IMAGES = Path(__file__).parents[1] / "docs" / "images"
K, KEPT, COMPONENTS, MIN_DIST, SEED = 5, 14, 32, 0.3, 0
MILLION = 1_000_000


def read(source: Path, n: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Return vectors float32 (n, d), labels int (n,), and what the vectors are; of more items n random ones."""
    if is_run(source):
        opened = OpenRun(RunFolder.open(source))
        vectors, labels, what = np.asarray(opened.mu), opened.items.column("label"), "mu"
        vectors = directions(vectors[:, : opened.content_dim], "cosine" if opened.contrast else "euclidean")
    else:
        config, _ = load_config(str(source), {})
        with tempfile.TemporaryDirectory() as cache:
            labels = modality("image").data_kind.prepare(config, Path(cache)).items.column("label")
            pixels = np.array(load(Path(cache)))
        flat = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
        vectors, what = pca_reduce(flat, neighbours(flat[:20], 2), COMPONENTS), f"{COMPONENTS} components of the pixels"
    numbers = np.unique(np.array(labels).astype(str), return_inverse=True)[1]
    rows = np.arange(len(vectors))
    if n is not None and n < len(rows):
        rows = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:n])
    return np.ascontiguousarray(vectors[rows], np.float32), numbers[rows], what


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return a result and the processor's seconds that it took."""
    start = time.process_time()
    found = work()
    return found, round(time.process_time() - start, 1)


def plane_scores(points: np.ndarray, labels: np.ndarray, graph: Neighbours) -> dict[str, float]:
    """Return the accuracy of the neighbours' labels and the share of neighbours that stay."""
    near = neighbours(np.ascontiguousarray(points, np.float32), KEPT + 1).indices[:, 1:]
    votes = np.apply_along_axis(np.bincount, 1, labels[near[:, :K]], minlength=labels.max() + 1)
    others = graph.indices[:, 1:]
    same = (near[:, : others.shape[1], None] == others[:, None, :]).any(axis=1)
    return {
        "knn": round(float((votes.argmax(axis=1) == labels).mean()), 4),
        "kept": round(float(same.mean()), 4),
    }


def label_scores(filled: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the adjusted Rand index and the normalised mutual information."""
    return {
        "ari": round(float(adjusted_rand_score(labels, filled)), 4),
        "nmi": round(float(normalized_mutual_info_score(labels, filled)), 4),
    }


def picture(name: str, points: np.ndarray, colour: np.ndarray) -> None:
    """Draw points (n, 2) in the colour of their labels or clusters, int (n,), noise grey."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(1.6, 1.6), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    palette = np.vstack([plt.get_cmap("tab10").colors, plt.get_cmap("Set3").colors])
    shown = np.where((colour < 0)[:, None], (0.8, 0.8, 0.8), palette[colour % len(palette)])
    axes.scatter(points[:, 0], points[:, 1], s=3000 / max(len(points), 1500), c=shown, linewidths=0)
    axes.axis("off")
    figure.savefig(IMAGES / f"method-{name}.png")
    plt.close(figure)


def plane(method: str, vectors: np.ndarray, graph: Neighbours) -> np.ndarray:
    """Return the points of the map that a reducer gives, float32 (n, 2)."""
    if method == "parametric":
        return fit_network(vectors, graph, 2, min_dist=MIN_DIST, seed=SEED)(vectors)[1]
    if method != "umap":
        return reduce(method, vectors, graph, 2, min_dist=MIN_DIST, seed=SEED)
    start = reduce("umap", vectors, graph, 2, seed=SEED)  # what is clustered, as in `latentviz cluster`
    return reduce("umap", vectors, graph, 2, min_dist=MIN_DIST, seed=SEED, start=start)


def clusters(method: str, laid: np.ndarray, vectors: np.ndarray, graph: Neighbours, k: int | str) -> Any:
    """Return the clustering of a layout as `latentviz cluster` makes it of one."""
    others, numbers = graph.indices[:, 1:], None if k == "auto" else [int(k)]
    if method != "hdbscan":
        return cluster(method, laid, n_clusters=k, graph=graph, vectors=vectors, seed=SEED)
    choice = choose_cut([[laid]], fuzzy_graph(graph), others, graph.distances[:, 1:], numbers=numbers)
    return from_cut(choice.points, choice.cut)


def million(vectors: np.ndarray, graph: Neighbours) -> dict[str, float]:
    """Place a million items, the vectors repeated with a little noise, and find their clusters; seconds of one core."""
    network = fit_network(vectors, graph, 2, min_dist=MIN_DIST, seed=SEED)
    coordinates, _ = network(vectors)
    found = cluster("hdbscan", coordinates, graph=graph, min_cluster_size=30)
    random = np.random.default_rng(SEED)
    new = vectors[random.integers(0, len(vectors), MILLION)]
    new += random.normal(scale=0.01 * vectors.std(), size=new.shape).astype(np.float32)
    (placed, _), placing = timed(lambda: network(new))
    member = Membership(coordinates, found.labels, found.probabilities, 10)
    _, predicting = timed(lambda: [member.predict(placed[i : i + BATCH]) for i in range(0, len(placed), BATCH)])
    return {"items": MILLION, "fitted": len(vectors), "placing": placing, "clusters": predicting}


def measure(name: str, source: Path, n: int | None, methods: list[str], *, pictures: bool) -> None:
    """Measure the methods that have no figures yet, and write them one by one."""
    vectors, labels, what = read(source, n)
    graph, seconds = timed(lambda: neighbours(vectors, 15, seed=SEED))
    data = results().get(name, {})
    if data and data["n"] != len(vectors):
        raise SystemExit(f"{name}: the figures that are there are of {data['n']} items; remove {RESULTS} first")
    data = {"n": len(vectors), "vectors": what, "neighbours_seconds": seconds, "methods": {}, **data}
    layout: np.ndarray | None = None
    for method in methods or [*REDUCERS, *CLUSTERERS]:
        if method in data["methods"]:
            continue
        if method in REDUCERS:
            try:
                points, seconds = timed(lambda method=method: plane(method, vectors, graph))
            except LatentvizError as error:
                print(error)
                continue
            found = {**plane_scores(points, labels, graph), "seconds": seconds}
            colour = labels
        else:
            if layout is None:
                layout = reduce("umap", vectors, graph, 2, seed=SEED)
            points = layout
            auto, seconds = timed(lambda method=method, points=points: clusters(method, points, vectors, graph, "auto"))
            filled = nearest_clusters(auto.labels, graph.indices[:, 1:], vectors)
            exact = clusters(method, points, vectors, graph, int(labels.max()) + 1)
            given = label_scores(nearest_clusters(exact.labels, graph.indices[:, 1:], vectors), labels)
            found = {
                "clusters": auto.k,
                "noise": round(auto.noise_share, 4),
                **label_scores(filled, labels),
                **{f"{key}_given_k": value for key, value in given.items()},
                "seconds": seconds,
            }
            colour = auto.labels
        print(name, method, found, flush=True)
        if pictures:
            picture(method, points, colour)
        before = results().get(name, {}).get("methods", {})  # others may run at the same time
        save({**results(), name: {**data, "methods": {**before, method: found}}})


def results() -> dict[str, Any]:
    """Return the figures so far."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def save(content: dict[str, Any]) -> None:
    """Write the figures and their tables."""
    write_json(RESULTS, content)
    RESULTS.with_suffix(".md").write_text(tables(content), encoding="utf-8")


def tables(content: dict[str, Any]) -> str:
    """Format the figures as Markdown."""
    lines = ["# Reducers and clusterers", "", "`benchmarks/reducers.py`; seed 0, seconds of one core.", ""]
    for name, data in content.items():
        if name == "million":
            continue
        made, umap = data["methods"], data["methods"].get("umap")
        lines += [f"## {name}: {data['n']:,} items, {data['vectors']}", ""]
        lines += ["| reducer | labels of 5 neighbours | 14 neighbours kept | both over UMAP's | seconds |"]
        lines += ["|---|--:|--:|--:|--:|"]
        for method in (method for method in REDUCERS if method in made):
            row = made[method]
            over = f"{row['knn'] / umap['knn']:.3f}, {row['kept'] / umap['kept']:.3f}" if umap else ""
            lines.append(f"| {method} | {row['knn']:.3f} | {row['kept']:.3f} | {over} | {row['seconds']:.0f} |")
        lines += ["", "| clusterer | clusters | noise | ARI | NMI | ARI, k given | NMI, k given | seconds |"]
        lines += ["|---|--:|--:|--:|--:|--:|--:|--:|"]
        for method in (method for method in CLUSTERERS if method in made):
            row = made[method]
            scores = " | ".join(f"{row[key]:.3f}" for key in ("ari", "nmi", "ari_given_k", "nmi_given_k"))
            lines.append(f"| {method} | {row['clusters']} | {row['noise']:.1%} | {scores} | {row['seconds']:.0f} |")
        lines.append("")
    if "million" in content:
        row = content["million"]
        seconds = f"{row['placing']:.0f} seconds; finding their clusters takes another {row['clusters']:.0f}."
        what = f"`parametric`, trained on {row['fitted']:,} items, places {row['items']:,} new ones in {seconds}"
        lines += [what, ""]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the data, in the tables")
    parser.add_argument("source", type=Path, help="a run, or images that `latentviz fit` reads")
    parser.add_argument("--n", type=int, help="items, at most")
    parser.add_argument("--methods", nargs="+", default=[], help="reducers and clusterers; all by default")
    parser.add_argument("--pictures", action="store_true", help="draw them")
    parser.add_argument("--million", action="store_true", help="place a million items instead")
    options = parser.parse_args()
    if options.million:
        vectors, _, _ = read(options.source, options.n)
        save({**results(), "million": million(vectors, neighbours(vectors, 15, seed=SEED))})
        return
    measure(options.name, options.source, options.n, options.methods, pictures=options.pictures)


if __name__ == "__main__":
    main()
