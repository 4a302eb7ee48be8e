"""Measure labels that are given to the training against labels that are spread after it.

    python benchmarks/label_training.py SOURCE [--name digits] [--a-class 10] [--draws 2] [SETTING=VALUE …]

SOURCE are images with labels: a recipe such as digits, or what `latentviz fit` reads. Of each class, `--a-class` labels
are given at random; the error is on all other items. A run of the images alone gets them afterwards
(`latentviz label RUN labels.csv`); a run of images and labels learns them (`data.parts=image,label data.labels=…`), and
predicts the others by its decoder of labels, and by `latentviz label RUN`. Settings are those of that run. Rows merge
into benchmarks/results/label_training.json by name; the table is written next to it.
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
WAYS = {
    "after": "images alone, `label RUN labels.csv`",
    "head": "images and labels, the decoder of labels",
    "learnt": "images and labels, `label RUN`",
}
ABOUT = """\
Written by `benchmarks/label_training.py`: error in percent on the items without a label, of labels drawn at random, the
same number of each class; medians of the draws, one training each."""


def errors(source: str, work: Path, draw: int, a_class: int, settings: Sequence[str]) -> dict[str, Any]:
    """Return the error of each way with one draw of the labels, in percent, and the CPU seconds of both trainings."""
    import latentviz as lv
    from latentviz.config import parse_overrides
    from latentviz.modalities.joint.head import by_head
    from latentviz.modalities.joint.kind import JointKind
    from latentviz.modalities.loading import load_model
    from latentviz.runs.run import RunFolder

    given: dict[str, Any] = {"outputs": work, "preview": 0}
    start = time.process_time()
    alone = lv.fit(source, run="alone", force=True, seed_everything=0, **given)
    between = time.process_time()
    truth = alone.items.set_index("id")["label"]
    random = np.random.default_rng(draw)
    chosen = [
        name for label in sorted(set(truth)) for name in random.permutation(truth.index[truth == label])[:a_class]
    ]
    with (work / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "label"), *((name, truth[name]) for name in chosen)])
    others = truth.drop(chosen)

    def error(run: Any, *labels: Path) -> float:
        lv.cluster(run, force=True)
        found = lv.label(run, *labels).points.set_index("id")["label_predicted"]
        return 100 * float((found[others.index] != others).mean())

    changed = parse_overrides(settings)
    data = {"parts": "image,label", "labels": str(work / "labels.csv"), **changed.pop("data", {})}
    found: dict[str, Any] = {"after": error(alone, work / "labels.csv")}
    begun = time.process_time()
    run = lv.fit(source, run="learnt", force=True, data=data, **{"seed_everything": 0, **changed}, **given)
    cpu = [round(between - start), round(time.process_time() - begun)]
    found["learnt"] = error(run)
    loaded = load_model(RunFolder.open(run.path))
    assert isinstance(loaded.kind, JointKind)
    names = np.array(loaded.kind.layout.labels)
    by = names[by_head(loaded.kind, loaded.vae, np.asarray(run.mu)).probability.argmax(1)]
    rows = truth.index.get_indexer(others.index)
    return found | {"draw": draw, "head": 100 * float((by[rows] != others.to_numpy()).mean()), "cpu": cpu}


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return the results in Markdown."""
    lines = [f"| labels | draws | {' | '.join(WAYS.values())} | CPU s |", f"|---|--:|{'--:|' * len(WAYS)}--:|"]
    for name, rows in results.items():
        cells = [f"{median(row[way] for row in rows):.1f}" for way in WAYS]
        seconds = " / ".join(f"{median(row['cpu'][which] for row in rows):.0f}" for which in range(2))
        lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--name")
    parser.add_argument("--a-class", type=int, default=10)
    parser.add_argument("--draws", type=int, default=2)
    options = parser.parse_intermixed_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    name = f"{options.name or Path(options.source).name}, {options.a_class} a class"
    name += f", {' '.join(options.settings)}" if options.settings else ""
    file, rows = RESULTS / "label_training.json", list[dict[str, Any]]()
    for draw in range(options.draws):
        with tempfile.TemporaryDirectory(prefix="latentviz-") as work:
            rows.append(errors(options.source, Path(work), draw, options.a_class, options.settings))
        print(json.dumps(rows[-1]), flush=True)
        results = (json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}) | {name: rows}
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        text = f"# Labels in the training, and after it\n\n{ABOUT}\n\n{table(results)}\n"
        (RESULTS / "label_training.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
