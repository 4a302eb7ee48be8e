"""Reads labels of items from a table of ids and labels, such as `latentviz label --ask` writes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from latentviz.errors import COMPARED_IDS, DataError, did_you_mean
from latentviz.modalities.io.columns import described, whole_characters
from latentviz.modalities.io.names import LABEL_NAMES, by_name
from latentviz.modalities.io.tables import read_table
from latentviz.progress import one_line, plural

IDS = ("id", "ids", "item", "key")  # names of the column of ids
ASK = "latentviz label RUN --ask 20"
LONGEST = 80  # characters of an id or a label in a message


def given_labels(pairs: Sequence[tuple[str, str]], ids: Sequence[str], where: str, whose: str) -> dict[int, str]:
    """Return the label of each row that has one.

    Args:
        pairs: ids and labels; those with a blank label are left out.
        ids: of the n items.
        where: what messages call the source of the pairs.
        whose: what they call the items: the name of a run or of data.

    Raises:
        DataError: an id is unknown, or an item has two labels.
    """
    filled = [(key, whole_characters(word).strip()) for key, word in pairs if word.strip()]
    known = {name: row for row, name in enumerate(ids)}
    if unknown := [key for key, _ in filled if key not in known]:
        raise DataError(
            f"{where}: {len(unknown):,} of {plural(len(filled), 'id')} are of no item of {whose} (got "
            f"{one_line(unknown[0], LONGEST)!r}); ids are those in the column id of points.parquet, such as "
            f"{one_line(ids[0], LONGEST)!r}.{did_you_mean(unknown[0], ids[:COMPARED_IDS])}"
        )
    counts = Counter(key for key, _ in {*filled})
    if twice := [key for key, count in counts.items() if count > 1]:
        both = sorted({word for key, word in filled if key == min(twice)})
        raise DataError(
            f"{where}: {plural(len(twice), 'item has', 'items have')} more than one label (got "
            f"{one_line(min(twice), LONGEST)!r}: {one_line(' and '.join(map(repr, both)), LONGEST)}); keep one"
        )
    return {known[key]: word for key, word in filled}


def read_pairs(file: str, where: str, ask: str = ASK) -> list[tuple[str, str]]:
    """Read the ids and labels of a table; blank where a cell is empty.

    Args:
        file: its path.
        where: what messages call it.
        ask: the command that makes such a file.

    Raises:
        DataError: there is no such file, or it has no column of ids or of labels.
    """
    place = Path(file).expanduser()
    if not place.is_file():
        raise DataError(f"{where}: no such file; `{ask}` makes one to fill in")
    table = read_table(str(place))
    names = table.schema.names
    key, word = by_name(names, IDS), by_name(names, LABEL_NAMES)
    if key is None or word is None:
        what, allowed = ("ids", IDS) if key is None else ("labels", LABEL_NAMES)
        raise DataError(
            f"{where}: has no column of {what} (got {described(table.schema)}); name one {' or '.join(allowed)}"
        )
    ids, words = (pc.cast(table.column(name), pa.string()).to_pylist() for name in (key, word))
    return [(one or "", other or "") for one, other in zip(ids, words, strict=True)]
