"""Atomic writes, and reads that report a damaged file in one line."""

import json
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import RunError, WriteError
from latentviz.runs.checksums import seal, sync, verify
from latentviz.runs.info import Content

AnyPath = str | os.PathLike[str]

AGAIN = "the command that made it makes it again with --force"
LONGEST_NAME = 200  # bytes of a folder's name: file systems take 255, and temporary names are longer
HOST = (
    f"{zlib.crc32(platform.node().encode()):08x}"  # in temporary names: process numbers are valid on one machine only
)
TEMPORARY = re.compile(r"\..+\.(\d+)-([0-9a-f]{8})[0-9a-f]{6}\.tmp")


def temporary_name(path: Path) -> Path:
    """Returns a hidden name next to `path` with the number of this process."""
    return path.with_name(f".{path.name}.{os.getpid()}-{HOST}{secrets.token_hex(3)}.tmp")


def share_of(path: Path, rank: int) -> Path:
    """Returns a hidden name next to `path` for the part of it that one of several processes writes."""
    return path.with_name(f".{path.stem}.part-{rank}{path.suffix}")


def is_file(word: str) -> bool:
    """Whether a word is the path of a file; False for texts that no path can be."""
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def is_folder(word: str) -> bool:
    """Whether a word is the path of a folder."""
    try:
        return Path(word).is_dir()
    except (OSError, ValueError):
        return False


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary name next to `path`, which replaces `path` atomically unless there is an error.

    Raises:
        WriteError: the disk is full or not writable; the old file stays.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise WriteError(path, error.strerror or str(error)) from None
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Removes a file or a folder with its content, as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sweep(folder: Path) -> None:
    """Removes temporary files in `folder` and below whose processes, on this machine, have ended."""
    for path in [*folder.rglob(".*.tmp")]:
        found = TEMPORARY.fullmatch(path.name)
        if found and found[2] == HOST and not _alive(int(found[1])):
            remove(path)


def _alive(process: int) -> bool:
    """Whether a process of this machine runs; True where it cannot be checked safely."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process
        return True
    return True


def write_json(path: Path, content: Content, *, sealed: bool = False) -> None:
    """Writes a JSON file atomically, lists of numbers on one line each.

    Args:
        path: the file.
        content: without NaN.
        sealed: add a checksum of the content as the last key, which `unsealed` checks.
    """
    if sealed:
        content = {**content, "crc32": seal(content)}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\n([-+.\deE,\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
        if sealed:
            sync(temporary)


def check_name(option: str, name: str) -> None:
    """Raises a RunError if `name`, the value of `option`, cannot be the name of a folder."""
    if not name or name in {".", ".."} or Path(name).name != name or "\0" in name:
        raise RunError(f"{option} {name!r}: not a folder name; use letters, digits, '-' and '_'")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise RunError(
            f"{option} {name[:40]}…: too long for a folder's name ({len(os.fsencode(name))} bytes); "
            f"{LONGEST_NAME} at most"
        )


def make_newest(file: Path, others: Iterable[Path]) -> None:
    """Makes the modification time of `file` later than the others', even if the clock was set back."""
    newest = max((other.stat().st_mtime for other in others if other != file), default=0.0)
    if newest >= time.time():
        with suppress(OSError, OverflowError):
            os.utime(file, (newest + 1, newest + 1))


def read_json(path: Path, again: str = AGAIN) -> dict[str, object]:
    """Returns the mapping in a JSON file; if it is damaged, a RunError says what makes it `again`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({_line(error)}); {again}") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: damaged (it holds no mapping); {again}")
    return cast("dict[str, object]", content)


def read_parquet(path: Path, again: str = AGAIN, expected: str | None = None) -> pa.Table:
    """Returns the table in a Parquet file; errors as in `read_npy`."""
    verify(path, expected, again)
    with damage(path, again):
        return pq.ParquetFile(path).read()  # `pq.read_table` imports pandas, and reads columns from folder names


def read_npy(path: Path, again: str = AGAIN, expected: str | None = None) -> np.ndarray:
    """Returns the array in an .npy file, memory-mapped; nothing pickled is loaded.

    Args:
        path: the file.
        again: what makes the file again, for the message.
        expected: its CRC-32; None if unknown.

    Raises:
        RunError: the file is damaged.
    """
    verify(path, expected, again)
    with damage(path, again):
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):  # a zip archive under another name
            raise ValueError("it holds no array")
    return array


@contextmanager
def damage(path: Path, again: str) -> Iterator[None]:
    """Turns a library's errors on a damaged file into a RunError; `again` says what makes the file again."""
    try:
        yield
    except (OSError, ValueError, EOFError, MemoryError, RecursionError, pa.ArrowException) as error:
        raise RunError(f"{path}: damaged ({_line(error)}); {again}") from None


def _line(error: BaseException) -> str:
    """Returns the first line of an error's message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def unique_ids(candidates: Sequence[str]) -> list[str]:
    """Makes ids unique by appending " (2)", " (3)" and so on.

    >>> unique_ids(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    seen: dict[str, int] = {}
    taken = set(candidates)
    unique = []
    for candidate in candidates:
        name, count = candidate, seen.get(candidate, 0) + 1
        if count > 1:
            while (name := f"{candidate} ({count})") in taken:
                count += 1
            taken.add(name)
        seen[candidate] = count
        unique.append(name)
    return unique
