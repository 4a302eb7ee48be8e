"""CRC-32 checksums of run files, and the format version; both are in run.json and clusters.json."""

import json
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from latentviz.errors import RunError
from latentviz.runs.info import ClustersInfo, Content, RunInfo
from latentviz.runs.regular import check_regular, damage, open_regular

FORMAT_VERSION = 1
CHEAP = 2**30  # bytes whose checksum takes about 0.2 s; only `evaluate` checks larger files
HOLLOW = 2**36  # bytes of a file of holes, which anybody can make and nobody can read in a bearable time
_BLOCK = 2**22  # bytes read at a time


def unsealed(content: Content, path: Path, again: str) -> dict[str, object]:
    """Returns the content of a JSON file without its checksum, after checking it; older files have none.

    Raises:
        RunError: the checksum does not match.
    """
    bare = {key: value for key, value in content.items() if key != "crc32"}
    if "crc32" in content and content["crc32"] != seal(bare):
        raise RunError(f"{path}: damaged (its checksum does not match); {again}")
    return bare


def seal(content: Content) -> str:
    """Returns the CRC-32 of a mapping as JSON, 8 hex digits."""
    # Through JSON and back, so that keys that are numbers become the strings that they are read as.
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"


def sync(path: Path) -> None:
    """Flushes a file to the disk, so that it survives a power failure."""
    with path.open("rb") as file, suppress(OSError):  # some network file systems cannot
        os.fsync(file.fileno())


def checksum(path: Path) -> str:
    """Returns the CRC-32 of a file, 8 hex digits; cached in the process. About 6 GB/s."""
    check_regular(path)
    state = path.lstat()
    if state.st_size > HOLLOW and 1000 * 512 * getattr(state, "st_blocks", state.st_size) < state.st_size:
        raise ValueError(f"{state.st_size:,} bytes, of which nearly none are on the disk")
    return _checksum(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _checksum(path: Path, *_state: int) -> str:
    total = 0
    with open_regular(path) as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return f"{total:08x}"


def verify(path: Path, expected: str | None, again: str) -> None:
    """Raises a RunError if a file's CRC-32 is not the expected one; None if that is unknown."""
    with damage(path, again):
        wrong = expected is not None and checksum(path) != expected
    if wrong:
        raise RunError(f"{path}: damaged (its checksum does not match); {again}")


def checksums(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Flushes files to the disk and returns their CRC-32 by their names within `folder`."""
    found = {}
    for file in files:
        sync(file)
        found[file.relative_to(folder).as_posix()] = checksum(file)
    return found


def expected(info: RunInfo | ClustersInfo, folder: Path, file: Path) -> str | None:
    """Returns the CRC-32 of a file in `folder` according to its run.json or clusters.json; None if there is none."""
    return info.get("checksums", {}).get(file.relative_to(folder).as_posix())


def opened(content: Content, path: Path, again: str) -> dict[str, object]:
    """Returns the content of run.json or clusters.json after checking version and checksum.

    Raises:
        RunError: the file is damaged, or a newer latentviz wrote it.
    """
    version = content.get("format_version")
    known = type(version) is int and 1 <= version <= FORMAT_VERSION
    bare = unsealed(content, path, again) if known or not isinstance(version, int) else {}
    if not known:
        raise RunError(
            f"{path}: format version {str(version)[:40]!r}, and this latentviz reads up to {FORMAT_VERSION}; upgrade "
            "with `pip install -U latentviz`"
        )
    return bare
