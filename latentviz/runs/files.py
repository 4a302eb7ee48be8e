"""Atomic writes, and reads that report a damaged file in one line."""

import json
import math
import os
import platform
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.config import RESERVED
from latentviz.errors import RunError, WriteError
from latentviz.progress import plural
from latentviz.runs.checksums import seal, sync, verify
from latentviz.runs.info import Content
from latentviz.runs.regular import check_regular, damage, open_regular

AnyPath = str | os.PathLike[str]
T = TypeVar("T")
AGAIN = "the command that made it makes it again with --force"
_NO_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NO_NAME = re.compile(rf"{_NO_PATH.pattern}|[/\\\\]")
LONGEST_PART = 255  # bytes that file systems take in a name
LONGEST_NAME = 200  # bytes of a folder's name that we make: temporary names are longer
HOST = (
    f"{zlib.crc32(platform.node().encode()):08x}"  # in temporary names: process numbers are valid on one machine only
)
LARGEST_JSON = 2**26  # bytes; clusters.json of 50,000 clusters has 10 MB
ROWS_A_BYTE, FEW_ROWS = 16, 100_000  # more rows per byte than this do not exist; so few fit into memory in any case
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
        content: numbers that are not finite become null.
        sealed: add a checksum of the content as the last key, which `unsealed` checks.
    """
    content = without_nan(content)
    if sealed:
        content = {**content, "crc32": seal(content)}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[\n([-+.\deE,\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
        if sealed:
            sync(temporary)


def without_nan(value: T) -> T:
    """Returns a JSON value with null for each number that is not finite: JSON has no NaN."""
    if isinstance(value, Mapping):
        return cast("T", {key: without_nan(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return cast("T", [without_nan(each) for each in value])
    return cast("T", None) if isinstance(value, float) and not math.isfinite(value) else value


def check_name(option: str, name: str) -> None:
    """Raises a RunError if `name`, the value of `option`, cannot be the name of a folder, here or on other systems."""
    if (length := len(name.encode("utf-8", "replace"))) > LONGEST_NAME:
        raise RunError(
            f"{option} {name[:40] + '…'!r}: too long for a folder's name ({length} bytes); {LONGEST_NAME} at most"
        )
    if not name.strip() or name in {".", ".."} or name[0] == "-" or _NO_NAME.search(name) or RESERVED.match(name):
        raise RunError(f"{option} {name!r}: not a folder name; use letters, digits, '-' and '_'")


def folder_path(option: str, path: "str | os.PathLike[str]") -> Path:
    """Returns the value of `option`, the path of a folder, with `~` expanded.

    Raises:
        RunError: it is empty, or has characters that would break the lines of files and messages.
    """
    text = os.fspath(path)
    if not text.strip() or _NO_PATH.search(text):
        raise RunError(f"{option} {text!r}: not the path of a folder; it needs printable characters, in UTF-8")
    if any(len(os.fsencode(part)) > LONGEST_PART for part in Path(text).parts):
        raise RunError(f"{option} {text[:40] + '…'!r}: too long; the name of a folder has {LONGEST_PART} bytes at most")
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's raises an error for the name of no user


def make_newest(file: Path, others: Iterable[Path]) -> None:
    """Makes the modification time of `file` later than the others', even if the clock was set back."""
    newest = max((other.stat().st_mtime for other in others if other != file), default=0.0)
    if newest >= time.time():
        with suppress(OSError, OverflowError):
            os.utime(file, (newest + 1, newest + 1))


def read_json(path: Path, again: str = AGAIN, *, limit: int = LARGEST_JSON) -> dict[str, object]:
    """Returns the mapping in a JSON file; if it is damaged, a RunError says what makes it `again`."""
    with damage(path, again):
        with open_regular(path, limit) as file:
            content = json.loads(file.read())
        if not isinstance(content, dict):
            raise ValueError("it holds no mapping")
    return cast("dict[str, object]", content)


def read_parquet(path: Path, again: str = AGAIN, expected: str | None = None) -> pa.Table:
    """Returns the table in a Parquet file; errors as in `read_npy`."""
    with damage(path, again):
        check_regular(path)
        verify(path, expected, again)
        file = pq.ParquetFile(path)  # `pq.read_table` imports pandas, and reads columns from folder names
        rows, size = file.metadata.num_rows, path.stat().st_size
        if rows > max(FEW_ROWS, ROWS_A_BYTE * size):
            raise ValueError(f"it claims {plural(rows, 'row')} in {size:,} bytes")
        return file.read()


def read_npy(
    path: Path,
    again: str = AGAIN,
    expected: str | None = None,
    *,
    shape: tuple[int | None, ...] | None = None,
    kinds: str = "",
) -> np.ndarray:
    """Returns the array in an .npy file, memory-mapped; nothing pickled is loaded.

    Args:
        path: the file.
        again: what makes the file again, for the message.
        expected: its CRC-32; None if unknown.
        shape: that it must have; None: any, or any length of this dimension.
        kinds: the kinds of its dtype, such as "iu" for whole numbers; empty: any.

    Raises:
        RunError: the file is damaged, or holds another array.
        ReadError: the system refuses to read it.
    """
    with damage(path, again):
        check_regular(path)
        verify(path, expected, again)
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):  # a zip archive under another name
            raise ValueError("it holds no array")
        wanted = array.shape if shape is None else shape
        fits = array.ndim == len(wanted) and all(a in {b, None} for a, b in zip(wanted, array.shape, strict=True))
        if not fits or (kinds and array.dtype.kind not in kinds):
            raise ValueError(f"an array of {array.dtype} of shape {array.shape}, not {wanted}")
    return array


@contextmanager
def read_npz(path: Path, again: str = AGAIN, expected: str | None = None) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields the arrays of an .npz file by name, each read when it is asked for; errors as in `read_npy`.

    What the body raises about an array that is missing or of another shape counts as damage of the file.
    """
    with damage(path, again):
        check_regular(path)
        verify(path, expected, again)
        with np.load(path, allow_pickle=False) as content:
            yield content


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
