"""Estimates memory and time of the stages of a command before it starts, and refuses what does not fit.

The constants were measured by benchmarks/scale.py: bytes at the peak and seconds of each stage, per item.
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentviz.config import ClusterConfig, FitConfig
from latentviz.errors import ResourceError
from latentviz.progress import say

LARGE = 100_000  # items from which on the estimate is printed
LAYOUTS = (3, 2, 2)  # with reduce.layouts=auto: a group is added as long as the layouts before it disagree
ALL_UP_TO, MOST = 150_000, 120_000  # items up to which all are laid out; landmarks of more
FEWEST = 15_000  # landmarks that still show the structure of a map
SPARE = 0.9  # share of the available memory that may be used
MIB = 2**20
REFERENCE = 0.045  # seconds of `core_speed` on the machine that the constants were measured on


class Need(NamedTuple):
    """The needs of a stage: bytes at its peak, all processes together, and seconds on the reference machine."""

    stage: str
    memory: float
    seconds: float


def available() -> float:
    """Returns the bytes of memory available to this process, within the machine and its control groups."""
    found = [_machine(), *_groups(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))]
    return min((value for value in found if value is not None), default=float("inf"))


def _machine(meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Returns the kernel's MemAvailable, else the physical memory, else None."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        return float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows
        return None


def _groups(root: Path, membership: Path) -> list[float]:
    """Returns the bytes left in each control group of this process, version 2 or 1; cached file pages count as free."""
    try:
        entries = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    left = []
    for _, controllers, path in entries:
        if controllers not in {"", "memory"}:
            continue
        base, limit, used, cached = (
            (root, "memory.max", "memory.current", "inactive_file")
            if not controllers
            else (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        place = base / path.strip("/")
        for folder in {base, place, *(p for p in place.parents if p.is_relative_to(base))}:
            try:
                most = int((folder / limit).read_text(encoding="ascii"))  # "max" (no limit) raises ValueError
                taken = int((folder / used).read_text(encoding="ascii"))
                stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            except (OSError, ValueError):
                continue
            left.append(max(0.0, float(most - taken + int(stat.get(cached, 0)))))
    return left


def core_speed() -> float:
    """Returns the speed of a core at sorting and matrix products; 1 is that of the reference machine.

    On one thread: with so little work, several would mostly wait for each other.
    """
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(0)
    matrix, numbers = random.normal(size=(256, 256)).astype(np.float32), random.normal(size=200_000)
    with threadpool_limits(1):
        start = time.thread_time()
        for _ in range(30):
            np.sort(numbers)
            matrix = np.tanh(matrix @ matrix)
        return REFERENCE / max(time.thread_time() - start, 1e-6)


def cluster_needs(n: int, d: int, laid: int, core: int, layouts: int, pixels: int) -> list[Need]:
    """Estimates the stages of `cluster`.

    Args:
        n: items.
        d: dimensions of μ that are clustered.
        laid: items that are laid out, all or the landmarks.
        core: of these, items that the clusters are found among.
        layouts: number of layouts.
        pixels: bytes of an item in the cache.
    """
    cores = os.cpu_count() or 1
    jobs = min(layouts, cores)
    own = BASE + n * (4 * d * 2 + ITEM)
    blocks = cores * 300 * MIB
    pairs = float(laid) * (laid if laid <= ALL_UP_TO else 60_000)
    needs = [
        Need("neighbours", own + blocks + laid * (12 * d + 240), pairs * 2.6e-9 / cores),
        Need("reducing", own + jobs * core * LAYOUT, layouts * core * 5.0e-4 / jobs),
        Need("clustering", own + core * CUT * layouts, layouts * core * 2.3e-4),
        Need("drawing", own + laid * LAYOUT, laid * 3.0e-4),
        Need("placing the others", own + blocks + n * PLACED + laid * 400, (n - core) * 7.0e-5),
        Need("measuring the items", own + n * 300, n * pixels * 6.0e-8),
        Need("writing the map", own + n * POINT, n * 3.2e-5),
    ]
    return [need for need in needs if core < n or need.stage != "placing the others"]


def cluster(config: ClusterConfig, shape: tuple[int, ...], pixels: int, *, sampled: bool = True) -> int:
    """Returns how many items to lay out, 0 for all; prints the estimate if there are many.

    Args:
        config: of the clustering; `reduce.landmarks` "auto" takes what fits.
        shape: of μ, (n, d).
        pixels: bytes of an item in the cache.
        sampled: the clusters are found among at most `reduce.sample` items.

    Raises:
        ResourceError: there is not enough memory; the message names the setting that would fit.
    """
    n, d = shape[0], shape[1]
    wanted, free = config.reduce.landmarks, available() * SPARE
    given = config.reduce.layouts
    layouts = 1 if config.reduce.method != "umap" else LAYOUTS[0] if given == "auto" else given
    sample = config.reduce.sample if sampled else 0

    def needs(landmarks: int) -> list[Need]:
        laid = min(landmarks or n, n)
        return cluster_needs(n, d, laid, min(laid, sample or laid), layouts, pixels)

    def fits(landmarks: int) -> bool:
        return max(need.memory for need in needs(landmarks)) <= free

    choices = ([0] if n <= ALL_UP_TO else []) + [size for size in (MOST, MOST // 2, MOST // 4, FEWEST) if size < n]
    fitting = [size for size in choices if fits(size)]
    chosen = (fitting or choices)[0] if wanted == "auto" else int(wanted)
    _report("cluster", n, needs(chosen))
    if config.check_memory and not fits(chosen):
        smaller = [size for size in fitting if size]
        cure = f"set reduce.landmarks={smaller[0]}" if smaller else "take fewer items, or a machine with more memory"
        raise ResourceError(_refusal(needs(chosen), free, cure))
    return chosen


def fit_needs(
    n: int,
    item: int,
    batch: int,
    parameters: int,
    draws: float,
    seconds: tuple[float, float] | None = None,
    step_bytes: int = 0,
) -> list[Need]:
    """Estimates the stages of `fit`.

    Args:
        n: items.
        item: bytes of an item in the cache.
        batch: items in a batch.
        parameters: of the model.
        draws: items that the training processes, each as often as it is drawn.
        seconds: of a core for training on one item and for encoding it; None: from its bytes, as for images.
        step_bytes: memory of a training step for each byte of its batch.
    """
    learning, encoding = seconds or (item * 4.0e-7, item * 2.5e-8)
    own = TRAINER + n * ROW + 16 * parameters
    return [
        Need("training", own + batch * item * step_bytes + n * 400, draws * learning),
        Need("encoding", own + ENCODED * item * step_bytes / 3, n * encoding),
    ]


def fit(
    config: FitConfig,
    n: int,
    item: int,
    parameters: int,
    seconds: tuple[float, float] | None,
    step_bytes: int,
) -> None:
    """Prints the estimate of a training if there are many items.

    Args:
        config: resolved.
        n: items.
        item: bytes of an item in the cache.
        parameters: of the model.
        seconds: as in `fit_needs`.
        step_bytes: as in `fit_needs`.

    Raises:
        ResourceError: there is not enough memory; the message names the setting that would fit.
    """
    free, batch = available() * SPARE, config.data.batch_size
    steps = config.trainer.get("max_steps", -1)
    draws = float(steps * batch if steps and steps > 0 else n * float(config.trainer.get("max_epochs") or 1))

    def needs(size: int) -> list[Need]:
        return fit_needs(n, item, size, parameters, draws, seconds, step_bytes)

    def fits(size: int) -> bool:
        return max(need.memory for need in needs(size)) <= free

    _report("fit", n, needs(batch))
    if config.check_memory and not fits(batch):
        smaller = batch
        while smaller > 2 and not fits(smaller):
            smaller //= 2
        cure = "take fewer items or a smaller data.size, or a machine with more memory"
        raise ResourceError(_refusal(needs(batch), free, f"set data.batch_size={smaller}" if fits(smaller) else cure))


def _report(command: str, n: int, needs: Sequence[Need]) -> None:
    if n < LARGE:
        return
    speed = core_speed()
    stages = [f"{need.stage} {duration(need.seconds / speed)}, {need.memory / 1e9:.1f} GB" for need in needs]
    say(f"{command} of {n:,} items, about: {'; '.join(stages)}")


def duration(seconds: float) -> str:
    """Formats seconds."""
    return f"{max(1, seconds):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _refusal(needs: Sequence[Need], free: float, cure: str) -> str:
    worst = max(needs, key=lambda need: need.memory)
    return (
        f"memory: {worst.stage} needs about {worst.memory / 1e9:.1f} GB, and {free / 1e9:.1f} GB are available; "
        f"{cure}, or switch this check off with check_memory=false"
    )


def pixels(cache: Path) -> int:
    """Returns the bytes of an item in a run's cache; 0 without an array of all items."""
    arrays = []
    for file in cache.glob("*.npy"):
        with suppress(OSError, ValueError, EOFError):  # a damaged file is reported when it is read
            if file.name != "neighbours.npy":
                arrays.append(np.load(file, mmap_mode="r", allow_pickle=False))
    return max((int(array.nbytes // max(1, len(array))) for array in arrays if array.ndim > 1), default=0)


# Bytes at the peak of a stage, rounded up from benchmarks/results/scale.md.
BASE = 650 * MIB  # Python with torch, UMAP, HDBSCAN and Plotly
ITEM = 150  # an item in its table
LAYOUT = 4_000  # an item in UMAP: its graph, its edges, its spectrum
CUT = 1_500  # an item in a sweep of the cut: trees, labels
PLACED = 300  # an item placed: its columns and neighbours
POINT = 1_200  # an item on the map: texts, columns, blocks
TRAINER = 800 * MIB  # Python with torch and Lightning
ROW = 300  # an item in the table while it is trained on
ENCODED = 256  # items encoded at a time
