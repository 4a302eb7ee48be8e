"""Measure how many items keep their cluster's number when a run goes on with a tenth of new items.

    python benchmarks/continue.py --data mnist=mnist/ --limit 6000 --out benchmarks/results/continue.json

Nine tenths of each set are fitted and clustered; then `fit --continue` adds the last tenth, and `cluster` runs again.
The baseline (`--anew`) is a new fit of all items, clustered by itself: with its own numbers, and with the best match's.
`--work` keeps the runs, so an interrupted benchmark continues. A Markdown table is written next to `--out`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from placement import split

import latentviz as lv
from latentviz.clustering.matching import match
from latentviz.config import merge, parse_overrides
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder

INTRODUCTION = """# Going on with a tenth of new items

Written by `benchmarks/continue.py`. Kept: the share of the earlier items whose cluster has the same number after: of
all (noise counts as a number), of those that were in a cluster, and of all by `nearest_cluster`. Anew: all items fitted
without the earlier run, with its own numbers, and with those of the best match. Three values: before / continued /
anew; log-likelihood in nats of a held-out item. One training each.
"""
COLUMNS = ("set", "items", "added", "epochs", "training (s)", "clusters", "changes", "kept of all", "of clustered")
COLUMNS = (*COLUMNS, "by nearest", "anew: kept of all", "anew, matched: kept of all", "log-likelihood")


def kept(before: RunFolder, after: RunFolder, *, renumber: bool = False) -> dict[str, float]:
    """Compare the numbers of the items that both runs have; with `renumber` after the best match of the clusters."""
    tables = [run.clustering().points() for run in (before, after)]
    shares = {}
    for column in ("cluster", "nearest_cluster"):
        old, new = (table.column(column).to_numpy() for table in tables)
        new = new[: len(old)]  # the earlier items come first
        if renumber:
            numbers = {-1: -1, **match(old, new).numbers}
            new = np.array([numbers[number] for number in new.tolist()])
        shares[column] = float((old == new).mean())
        if column == "cluster":
            shares["clustered before"] = float((old == new)[old >= 0].mean())
    return shares


def measure(
    name: str, data: str, work: Path, limit: int | None, settings: dict[str, Any], *, baseline: bool
) -> dict[str, Any]:
    """Return the figures of one data set."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    old, new = split(data, settings, folder, limit)

    def fit(name: str, source: Path, **options: Any) -> RunFolder:
        run = RunFolder(folder / name)
        if not run.finished:
            lv.fit(source, run=name, outputs=folder, resume=run.config_file.exists(), **options)
        if not run.clusterings:
            lv.cluster(run.path)
        return run

    start = fit("start", old, **settings)
    continued = fit("continued", new, start=start.path)
    runs = [start, continued]
    shares = {"continued": kept(start, continued)}
    if baseline:
        everything = folder / "everything.npz"
        if not everything.exists():
            parts = [np.load(file) for file in (old, new)]
            np.savez(everything, **{key: np.concatenate([part[key] for part in parts]) for key in ("images", "labels")})
        runs.append(fit("anew", everything, **settings))
        shares |= {"anew": kept(start, runs[2]), "anew, matched": kept(start, runs[2], renumber=True)}
    info, now = start.info()["summary"], continued.info()["summary"]
    events = [change["change"] for change in continued.clustering().info()["continued"]["changes"]]
    return {
        "set": name,
        "items": info["items"],
        "added": now["items"] - info["items"],
        "epochs": [run.info()["summary"]["epochs"] for run in runs],
        "train seconds": [run.info()["seconds"]["train"] for run in runs],
        "log_likelihood": [run.info()["summary"]["log_likelihood"] for run in runs],
        "clusters": [run.clustering().info()["n_clusters"] for run in runs],
        "events": {kind: events.count(kind) for kind in dict.fromkeys(events)},
        **shares,
    }


def table(lines: list[dict[str, Any]]) -> str:
    """Format the figures as Markdown."""
    text = [INTRODUCTION, f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for line in lines:
        events = ", ".join(f"{count} {kind}" for kind, count in line["events"].items())
        shares = [line["continued"][key] for key in ("cluster", "clustered before", "nearest_cluster")]
        shares += [line[key]["cluster"] for key in ("anew", "anew, matched") if key in line]
        three = [" / ".join(f"{value:,.0f}" for value in line[key]) for key in ("epochs", "train seconds", "clusters")]
        text.append(
            f"| {line['set']} | {line['items']:,} | {line['added']:,} | {' | '.join(three)} | {events} | "
            f"{' | '.join([f'{share:.1%}' for share in shares] + ['–'] * (5 - len(shares)))} | "
            f"{' / '.join(f'{value:,.1f}' for value in line['log_likelihood'])} |"
        )
    return "\n".join(text) + "\n"


def main() -> None:
    """Measure each set and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=PATH", help="sets of images")
    parser.add_argument("--limit", type=int, help="random items of each set")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("outputs/continue"))
    parser.add_argument(
        "--anew", action="store_true", help="measure the baseline, which takes as long as the first fit"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="settings of the first fit")
    options = parser.parse_args()
    settings: dict[str, Any] = dict(merge({}, parse_overrides(options.set)))
    lines = []
    for entry in options.data:
        name, _, path = entry.partition("=")
        begun = time.perf_counter()
        lines.append(measure(name, path, options.work, options.limit, settings, baseline=options.anew))
        print(f"{name}: {time.perf_counter() - begun:.0f} s, {json.dumps(lines[-1])}", flush=True)
        write_json(options.out, {"settings": settings, "lines": lines})
        options.out.with_suffix(".md").write_text(table(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
