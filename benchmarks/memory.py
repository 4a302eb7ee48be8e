"""Compare data in memory with the same data in a file: seconds and memory of `lv.fit`, and seconds of `run.transform`.

    python benchmarks/memory.py --work /tmp/memory       # takes ten minutes on one core and 3 GB of disk and memory

Each fit runs in a process of its own, files and objects in turn, and trains for a few batches only: training is the
same for both, so a full one would hide what reading costs. Seconds are CPU seconds.
Memory is the peak of anonymous pages; pages of memory-mapped files, which the kernel can reclaim, do not count. The
object itself is in it. Writes benchmarks/results/in_memory.md.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scale import Watch, _busy

RESULTS = Path(__file__).parent / "results" / "in_memory.md"
TRAINER = {"max_epochs": 1, "limit_train_batches": 5, "limit_val_batches": 2}
REPEATS = 5  # of the fits of images, of which the least is reported
TURNS = 60  # of `transform` and the encoder alone
ROWS = 10_000  # of `transform`


def images() -> np.ndarray:
    """70,000 images as large as those of MNIST, uint8 (n, 28, 28)."""
    return np.random.default_rng(0).integers(0, 256, (70_000, 28, 28), np.uint8)


def vectors() -> np.ndarray:
    """1 GB of vectors, float32 (250,000, 1,000)."""
    values = np.random.default_rng(0).random((250_000, 1_000), np.float32)
    values[: len(values) // 2] += 1
    return values


def texts() -> list[str]:
    """1,000,000 texts of eight words."""
    words = np.array([f"word{i}" for i in range(5_000)])
    rows = np.random.default_rng(0).integers(0, len(words), (1_000_000, 8))
    return [" ".join(row) for row in words[rows]]


CASES: dict[str, tuple[Callable[[], Any], str, dict[str, Any]]] = {
    "70,000 images, array": (images, "images.npy", {"model": {"contrast": 0}}),
    "250,000 vectors of 1 GB, array": (vectors, "vectors.npy", {"model": {"contrast": 0}}),
    "1,000,000 texts, list": (texts, "texts.txt", {"model": {"vectors": "random"}}),
}


def write(x: Any, file: Path) -> None:
    """Write an object as the file that it is compared with."""
    if file.suffix == ".npy":
        np.save(file, x)
    else:
        file.write_text("\n".join(x), encoding="utf-8")


def fit(case: str, source: str, work: Path) -> dict[str, float]:
    """Fit one case from a "file" or from "memory" in this process; return CPU seconds and bytes."""
    import latentviz as lv

    make, name, settings = CASES[case]
    x = work / name if source == "file" else make()
    watch = Watch()
    watch.start()
    time.sleep(0.3)
    start, began = _busy(), time.perf_counter()
    held = watch.peak(began - 0.3, began)
    lv.fit(x, run=f"{source}", outputs=work / "outputs", force=True, trainer=TRAINER, check_memory=False, **settings)
    return {"seconds": _busy() - start, "bytes": watch.peak(began, time.perf_counter()), "held": held}


def transform(case: str, work: Path) -> dict[str, float]:
    """Compare `run.transform` of an array with its encoder alone, in this process; return CPU seconds."""
    import torch

    import latentviz as lv

    make, _, settings = CASES[case]
    x = make()[:ROWS]
    run = lv.fit(x, run="transform", outputs=work / "outputs", force=True, trainer=TRAINER, **settings)
    run.transform(x)  # loads the model
    from latentviz.model.encoding import at_a_time

    model = run._opened.model
    stored = torch.from_numpy(np.array(model.kind.dataset().values))
    encoder, size = model.encoder, at_a_time(model.vae)

    def bare() -> None:
        with torch.inference_mode():
            for part in stored.split(size):
                encoder(model.kind.to_input(part))

    found: dict[str, list[float]] = {"transform": [], "network": []}
    for _ in range(TURNS):
        for name, call in (("transform", lambda: run.transform(x)), ("network", bare)):
            began = time.perf_counter()
            call()
            found[name].append(time.perf_counter() - began)
    return {name: min(seconds) for name, seconds in found.items()}


def run(*words: str) -> dict[str, float]:
    """Measure in a new process."""
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(fits: dict[str, dict[str, dict[str, float]]], transforms: dict[str, dict[str, float]]) -> str:
    """Format the results as Markdown."""
    lines = [
        "# Data in memory",
        "",
        (
            f"By `python benchmarks/memory.py` on {platform.processor() or platform.machine()}, "
            f"Python {platform.python_version()}. CPU seconds (reading, a few batches, encoding) and "
            "peak anonymous memory of a fit from a file and from the same data in memory."
        ),
        "",
        "| data | seconds, file | seconds, memory | ratio | MB, file | MB, memory | of which the object | without it |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for case, found in fits.items():
        file, memory = found["file"], found["memory"]
        held = max(0.0, memory["held"] - file["held"])
        mb = [value / 1e6 for value in (file["bytes"], memory["bytes"], held, memory["bytes"] - held)]
        seconds = f"{file['seconds']:.1f} | {memory['seconds']:.1f} | {memory['seconds'] / file['seconds']:.2f}"
        lines.append(f"| {case} | {seconds} | " + " | ".join(f"{value:,.0f}" for value in mb) + " |")
    lines += [
        "",
        f"Clock seconds of `run.transform` of {ROWS:,} rows, with the model loaded, and of the encoder alone:",
        "",
        "| data | seconds, transform | seconds, encoder | ratio |",
        "|---|--:|--:|--:|",
    ]
    for case, found in transforms.items():
        ratio = found["transform"] / found["network"]
        lines.append(f"| {case.rpartition(',')[0]} | {found['transform']:.3f} | {found['network']:.3f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and runs")
    parser.add_argument("--case", choices=CASES, help="measure one case in this process, and print JSON")
    parser.add_argument("--source", choices=["file", "memory", "transform", "write"])
    args = parser.parse_args()
    if args.case and args.source == "write":
        make, name, _ = CASES[args.case]
        write(make(), args.work / name)
        print("{}")
        return
    if args.case:
        measured = (
            transform(args.case, args.work) if args.source == "transform" else fit(args.case, args.source, args.work)
        )
        print(json.dumps(measured))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    fits: dict[str, dict[str, dict[str, float]]] = {}
    for case, (_, name, _) in CASES.items():
        if not (args.work / name).exists():
            run("--work", str(args.work), "--case", case, "--source", "write")
        repeats = REPEATS if name == "images.npy" else 1
        for _ in range(repeats):
            for source in ("file", "memory"):
                found = run("--work", str(args.work), "--case", case, "--source", source)
                best = fits.setdefault(case, {}).setdefault(source, found)
                fits[case][source] = min(best, found, key=lambda one: one["seconds"])
        print(case, fits[case], file=sys.stderr, flush=True)
    transforms = {
        case: run("--work", str(args.work), "--case", case, "--source", "transform") for case in list(CASES)[:2]
    }
    RESULTS.write_text(table(fits, transforms), encoding="utf-8")
    print(table(fits, transforms))


if __name__ == "__main__":
    main()
