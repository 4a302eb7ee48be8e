"""One writer at a time: a lock file that records its holder and is released when the holder ends, however it ends."""

import errno
import json
import os
import platform
import stat
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

FOREIGN = "not a lock file that latentviz wrote; move it elsewhere"


@contextmanager
def held(lock: Path, work: str, what: Path) -> Iterator[None]:
    """Holds a lock inside the block, then removes its file.

    Args:
        lock: the lock file; its folder is created.
        work: the command that takes the lock, for the message to other processes.
        what: the folder that is locked.

    Raises:
        RunError: another process holds the lock; the message has its number, machine and start. Or something else
            has the name of the lock file.
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
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):  # neither follows a link nor waits for a pipe
        flags |= getattr(os, name, 0)
    while True:
        try:
            handle = os.open(lock, flags, 0o644)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.EISDIR}:
                raise RunError(f"{lock}: {FOREIGN}") from None
            raise
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
                raise RunError(f"{lock}: {FOREIGN}")
            if not try_lock(handle):
                raise RunError(
                    f"{what}: in use by {_holder(handle) or 'another process'}; wait until it has finished, "
                    "or choose another name"
                )
            if _is_at(handle, lock):
                if os.fstat(handle).st_size and not _holder(handle):
                    raise RunError(f"{lock}: {FOREIGN}")
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
