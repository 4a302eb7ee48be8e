"""Unpacks .zip and .tar archives: regular files only, within the folder, and no more than a bomb's worth of bytes."""

import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from latentviz.errors import DataError, message_of
from latentviz.modalities.io.files import check_room
from latentviz.modalities.io.names import printable

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MOST_FILES = 5_000_000  # in an archive
# An archive may unpack to so many times its size, or to 1 GiB; texts shrink to a tenth, and bombs to a thousandth.
MOST_GROWTH, FREE_GROWTH = 200, 2**30
_CHUNK = 2**20


def is_archive(file: Path) -> bool:
    """Return whether a file is an archive by its name."""
    return file.name.lower().endswith(ARCHIVES) and file.is_file()


def check_growth(file: Path) -> None:
    """Raise a DataError if a .zip or .xlsx file claims to unpack to far more than its size, as a bomb does."""
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(FREE_GROWTH, MOST_GROWTH * file.stat().st_size):
        raise DataError(f"{printable(str(file))}: would unpack to {size / 1e6:,.0f} MB, as an archive bomb does")


class _Budget:
    """How much an archive may still unpack to."""

    def __init__(self, file: Path, into: Path) -> None:
        self._file = file
        self._most = min(shutil.disk_usage(into).free, max(FREE_GROWTH, MOST_GROWTH * file.stat().st_size))
        self._left, self._files = self._most, MOST_FILES

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise DataError(
                f"{printable(str(self._file))}: unpacks to more than {self._most / 1e6:,.0f} MB: more than the disk "
                f"holds or {MOST_GROWTH} times its size, as a bomb does; unpack it yourself and give the folder"
            )

    def file(self) -> None:
        self._files -= 1
        if self._files < 0:
            raise DataError(f"{printable(str(self._file))}: holds more than {MOST_FILES:,} files; unpack it yourself")


def unpack(file: Path, into: Path) -> tuple[str, ...]:
    """Unpack the regular files of an archive; returns notes on what was left out."""
    budget = _Budget(file, into)
    members = _unpack_zip if file.name.lower().endswith(".zip") else _unpack_tar
    try:
        return members(file, into, budget)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if "password" in str(error) or "encrypted" in str(error):
            raise DataError(f"{printable(str(file))}: encrypted; unpack it and give the folder") from None
        why = message_of(error, 200)
        raise DataError(f"{printable(str(file))}: not a whole archive ({why}); fetch or make it again") from None


def _target(name: str, file: Path, into: Path) -> Path | None:
    """Return where a member goes, or None for what systems add; raises a DataError if it would leave the folder."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise DataError(
            f"{printable(str(file))}: its member {printable(name)!r} would be written outside of the folder; such an "
            "archive is damaged or hostile, so nothing of it is read"
        )
    if not pure.parts or "__MACOSX" in pure.parts or any(part.startswith(".") for part in pure.parts):
        return None
    return into.joinpath(*pure.parts)


def _write(stream: IO[bytes], target: Path, budget: _Budget) -> None:
    budget.file()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            budget.take(len(chunk))
            out.write(chunk)


def _unpack_zip(file: Path, into: Path, budget: _Budget) -> tuple[str, ...]:
    links = twice = 0
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_room(sum(member.file_size for member in members) if len(members) < MOST_FILES else 0)
        windows = not any("/" in member.filename for member in members)
        for member in members:
            name = _zip_name(member)
            target = _target(name.replace("\\", "/") if windows else name, file, into)
            if (member.external_attr >> 16) & 0o170000 == 0o120000:
                links += 1
            elif target is not None and not name.endswith("\\"):
                twice += target.exists()
                with archive.open(member) as stream:
                    _write(stream, target, budget)
    return _left_out(file, links, twice)


def _zip_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; many programs write UTF-8 without the flag that says so."""
    if member.flag_bits & 0x800 or member.filename.isascii():
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _unpack_tar(file: Path, into: Path, budget: _Budget) -> tuple[str, ...]:
    links = twice = 0
    with tarfile.open(file) as archive:
        for member in archive:
            if not member.isfile():
                links += member.issym() or member.islnk()
                continue
            target = _target(member.name.removeprefix("./"), file, into)
            stream = archive.extractfile(member)
            if target is not None and stream is not None:
                twice += target.exists()
                _write(stream, target, budget)
    return _left_out(file, links, twice)


def _left_out(file: Path, links: int, twice: int) -> tuple[str, ...]:
    shown = printable(file.name)
    notes = [f"{shown}: links in it are not followed: {links:,}"] if links else []
    if twice:
        notes.append(f"{shown}: files that are in it twice, of which the last counts: {twice:,}")
    return tuple(notes)
