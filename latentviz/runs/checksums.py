"""What says that a file is the one that was written: CRC-32s in run.json and clusters.json, and their version."""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from latentviz.errors import RunError

FORMAT_VERSION = 1
CHEAP = 2**30  # bytes whose checksum takes about 0.2 s: of larger files only `evaluate` takes it
_BLOCK = 2**22  # bytes summed up at a time


def unsealed(content: Mapping[str, Any], path: Path, again: str) -> dict[str, Any]:
    """Returns the content of a sealed JSON file without its checksum; files from before there were any have none.

    Raises:
        RunError: the checksum is another's.
    """
    bare = {key: value for key, value in content.items() if key != "crc32"}
    if "crc32" in content and content["crc32"] != seal(bare):
        raise RunError(f"{path}: damaged (its text is not the one that was written); {again}")
    return bare


def seal(content: Mapping[str, Any]) -> str:
    """Returns the CRC-32 of what JSON makes of a mapping, 8 hex digits."""
    # What JSON makes of the content is summed up, so that keys that are numbers count as the texts they are read as.
    text = json.dumps(json.loads(json.dumps(content)), sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"


def sync(path: Path) -> None:
    """Waits until a file's bytes are on the disk, where a power failure does not reach them."""
    with path.open("rb") as file, suppress(OSError):  # some network file systems cannot
        os.fsync(file.fileno())


def checksum(path: Path) -> str:
    """Returns the CRC-32 of a file, 8 hex digits; about 6 GB a second, and a file is not read twice in a process."""
    state = path.stat()
    return _checksum(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _checksum(path: Path, *_state: int) -> str:
    total = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return f"{total:08x}"


def verify(path: Path, expected: str | None, again: str) -> None:
    """Raises a RunError if a file's CRC-32 is not the expected one; None: nobody knows which to expect."""
    try:
        damaged = expected is not None and checksum(path) != expected
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or error}); {again}") from None
    if damaged:
        raise RunError(f"{path}: damaged (its bytes are not those that were written); {again}")


def checksums(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Returns the CRC-32 of files by their names within `folder`, each safe on the disk."""
    found = {}
    for file in files:
        sync(file)
        found[file.relative_to(folder).as_posix()] = checksum(file)
    return found


def expected(info: Mapping[str, Any], folder: Path, file: Path) -> str | None:
    """Returns the CRC-32 that a file in `folder` should have by its run.json or clusters.json; None: it says none."""
    found: str | None = info.get("checksums", {}).get(file.relative_to(folder).as_posix())
    return found


def opened(content: Mapping[str, Any], path: Path, again: str) -> dict[str, Any]:
    """Returns what run.json or clusters.json holds, of a version that is known, and undamaged.

    Raises:
        RunError: the file is damaged, or a newer latentviz wrote it.
    """
    version = content.get("format_version")
    known = isinstance(version, int) and 1 <= version <= FORMAT_VERSION
    bare = unsealed(content, path, again) if known or not isinstance(version, int) else {}
    if not known:
        raise RunError(
            f"{path}: format version {version!r}, and this latentviz reads up to {FORMAT_VERSION}; upgrade "
            "with `pip install -U latentviz`"
        )
    return bare
