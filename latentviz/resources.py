"""Before a long stage: what it will need of memory and time, and whether this machine has it.

The figures behind it are measured by benchmarks/scale.py: bytes and seconds an item of each stage, at its peak.
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

LARGE = 100_000  # items from which on a command says beforehand what it will need
ALL_UP_TO, MOST = 150_000, 120_000  # items that are all laid out; landmarks of more
FEWEST = 15_000  # landmarks that a landscape still shows on: below, memory is refused
SPARE = 0.9  # share of the free memory that may be planned with
MIB = 2**20
REFERENCE = 0.045  # seconds that `core_speed` takes on a core of the machine that the figures were measured on


class Need(NamedTuple):
    """What a stage needs.

    Attributes:
        stage: its name.
        memory: bytes at its peak, all processes together.
        seconds: on this machine's cores.
        cure: the settings that lower the memory.
    """

    stage: str
    memory: float
    seconds: float
    cure: str


def available() -> float:
    """Returns the bytes of memory that can be had: the least of what the machine, its limits and the group leave."""
    found = [_machine(), *_groups(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))]
    return min((value for value in found if value is not None), default=float("inf"))


def _machine(meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Returns what the kernel calls available; where it does not say, all there is."""
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
    """Returns what the control groups of this process leave, version 2 and 1; pages of files are given back."""
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
                most = int((folder / limit).read_text(encoding="ascii"))  # "max" is no number: no limit
                taken = int((folder / used).read_text(encoding="ascii"))
                stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
            except (OSError, ValueError):
                continue
            left.append(max(0.0, float(most - taken + int(stat.get(cached, 0)))))
    return left


