"""Measure seconds and memory of every stage at 10,000, 100,000 and 1,000,000 items, and their growth.

    python benchmarks/scale.py --work /tmp/scale            # takes an hour on one core and 4 GB of disk
    python benchmarks/scale.py --work /tmp/scale --sizes 10000 30000

The images are generated: scikit-learn's digits, rotated, shifted and with noise, 28×28. They are trained on for a few
steps only, enough to measure memory and throughput. Their μ have no groups after so short a training, so they are
replaced by 60 Gaussian groups in 16 dimensions for clustering. Writes benchmarks/results/scale.md. Memory is that of
the processes' anonymous pages; pages of memory-mapped files, which the kernel can reclaim, do not count.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (10_000, 100_000, 1_000_000)
GROUPS, DIMS = 60, 16
STEPS = 200  # training steps, at the default batch size of 256
NEW = 10_000  # items for `encode`
AIM = 1.15  # exponent of growth that no stage should exceed
RESULTS = Path(__file__).parent / "results" / "scale.md"
SHORT = 1.0  # seconds below which a stage's growth is not meaningful


def write_images(file: Path, n: int, seed: int) -> None:
    """Write n digits, rotated by up to 15°, shifted by up to two pixels and with noise, uint8 (n, 28, 28)."""
    from scipy.ndimage import rotate, zoom
    from sklearn.datasets import load_digits

    random = np.random.default_rng(seed)
    large = np.clip(zoom(load_digits().images / 16, (1, 3.5, 3.5), order=1), 0, 1)
    turned = np.stack([rotate(large, angle, axes=(1, 2), reshape=False, order=1) for angle in (-15, -7, 0, 7, 15)])
    base = (turned.reshape(-1, 28, 28) * 200).astype(np.uint8)
    out = np.lib.format.open_memmap(file, "w+", np.uint8, (n, 28, 28))
    for start in range(0, n, 10_000):
        m = min(10_000, n - start)
        block = base[random.integers(0, len(base), m)]
        block = np.roll(block, tuple(random.integers(-2, 3, 2)), axis=(1, 2))
        out[start : start + m] = block + random.integers(0, 55, block.shape, np.uint8)
    out.flush()


def mixture(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, float32 (n, 16), from 60 overlapping Gaussian groups of different sizes, and the group of each."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(GROUPS, DIMS)) * 2
    share = random.dirichlet(np.full(GROUPS, 3.0))
    group = random.choice(GROUPS, n, p=share)
    width = random.uniform(0.5, 1.2, GROUPS)[group, None]
    return (centres[group] + random.normal(size=(n, DIMS)) * width).astype(np.float32), group


class Watch(threading.Thread):
    """Samples the memory of this process and its children ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[float, float]] = []

    def run(self) -> None:
        """Sample until the process ends."""
        while True:
            self.seen.append((time.perf_counter(), sum(_anonymous(pid) for pid in _family())))
            time.sleep(0.1)

    def peak(self, start: float, end: float) -> float:
        """Peak bytes between two times."""
        return max((memory for at, memory in self.seen if start - 0.1 <= at <= end + 0.1), default=0.0)


