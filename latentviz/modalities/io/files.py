"""Files of data: which they are, whether they are packed, their encoding, and how much they may claim to hold."""

import codecs
import gzip
import io
import os
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from latentviz.errors import DataError
from latentviz.modalities.io.names import natural, printable
from latentviz.progress import plural

# Apache Arrow's own file format, also known as Feather.
ARROW_SUFFIXES = frozenset({".arrow", ".feather", ".ipc"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"}) | ARROW_SUFFIXES

ROWS_A_BYTE = 16  # more rows per byte of file than this share nearly all their values, or do not exist
FEW_ROWS = 100_000  # so few rows fit into memory whatever a damaged file claims

_CHUNK = 2**20  # bytes decoded at a time

# Byte order marks; the longer ones first, since that of UTF-16 begins one of UTF-32.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "utf-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "utf-16"),
}
# The first bytes of files that are not text.
_MAGIC = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"PAR1": "Parquet",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\xd0\xcf\x11\xe0": "an office document",
    b"SQLite format 3": "an SQLite database",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x93NUMPY": "a NumPy array",
    b"\x7fELF": "a program",
}
_FORMATS = "give a .txt, .csv, .jsonl or .parquet file"
# Candidates for text that is not Unicode; a guess among all encodings needs more text than a message has.
_GUESSED = ("gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "cp1252")
_GUESSED_FROM = 2**16  # bytes
_CONTROLS = 0.03  # share of control characters that no text reaches; random bytes have a tenth


def suffix_of(name: str) -> str:
    """Returns a file's suffix in lower case, ignoring that of gzip.

    >>> suffix_of("a.TXT"), suffix_of("a.csv.gz"), suffix_of("a.gz")
    ('.txt', '.csv', '')
    """
    return Path(_unpacked(name)).suffix.lower()


def stem_of(name: str) -> str:
    """Returns a file's path without its suffix and without that of gzip: "a/b" for "a/b.csv.gz"."""
    return Path(_unpacked(name)).with_suffix("").as_posix()


def _unpacked(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name


@dataclass
class Listing:
    """The regular files of a folder and its subfolders, without hidden ones, FIFOs and devices."""

    files: list[str] = field(default_factory=list)  # below the folder, with "/", in natural order
    links: int = 0  # symbolic links that lead out of the folder or nowhere; not followed
    closed: list[str] = field(default_factory=list)  # subfolders without read permission

    def of(self, suffixes: Collection[str]) -> list[str]:
        """Returns the files with one of these suffixes; that of gzip does not count."""
        return [file for file in self.files if suffix_of(file) in suffixes]


DEEP = "folders or brackets are nested too deeply; move the data up"
# Folders that this process made of links to the files that a glob matches.
OWN_LINKS: set[str] = set()


def walk(folder: Path, *, links: bool = False) -> Listing:
    """Lists a folder; linked subfolders and runs are not entered; `links`: links to files outside are followed.

    Raises:
        OSError: the folder itself cannot be read.
    """
    real, found = os.path.realpath(folder), Listing()
    links = links or str(folder) in OWN_LINKS

    def closed(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        found.closed.append(os.path.relpath(error.filename, folder))

    for parent, folders, names in _folders(folder, closed):
        folders[:] = _of_data(parent, folders)
        for path in (Path(parent, name) for name in (*folders, *names) if not name.startswith(".")):
            if not links and path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(real):
                found.links += 1
            elif path.is_file():
                found.files.append(path.relative_to(folder).as_posix())
    found.files.sort(key=natural)
    return found


def _of_data(parent: str, folders: list[str]) -> list[str]:
    """Returns the folders that hold data: hidden ones and runs do not."""
    from latentviz.runs.ours import is_run  # loads pyarrow

    return [name for name in folders if not name.startswith(".") and not is_run(Path(parent, name))]


def _folders(folder: Path, closed: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
    try:
        yield from os.walk(folder, onerror=closed)
    except RecursionError:
        raise DataError(f"{printable(str(folder))}: {DEEP}") from None


def names_below(folder: Path) -> Iterator[str]:
    """Yields the names of the first 10,000 files below a folder, without hidden ones: enough to tell what it holds."""
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = _of_data(parent, folders)
        yield from (name for name in names if not name.startswith("."))
        seen += len(names)
        if seen > 10_000:
            return


@contextmanager
def refusing(path: str) -> Iterator[None]:
    """Turns the system's errors about reading `path` into a DataError."""
    try:
        yield
    except RecursionError:
        raise DataError(f"{printable(path)}: {DEEP}") from None
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{printable(path)}: cannot be read ({reason}); check its permissions") from None


def require_exists(path: str, advice: str) -> Path:
    """Returns the path; raises a DataError unless it is a file or a folder."""
    place, shown = Path(path), printable(path)
    if place.is_file() or place.is_dir():
        return place
    if place.exists():
        raise DataError(f"{shown}: neither a file nor a folder; {advice}")
    raise DataError(f"{shown}: no such file or folder; check the path (in a config, data.path)")


def contents(files: Sequence[str]) -> str:
    """Describes files by their commonest suffixes.

    >>> contents(["a.txt", "b.txt", "c"])
    '2 .txt files, 1 file without a suffix'
    """
    words = []
    for suffix, count in Counter(Path(file).suffix.lower() for file in files).most_common(5):
        name = f"{printable(suffix)} file" if suffix else "file"
        words.append(plural(count, name) + ("" if suffix else " without a suffix"))
    return ", ".join(words)


def check_rows(file: Path, rows: int) -> None:
    """Raises a DataError if a table claims more rows than its bytes can describe."""
    size = file.stat().st_size
    if rows > max(FEW_ROWS, ROWS_A_BYTE * size):
        raise DataError(
            f"{printable(str(file))}: claims {plural(rows, 'row')} in {plural(size, 'byte')}; it is damaged, or "
            "made to fill the memory; fetch or write it again"
        )


def check_room(needed: int) -> None:
    """Raises a DataError if the folder for temporary files has less than `needed` bytes free."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: has {free / 1e6:,.0f} MB free, and unpacking the data needs {needed / 1e6:,.0f} MB; free "
            "space, or set TMPDIR to another folder"
        )


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Yields the bytes of a file, unpacked if its content is gzip."""
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            yield cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if packed else stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{printable(str(file))}: not a whole gzip file ({error}); fetch or make it again") from None
    except OSError as error:
        raise DataError(f"{printable(str(file))}: cannot be read ({error.strerror or error})") from None


@contextmanager
def text_of(file: Path, encoding: str, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """Yields a text file with universal line ends; `encoding` is what `examine` returned."""
    with opened(file) as stream, io.TextIOWrapper(stream, encoding, errors, newline=None) as text:
        yield text


def marked_encoding(file: Path) -> str:
    """Returns the encoding that a file's byte order mark names; without one, UTF-8."""
    with opened(file) as stream:
        begin = stream.read(4)
    return next((name for mark, name in _MARKS.items() if begin.startswith(mark)), "utf-8-sig")


def examine(file: Path, encoding: str) -> str:
    """Returns the encoding of a text file, after decoding all of it once; a byte order mark overrides `encoding`.

    Raises:
        DataError: the file is empty, is not text, or has another encoding; the message says where, and guesses.
    """
    shown, done, lines = printable(str(file)), 0, 1
    with opened(file) as stream:
        chunk = stream.read(_CHUNK)
        if not chunk:
            raise DataError(f"{shown}: the file is empty; give a file with one item per line")
        encoding = next((name for mark, name in _MARKS.items() if chunk.startswith(mark)), encoding)
        kind = next((words for magic, words in _MAGIC.items() if chunk.startswith(magic)), None)
        if kind:
            raise DataError(f"{shown}: not text but {kind}; {_FORMATS}")
        decoder = codecs.getincrementaldecoder(encoding)()
        while True:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                _refuse_bytes(shown, error, done - (len(error.object) - len(chunk)), lines)
            if "\0" in text:
                _refuse_wide(shown, chunk)
                line = lines + text[: text.index("\0")].count("\n")
                raise DataError(
                    f"{shown}: line {line:,} holds a NUL byte, which text never does; give a text file, or remove "
                    "them with `tr -d '\\000'`"
                )
            if not chunk:
                return encoding
            lines, done = lines + text.count("\n"), done + len(chunk)
            chunk = stream.read(_CHUNK)


def _refuse_bytes(shown: str, error: UnicodeDecodeError, begin: int, line: int) -> NoReturn:
    """Raises a DataError about bytes that do not fit the encoding; `begin` and `line` are where the decoder began."""
    content = error.object
    head = content[:_GUESSED_FROM]
    _refuse_wide(shown, head)
    if sum(byte < 9 or 13 < byte < 32 for byte in head) > _CONTROLS * len(head):
        raise DataError(f"{shown}: not text but binary data; {_FORMATS}") from None
    line += content[: error.start].decode(error.encoding, "ignore").count("\n")
    import charset_normalizer  # for this error only

    near = max(0, error.start - _GUESSED_FROM // 2)
    found = charset_normalizer.from_bytes(content[near : near + _GUESSED_FROM], cp_isolation=list(_GUESSED)).best()
    guess = f"which may be {found.encoding}" if found else "such as gb18030, cp932 or cp1252"
    byte = f"byte 0x{content[error.start]:02x} at {begin + error.start:,}"
    where = f"line {line:,} is not {error.encoding.upper()} ({byte})"
    raise DataError(f"{shown}: {where}; set the encoding with data.encoding=…, {guess}") from None


def _refuse_wide(shown: str, content: bytes) -> None:
    """Raises a DataError if every other byte is NUL, as in UTF-16 of Latin letters."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) > len(content) / 8 and min(even, odd) < max(even, odd) / 8:
        likely = "utf-16-be" if even > odd else "utf-16-le"
        raise DataError(f"{shown}: every other byte is NUL, as in UTF-16; set data.encoding={likely}") from None
