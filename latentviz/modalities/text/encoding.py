"""Files of text: packed or not, in whatever encoding; and in one line what is wrong with those that are none."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from latentviz.errors import DataError
from latentviz.modalities.io.names import printable

_CHUNK = 2**20  # bytes that are looked at in one go

# Byte order marks; the longer ones first, since that of UTF-16 begins one of UTF-32.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What files that are no text begin with.
_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive, or a document of an office program"),
    (b"PAR1", "Parquet"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\xd0\xcf\x11\xe0", "a document of an office program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
)
# Encodings that texts which are not Unicode are in, for all there are would be guessed from few bytes.
_GUESSED = ("gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "cp1252")
_GUESSED_FROM = 2**16  # bytes
_CONTROLS = 0.03  # share of control characters that no text has; of random bytes, a tenth are


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Yields the bytes of a file, unpacked if it is gzipped, whatever its name says.

    Raises:
        DataError: it is damaged or may not be read.
    """
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
def text_of(file: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Yields a file of text, any line end as one; `encoding` as `examine` found it."""
    with opened(file) as stream, io.TextIOWrapper(stream, encoding, newline=None) as text:
        yield text


def examine(file: Path, encoding: str) -> str:
    """Returns the encoding that a file of text is in, after reading all of it once: a byte order mark says more.

    Args:
        file: any file.
        encoding: what the user says, or UTF-8.

    Raises:
        DataError: the file is empty, is no text, or is in another encoding; the message says where, and guesses.
    """
    shown, done, lines = printable(str(file)), 0, 1
    with opened(file) as stream:
        chunk = stream.read(_CHUNK)
        if not chunk:
            raise DataError(f"{shown}: the file is empty; give a file with an item a line")
        encoding = next((name for mark, name in _MARKS if chunk.startswith(mark)), encoding)
        kind = next((words for magic, words in _MAGIC if chunk.startswith(magic)), None)
        if kind:
            raise DataError(f"{shown}: holds no text but is {kind}; give a .txt, .csv, .jsonl or .parquet file")
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
                    f"{shown}: line {line:,} holds a NUL byte, which no text does; give a file of text, or "
                    "remove them with `tr -d '\\000'`"
                )
            if not chunk:
                return encoding
            lines, done = lines + text.count("\n"), done + len(chunk)
            chunk = stream.read(_CHUNK)


def _refuse_bytes(shown: str, error: UnicodeDecodeError, begin: int, line: int) -> None:
    """Raises a DataError about bytes that are not of the encoding.

    Args:
        shown: the file.
        error: what the decoder says.
        begin: the place in the file of the first byte that it was given.
        line: the line of that byte, from 1.
    """
    content = error.object
    head = content[:_GUESSED_FROM]
    _refuse_wide(shown, head)
    if sum(byte < 9 or 13 < byte < 32 for byte in head) > _CONTROLS * len(head):
        raise DataError(f"{shown}: holds no text but other bytes; give a .txt, .csv, .jsonl or .parquet file") from None
    line += content[: error.start].decode(error.encoding, "ignore").count("\n")
    near = max(0, error.start - _GUESSED_FROM // 2)
    guess = _guess(content[near : near + _GUESSED_FROM])
    byte = f"byte 0x{content[error.start]:02x} at {begin + error.start:,}"
    where = f"line {line:,} is not {error.encoding.upper()} ({byte})"
    raise DataError(f"{shown}: {where}; say what it is with data.encoding=…, {guess}") from None


def _refuse_wide(shown: str, content: bytes) -> None:
    """Raises a DataError if every other byte is NUL, as in UTF-16 of Latin letters."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) > len(content) / 8 and min(even, odd) < max(even, odd) / 8:
        likely = "utf-16-be" if even > odd else "utf-16-le"
        raise DataError(f"{shown}: every other byte is NUL, as in UTF-16; say so with data.encoding={likely}") from None


def _guess(sample: bytes) -> str:
    """Returns in words the encoding that bytes are likeliest in."""
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(_GUESSED)).best()
    return f"which may be {found.encoding}" if found else "such as gb18030, cp932 or cp1252"
