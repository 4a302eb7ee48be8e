"""The delimiter and the header of a text table, found from its first lines; imports nothing heavy."""

import csv
import sys
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path
from typing import Literal

from latentviz.modalities.io.files import suffix_of, text_of
from latentviz.modalities.io.names import printable

_DELIMITERS = "\t,;|"
_NONE = "\x1f"  # a delimiter that no file has, for tables of one column
_COUNTED = 8  # a first line 0, 1, 2, … of as many numbers is no row of whole numbers by chance
_SNIFFED = 100  # lines that determine the delimiter
Quoting = Literal[0, 3]
_QUOTINGS: tuple[Quoting, ...] = (csv.QUOTE_MINIMAL, csv.QUOTE_NONE)


def first_rows(file: Path, encoding: str, errors: str = "strict") -> tuple[list[list[str]], int, str, Quoting]:
    """Returns the cells of a text table's first lines, the lines up to the first row, its delimiter and quoting."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default refuses long texts
    with text_of(file, encoding, errors) as stream:
        head = list(islice(stream, _SNIFFED))
    delimiter, quoting = sniff(head, suffix_of(file.name))
    reader = csv.reader(head, delimiter=delimiter, quoting=quoting)
    rows = [next((row for row in reader if any(cell.strip() for cell in row)), [])]
    above = reader.line_num
    return [*rows, *(row for row in reader if row)], above, delimiter, quoting


def read_header(file: Path, encoding: str, *, numbers: bool) -> tuple[list[str], int, str, Quoting, list[str]]:
    """Returns column names, the number of lines above the first row, the delimiter, how the table quotes, and notes.

    `numbers`: the table is one of numbers, so that the first line may be a row; columns are then called f0, f1, ….
    """
    rows, above, delimiter, quoting = first_rows(file, encoding)
    first = rows[0]
    if numbers and first and headless(rows):
        return [f"f{i}" for i in range(len(first))], 0, delimiter, quoting, []
    names = unique_columns(first)
    return names, above, delimiter, quoting, said_twice(first, names)


def headless(rows: Sequence[Sequence[str]]) -> bool:
    """Returns whether the first line of a table of numbers is a row: all but two of its cells are numbers.

    Names that count the columns, as pandas writes those of an array, are a header.

    >>> headless([["0", "1", "2"], ["3.5", "4.0", "1e-3"]]), headless([["0", "1", "2"], ["1", "2", "3"]])
    (False, True)
    """
    first, *others = rows
    places = [i for i, cell in enumerate(first) if is_number(cell)]
    if len(places) < max(1, len(first) - 2):
        return False
    if [first[i].strip() for i in places] != [str(i) for i in range(len(places))]:
        return True
    if not first[0].strip() or len(places) >= _COUNTED:  # an index without a name is before the columns
        return False
    whole = [row for row in others if len(row) == len(first)]
    fractions = all(any(set(row[i]) & set(".,eE") for row in whole) for i in places)
    return not (fractions and len(places) > 1 and whole)


def sniff(head: Sequence[str], suffix: str) -> tuple[str, Quoting]:
    """Returns the delimiter and the quoting with which most rows have as many fields as the first.

    >>> sniff(["a;b", "1,5;2", "2;3"], ".csv") == (";", csv.QUOTE_MINIMAL)
    True
    """
    best: tuple[float, int, bool, int] = (0.0, 0, False, 0)
    found: tuple[str, Quoting] = (_NONE, csv.QUOTE_MINIMAL)
    for quoting, delimiter in product(_QUOTINGS, _DELIMITERS):
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


def said_twice(given: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the note on columns whose name occurs before, from the names given and those they are read under."""
    kept = [
        f"column {i}, {printable(old)}, is called {name!r}"
        for i, (old, name) in enumerate(zip(map(str.strip, given), names, strict=True), 1)
        if old and name not in {old, printable(old)}
    ]
    return [f"names that occur twice: {'; '.join(kept)}"] if kept else []


def unique_columns(names: Sequence[str]) -> list[str]:
    """Returns column names, with a number for those that are empty or occurred before.

    >>> unique_columns(["a", "", "a"])
    ['a', 'column 2', 'a 3']
    """
    unique: dict[str, int] = {}
    for i, name in enumerate(names, 1):
        free = printable(name.strip()) or f"column {i}"
        while free in unique:
            free = f"{free} {i}"
        unique[free] = i
    return list(unique)


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
