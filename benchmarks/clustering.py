"""Compare the clusters of latentviz with those of other methods: ACC, NMI and ARI against the labels.

    python benchmarks/clustering.py --data digits --data mnist=PATH --data fashion=PATH
    python benchmarks/clustering.py --table

Each (data set, method, seed, layout seed) is one line of `--out`, appended when it is finished. Existing lines are
skipped, so an interrupted benchmark continues. Methods that train and then cluster train once per seed, and cluster
once per seed and layout seed. Trained models stay in `--work` and are reused until that folder is removed. Each stage
runs in its own process; seconds and peak memory are the stage's, including imports. `--table` writes the table and the
plot next to the results.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clustering_methods import METHODS, crossed, layout_seed

HERE = Path(__file__).parent
PACKAGES = {"evoc": "evoc", "leiden": "leidenalg", "pacmap": "pacmap"}  # of the methods that need one


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME[=SOURCE]",
        help="a labelled data set, and the SOURCE that `latentviz fit` gets for it (default: NAME)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, starting from 0 (default: 3)")
    parser.add_argument(
        "--layout-seeds", type=int, default=3, help="seeds of layouts for each training, starting from 0 (default: 3)"
    )
    parser.add_argument("--methods", default=",".join(METHODS), help=f"any of {', '.join(METHODS)} (default: all)")
    parser.add_argument("--only", metavar="NAME", help="only this data set")
    parser.add_argument("--limit", type=int, help="sample this many items of each set, to try the benchmark")
    parser.add_argument(
        "--out", type=Path, default=HERE / "results" / "clustering.jsonl", help="the results, one JSON line each"
    )
    parser.add_argument("--work", type=Path, default=Path("outputs/benchmark"), help="folder of the runs")
    parser.add_argument(
        "--table", action="store_true", help="only write the table and the plot from the existing results"
    )
    options = parser.parse_args()
    options.methods = options.methods.split(",")
    unknown = [name for name in options.methods if name not in METHODS]
    if unknown:
        parser.error(f"--methods: unknown {', '.join(unknown)}; choose from {', '.join(METHODS)}")
    return options


def read(out: Path) -> list[dict[str, Any]]:
    """Read the results so far; truncated lines are dropped with a warning."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            print(f"{out}: ignored a damaged line", file=sys.stderr)
    return found


def append(out: Path, result: dict[str, Any]) -> None:
    """Append one line, starting on a new line even if the last one was truncated."""
    out.parent.mkdir(parents=True, exist_ok=True)
    truncated = out.exists() and out.stat().st_size > 0 and not out.read_bytes().endswith(b"\n")
    with out.open("a", encoding="utf-8") as file:
        file.write(("\n" if truncated else "") + json.dumps(result, ensure_ascii=False) + "\n")


def run(stage: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run a stage in its own process; returns its result and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "given.json", Path(folder) / "result.json"
        given.write_text(json.dumps(parameters), encoding="utf-8")
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, HERE / "clustering_methods.py", stage, given, result],
            check=True,
            env={**os.environ, "LATENTVIZ_COMPILE_AHEAD": "0"},
        )
        seconds = time.perf_counter() - start
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    found["used"]["seconds"] = round(seconds - found["used"].pop("scoring", 0.0), 1)
    return found


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, str, str, int, int]]:
    """Yield (data set, source, method, seed, layout seed) of the remaining work, all of the first seed first."""
    done = {(r["data"], r["method"], r["seed"], layout_seed(r), r["limit"]) for r in read(options.out)}
    sets = [(name, source or name) for name, _, source in (text.partition("=") for text in options.data)]
    for seed in range(options.seeds):
        for name, source in sets:
            for method in options.methods:
                for layout in range(options.layout_seeds) if crossed(method) else [seed]:
                    if options.only in (None, name) and (name, method, seed, layout, options.limit) not in done:
                        yield name, source, method, seed, layout


def measure(options: argparse.Namespace, name: str, source: str, method: str, seed: int, layout: int) -> dict[str, Any]:
    """Measure one method on one data set with one seed of the training and one of the layouts; returns the line."""
    folder = options.work / (name if options.limit is None else f"{name}-{options.limit}")
    parameters = {
        "source": source,
        "limit": options.limit,
        "data": str(folder / "data"),
        "runs": str(folder / "runs"),
        "seed": seed,
        "layout_seed": layout,
        "method": method,
    }
    about = folder / "data" / "about.json"
    if not about.exists():
        content = run("prepare", parameters)
        about.write_text(json.dumps(content), encoding="utf-8")
    about_data = json.loads(about.read_text(encoding="utf-8"))
    parameters["epochs"] = about_data["epochs"]
    used, found, stages = {}, {}, list(METHODS[method][1])
    for stage in stages:
        kept = folder / f"stage-{stage}-{method}-{seed}.json"
        if stage != stages[-1] and kept.exists():
            found = json.loads(kept.read_text(encoding="utf-8"))
        else:
            found = run(stage, parameters)
            if stage != stages[-1]:
                kept.write_text(json.dumps(found), encoding="utf-8")
        used[stage] = found.pop("used")
    return {
        "data": name,
        "method": method,
        "seed": seed,
        "layout_seed": layout,
        "limit": options.limit,
        "n": about_data["n"],
        "k": about_data["k"],
        **found,
        "used": used,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions that the results depend on."""
    names = ("latentviz", "torch", "numpy", "umap-learn", "hdbscan", "fast-hdbscan", "scikit-learn")
    return {"python": platform.python_version(), "cpus": str(os.cpu_count()), **{name: version(name) for name in names}}


def main() -> int:
    """Run the remaining work, or write the table; the exit code is 1 if a method failed."""
    options = parse()
    if options.table:
        from clustering_table import write

        write(read(options.out), options.out)
        return 0
    failed = 0
    for name, source, method, seed, layout in jobs(options):
        if (package := PACKAGES.get(method)) and find_spec(package) is None:
            print(f"{name}, {method}: skipped; to run it, `pip install {package}`", file=sys.stderr)
            continue
        work = f"{name}, {method}, seed {seed}, layout seed {layout}"
        print(f"{work} …", file=sys.stderr, flush=True)
        try:
            result = measure(options, name, source, method, seed, layout)
        except subprocess.CalledProcessError as error:
            print(f"{work}: failed (exit code {error.returncode})", file=sys.stderr)
            failed += 1
            continue
        append(options.out, result)
        score = result["nearest_cluster"]
        print(
            f"{work}: ARI {score['ari']:.3f}, NMI {score['nmi']:.3f}, ACC {score['acc']:.3f}, "
            f"{result['n_clusters']} clusters",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
