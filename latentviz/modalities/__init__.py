"""The data kinds. One folder each; a new kind is a folder and a line in `MODALITIES`."""

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path

from latentviz.errors import DataError, choose
from latentviz.modalities.base import AnyModality
from latentviz.modalities.io import memory
from latentviz.modalities.io.containers import located
from latentviz.modalities.io.files import contents, refusing, walk
from latentviz.modalities.io.table_kind import NearReadingsError, is_table

# Kind → the package whose module `modality` holds MODALITY, a `Modality`. tests/words is a minimal kind.
MODALITIES: Mapping[str, str] = {
    "image": "latentviz.modalities.image",
    "vectors": "latentviz.modalities.vectors",  # before text: a table may hold vectors and the texts to show with them
    "text": "latentviz.modalities.text",
}
# Prefixes of data that is neither a file nor a folder.
SCHEMES = ("hf:", "sklearn:", "python:", memory.SCHEME)


def modality(kind: str) -> AnyModality:
    """Return the data kind of this name; only its own light modules are imported."""
    found: AnyModality = importlib.import_module(f"{choose(MODALITIES, kind, 'data.kind')}.modality").MODALITY
    return found


# Settings of the data that only one kind has, so that giving one says the kind of a table.
_KIND_OF_SETTING = {
    **dict.fromkeys(("image_column", "frames"), "image"),
    **dict.fromkeys(("vector_column", "columns", "exclude", "decimal", "scale", "array", "items"), "vectors"),
    **dict.fromkeys(("id_column", "group_column", "tokens"), "text"),
}


def detect(path: str, settings: Collection[str] = ()) -> str:
    """Find the data kind of bare data at `path`.

    Args:
        path: the data.
        settings: of the data that the user has chosen; for a table, `vector_column` says that it holds vectors.

    Raises:
        DataError: it is of no kind, or of two.
    """
    with located(path) as place:
        if is_table(place.path):
            if kinds := [_KIND_OF_SETTING[setting] for setting in settings if setting in _KIND_OF_SETTING]:
                return kinds[0]
            try:
                return _detect(place.path)
            except NearReadingsError:
                if "text_column" not in settings:
                    raise
                return "text"
        return _detect(place.path)


def _detect(path: str) -> str:
    if not path.startswith(SCHEMES) and not Path(path).exists():
        raise DataError(f"{path}: no recipe, config, file or folder of this name; `latentviz recipes` lists recipes")
    with refusing(path):
        for kind in MODALITIES:
            if modality(kind).detect(path):
                return kind
        found = walk(Path(path)).files if Path(path).is_dir() else []
    what = f"a {Path(path).suffix or 'nameless'} file"
    if Path(path).is_dir():
        what = f"a folder with {contents(found)}" if found else "the folder is empty"
    kinds = " or ".join(f"{kind.removesuffix('s')}s" for kind in MODALITIES)
    raise DataError(
        f"{path}: {what}; cannot tell what kind of data this is. Name a folder or file of "
        f"{kinds}, or say the kind with data.kind=…"
    )
