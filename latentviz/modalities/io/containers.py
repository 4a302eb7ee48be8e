"""From what the user names to files that the readers know: `~`, globs, archives, and files of other libraries.

Archives are unpacked, and other files converted, into a temporary folder that is removed when the process ends.
"""

import glob
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from latentviz.errors import DataError, LatentvizError
from latentviz.modalities.io import memory
from latentviz.modalities.io.archives import is_archive, unpack
from latentviz.modalities.io.files import OWN_LINKS, refusing
from latentviz.modalities.io.formats import CONVERSIONS, FOREIGN
from latentviz.modalities.io.names import BadItem, printable
from latentviz.modalities.io.source import Source
from latentviz.progress import plural

S = TypeVar("S", bound=Source)


@dataclass(frozen=True)
class Place:
    """Where data lies.

    Attributes:
        path: a file or folder that the readers know, or what the user named if it is neither.
        shown: what the user named.
        notes: lines for the user about how the one became the other.
    """

    path: str
    shown: str
    notes: tuple[str, ...] = ()

    def as_named(self, text: str) -> str:
        """Replace the temporary path by what the user named."""
        if self.path == self.shown:
            return text
        made, given = Path(self.path).name, Path(self.shown).name
        if Path(self.path).suffix and text.startswith(made):  # the file alone, as in the origin of a row
            return printable(given) + text.removeprefix(made)
        return text.replace(printable(self.path), printable(self.shown))


_places: dict[tuple[str, int, int], tuple[Place, "tempfile.TemporaryDirectory[str] | None"]] = {}


def locate(named: str) -> Place:
    """Return where the data lies that the user named; unpacks and converts it if need be, once per process.

    Raises:
        DataError: it is remote, of a format that is not read, damaged or hostile.
    """
    if memory.is_in_memory(named):
        return Place(memory.get(named).path, named)
    if named.startswith(("hf:", "sklearn:", "python:")) and not named.startswith("hf://"):
        return Place(named, named)
    if not named.strip():
        raise DataError(f"{named!r}: no path; name a file or a folder")
    _refuse_remote(named)
    path = os.path.expanduser(named.removeprefix("file://"))  # noqa: PTH111 - keeps "./" and a slash at the end
    with refusing(named):
        if not os.path.exists(path):  # noqa: PTH110
            return _of_glob(named, path) if glob.has_magic(path) else Place(path, named if path != named else path)
        file = Path(path)
        suffix = file.suffix.lower()
        if is_archive(file) or suffix in FOREIGN or suffix in CONVERSIONS or _is_sparse(file):
            return _kept(file, named, suffix)
    return Place(path, path)


@contextmanager
def located(named: str) -> Iterator[Place]:
    """Yield where data lies; errors name what the user named.

    Raises:
        DataError: as `locate`, and what the reader raises.
    """
    place = locate(named)
    try:
        yield place
    except LatentvizError as error:
        if place.as_named(str(error)) == str(error):
            raise
        raise type(error)(place.as_named(str(error))) from None


def renamed(source: S, place: Place) -> S:
    """Return a source whose origins, notes and bad items name what the user named."""
    if place.path == place.shown:
        return source
    return replace(
        source,
        origins=[place.as_named(origin) for origin in source.origins],
        notes=[*place.notes, *map(place.as_named, source.notes)],
        bad=[BadItem(place.as_named(item.source), place.as_named(item.reason)) for item in source.bad],
    )


def _refuse_remote(named: str) -> None:
    scheme, colon, rest = named.partition("://")
    if not colon or scheme.lower() == "file":
        return
    shown = printable(named)
    if "huggingface.co/datasets/" in rest or scheme == "hf":
        name = "/".join(rest.split("datasets/")[-1].split("/")[:2])
        raise DataError(f"{shown}: data sets on the Hugging Face hub are named hf:NAME, here hf:{printable(name)}")
    commands = {
        "http": f"curl -LO '{shown}'",
        "https": f"curl -LO '{shown}'",
        "s3": f"aws s3 cp --recursive '{shown}' data/",
        "gs": f"gcloud storage cp --recursive '{shown}' data/",
    }
    how = f"such as with `{commands[scheme.lower()]}`" if scheme.lower() in commands else "with a tool that knows it"
    raise DataError(f"{shown}: remote files are not fetched; download it, {how}, and give the local file or folder")


def _kept(file: Path, named: str, suffix: str) -> Place:
    """Return the unpacked or converted form of a file, which is made once per process."""
    if not is_archive(file) and suffix in CONVERSIONS and not (suffix == ".zst" and file.is_dir()):
        raise DataError(f"{printable(named)}: {CONVERSIONS[suffix]}")
    status = file.stat()
    key = (os.path.realpath(file), status.st_mtime_ns, status.st_size)
    if key not in _places:
        folder = tempfile.TemporaryDirectory(prefix="latentviz-", ignore_cleanup_errors=True)
        try:
            if is_archive(file):
                notes = unpack(file, Path(folder.name))
                place = Place(str(_root(Path(folder.name))), named, notes)
            else:
                from latentviz.modalities.io import foreign  # needs numpy and pyarrow

                made, notes = foreign.convert(file, Path(folder.name))
                place = Place(str(made), named, notes)
        except BaseException:
            folder.cleanup()
            raise
        _places[key] = place, folder
    return replace(_places[key][0], shown=named)


def _is_sparse(file: Path) -> bool:
    """Return whether a file is a matrix that `scipy.sparse.save_npz` wrote."""
    if file.suffix.lower() != ".npz" or not zipfile.is_zipfile(file):
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            names = {Path(name).stem for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return False  # the reader of NumPy's files says what is wrong
    return {"format", "shape", "data"} <= names


def _of_glob(named: str, pattern: str) -> Place:
    """Return a folder with links to the files that match, or the only match."""
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not found:
        raise DataError(
            f"{printable(named)}: no file or folder matches; check the pattern with `ls {printable(named)}`"
        )
    if len(found) == 1:
        return replace(locate(found[0]), shown=found[0])
    parts = Path(pattern).parts
    root = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    folder = tempfile.TemporaryDirectory(prefix="latentviz-", ignore_cleanup_errors=True)
    OWN_LINKS.add(folder.name)
    count = 0
    for match in found:
        inner = [match] if os.path.isfile(match) else _files(match)  # noqa: PTH113
        for file in inner:
            link = Path(folder.name, os.path.relpath(file, root))
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(os.path.realpath(file))
                count += 1
    place = Place(folder.name, str(root), (f"{printable(named)}: {plural(count, 'file matches', 'files match')}",))
    _places[folder.name, 0, 0] = place, folder
    return place


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)  # noqa: PTH118


def _root(folder: Path) -> Path:
    """Return the innermost folder that holds all files, or the only file."""
    while True:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
        if len(inside) != 1:
            return folder
        if inside[0].is_file():
            return inside[0]
        folder = inside[0]


def read_located(named: str, read: Callable[[str], S]) -> S:
    """Return what a reader finds at what the user named, in the user's words."""
    with located(named) as place:
        return renamed(read(place.path), place)
