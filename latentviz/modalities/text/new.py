"""New texts for a trained model: made of the tokens it knows. Knows no torch."""

from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.prepared import Prepared
from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.prepare import load, prepare
from latentviz.modalities.text.tokens import Tokenizer


def read_item(word: str, config: TextFitConfig, trained: Path) -> tuple[str, np.ndarray, list[str]] | None:
    """Returns a text as it is shown, as it is stored, int32 (t,), and what was done to it.

    Whatever is neither an id nor a row is a text itself; None for nothing but spaces.

    Args:
        word: what the user wrote.
        config: of the run.
        trained: cache of the run, where its tokenizer lies.
    """
    text = word.strip()
    if not text:
        return None
    tokenizer, longest = Tokenizer.load(trained), config.data.max_length
    assert longest != "auto"
    rows, cut, unknown = tokenizer.encode([text], longest)
    known = int(np.count_nonzero(rows)) - 1 - unknown
    if not known:
        raise DataError(f"{text!r}: the model knows none of its characters; give a text like those it was trained on")
    notes = ["a new text"]
    if cut:
        notes.append(f"longer than the {longest:,} tokens of the run; its end is cut off")
    if unknown:
        notes.append(f"{unknown:,} of its {known + unknown:,} tokens are unknown to the model")
    return text, rows[0], notes


def read_items(path: str, config: TextFitConfig, cache: Path, trained: Path) -> tuple[Prepared, np.ndarray]:
    """Returns the items at `path` and their tokens (n, t) as the model takes them, written into `cache`.

    One text will do, and those that cannot be read are left out and listed, however many there are.

    Raises:
        DataError: there is nothing there that can be read.
    """
    data = config.data.model_copy(update={"path": path, "max_bad": 1.0, "group_column": "none"})
    prepared = prepare(data, cache, config.seed_everything, tokenizer=Tokenizer.load(trained))
    return prepared, load(cache)
