"""`latentviz WORDS…` in a process of its own that may be killed, starved of disk, or cut off from the network.

Processes are forked from one that has imported everything, so that each costs its work and not five seconds of imports.
"""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from latentviz.shell.cli import main

PRELOADED = [
    "latentviz.api",
    "latentviz.shell.commands",
    "latentviz.shell.tables",
    "latentviz.stages.fit",
    "latentviz.stages.cluster",
    "latentviz.stages.map",
    "latentviz.maps.static",
    "latentviz.stages.generate",
    "latentviz.stages.encode",
    "latentviz.stages.recommend",
    "latentviz.stages.evaluate",
    "latentviz.modalities.image.kind",
    "latentviz.modalities.image.new",
    "sklearn.mixture",
    "sklearn.datasets",
    "PIL.Image",
    "matplotlib.pyplot",
]
WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate"}
NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000  # flags of unshare(2)
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 16384, 1 << 18  # flags of mount(2)
REFUSED = 77  # exit code of a process that could not have the disk it was to have
LIMIT = 120  # seconds after which a command counts as hanging


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; −9 for a killed one.
        out: standard output.
        err: standard error.
        seconds: how long it took.
        steps: how often it changed something on the disk.
    """

    code: int
    out: str
    err: str
    seconds: float
    steps: int = 0

    @property
    def complaint(self) -> str:
        """The one line that a mistake is told in."""
        assert self.code == 2, f"exit code {self.code}\n{self.err}"
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("latentviz: ")]
        assert len(lines) == 1, self.err
        assert self.err.rstrip("\n").endswith(lines[0]), self.err
        return lines[0].removeprefix("latentviz: ")


@dataclass(frozen=True)
class Conditions:
    """What befalls a command.

    Attributes:
        step: kill it with SIGKILL before its so-manieth change on the disk, counted from 1; 0: never.
        seconds: kill it after so long; 0: never.
        file_size: bytes beyond which no file may grow, as on a full disk; 0: any.
        disk: bytes of a disk of its own that `outputs` lies on; 0: any.
        read_only: `outputs` lies on a disk that may not be written to.
    """

    step: int = 0
    seconds: float = 0.0
    file_size: int = 0
    disk: int = 0
    read_only: bool = False


UNDISTURBED = Conditions()


def shell(folder: Path, *words: object, conditions: Conditions = UNDISTURBED) -> Ended:
    """Returns how `latentviz WORDS…` ended, run in `folder` in a process of its own."""
    process, log = start(folder, *words, conditions=conditions)
    return finish(process, log, conditions.seconds)


def start(folder: Path, *words: object, conditions: Conditions = UNDISTURBED) -> tuple[Any, Path]:
    """Returns the started process, and the stem of the files that it writes its output to."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    log = folder.parent / f"log-{time.monotonic_ns()}"
    process = context.Process(target=_child, args=(str(folder), [str(word) for word in words], str(log), conditions))
    process.start()
    return process, log


def finish(process: Any, log: Path, seconds: float = 0.0) -> Ended:
    """Returns how a started process ended, after killing it where it is to live so long only."""
    began = time.monotonic()
    process.join(seconds or LIMIT)
    if process.is_alive():
        hung = not seconds
        process.kill()
        process.join()
        assert not hung, f"hangs\n{log.with_suffix('.err').read_text()}"
    out, err, steps = (log.with_suffix(suffix) for suffix in (".out", ".err", ".steps"))
    ended = Ended(
        process.exitcode,
        *(file.read_text() if file.exists() else "" for file in (out, err)),
        time.monotonic() - began,
        int(steps.read_text() or 0) if steps.exists() else 0,
    )
    for file in (out, err, steps):
        file.unlink(missing_ok=True)
    if ended.code == REFUSED:
        pytest.skip("this machine lets nobody mount a disk of his own, neither root nor in a user namespace")
    return ended


def until(said: str, log: Path) -> None:
    """Waits until a started process has said something on standard error."""
    deadline = time.monotonic() + LIMIT
    while not (log.with_suffix(".err").exists() and said in log.with_suffix(".err").read_text()):
        assert time.monotonic() < deadline, f"never said {said!r}"
        time.sleep(0.01)


def _child(folder: str, words: Sequence[str], log: str, conditions: Conditions) -> None:
    os.chdir(folder)
    for suffix, number in ((".out", 1), (".err", 2)):
        handle = os.open(log + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, encoding="utf-8") for number in (1, 2))
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system's, which a killed process leaves behind
    changes = _count(folder, conditions.step)
    if conditions.file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (conditions.file_size, resource.RLIM_INFINITY))
    if conditions.disk or conditions.read_only:
        _mount(folder, conditions)
    try:
        code = main(words)
    except SystemExit as ending:
        code = int(ending.code or 0)
    with Path(log + ".steps").open("w") as file:
        file.write(str(changes()))
    sys.stdout.flush()
    os._exit(code)


def _mount(folder: str, conditions: Conditions) -> None:
    """Puts `outputs` on a disk that only this process sees; ends it with REFUSED where the system does not allow that.

    The calls are those of mount(2) and unshare(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    target = os.fsencode(f"{folder}/outputs")
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(NEW_MOUNTS if uid == 0 else NEW_MOUNTS | NEW_USER):
        os._exit(REFUSED)
    if uid != 0:
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{file}").write_text(text)
    failed = libc.mount(b"none", b"/", None, RECURSIVE | PRIVATE, None)
    if conditions.disk:
        failed = failed or libc.mount(b"tmpfs", target, b"tmpfs", 0, f"size={conditions.disk}".encode())
    if conditions.read_only:
        failed = failed or libc.mount(target, target, None, BIND, None)
        failed = failed or libc.mount(target, target, None, BIND | REMOUNT | READ_ONLY, None)
    if failed:
        os._exit(REFUSED)


def _count(folder: str, last: int) -> Callable[[], int]:
    """Counts each change that the process makes on the disk in `folder`, and ends it before the given one."""
    count = 0

    def step(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in WRITES:
            path = arguments[0]
        else:
            return
        if (
            isinstance(path, str | os.PathLike)
            and os.fspath(path).startswith("/")
            and not (os.fspath(path).startswith(folder))
        ):
            return
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)
    return lambda: count
