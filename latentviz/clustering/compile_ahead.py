"""Compiles UMAP and fast_hdbscan into numba's disk cache while a model trains, so that the first `cluster` is quick.

The compiler is a process of low priority. It starts only where numba's cache lacks something, once per machine and
cache, and ends with the process that started it.
"""

import atexit
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from latentviz.progress import say
from latentviz.runs.lock import try_lock

NICE = 15  # below everything that a user waits for
# Functions of each compile step, `module.function` in each package; numba writes one index file for each of them.
COMPILED = {
    "umap": (
        "umap_.smooth_knn_dist",
        "umap_.compute_membership_strengths",
        "layouts._optimize_layout_euclidean_single_epoch",
    ),
    "fast_hdbscan": (
        "boruvka.parallel_boruvka",
        "layer_clusters.min_cluster_size_barcode",
        "layer_clusters.select_diverse_peaks",
        "cluster_trees.extract_eom_clusters",
        "cluster_trees.extract_leaves",
        "cluster_trees.get_point_membership_strength_vector",
    ),
}
WORKER = "from latentviz.clustering.compile_ahead import work; work()"


def start() -> subprocess.Popen[bytes] | None:
    """Starts the compiler if something is missing and no other process compiles; returns it, or None."""
    if os.environ.get("LATENTVIZ_COMPILE_AHEAD", "1") == "0" or not missing():
        return None
    process = None
    with suppress(OSError):  # a convenience: `cluster` compiles for itself where this fails
        lock = os.open(lock_file(), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if try_lock(lock):
                # The lock belongs to the open file, which the compiler inherits: it is released when the compiler ends.
                process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-c", WORKER],
                    cwd=Path(__file__).parents[2],  # the package's folder: `-c` imports from the working directory
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[lock] if os.name == "posix" else [],
                )
        finally:
            os.close(lock)
    if process:
        atexit.register(_stop, process)
        say("compiling UMAP and HDBSCAN in the background, once per machine (about a minute of one core, low priority)")
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def missing() -> bool:
    """Whether numba's cache lacks an index file that is newer than its source and of the installed numba."""
    numba = version("numba").encode()
    for package, functions in COMPILED.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        folder = Path(spec.origin).parent
        for function in functions:
            source = folder / f"{function.partition('.')[0]}.py"
            if not any(_fresh(index, source, numba) for index in _indexes(folder, function)):
                return True
    return False


def _indexes(package: Path, function: str) -> Iterator[Path]:
    """Yields index files of a function from the folders that numba caches in: one set by the user, else two others."""
    hashed = f"{package.name}_{hashlib.sha1(str(package).encode()).hexdigest()}"  # noqa: S324 - numba's folder name
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        folders = [Path(chosen) / hashed]
    else:
        home = Path.home()
        caches = (os.environ.get("XDG_CACHE_HOME") or home / ".cache", home / "Library/Caches", home / "AppData/Local")
        folders = [package / "__pycache__", *(Path(cache) / "numba" / hashed for cache in caches)]
    for folder in folders:
        yield from folder.glob(f"{function}-*.py{sys.version_info[0]}{sys.version_info[1]}*.nbi")


def _fresh(index: Path, source: Path, numba: bytes) -> bool:
    try:
        # The file begins with numba's version as a pickled string; nothing is unpickled.
        return index.stat().st_mtime >= source.stat().st_mtime and numba in index.read_bytes()[:64]
    except OSError:
        return False


def lock_file() -> Path:
    """Returns the lock's file, one for each user, environment and cache."""
    place = f"{sys.prefix}\n{os.environ.get('NUMBA_CACHE_DIR', '')}\n{Path.home()}"
    return Path(tempfile.gettempdir()) / f"latentviz-compile-{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock"


def work() -> None:
    """Runs each compiled step once on 256 points; the body of the compiler process."""
    end_with_parent()
    if hasattr(os, "nice"):
        os.nice(NICE)
    import numpy as np

    from latentviz.clustering.cut import choose_cut
    from latentviz.clustering.neighbors import neighbours
    from latentviz.clustering.umap_layout import fuzzy_graph, umap_reduce

    vectors = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
    vectors[:128] += 9  # two clusters, so that there are trees to cut
    graph = neighbours(vectors, 15)
    points = umap_reduce(vectors, graph, 2)
    choose_cut([[points]], fuzzy_graph(graph), graph.indices[:, 1:], graph.distances[:, 1:])


def end_with_parent() -> None:
    """Ends this process once its standard input, a pipe from the parent, is closed: however the parent ended."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 1):
                pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
