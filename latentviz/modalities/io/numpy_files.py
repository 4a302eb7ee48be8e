"""NumPy's .npy and .npz files: headers, and memory-mapped arrays. Nothing is ever unpickled."""

import gzip
import io
import math
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from latentviz.errors import DataError, message_of
from latentviz.modalities.io import memory
from latentviz.modalities.io.files import check_room
from latentviz.modalities.io.memory import is_in_memory
from latentviz.modalities.io.names import printable

Order = Literal["C", "F"]

LONGEST_HEADER = 2**16  # bytes; NumPy writes about a hundred, and would read any number that a file claims
MOST_BYTES = 2**62  # of an array: sizes stay within 64-bit integers
BLOCK_BYTES = 2**25  # read at a time from a memory-mapped array


@dataclass(frozen=True)
class Header:
    """Shape, memory order and dtype of a stored array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (DataError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - zipfile and NumPy, which parses Python literals, raise many types
        text = message_of(error) or type(error).__name__
        raise DataError(
            f"{printable(str(path))}: not a whole {path.suffix.lower()} file ({text[:200]}); write it again "
            "with numpy.save or numpy.savez"
        ) from None


def read_headers(path: Path) -> dict[str, Header]:
    """Returns the header of each array by key; a .npy file has one array, with the key ""."""
    if is_in_memory(str(path)):
        return {key: Header(v.shape, False, v.dtype) for key, v in memory.get(str(path)).arrays.items()}
    with _refusing_damage(path):
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                return {"": _header(stream)}
        headers = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        headers[member.removesuffix(".npy")] = _header(stream)
        return headers


def _header(stream: IO[bytes]) -> Header:
    """Reads the header; the stream is then at the first byte of the array."""
    head = io.BytesIO(stream.read(LONGEST_HEADER))
    version = np.lib.format.read_magic(head)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers that Python 2 wrote
        found = Header(*read(head))
    if min(found.shape, default=0) < 0 or _size(found.dtype, found.shape) > MOST_BYTES:
        raise ValueError(f"an array of shape {found.shape}")
    stream.seek(head.tell())
    return found


def read_array(path: Path, key: str, header: Header) -> np.ndarray:
    """Returns one array, memory-mapped, compressed or not; an array in memory as it is."""
    if is_in_memory(str(path)):
        return memory.get(str(path)).arrays[key]
    if header.dtype.hasobject:
        where = f"{path}/{key}" if key else str(path)
        raise DataError(
            f"{printable(where)}: holds pickled Python objects, which can run code and are never loaded; "
            "save it again as an array of numbers" + ("; or data.label_column=none" if key else "")
        )
    order: Order = "F" if header.fortran else "C"
    with _refusing_damage(path):
        if not key:
            with path.open("rb") as stream:
                _header(stream)
                return map_file(path, stream.tell(), header.dtype, header.shape, order)
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            _header(stream)
            return map_stream(stream, header.dtype, header.shape, order)


def listing(headers: Mapping[str, Header]) -> str:
    """Returns the arrays of a file with dtypes and shapes, for messages."""
    return ", ".join(f"{printable(key)} {header.dtype}{header.shape}" for key, header in headers.items()) or "no arrays"


def row_blocks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (first row, block) over the first axis of a memory-mapped array."""
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def map_file(path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: Order = "C") -> np.ndarray:
    """Maps the array that begins at byte `offset` of a file, read-only; raises an EOFError if the file is too short."""
    needed, there = offset + _size(dtype, shape), path.stat().st_size
    if there < needed:
        raise EOFError(f"it has {there:,} of {needed:,} bytes")
    if needed == offset:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order=order)


def map_stream(
    stream: IO[bytes] | gzip.GzipFile, dtype: np.dtype[Any], shape: tuple[int, ...], order: Order = "C"
) -> np.ndarray:
    """Copies the rest of a stream to a temporary file without a name, and maps it as a read-only array.

    Raises:
        EOFError: the stream ends before the array does.
        DataError: the disk is full.
    """
    needed = left = _size(dtype, shape)
    check_room(needed)
    with tempfile.TemporaryFile(prefix="latentviz-") as file:
        while left and (piece := stream.read(min(left, 2**22))):
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise DataError(
                    f"{tempfile.gettempdir()}: cannot be written ({error.strerror}); unpacking the data "
                    f"needs {needed / 1e6:,.0f} MB there; free space, or set TMPDIR to another folder"
                ) from None
            left -= len(piece)
        if left:
            raise EOFError(f"it has {needed - left:,} of {needed:,} bytes")
        return np.memmap(file, dtype, mode="r", shape=shape, order=order) if needed else np.empty(shape, dtype)


def _size(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)
