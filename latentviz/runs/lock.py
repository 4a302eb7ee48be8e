"""One writer at a time: a lock that its holder's death releases, and that says who the holder is."""

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
except ImportError:  # not on Windows, where nothing is refused
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(lock: Path, work: str, what: Path) -> Iterator[None]:
    """Holds a lock while inside; the file goes when it is left, and the lock goes when the process does.

    Args:
        lock: the lock's file; its folder is made.
        work: the command that works there, for whoever is refused.
        what: what is locked.

    Raises:
        RunError: another process holds it; the message names its number, its machine, and since when it does.
        WriteError: the file cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(lock, what)
    except OSError as error:
        raise WriteError(what, error.strerror or str(error)) from None
    try:
        if earlier := _holder(handle):
            say(f"{what}: taken over from {earlier}, which has ended")
        record = {
            "work": work,
            "process": os.getpid(),
            "host": platform.node(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        with suppress(OSError):  # on a full disk the lock holds all the same; only its holder has no name
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(record).encode(), 0)
        yield
    finally:
        with suppress(OSError):  # before it is let go of, so that nobody holds a file without a name
            lock.unlink()
        os.close(handle)


def _take(lock: Path, what: Path) -> int:
    """Returns the handle of the locked file."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            if not _try(handle):
                raise RunError(
                    f"{what}: in use by {_holder(handle) or 'another process'}; wait until it has finished, "
                    "or choose another name"
                )
            if _named(handle, lock):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its last holder has removed it since it was opened: there may be another by now


def _try(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: better none than no work at all
        return True
    return True


def _named(handle: int, lock: Path) -> bool:
    """Returns whether the open file is still the one that lies there."""
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _holder(handle: int) -> str | None:
    """Returns in words who wrote the record in a lock's file; None: nobody."""
    try:
        record = json.loads(os.pread(handle, 4096, 0))
        who = f"process {record['process']} on {record['host']}, since {record['since']}"
        return f"`latentviz {record['work']}` ({who})"
    except (OSError, ValueError, TypeError, KeyError):
        return None
