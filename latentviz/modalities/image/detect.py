"""Whether bare data is images."""

from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.image.config import IDX_NAME, IMAGE_SUFFIXES, METADATA_NAMES
from latentviz.modalities.io import memory
from latentviz.modalities.io.files import names_below, opened
from latentviz.modalities.io.table_kind import is_table, table_kind

_TEXT_SUFFIXES = frozenset(
    ".csv .htm .html .json .jsonl .md .pdf .tex .text .tsv .txt .xml".split()  # noqa: SIM905 - one line
)


def detect(path: str) -> bool:
    """Returns whether `path` looks like images: a folder, an image file, IDX, an array, a table with such a column."""
    if (content := memory.find(path)) is not None:
        return _object_has_images(content)
    if path.startswith("hf:"):
        from latentviz.modalities.io.columns import find_images  # needs pyarrow
        from latentviz.modalities.io.hub import hub_schema

        return find_images(hub_schema(path)) is not None
    place = Path(path)
    return path.startswith("sklearn:") or (
        _folder_has_images(place) if place.is_dir() else place.is_file() and _file_has_images(place)
    )


def _object_has_images(content: memory.InMemory) -> bool:
    if content.kind is not None or (content.table is None and not content.arrays):
        return content.kind == "image"
    if content.table is not None:
        return table_kind(content.path) == "image"
    from latentviz.modalities.image.arrays import may_be_images  # needs numpy
    from latentviz.modalities.io.numpy_files import read_headers

    return any(map(may_be_images, read_headers(Path(content.path)).values()))


def _folder_has_images(folder: Path) -> bool:
    """Returns whether a folder holds images, at least as many as files of text: captions may lie next to them."""
    names = list(names_below(folder))
    images = sum(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names)
    if images:
        return images >= sum(Path(n).suffix.lower() in _TEXT_SUFFIXES and n not in METADATA_NAMES for n in names)
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
        from latentviz.modalities.image.arrays import may_be_images  # needs numpy
        from latentviz.modalities.io.numpy_files import read_headers

        return any(map(may_be_images, read_headers(file).values()))
    if is_table(str(file)):
        return table_kind(str(file)) == "image"
    try:
        with opened(file) as stream:
            magic = stream.read(4)
    except DataError:
        return False
    # As in an IDX array of 3 or 4 dimensions.
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in range(0x08, 0x0F) and magic[3] in (3, 4)


def _table_has_images(file: Path) -> bool:
    from latentviz.modalities.io.columns import find_images  # needs pyarrow
    from latentviz.modalities.io.tables import read_schema

    return find_images(read_schema(file)) is not None
