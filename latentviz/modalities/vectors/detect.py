"""Whether bare data is vectors."""

from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io.files import ARROW_SUFFIXES, suffix_of
from latentviz.modalities.io.header import first_lines, first_rows, is_number

_NAME_WORDS = 3  # an id or a label has no more words; a text has
_FEWEST_COLUMNS = 3  # with fewer columns of numbers, a .csv file is a table of something else


def detect(path: str) -> bool:
    """Returns whether `path` is vectors: an array, a table with a column of lists of numbers, a .csv file of numbers.

    Images are asked before; for an array that is neither, the reader of vectors says what is wrong.

    Raises:
        DataError: the file is damaged or cannot be read.
    """
    file = Path(path)
    suffix = suffix_of(file.name)
    try:
        if not file.is_file():
            return False
        if file.suffix.lower() in {".npy", ".npz"}:
            return True
        if suffix == ".parquet" or suffix in ARROW_SUFFIXES:
            from latentviz.modalities.io.columns import is_vectors  # needs pyarrow
            from latentviz.modalities.io.tables import read_schema

            return any(is_vectors(field.type) for field in read_schema(file))
        return suffix in {".csv", ".tsv"} and _mostly_numbers(file, suffix)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _mostly_numbers(file: Path, suffix: str) -> bool:
    """Returns whether the second row holds numbers besides an id and a label; sentences make a table texts."""
    rows = first_rows(first_lines(file, "utf-8-sig", "replace"), suffix)
    cells = rows[1] if len(rows) > 1 else []
    others = [cell for cell in cells if not is_number(cell)]
    if len(others) > 2 or any(len(cell.split()) > _NAME_WORDS for cell in others):
        return False
    return len(cells) - len(others) >= _FEWEST_COLUMNS
