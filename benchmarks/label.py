"""Measure what a few labels give for all items: the error of `latentviz label` and of baselines on the other items.

    python benchmarks/label.py outputs/digits outputs/mnist --out benchmarks/results/label.json

The runs have labels, which the training did not see. Two ways to choose the labels that are given: those of the items
that `--ask` names, one for each cluster, and random ones, the same number of each class (median of `--draws` draws).
Baselines on the same μ: the nearest labelled item, and logistic regression. A Markdown table is written next to
`--out`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

import latentviz as lv
from latentviz.clustering.labelling import Known, Labelling, ask
from latentviz.progress import say
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder

A_CLASS = (1, 5, 10, 100)  # random labels of each class
WAYS = ("vote", "spreading", "automatic", "nearest", "logistic regression")


def nearest(mu: np.ndarray, known: Known) -> np.ndarray:
    """The class of the nearest labelled item, int (n,)."""
    from sklearn.neighbors import KNeighborsClassifier

    found: np.ndarray = KNeighborsClassifier(1).fit(mu[known.rows], known.codes).predict(mu)
    return found


def logistic(mu: np.ndarray, known: Known) -> np.ndarray:
    """Logistic regression on standardised μ with scikit-learn's regularisation, int (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    found: np.ndarray = model.fit(mu[known.rows], known.codes).predict(mu)
    return found


def errors(labelling: Labelling, mu: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """Error of each way on the items that are not in `rows`, in percent."""
    classes, codes = np.unique(truth[rows], return_inverse=True)
    known = Known(rows, codes, len(classes))
    ways: dict[str, Callable[[], np.ndarray]] = {
        "vote": lambda: labelling.vote(known).argmax(axis=1),
        "spreading": lambda: labelling.spread(known).argmax(axis=1),
        "automatic": lambda: labelling.predict(known).codes,
        "nearest": lambda: nearest(mu, known),
        "logistic regression": lambda: logistic(mu, known),
    }
    others = np.setdiff1d(np.arange(len(truth)), rows)
    return {name: 100 * float((classes[ways[name]()][others] != truth[others]).mean()) for name in WAYS}


def measured(run: Path, clustering: str, draws: int) -> dict[str, dict[str, float]]:
    """The errors of a run by the labels that are given."""
    folder = RunFolder.open(run)
    points = folder.clustering(clustering).points()
    truth = np.array(points.column("label").to_pylist(), str)
    cluster = points.column("cluster").to_numpy()
    mu = np.asarray(lv.open(folder.path).mu)[:, : folder.info()["summary"]["content_dim"]]
    neighbours = np.asarray(folder.clustering(clustering).neighbours())
    labelling = Labelling(mu, points.column("nearest_cluster").to_numpy(), neighbours)
    asked = np.array(ask(len(np.unique(cluster[cluster >= 0])), mu, cluster, neighbours))
    found = {f"{len(asked)} asked for": errors(labelling, mu, truth, asked)}
    for count in A_CLASS:
        rows = []
        for draw in range(draws):
            random = np.random.default_rng(draw)
            groups = [random.permutation(np.flatnonzero(truth == name))[:count] for name in np.unique(truth)]
            rows.append(errors(labelling, mu, truth, np.concatenate(groups)))
        found[f"{count} a class, random"] = {way: median(row[way] for row in rows) for way in WAYS}
        say(f"{run.name}, {count} a class: {found[f'{count} a class, random']}")
    return found


def table(results: dict[str, dict[str, dict[str, float]]], draws: int) -> str:
    """The results as Markdown."""
    lines = [
        "# A few labels for all items",
        "",
        "Written by `benchmarks/label.py`: error in percent on the items without a label. Random labels: median of",
        f"{draws} draws. One training and one clustering each.",
    ]
    for name, rows in results.items():
        lines += ["", f"## {name}", "", f"| labels | {' | '.join(WAYS)} |", f"|---|{'--:|' * len(WAYS)}"]
        lines += [f"| {given} | {' | '.join(f'{row[way]:.1f}' for way in WAYS)} |" for given, row in rows.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure the runs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders with labels")
    parser.add_argument("--clustering", default="default", metavar="NAME")
    parser.add_argument("--draws", type=int, default=5, help="random choices of labels (default: 5)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for run in arguments.runs:
        results[run.name] = measured(run, arguments.clustering, arguments.draws)
        write_json(arguments.out, results)
        arguments.out.with_suffix(".md").write_text(table(results, arguments.draws), encoding="utf-8")


if __name__ == "__main__":
    main()
