"""NumPy's .npy and .npz files: headers, and memory-mapped arrays. Nothing is ever unpickled."""

import gzip
import io
import math
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.io.files import check_room
from latentviz.modalities.io.names import printable

Order = Literal["C", "F"]

LONGEST_HEADER = 2**16  # bytes; NumPy writes about a hundred, and would read any number that a file claims
MOST_BYTES = 2**62  # of an array: sizes stay within 64-bit integers


@dataclass(frozen=True)
class Header:
    """Shape, memory order and dtype of a stored array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    """Turns the errors of a damaged file into a DataError."""
    try:
        yield
    except (
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        MemoryError,
        OverflowError,
        struct.error,
    ) as error:
        text = " ".join(str(error).split())
        raise DataError(
            f"{printable(str(path))}: not a whole {path.suffix.lower()} file ({text[:200]}); write it again "
            "with numpy.save or numpy.savez"
        ) from None


def read_headers(path: Path) -> dict[str, Header]:
    """Returns the header of each array by key; a .npy file has one array, with the key "".

    Raises:
        DataError: the file is damaged.
    """
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
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of the format")
    read, code = (
        (np.lib.format.read_array_header_1_0, "<H")
        if version == (1, 0)
        else (np.lib.format.read_array_header_2_0, "<I")
    )
    length = stream.read(struct.calcsize(code))
    (size,) = struct.unpack(code, length)
    if size > LONGEST_HEADER:
        raise ValueError(f"a header of {size:,} bytes")
    text = stream.read(size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers that Python 2 wrote
            found = Header(*read(io.BytesIO(length + text)))
    except Exception as error:  # noqa: BLE001 - NumPy parses the header as Python literals, which fails in many ways
        raise ValueError(str(error) or type(error).__name__) from None
    if min(found.shape, default=0) < 0 or _size(found.dtype, found.shape) > MOST_BYTES:
        raise ValueError(f"an array of shape {found.shape}")
    return found


def read_array(path: Path, key: str, header: Header) -> np.ndarray:
    """Returns one array, memory-mapped, compressed or not.

    Raises:
        DataError: it holds pickled objects, or is cut off.
    """
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
                offset = stream.tell()
            return map_file(path, offset, header.dtype, header.shape, order)
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as stream:
            _header(stream)
            return map_stream(stream, header.dtype, header.shape, order)


def listing(headers: Mapping[str, Header]) -> str:
    """Returns the arrays of a file with dtypes and shapes, for messages."""
    return ", ".join(f"{printable(key)} {header.dtype}{header.shape}" for key, header in headers.items()) or "no arrays"


def map_file(path: Path, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: Order = "C") -> np.ndarray:
    """Maps the array that begins at byte `offset` of a file, read-only.

    Raises:
        EOFError: the file ends before the array does.
    """
    needed, there = offset + _size(dtype, shape), path.stat().st_size
    if there < needed:
        raise EOFError(f"it has {there:,} of {needed:,} bytes")
    if needed == offset:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order=order)


def map_stream(
    stream: IO[bytes] | gzip.GzipFile, dtype: np.dtype[Any], shape: tuple[int, ...], order: Order = "C"
) -> np.ndarray:
    """Copies the rest of a stream to disk and maps it as a read-only array.

    The copy is a temporary file without a name, which disappears with the array.

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
