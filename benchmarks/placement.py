"""Measure how well `encode` places new items: a tenth of the data is held out from `fit` and placed afterwards.

    python benchmarks/placement.py --data mnist/ --limit 20000 --out benchmarks/results/placement.json

Compares the agreement of clusters and labels (adjusted Rand index, with and without noise) between held-out and fitted
items, the time of placing with that of clustering, and items placed one by one with the same items placed together.
`--work` keeps the run, so an interrupted benchmark continues. A Markdown table is written next to `--out`.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

import latentviz as lv
from latentviz.config import parse_overrides
from latentviz.modalities import modality
from latentviz.modalities.image.prepare import load
from latentviz.modalities.sources import load_config
from latentviz.progress import say
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder

HELD_BACK = 0.1
ALONE = 5  # items placed one by one; each call draws a map
MANY = 30_000  # items placed together for the timing: the held-out ones, repeated


def split(data: str, overrides: dict[str, Any], work: Path, limit: int | None) -> tuple[Path, Path]:
    """Write nine tenths and one tenth of the images and labels, or of `limit` random ones, to two files."""
    fitted, held = work / "fitted.npz", work / "held.npz"
    if not held.exists():
        config, _ = load_config(data, overrides)
        with tempfile.TemporaryDirectory(dir=work) as cache:
            prepared = modality("image").data_kind.prepare(config, Path(cache))
            images, labels = load(Path(cache)), np.array([str(label) for label in prepared.items.column("label")])
            order = np.random.default_rng(0).permutation(len(images))[:limit]
            cut = round(HELD_BACK * len(order))
            for file, rows in ((fitted, np.sort(order[cut:])), (held, np.sort(order[:cut]))):
                np.savez(file, images=images[rows].transpose(0, 2, 3, 1), labels=labels[rows])
    return fitted, held


def agreement(points: Any) -> dict[str, float]:
    """Adjusted Rand index of clusters and labels, without noise and with noise assigned to the nearest cluster."""
    sure = points[points["cluster"] >= 0]
    return {
        "ari": round(adjusted_rand_score(sure["label"], sure["cluster"]), 4),
        "ari, noise to the nearest": round(adjusted_rand_score(points["label"], points["nearest_cluster"]), 4),
        "noise": round(float((points["cluster"] < 0).mean()), 4),
        "items": len(points),
    }


def placed_alone(run: RunFolder, held: Path, together: Any, work: Path) -> bool:
    """Whether items placed one by one get exactly the coordinates they get when placed together."""
    with np.load(held) as arrays:
        images = arrays["images"][:ALONE]
    for row, image in enumerate(images):
        np.save(work / "one.npy", image[None])
        alone = lv.encode(run.path, work / "one.npy", name="alone", force=True).points
        for name in ("x", "y", "cluster", "probability", "log_likelihood"):
            if alone[name][0] != together[name][row]:
                say(f"row {row}: {name} is {alone[name][0]} alone and {together[name][row]} together")
                return False
    return True


def report(done: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    lines = [
        "# Placement: a tenth held out from `fit` and placed by `encode`",
        "",
        (
            "Written by `benchmarks/placement.py`. ARI: adjusted Rand index of clusters and labels, with noise "
            "assigned to the nearest cluster / left out. Wall time of one run."
        ),
        "",
        "| set | items | ARI | noise |",
        "|---|---|---|---|",
    ]
    for name, table in done.items():
        for which in ("fitted", "held back"):
            found = table[which]
            lines.append(
                f"| {name}, {which} | {found['items']:,} | {found['ari, noise to the nearest']:.3f} / "
                f"{found['ari']:.3f} | {found['noise']:.1%} |"
            )
    for name, table in done.items():
        few, many = table["held back"]["items"], table["placing many"]
        alone = "get exactly the same coordinates" if table["same alone"] else "get other coordinates"
        took = sum(table["clustering (s)"].values())
        lines += [
            "",
            (
                f"{name}: {few:,} items placed in {table['placing (s)']:.2f} s, {many['items']:,} in "
                f"{many['placing (s)']:.1f} s; map and clusters took {took:.0f} s. Items placed one by one "
                f"{alone}; {table['flagged unlike']:.2%} are flagged as unlike the training data."
            ),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit, cluster, place and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled images, or a recipe")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="folder for the run (default: next to --out)")
    parser.add_argument("--limit", type=int, help="use this many random items (default: all)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the fit")
    options = parser.parse_args()
    overrides = parse_overrides(options.overrides)
    name = Path(options.data.rstrip("/")).name
    work = options.work or options.out.with_suffix("") / name
    work.mkdir(parents=True, exist_ok=True)
    done = json.loads(options.out.read_text()) if options.out.exists() else {}
    fitted, held = split(options.data, overrides, work, options.limit)
    overrides.get("data", {}).pop("path", None)
    run = RunFolder(work / "run")
    if not run.finished:
        shutil.rmtree(run.path, ignore_errors=True)
        lv.fit(fitted, run="run", outputs=work, **overrides)
    if not run.clustering().finished:
        lv.cluster(run.path)
    start = time.perf_counter()
    placed = lv.encode(run.path, held, name="held", force=True)
    seconds = placed.info["seconds"]
    took = {name: run.clustering().info()["seconds"][name] for name in ("reducing", "clustering")}
    many = work / "many.npz"
    if not many.exists():
        with np.load(held) as arrays:
            rows = np.arange(MANY) % len(arrays["images"])
            np.savez(many, images=arrays["images"][rows], labels=arrays["labels"][rows])
    crowd = lv.encode(run.path, many, name="many", force=True)
    done[name] = {
        "placing many": {"items": MANY, "placing (s)": crowd.info["seconds"]["placing"]},
        "fitted": agreement(run.clustering().points().to_pandas()),
        "held back": agreement(placed.points),
        "clustering (s)": took,
        "placing (s)": seconds["placing"],
        "encode in all (s)": round(time.perf_counter() - start, 2),
        "flagged unlike": round(placed.info["unlike"] / placed.info["items"], 4),
        "same alone": placed_alone(run, held, placed.points, work),
    }
    write_json(options.out, done)
    options.out.with_suffix(".md").write_text(report(done), encoding="utf-8")
    print(json.dumps(done, indent=2))


if __name__ == "__main__":
    main()