def core_speed() -> float:
    """Returns how fast a core is, 1 for the one that the figures were measured on: sorting and matrix products.

    On one thread: several would wait for each other on so little work, and their waiting would count.
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


def cluster_needs(n: int, d: int, laid: int, layouts: int, pixels: int) -> list[Need]:
    """Returns what the stages of `cluster` need.

    Args:
        n: items.
        d: dimensions of μ that are mapped.
        laid: items that are laid out, all or the landmarks.
        layouts: how many.
        pixels: bytes of an item in the cache.
    """
    cores = os.cpu_count() or 1
    jobs = min(layouts, cores)
    own = BASE + n * (4 * d * 2 + ITEM)
    blocks = cores * 300 * MIB
    pairs = float(laid) * (laid if laid <= ALL_UP_TO else 60_000)
    lower = "reduce.landmarks"
    needs = [
        Need("neighbours", own + blocks + laid * (12 * d + 240), pairs * 2.6e-9 / cores, lower),
        Need("reducing", own + jobs * (WORKER + laid * A_LAYOUT), layouts * laid * 5.0e-4 / jobs, lower),
        Need("clustering", own + laid * A_CUT * layouts, layouts * laid * 2.3e-4, lower),
        Need("drawing", own + laid * A_LAYOUT, laid * 3.0e-4, lower),
    ]
    if laid < n:
        needs.append(Need("placing the others", own + blocks + n * PLACED + laid * 400, (n - laid) * 7.0e-5, "data"))
    needs += [
        Need("measuring the items", own + n * 300, n * pixels * 6.0e-8, "data"),
        Need("writing the map", own + n * A_POINT, n * 3.2e-5, "data"),
    ]
    return needs


def cluster(config: ClusterConfig, shape: tuple[int, ...], pixels: int) -> int:
    """Returns how many items to lay out, 0 for all, after saying what that will take where they are many.

    Args:
        config: of the clustering; `reduce.landmarks` "auto" takes what fits.
        shape: of μ, (n, d).
        pixels: bytes of an item in the cache.

    Raises:
        ResourceError: there is not the memory; the message names the setting that would fit.
    """
    n, d = shape[0], shape[1]
    asked, free = config.reduce.landmarks, available() * SPARE
    layouts = config.reduce.layouts if config.reduce.method == "umap" else 1

    def needs(landmarks: int) -> list[Need]:
        return cluster_needs(n, d, min(landmarks or n, n), layouts, pixels)

    def fits(landmarks: int) -> bool:
        return max(need.memory for need in needs(landmarks)) <= free

    choices = ([0] if n <= ALL_UP_TO else []) + [size for size in (MOST, MOST // 2, MOST // 4, FEWEST) if size < n]
    fitting = [size for size in choices if fits(size)]
    chosen = (fitting or choices)[0] if asked == "auto" else int(asked)
    _tell("cluster", n, needs(chosen))
    if config.check_memory and not fits(chosen):
        worst = max(needs(chosen), key=lambda need: need.memory)
        smaller = [size for size in fitting if size]
        cure = f"set reduce.landmarks={smaller[0]}" if smaller else "take fewer items, or a machine with more memory"
        raise ResourceError(_refusal(worst, free, cure))
    return chosen


def fit_needs(
    n: int, item: int, batch: int, parameters: int, draws: float, seconds: tuple[float, float] | None = None
) -> list[Need]:
    """Returns what the stages of `fit` need.

    Args:
        n: items.
        item: bytes of an item in the cache.
        batch: items in a batch.
        parameters: of the model.
        draws: items that the training sees in all.
        seconds: of a core, for an item to be seen once and to be encoded; None: by its bytes, as of images.
    """
    learning, encoding = seconds or (item * 4.0e-7, item * 2.5e-8)
    own = TRAINER + n * A_ROW + 16 * parameters
    step = batch * item * A_STEP
    return [
        Need("training", own + step + n * 400, draws * learning, "data.batch_size"),
        Need("encoding", own + 1024 * item * A_STEP / 3, n * encoding, "data"),
    ]


def fit(config: FitConfig, n: int, item: int, parameters: int, seconds: tuple[float, float] | None = None) -> None:
    """Says what a training will take where the items are many.

    Args:
        config: resolved.
        n: items.
        item: bytes of an item in the cache.
        parameters: of the model.
        seconds: as `fit_needs` takes them.

    Raises:
        ResourceError: there is not the memory; the message names the setting that would fit.
    """
    free, batch = available() * SPARE, config.data.batch_size
    steps = config.trainer.get("max_steps", -1)
    draws = float(steps * batch if steps and steps > 0 else n * float(config.trainer.get("max_epochs") or 1))
    needs = fit_needs(n, item, batch, parameters, draws, seconds)
    _tell("fit", n, needs)
    worst = max(needs, key=lambda need: need.memory)
    if config.check_memory and worst.memory > free:
        smaller = batch
        while smaller > 2 and max(need.memory for need in fit_needs(n, item, smaller, parameters, draws)) > free:
            smaller //= 2
        fits = max(need.memory for need in fit_needs(n, item, smaller, parameters, draws)) <= free
        raise ResourceError(
            _refusal(
                worst,
                free,
                f"set data.batch_size={smaller}"
                if fits
                else "take fewer items or a smaller data.size, or a machine with more memory",
            )
        )


def _tell(command: str, n: int, needs: Sequence[Need]) -> None:
    if n < LARGE:
        return
    speed = core_speed()
    say(
        f"{command} of {n:,} items, about: "
        + "; ".join(f"{need.stage} {_duration(need.seconds / speed)}, {need.memory / 1e9:.1f} GB" for need in needs)
    )


def _duration(seconds: float) -> str:
    return f"{max(1, seconds):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _refusal(need: Need, free: float, cure: str) -> str:
    return (
        f"memory: {need.stage} needs about {need.memory / 1e9:.1f} GB, and {free / 1e9:.1f} GB can be had; {cure}, "
        "or try all the same with check_memory=false"
    )


def pixels(cache: Path) -> int:
    """Returns the bytes of an item in a run's cache; 0 where it holds no array of all items."""
    arrays = []
    for file in cache.glob("*.npy"):
        with suppress(OSError, ValueError, EOFError):  # whoever reads a damaged one tells of it
            if file.name != "neighbours.npy":
                arrays.append(np.load(file, mmap_mode="r", allow_pickle=False))
    return max((int(array.nbytes // max(1, len(array))) for array in arrays if array.ndim > 1), default=0)


# Bytes at the peak of a stage, rounded up from benchmarks/results/scale.md.
BASE = 650 * MIB  # Python with torch, UMAP, HDBSCAN and Plotly
ITEM = 150  # an item in its table
WORKER = 450 * MIB  # a process that lays out
A_LAYOUT = 4_000  # an item in UMAP: its graph, its edges, its spectrum
A_CUT = 1_500  # an item in a sweep of the cut: trees, labels
PLACED = 300  # an item placed: its columns and neighbours
A_POINT = 1_200  # an item on the map: texts, columns, blocks
TRAINER = 800 * MIB  # Python with torch and Lightning
A_ROW = 300  # an item in the table while it is trained on
A_STEP = 3_000  # bytes for each byte of a batch: activations and their gradients
