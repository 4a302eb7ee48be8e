"""Whether bare data is images."""

import gzip
import os
import zlib
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.image.config import IDX_NAME, IMAGE_SUFFIXES, METADATA_NAMES
from latentviz.modalities.io.files import ARROW_SUFFIXES, suffix_of

_TEXT_SUFFIXES = frozenset(
    ".csv .htm .html .json .jsonl .md .pdf .tex .text .tsv .txt .xml".split()  # noqa: SIM905 - one line
)
_FILES_LOOKED_AT = 10_000  # of a folder: enough to tell a pile of pictures from a pile of papers


def detect(path: str) -> bool:
    """Returns whether `path` looks like images: a folder, an image file, IDX, an array, a table with a column of them.

    Raises:
        DataError: the file is damaged or cannot be read, or the Hugging Face hub cannot be reached.
    """
    if path.startswith("hf:"):
        from latentviz.modalities.io.columns import find_images  # needs pyarrow
        from latentviz.modalities.io.hub import hub_schema

        return find_images(hub_schema(path)) is not None
    if path.startswith("sklearn:"):
        return True
    place = Path(path)
    try:
        return _folder_has_images(place) if place.is_dir() else place.is_file() and _file_has_images(place)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _folder_has_images(folder: Path) -> bool:
    """Returns whether a folder holds images, at least as many as files of text: captions may lie next to them."""
    images = texts = files = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = Path(name).suffix.lower()
            if not name.startswith("."):
                images += suffix in IMAGE_SUFFIXES
                texts += suffix in _TEXT_SUFFIXES and name not in METADATA_NAMES
        files += len(names)
        if files > _FILES_LOOKED_AT:
            break
    if images:
        return images >= texts
    if any(IDX_NAME.search(p.name) for p in folder.iterdir()):
        return True
    tables = sorted(p for p in folder.glob("**/*.parquet") if not p.name.startswith(".") and p.is_file())
    return bool(tables) and _table_has_images(tables[0])


def _file_has_images(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in IMAGE_SUFFIXES or IDX_NAME.search(file.name):
        return True
    if file.name in METADATA_NAMES and file.name != "metadata.parquet":
        with file.open(encoding="utf-8", errors="replace") as lines:
            return "file_name" in lines.readline()
    if suffix in {".npy", ".npz"}:
        from latentviz.modalities.image.arrays import npy_has_images  # needs numpy

        return npy_has_images(file)
    if suffix_of(file.name) in {".parquet", *ARROW_SUFFIXES}:
        return _table_has_images(file)
    return _is_idx(file)


def _table_has_images(file: Path) -> bool:
    from latentviz.modalities.io.columns import find_images  # needs pyarrow
    from latentviz.modalities.io.tables import read_schema

    return find_images(read_schema(file)) is not None


def _is_idx(file: Path) -> bool:
    """Returns whether a file's first bytes, unpacked, are those of an IDX array of 3 or 4 dimensions."""
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(file) as stream:
                magic = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in range(0x08, 0x0F) and magic[3] in (3, 4)