def _busy() -> float:
    """CPU seconds of this process and its children so far."""
    ticks = 0
    for pid in _family():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family() -> list[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _anonymous(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def measure(n: int, work: Path, settings: list[str]) -> dict[str, Any]:
    """Seconds and peak bytes of each stage of fit, cluster, evaluate, recommend and encode on n items."""
    from latentviz import progress

    watch, kept = Watch(), work / f"{n}-stages.json"
    stages: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    watch.start()
    prefix = ""

    @contextmanager
    def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
        start, busy = time.perf_counter(), _busy()
        yield
        end, used = time.perf_counter(), _busy() - busy
        seconds[name] = round(end - start, 2)
        stages[prefix + name] = {"seconds": used, "clock": end - start, "bytes": watch.peak(start, end)}
        kept.write_text(json.dumps(stages))
        print(
            f"{prefix}{name}: {used:.1f} s ({end - start:.1f} s wall time), "
            f"{stages[prefix + name]['bytes'] / 1e9:.2f} GB",
            file=sys.stderr,
            flush=True,
        )

    progress.stage = stage  # replaced before other modules import it by name
    from latentviz import api
    from latentviz.runs.run import RunFolder
    from latentviz.shell import commands
    from latentviz.stages.start import make_clustering

    os.environ["LATENTVIZ_COMPILE_AHEAD"] = "0"
    images, new, run = work / f"images-{n}.npy", work / "new.npy", RunFolder(work / f"run-{n}")
    for file, count, seed in ((images, n, 0), (new, NEW, 1)):
        if not file.exists():
            write_images(file, count, seed)
    if not run.finished:
        prefix, start = "fit: ", time.perf_counter()
        commands.fit(str(images), SHORTLY, run=run.name, outputs=str(work), force=True)
        _training(watch, stages, run, start)
        vectors, _ = mixture(n)
        mu = np.array(run.mu())
        mu[:, :DIMS] = vectors
        np.save(run.mu_file, mu)
        run.write_info({key: value for key, value in run.info().items() if key not in {"format_version", "checksums"}})
    prefix, start = "cluster: ", _busy()
    folder = make_clustering(run, commands._nested(["reduce.metric=euclidean", *settings]), name="default", force=True)
    whole = _busy() - start
    prefix = ""
    with stage("recommend", {}):
        api.recommend(run.path, 5, k=10)
    with stage("generate --at", {}):
        api.generate(run.path, at=_first(folder), name=f"at-{time.time()}")
    prefix = "encode: "
    api.encode(run.path, str(new), name="new", force=True)
    prefix = "evaluate: "
    commands.evaluate(run.name, outputs=str(work), json=False)
    _, group = mixture(n)
    from sklearn.metrics import adjusted_rand_score

    table = folder.points()
    return {
        "n": n,
        "stages": stages,
        "cluster_seconds": whole,
        "lines": folder.info()["lines"],
        "map_bytes": folder.map_file.stat().st_size,
        "n_clusters": folder.info()["n_clusters"],
        "ari": float(adjusted_rand_score(group, table.column("nearest_cluster").to_numpy())),
    }


# One epoch of a few steps, with a validation and a checkpoint at its end.
SHORTLY = ("trainer.max_epochs=1", f"trainer.limit_train_batches={STEPS}", "trainer.limit_val_batches=20")


def _training(watch: Watch, stages: dict[str, Any], run: Any, start: float) -> None:
    took = run.info()["seconds"]
    end = time.perf_counter() - took["encoding"]
    stages["fit: training"] = {
        "seconds": took["train"],
        "bytes": watch.peak(max(start, end - took["train"]), end),
        "fixed": STEPS * 256,
    }


def _first(folder: Any) -> tuple[float, float]:
    table = folder.points()
    return float(table.column("x")[0].as_py()), float(table.column("y")[0].as_py())


def write(lines: list[dict[str, Any]]) -> None:
    """Write the table."""
    lines = sorted(lines, key=lambda line: line["n"])
    names = list(dict.fromkeys(name for line in lines for name in line["stages"]))
    head = ["stage", *(f"{line['n']:,} items" for line in lines), "growth n^"]
    rows = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    for name in names:
        found = [line["stages"].get(name) for line in lines]
        cells = ["–" if f is None else f"{f['seconds']:.1f} s, {f['bytes'] / 1e9:.2f} GB" for f in found]
        rows.append(f"| {name} | {' | '.join(cells)} | {growth(lines, name)} |")
    last = lines[-1]
    mapped = [f"{line['cluster_seconds']:.0f} s" for line in lines]
    rows.append(f"| **cluster, all of it** | {' | '.join(mapped)} | |")
    text = f"""# A million items

{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. CPU
seconds (wall time is shorter on several cores) and peak memory of the processes and their children, without mapped
files, measured by `python benchmarks/scale.py`. "Growth" is the exponent between the two largest sizes, if the smaller
one takes at least a second; the aim is {AIM}. UMAP and HDBSCAN grow with the number of landmarks, which is given below
the table. Training sees at most {STEPS * 256:,} images here, and is left out where it was not timed.

{chr(10).join(rows)}

""" + "".join(
        f"- {line['n']:,} items: {line['n_clusters']} clusters of {GROUPS} groups, ARI {line['ari']:.3f}, "
        f"map of {line['map_bytes'] / 1e6:.1f} MB. {'; '.join(line['lines'][1:])}\n"
        for line in lines
    )
    heaviest = max(last["stages"].items(), key=lambda item: item[1]["bytes"])
    held = heaviest[1]["bytes"] / 1e9
    text += f'\nAt {last["n"]:,} items, the stage with the most memory is "{heaviest[0]}": {held:.1f} GB.\n'
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


def growth(lines: list[dict[str, Any]], name: str) -> str:
    """Exponent of a stage's seconds between the two largest sizes; "–" if they are too short."""
    timed = [(line["n"], line["stages"][name]) for line in lines if name in line["stages"]][-2:]
    if len(timed) < 2 or timed[0][1]["seconds"] < SHORT or "fixed" in timed[0][1]:
        return "–"
    (n, one), (m, other) = timed
    return f"{math.log(other['seconds'] / one['seconds']) / math.log(m / n):.2f}"


def main() -> None:
    """Measure each size in its own process, because freed memory is not always returned to the system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for images and runs")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", help="settings of cluster, such as reduce.landmarks=50000")
    options = parser.parse_intermixed_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.one:
        line = measure(options.one, options.work, options.settings)
        (options.work / f"{options.one}.json").write_text(json.dumps(line))
        return
    for n in options.sizes:
        subprocess.run(
            [sys.executable, __file__, "--work", str(options.work), "--one", str(n), *options.settings], check=True
        )
    write([json.loads((options.work / f"{n}.json").read_text()) for n in options.sizes])


if __name__ == "__main__":
    main()
