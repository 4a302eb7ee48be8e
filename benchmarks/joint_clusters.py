"""Measure whether one latent of images and captions clusters as well as each part alone, also with parts missing.

    python benchmarks/joint_clusters.py FOLDER [--seeds 0,1,2] [--rows joint,image,…] [SETTING=VALUE …]

FOLDER is that of benchmarks/joint.py. All of its emoji are learnt, without their categories, and clustered at the
defaults; the categories score. The image alone is a run of images, the caption alone one of texts, both at their own
defaults. Half missing: each image and each caption is missing with a probability of ½, and an item without either is
left out. Settings are those of `latentviz fit` for the joint runs. Rows merge into
benchmarks/results/joint_clusters.json; the table is written next to it.
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
NAMES = {
    "joint": "**image and caption**",
    "image": "image alone",
    "caption": "caption alone",
    "half": "image and caption, half of both missing",
}
ABOUT = """\
Written by `benchmarks/joint_clusters.py`: 3,786 emoji, their ten categories, which no training saw, and clusterings at
the defaults; medians of the seeds. ARI, NMI: noise counted to the nearest cluster. kNN: accuracy of the 25 nearest
neighbours by cosine in the dimensions of μ that are clustered. Half missing: each image and each caption with a
probability of ½; items that lack both are left out."""


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the metadata."""
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def source(row: str, folder: Path, work: Path, seed: int) -> tuple[Path, dict[str, Any]]:
    """Return the data of a row of the table, and its settings."""
    if row == "image":
        return folder, {"size": "small", "label_column": "category"}
    if row == "joint":
        return folder, {"parts": "image,caption", "caption_column": "caption,tags", "label_column": "category"}
    rows, place = rows_of(folder), work / f"{row}-{seed}"
    place.mkdir()
    if row == "caption":
        with (place / "captions.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(
                [("text", "label"), *((f"{each['caption']}; {each['tags']}", each["category"]) for each in rows)]
            )
        return place / "captions.csv", {}
    there = np.random.default_rng(seed).random((len(rows), 2)) < 0.5
    kept = [(each, *has) for each, has in zip(rows, there, strict=True) if has.any()]
    for each, drawn, _ in kept:
        if drawn:
            (place / each["file_name"]).write_bytes((folder / each["file_name"]).read_bytes())
    with (place / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file_name", "caption", "category"))
        for each, drawn, said in kept:
            text = f"{each['caption']}; {each['tags']}" if said else ""
            writer.writerow((each["file_name"] if drawn else "", text, each["category"]))
    return place, {"parts": "image,caption", "label_column": "category"}


def measured(row: str, folder: Path, work: Path, seed: int, settings: Sequence[str]) -> dict[str, Any]:
    """Train and cluster one row of the table."""
    from joint_features import knn
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    import latentviz as lv
    from latentviz.config import parse_overrides

    path, data = source(row, folder, work, seed)
    given: dict[str, Any] = parse_overrides(settings) if row in {"joint", "half"} else {}
    data |= given.pop("data", {})
    start = time.process_time()
    run = lv.fit(path, outputs=work, run=f"{row}-{seed}-run", data=data, seed_everything=seed, preview=0, **given)
    seconds = time.process_time() - start
    points = lv.cluster(run).points
    labels, found = points["label"].to_numpy(), points["nearest_cluster"].to_numpy()
    return {
        "row": row,
        "seed": seed,
        "items": len(points),
        "clusters": int(found.max()) + 1,
        "ari": float(adjusted_rand_score(labels, found)),
        "nmi": float(normalized_mutual_info_score(labels, found)),
        "knn": knn(np.asarray(run.mu)[:, : run.summary["content_dim"]], labels),
        "cpu": seconds,
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the results in Markdown."""
    lines = ["| | seeds | items | clusters | ARI | NMI | kNN | CPU s |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for row, name in NAMES.items():
        own = [each for each in found if each["row"] == row]
        if own:
            numbers = [f"{median(each[key] for each in own):,.0f}" for key in ("items", "clusters")]
            scores = [f"{median(each[key] for each in own):.3f}" for key in ("ari", "nmi", "knn")]
            seconds = f"{median(each['cpu'] for each in own):.0f}"
            lines.append(f"| {' | '.join([name, str(len(own)), *numbers, *scores, seconds])} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", default=",".join(NAMES))
    parser.add_argument("--trial", action="store_true", help="print, and write nothing")
    options = parser.parse_intermixed_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    file = RESULTS / "joint_clusters.json"
    with tempfile.TemporaryDirectory(prefix="latentviz-") as name:
        for seed in map(int, options.seeds.split(",")):
            for row in options.rows.split(","):
                line = measured(row, options.folder.resolve(), Path(name), seed, options.settings)
                print(json.dumps(line), flush=True)
                if options.trial:
                    continue
                known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
                known = [each for each in known if (each["row"], each["seed"]) != (row, seed)] + [line]
                file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
                text = f"# Clusters of images with captions\n\n{ABOUT}\n\n{table(known)}\n"
                (RESULTS / "joint_clusters.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
