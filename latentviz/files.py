"""Files that are whole or not there: written under another name and renamed, read with one line for a damaged one."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentviz.errors import RunError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; on leaving without an error it takes `path`'s place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file in one step; lists of numbers take one line each."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    text = re.sub(r"\[\n([-+.\deE,\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def check_name(option: str, name: str) -> None:
    """Raises a RunError if `name`, given with `option`, cannot be the name of a folder."""
    if not name or name in {".", ".."} or Path(name).name != name or "\0" in name:
        raise RunError(f"{option} {name!r}: not a folder name; use letters, digits, '-' and '_'")


def read_json(path: Path) -> dict[str, Any]:
    """Returns the mapping in a JSON file.

    Raises:
        RunError: the file is damaged; the message says how to make it again.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}); the command that made it makes it again with --force") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: damaged (it holds no mapping); the command that made it makes it again with --force")
    return content


def read_parquet(path: Path) -> pa.Table:
    """Returns the table in a Parquet file.

    Raises:
        RunError: the file is damaged; the message says how to make it again.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path}: damaged ({error}); the command that made it makes it again with --force") from None


def read_npy(path: Path) -> np.ndarray:
    """Returns the array in an .npy file, memory-mapped; nothing pickled is ever loaded.

    Raises:
        RunError: the file is damaged; the message says how to make it again.
    """
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: damaged ({reason}); `latentviz fit` makes it again with --force") from None
    return array


def unique_ids(candidates: Sequence[str]) -> list[str]:
    """Returns the ids with " (2)", " (3)", … put behind those that stand there already.

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
