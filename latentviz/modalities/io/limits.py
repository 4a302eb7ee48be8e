"""What a file may claim to hold before anything is unpacked: small files can name any number of rows and bytes."""

import shutil
import tempfile
from pathlib import Path

from latentviz.errors import DataError
from latentviz.modalities.io.names import printable

ROWS_A_BYTE = 16  # rows beyond that share nearly all their values, or are none
FEW_ROWS = 100_000  # which no claim makes dangerous


def check_rows(file: Path, rows: int) -> None:
    """Raises a DataError if a table claims more rows than its bytes can say anything about."""
    size = file.stat().st_size
    if rows > max(FEW_ROWS, ROWS_A_BYTE * size):
        raise DataError(
            f"{printable(str(file))}: claims {rows:,} rows in {size:,} bytes; it is damaged, or made to "
            "fill the memory; fetch or make it again"
        )


def check_room(needed: int) -> None:
    """Raises a DataError if the folder for temporary files has no room for so many bytes."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: has {free / 1e6:,.0f} MB free, and unpacking the data needs {needed / 1e6:,.0f} MB "
            "there; make room, or set TMPDIR to another folder"
        )
