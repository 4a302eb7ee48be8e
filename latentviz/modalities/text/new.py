"""New texts for a trained model, tokenised with its tokenizer. Loads without torch."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa

from latentviz.errors import DataError
from latentviz.modalities.base import NewItem
from latentviz.modalities.io import prepared
from latentviz.modalities.io.columns import whole_characters
from latentviz.modalities.io.files import examine, text_of
from latentviz.modalities.io.names import MissingColumnError
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.settings import found_again
from latentviz.modalities.text.config import ResolvedTextConfig
from latentviz.modalities.text.prepare import TOKENS, load, load_texts, prepare, write_texts
from latentviz.modalities.text.read import read
from latentviz.modalities.text.tokens import UNKNOWN, Tokenizer
from latentviz.progress import one_line, plural
from latentviz.runs.files import is_file


def read_item(word: str, config: ResolvedTextConfig, trained: Path) -> NewItem[str] | None:
    """Returns the text in a file, or else `word` itself, with its tokens, int32 (t,); None if it is blank."""
    text, note = whole_characters(word).strip(), "a new text"
    if is_file(word):
        file = Path(word)
        with text_of(file, examine(file, config.data.encoding)) as stream:
            text, note = stream.read().strip(), "the text in this file"
    if not text:
        return None
    tokenizer, longest = Tokenizer.load(trained), config.data.max_length
    rows, cut, unknown = tokenizer.encode([text], longest)
    if not tokenizer.decode(rows)[0].replace(UNKNOWN, "").strip():
        raise DataError(
            f"{one_line(word, 60)}: the model knows no token of this text; give one like those it was trained on"
        )
    if cut:
        note += f", cut to the {plural(longest - 1, 'token')} that the model takes"
    if unknown:
        note += f"; unknown: {unknown:,} of its {plural(int(np.count_nonzero(rows)) - 1, 'token')}"
    return NewItem(text, rows[0], [note])


def read_items(
    path: str, config: ResolvedTextConfig, cache: Path, trained: Path, given: Collection[str] = ()
) -> tuple[Prepared, np.ndarray]:
    """Writes the tokens (n, t) of the texts at `path` into `cache`; see `base.ReadNew`.

    One text is enough, and any number of unreadable ones is left out.
    """
    data = config.data.model_copy(update={"path": path, **found_again({"group_column": "none", "split": "all"}, given)})
    try:
        source = read(data)
    except MissingColumnError:  # the table has other columns than the one that the run was trained on
        auto = dict.fromkeys(("text_column", "label_column", "id_column"), "auto")
        source = read(data.model_copy(update=found_again(auto, given)))
    found = prepare(data, cache, config.seed_everything, source=source, tokenizer=Tokenizer.load(trained))
    return found, load(cache)


def cached(cache: Path) -> np.ndarray:
    """Opens the items of a cache, uint16 or int32 (n, t)."""
    return load(cache)


def join(trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
    """Writes the tokens of a run and of new texts, uint16 or int32 (n, t), and the texts; see `base.ReadNew`."""
    texts = [*load_texts(trained), *prepared.chosen(load_texts(fresh), rows)]
    tokens = prepared.join(cache / TOKENS, load(trained), load(fresh), rows)
    Tokenizer.load(trained).save(cache)
    write_texts(cache, pa.array(texts, pa.string()))
    return tokens
