"""The delimiter and the header of a text table, found from its first lines; imports nothing heavy."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

from latentviz.modalities.io.files import suffix_of, text_of
from latentviz.modalities.io.names import printable

_DELIMITERS = "\t,;|"
_NONE = "\x1f"  # a delimiter that no file has, for tables of one column
_SNIFFED = 100  # lines that determine the delimiter
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def first_lines(file: Path, encoding: str, errors: str = "strict") -> list[str]:
    """Returns the lines of a text file that `sniff` looks at."""
    with text_of(file, encoding, errors) as stream:
        return list(islice(stream, _SNIFFED))


def read_header(file: Path, encoding: str, *, headless: bool) -> tuple[list[str], int, str, Quoting]:
    """Returns column names, the number of lines above the first row, the delimiter, and how the table quotes.

    Args:
        file: a table of text.
        encoding: what `examine` returned.
        headless: a first line of numbers, but for two cells, is a row; the columns are then called f0, f1, ….
    """
    head = first_lines(file, encoding)
    with _long_fields():
        delimiter, quoting = sniff(head, suffix_of(file.name))
        rows = csv.reader(head, delimiter=delimiter, quoting=quoting)
        first = next((row for row in rows if any(cell.strip() for cell in row)), [])
    if headless and first and sum(map(is_number, first)) >= max(1, len(first) - 2):
        return [f"f{i}" for i in range(len(first))], 0, delimiter, quoting
    return _unique(first), rows.line_num, delimiter, quoting


def first_rows(head: Sequence[str], suffix: str) -> list[list[str]]:
    """Returns the cells of a table's first lines."""
    with _long_fields():
        delimiter, quoting = sniff(head, suffix)
        return [row for row in csv.reader(head, delimiter=delimiter, quoting=quoting) if row]


def sniff(head: Sequence[str], suffix: str) -> tuple[str, Quoting]:
    """Returns the delimiter and the quoting with which most rows have as many fields as the first.

    >>> sniff(["a;b", "1,5;2", "2;3"], ".csv") == (";", csv.QUOTE_MINIMAL)
    True
    """
    quotings: tuple[Quoting, ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)
    best, found = (0.0, 0, False, 0), (_NONE, quotings[0])
    for quoting in quotings:
        for delimiter in _DELIMITERS:
            rows = [row for row in csv.reader(head, delimiter=delimiter, quoting=quoting) if row]
            n = len(rows[0]) if rows else 0
            if n < 2:
                continue
            # The last row may continue beyond the head; a quote that is never closed swallows the other rows.
            alike = sum(len(row) == n for row in rows) / max(1, len(rows) if quoting else len(rows) - 1)
            lines = sum("\n" in cell for row in rows for cell in row)  # many, where quotes mean nothing
            score = (round(min(1.0, alike), 2), -lines, (delimiter == "\t") == (suffix == ".tsv"), n)
            if score > best:
                best, found = score, (delimiter, quoting)
    return found


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lets `csv` read fields of any length inside."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _unique(names: Sequence[str]) -> list[str]:
    """Returns column names, with a number for those that are empty or occurred before.

    >>> _unique(["a", "", "a"])
    ['a', 'column 2', 'a 3']
    """
    seen: set[str] = set()
    unique = []
    for i, name in enumerate(names, 1):
        clean = printable(name.strip())
        free = f"column {i}" if not clean else f"{clean} {i}" if clean in seen else clean
        seen.add(free)
        unique.append(free)
    return unique


def is_number(cell: str) -> bool:
    """Returns whether a cell of a table is a number.

    >>> [is_number(cell) for cell in ("1e-3", " 2 ", "nan", "1_000", "x", "")]
    [True, True, True, False, False, False]
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell
