"""The data kinds: one folder each and a line in `MODALITIES`, or an installed package with an entry point."""

import importlib
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from latentviz.config import MEMORY
from latentviz.errors import ConfigError, DataError, choose
from latentviz.modalities.base import AnyModality, Modality
from latentviz.modalities.io.containers import located
from latentviz.modalities.io.files import contents, refusing, walk
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.table_kind import NearReadingsError, is_table
from latentviz.progress import warn

# Kind → the package whose module `modality` holds MODALITY, a `Modality`.
MODALITIES: Mapping[str, str] = {
    "image": "latentviz.modalities.image",
    "vectors": "latentviz.modalities.vectors",  # before text: a table may hold vectors and the texts to show with them
    "text": "latentviz.modalities.text",
    "joint": "latentviz.modalities.joint",  # never detected: data.parts asks for it
}
# Installed packages add kinds by entry points of this group, `name = "package.module:MODALITY"`; tests/words is one.
GROUP = "latentviz.modalities"
# Prefixes of data that is neither a file nor a folder.
SCHEMES = ("hf:", "sklearn:", "python:", MEMORY)


def modality(kind: str) -> AnyModality:
    """Return the data kind of this name; only its own light modules are imported.

    Raises:
        ConfigError: there is no such kind, or the package that adds it cannot be loaded.
    """
    if kind in MODALITIES:
        found: AnyModality = importlib.import_module(f"{MODALITIES[kind]}.modality").MODALITY
        return found
    choose(dict.fromkeys(kinds()), kind, "data.kind")
    return _added(kind)


def kinds() -> list[str]:
    """Return the names of all kinds: those of this package first, then those that installed packages add."""
    added = entry_points(group=GROUP).names
    return [*MODALITIES, *sorted(added - set(MODALITIES))]


def _added(kind: str) -> AnyModality:
    """Load the kind of an installed package."""
    found = [*entry_points(group=GROUP, name=kind)]
    packages = [entry.dist.name if entry.dist else entry.module for entry in found]
    if len(found) > 1:
        raise ConfigError(f"data.kind: {kind} is added by {' and '.join(packages)}; uninstall all but one of them")
    uninstall = f"repair it, or `pip uninstall {packages[0]}`"
    try:
        loaded = found[0].load()
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        raise ConfigError(
            f"data.kind: {kind} of the package {packages[0]} cannot be loaded ({type(error).__name__}: {reason}); "
            f"{uninstall}"
        ) from error
    if not isinstance(loaded, Modality):
        raise ConfigError(
            f"data.kind: {kind} of the package {packages[0]} is no latentviz.modalities.base.Modality "
            f"(got {type(loaded).__name__}); {uninstall}"
        )
    return loaded


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
    if "parts" in settings:
        return "joint"
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
        raise DataError(
            f"{printable(path)}: no recipe, config, file or folder of this name; `latentviz recipes` lists recipes"
        )
    with refusing(path):
        for kind in MODALITIES:
            if modality(kind).detect(path):
                return kind
        for kind in kinds()[len(MODALITIES) :]:
            try:
                if modality(kind).detect(path):
                    return kind
            except ConfigError as error:
                warn(str(error))
        found = walk(Path(path)).files if Path(path).is_dir() else []
    what = f"a {Path(path).suffix or 'nameless'} file"
    if Path(path).is_dir():
        what = f"a folder with {contents(found)}" if found else "the folder is empty, runs and hidden files apart"
    known = " or ".join(f"{kind.removesuffix('s')}s" for kind in kinds() if kind != "joint")
    raise DataError(
        f"{path}: {what}; cannot tell what kind of data this is. Name a folder or file of "
        f"{known}, or say the kind with data.kind=…"
    )
