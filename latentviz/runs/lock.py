"""One writer at a time: a lock file that records its holder and is released when the holder ends, however it ends."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from latentviz.errors import RunError, WriteError
from latentviz.progress import say

try:
    import fcntl
except ImportError:  # Windows: nothing is locked
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(lock: Path, work: str, what: Path) -> Iterator[None]:
    """Holds a lock inside the block, then removes its file.

    Args:
        lock: the lock file; its folder is created.
        work: the command that takes the lock, for the message to other processes.
        what: the folder that is locked.

    Raises:
        RunError: another process holds the lock; the message has its number, machine and start.
        WriteError: the file cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _open_locked(lock, what)
    except OSError as error:
        raise WriteError(what, error.strerror or str(error)) from None
    try:
        if earlier := _holder(handle):
            say(f"{what}: taken over from {earlier}, which has ended")
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        record = {"work": work, "process": os.getpid(), "host": platform.node(), "since": since}
        with suppress(OSError):  # on a full disk the lock still holds; only its holder is unknown
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(record).encode(), 0)
        yield
    finally:
        with suppress(OSError):  # before the release, so that nobody holds a removed file
            lock.unlink()
        os.close(handle)


def _open_locked(lock: Path, what: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if not try_lock(handle):
                raise RunError(
                    f"{what}: in use by {_holder(handle) or 'another process'}; wait until it has finished, "
                    "or choose another name"
                )
            if _is_at(handle, lock):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the last holder removed the file after it was opened here: open the new one


def try_lock(handle: int) -> bool:
    """Locks an open file; False if another process holds it, True also where files cannot be locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: work without one
        return True
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _holder(handle: int) -> str | None:
    """Describes the process that a lock file names; None if it names none."""
    try:
        record = json.loads(os.pread(handle, 4096, 0))
        who = f"process {record['process']} on {record['host']}, since {record['since']}"
        return f"`latentviz {record['work']}` ({who})"
    except (OSError, ValueError, TypeError, KeyError):
        return None
