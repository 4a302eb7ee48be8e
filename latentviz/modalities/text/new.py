"""New texts for a trained model: made of the tokens it knows. Knows no torch."""

from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.base import NewItem
from latentviz.modalities.io.files import examine, text_of
from latentviz.modalities.io.names import MissingColumnError
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.text.config import ResolvedTextConfig, TextData
from latentviz.modalities.text.prepare import load, prepare
from latentviz.modalities.text.read import read
from latentviz.modalities.text.source import Source
from latentviz.modalities.text.tokens import UNKNOWN, Tokenizer
from latentviz.progress import one_line
from latentviz.runs.files import is_file


def read_item(word: str, config: ResolvedTextConfig, trained: Path) -> NewItem[str] | None:
    """Returns a text as it is shown, as it is stored, int32 (t,), and what is to say of it.

    Whatever is no item of the run is a text itself, or the file that holds one; None for nothing but spaces.

    Args:
        word: what the user wrote.
        config: of the run.
        trained: the run's cache.

    Raises:
        DataError: the file is no text, or the model knows nothing of the text.
    """
    file, text = Path(word), word.strip()
    said = "a new text"
    if is_file(word):
        with text_of(file, examine(file, config.data.encoding)) as stream:
            text, said = stream.read().strip(), "the text in this file"
    if not text:
        return None
    tokenizer, longest = Tokenizer.load(trained), config.data.max_length
    rows, cut, unknown = tokenizer.encode([text], longest)
    if not tokenizer.decode(rows)[0].replace(UNKNOWN, "").strip():
        raise DataError(
            f"{one_line(word, 60)}: the model knows nothing of this text; give one like those it was trained on"
        )
    if cut:
        said += f", cut to the {longest - 1:,} tokens that the model takes"
    if unknown:
        said += f"; {unknown:,} of its {np.count_nonzero(rows) - 1:,} tokens are unknown"
    return NewItem(text, rows[0], [said])


def read_items(path: str, config: ResolvedTextConfig, cache: Path, trained: Path) -> tuple[Prepared, np.ndarray]:
    """Returns the items at `path` and their tokens (n, t) as the model takes them, written into `cache`.

    One text will do, and those that cannot be read are left out and listed, however many there are.

    Args:
        path: whatever `fit` reads.
        config: of the run.
        cache: where they are written.
        trained: the run's cache.

    Raises:
        DataError: there is nothing there that can be read.
    """
    data = config.data.model_copy(update={"path": path, "group_column": "none", "split": "all"})
    prepared = prepare(data, cache, config.seed_everything, source=_read(data), tokenizer=Tokenizer.load(trained))
    return prepared, load(cache)


def _read(data: TextData) -> Source:
    """Returns the texts by the columns of the run; where the new table has them not, they are found anew."""
    try:
        return read(data)
    except MissingColumnError:
        return read(data.model_copy(update=dict.fromkeys(("text_column", "label_column", "id_column"), "auto")))
