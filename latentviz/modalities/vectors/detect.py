"""Whether bare data is vectors."""

from pathlib import Path

from latentviz.modalities.io.files import ARROW_SUFFIXES, suffix_of
from latentviz.modalities.io.header import first_rows, is_number

_NAME_WORDS = 3  # an id or a label has no more words; a text has
_FEWEST_COLUMNS = 3  # with fewer columns of numbers, a .csv file is a table of something else


def detect(path: str) -> bool:
    """Returns whether `path` is vectors: an array, a table with a column of lists of numbers, a .csv file of numbers.

    Images are asked before; for an array that is neither, the reader of vectors says what is wrong.
    """
    file = Path(path)
    suffix = suffix_of(file.name)
    if not file.is_file():
        return False
    if suffix in {".parquet", *ARROW_SUFFIXES}:
        from latentviz.modalities.io.columns import is_vectors  # needs pyarrow
        from latentviz.modalities.io.tables import read_schema

        return any(is_vectors(field.type) for field in read_schema(file))
    if suffix not in {".csv", ".tsv"}:
        return file.suffix.lower() in {".npy", ".npz"}
    # The second row holds numbers besides an id and a label; sentences make a table texts.
    rows = first_rows(file, "utf-8-sig", "replace")[0]
    cells = rows[1] if len(rows) > 1 else []
    others = [cell for cell in cells if not is_number(cell)]
    short = len(others) <= 2 and all(len(cell.split()) <= _NAME_WORDS for cell in others)
    return short and len(cells) - len(others) >= _FEWEST_COLUMNS
