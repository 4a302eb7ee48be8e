"""Compare recommendations by μ with those by the raw items, and time a query over a million items.

    python benchmarks/recommend.py --data outputs/mnist --out benchmarks/results/recommend.json
    python benchmarks/recommend.py --data outputs/tang --label author era --out benchmarks/results/recommend.json

`--data` is a finished run. For items with a label, the 10 most similar other items are searched; precision@10 is the
share of these with the same label, nDCG@10 gives more weight to the first ones (gain 1, discount 1/log₂(rank + 1)). Raw
items are pixels, or for texts TF-IDF of one to three characters. Results are kept in `--out`, so an interrupted
benchmark continues; delete an entry to measure it again. A Markdown table is written next to it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.clustering.neighbors import nearest
from latentviz.modalities.loading import read_config
from latentviz.progress import say
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder
from latentviz.stages.recommend import Search

K = 10
LARGE, WIDE = 1_000_000, 64
NAMES = {"mu": "μ, content dimensions", "mu (all dimensions)": "**μ**, all dimensions"}
COMPONENTS = 300  # of TF-IDF, since an exact search needs dense vectors


def raw_vectors(run: RunFolder) -> tuple[str, np.ndarray]:
    """The items before any model, float32 (n, ·), and a name for them."""
    items = run.items()
    if "text" in items.table.column_names:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        counts = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2).fit_transform(items.column("text"))
        return f"tf-idf ({COMPONENTS} components)", TruncatedSVD(COMPONENTS, random_state=0).fit_transform(
            counts
        ).astype(np.float32)
    images = np.load(run.cache / "images.npy", mmap_mode="r")
    return "pixels", images.reshape(len(images), -1).astype(np.float32) / 255


def score(vectors: np.ndarray, labels: np.ndarray, rows: np.ndarray, metric: str) -> dict[str, float]:
    """precision@10 and nDCG@10 of the rows' recommendations."""
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    known = labels >= 0
    found = nearest(vectors[rows], vectors, K + 1).indices
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = (
        True  # among equal items the query itself may be missing from the results; then drop the last
    )
    found = found[~own].reshape(len(rows), K)
    hits = (labels[found] == labels[rows][:, None]) & known[found]
    discount = 1 / np.log2(np.arange(2, K + 2))
    same = np.bincount(labels[known])[labels[rows]] - 1
    ideal = np.array([discount[: min(K, count)].sum() for count in same])
    return {"precision@10": float(hits.mean()), "ndcg@10": float((hits @ discount / np.maximum(ideal, 1e-9)).mean())}


def by_label(run: RunFolder, column: str, queries: int, raw_name: str, raw: np.ndarray) -> dict[str, Any]:
    """Scores of μ and of the raw items for each metric."""
    names = run.items().column("label" if column == read_config(run).data.label_column else column)
    values = {name: number for number, name in enumerate(sorted({str(n) for n in names if n is not None}))}
    labels = np.array([-1 if name is None else values[str(name)] for name in names])
    counts = np.bincount(labels[labels >= 0], minlength=len(values))
    fit = np.flatnonzero((labels >= 0) & (counts[labels] > K))
    rows = np.sort(np.random.default_rng(0).permutation(fit)[:queries])
    content = int(run.info()["summary"].get("content_dim", run.mu().shape[1]))
    mu = np.asarray(run.mu())
    table: dict[str, Any] = {"items": len(labels), "queries": len(rows), "labels": len(values)}
    compared = {"mu": mu[:, :content], "mu (all dimensions)": mu, raw_name: raw}
    if content == mu.shape[1]:
        del compared["mu"]
    for name, vectors in compared.items():
        for metric in ("cosine", "euclidean"):
            table[f"{name}, {metric}"] = score(np.ascontiguousarray(vectors), labels, rows, metric)
            say(f"{run.name}, {column}: {name}, {metric}: {table[f'{name}, {metric}']}")
    return table


def query_time(n: int) -> dict[str, float]:
    """Milliseconds of a warm query over n × 64, and of a full sort of the same scores with NumPy."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n, WIDE), np.float32)
    queries = rng.standard_normal((11, WIDE), np.float32)
    times: dict[str, float] = {}
    for metric in ("cosine", "euclidean"):
        start = time.perf_counter()
        search = Search(vectors, metric)
        times[f"{metric}, preparing (ms)"] = 1e3 * (time.perf_counter() - start)
        search(queries[0], K)
        times[f"{metric} (ms)"] = 1e3 * _median(lambda q, s=search: s(q, K), queries[1:])
    lengths = np.linalg.norm(vectors, axis=1)
    times["full sort (ms)"] = 1e3 * _median(lambda q: np.argsort(-(vectors @ q) / lengths)[:K], queries[1:6])
    times["ratio"] = times["full sort (ms)"] / times["cosine (ms)"]
    return {name: round(value, 1) for name, value in times.items()}


def _median(query: Any, queries: np.ndarray) -> float:
    seconds = []
    for one in queries:
        start = time.perf_counter()
        query(one)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def report(done: dict[str, Any]) -> str:
    """The results as Markdown tables."""
    lines = [
        "# Recommendation: μ against the raw items",
        "",
        (
            "Written by `benchmarks/recommend.py`: precision@10 / nDCG@10, all methods of a set in one run and on "
            "the same queries. By default, `latentviz recommend` compares all dimensions by cosine."
        ),
        "",
        "| set | items, labels | what | cosine | Euclidean |",
        "|---|---|---|---|---|",
    ]
    for key, table in done.items():
        for name in (name.removesuffix(", cosine") for name in table if name.endswith(", cosine")):
            both = [table[f"{name}, {metric}"] for metric in ("cosine", "euclidean")]
            cells = " | ".join(f"{found['precision@10']:.3f} / {found['ndcg@10']:.3f}" for found in both)
            lines.append(f"| {key} | {table['items']:,}, {table['labels']:,} | {NAMES.get(name, name)} | {cells} |")
    for key, table in done.items():
        if "ratio" in table:
            lines += [
                "",
                (
                    f"A {key} items of {WIDE} numbers, warm, one core: {table['cosine (ms)']:.0f} ms (cosine), "
                    f"{table['euclidean (ms)']:.0f} ms (Euclidean); numpy's products with a full sort in the "
                    f"same run {table['full sort (ms)']:.0f} ms, {table['ratio']:.1f} times as long."
                ),
            ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what `--out` does not contain yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a finished run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--label", default=["label"], nargs="+", help="columns whose equal values count as relevant")
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--large", type=int, default=LARGE, help="number of items in the timed search")
    options = parser.parse_args()
    done: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    run = RunFolder.open(options.data)
    wanted = {f"{run.name} by {label}": label for label in options.label}
    if not done.keys() >= wanted.keys():
        raw_name, raw = raw_vectors(run)
        for key, label in wanted.items():
            if key in done:
                continue
            done[key] = by_label(run, label, options.queries, raw_name, raw)
            write_json(options.out, done)
    if f"query over {options.large:,}" not in done:
        done[f"query over {options.large:,}"] = query_time(options.large)
        write_json(options.out, done)
    options.out.with_suffix(".md").write_text(report(done), encoding="utf-8")
    print(json.dumps(done, indent=2))


if __name__ == "__main__":
    main()
