"""Opens regular files alone, and tells a damaged file from one that the system does not let us read."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeGuard

from latentviz.errors import LatentvizError, ReadError, RunError

# Errors that are about the file itself; libraries raise OSError without a number for damaged content.
OF_THE_FILE = {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENXIO}
KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: Path, limit: int | None = None) -> BinaryIO:
    """Opens a file for reading; follows no link, and neither waits for a pipe nor reads a device.

    Args:
        path: the file.
        limit: bytes that it may have at most; None: any number.

    Raises:
        ValueError: it is a link, no regular file, or too large.
        OSError: it does not exist or cannot be opened.
    """
    check_regular(path, limit)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb")


def check_regular(path: Path, limit: int | None = None) -> None:
    """Raises as `open_regular`, for files that a library opens by name."""
    state = path.lstat()
    if not stat.S_ISREG(state.st_mode):
        what = next((name for test, name in KINDS if test(state.st_mode)), "a device")
        raise ValueError(f"{what}, and not a file; latentviz follows no links out of a run and opens no devices")
    if limit is not None and state.st_size > limit:
        raise ValueError(f"{state.st_size:,} bytes; at most {limit:,} are read")


@contextmanager
def damage(path: Path, again: str) -> Iterator[None]:
    """Turns a library's errors on a damaged file into a RunError; `again` says what makes the file again.

    Raises:
        ReadError: the system refuses to read the file, which says nothing about its content.
    """
    try:
        yield
    except LatentvizError:
        raise
    except MemoryError:
        raise ReadError(path, OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))) from None
    except Exception as error:  # noqa: BLE001 - libraries raise many types for damaged files
        if refused(error):
            raise ReadError(path, error) from None
        if isinstance(error, FileNotFoundError):
            raise RunError(f"{path}: missing; {again}") from None
        raise RunError(f"{path}: damaged ({_line(error)}); {again}") from None


def refused(error: Exception) -> TypeGuard[OSError]:
    """Whether the system refused to read for a reason that lies outside the file: permissions, limits, the disk."""
    return isinstance(error, OSError) and error.errno not in OF_THE_FILE


def _line(error: BaseException) -> str:
    """Returns the first line of an error's message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
