"""IDX, the format of MNIST (http://yann.lecun.com/exdb/mnist), plain or gzipped."""

import gzip
import re
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.image.arrays import Part, array_source, as_images, as_labels
from latentviz.modalities.image.config import IDX_NAME
from latentviz.modalities.io.names import natural, part_of, printable
from latentviz.modalities.io.numpy_files import map_file, map_stream
from latentviz.modalities.io.source import ImageSource

# By the third byte of the magic number; values are big-endian.
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PART_ORDER = ("train", "validation", "test", None)


def read_idx(path: Path, label_column: str) -> ImageSource:
    """Reads the images in an IDX file, or in all those of a folder, train before test, with their labels."""
    folder = path if path.is_dir() else path.parent
    files = sorted((p for p in folder.iterdir() if IDX_NAME.search(p.name) and p.is_file()), key=_order)
    label_files = {} if label_column == "none" else {_key(p): p for p in files if _holds_labels(p)}
    images = [p for p in files if not _holds_labels(p)] if path.is_dir() else [path]
    if not images:
        raise DataError(
            f"{printable(str(path))}: holds IDX files of labels only; add the file of images, "
            "such as train-images-idx3-ubyte.gz"
        )
    names = {file.name for file in images}
    images = [file for file in images if not (file.suffix == ".gz" and file.stem in names)]  # a gzipped duplicate
    parts = []
    for file in images:
        origin, labels = printable(str(file)), None
        pixels = read_array(file)
        pixels = pixels if pixels.ndim == 3 else as_images(pixels, origin)
        if label_file := label_files.get(_key(file)):
            labels = as_labels(read_array(label_file).reshape(-1), len(pixels), printable(str(label_file)))
        name = part_of(file.name) or ("image" if len(images) == 1 else printable(_key(file)) or "image")
        parts.append(Part(name, pixels, labels, origin))
    unlabelled = "labels: none found (no IDX file of labels next to the images)"
    return array_source(parts, [] if any(part.labels for part in parts) else [unlabelled])


def _holds_labels(path: Path) -> bool:
    return bool(re.search(r"label|idx1", path.name, re.IGNORECASE))


def _key(path: Path) -> str:
    """What a file of images and its file of labels share in their names, such as "t10k"."""
    stem = IDX_NAME.sub("", path.name)
    return re.sub(r"[-_.]*(images?|labels?|data)[-_.]*", "", stem, flags=re.IGNORECASE).strip("-_.")


def _order(path: Path) -> tuple[int, object]:
    return _PART_ORDER.index(part_of(path.name)), natural(path.name)


def read_array(path: Path) -> np.ndarray:
    """Reads the array in an IDX file, of its own dtype and shape, memory-mapped."""
    name = printable(str(path))
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if gzipped else path.open("rb") as stream:
            dtype, shape = _read_header(stream, name)
            return map_stream(stream, dtype, shape) if gzipped else map_file(path, stream.tell(), dtype, shape)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name}: damaged or truncated ({error}); fetch it again") from None


def _read_header(stream: IO[bytes] | gzip.GzipFile, name: str) -> tuple[np.dtype, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{name}: not an IDX file (its first bytes are {magic.hex(' ') or 'missing'}); IDX images begin with "
            "00 00 08 03; fetch it again, or give another file"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise EOFError("the header ends early")
    return np.dtype(_DTYPES[magic[2]]), tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
