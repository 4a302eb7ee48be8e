"""New vectors for a trained model: read from a file, and held against what the model takes. Knows no torch."""

import tempfile
from pathlib import Path

import numpy as np

from latentviz.errors import DataError
from latentviz.modalities.base import NewItem
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.vectors.config import ResolvedVectorConfig
from latentviz.modalities.vectors.prepare import load, load_texts, prepare
from latentviz.modalities.vectors.show import Shown
from latentviz.runs.files import is_file


def read_item(word: str, config: ResolvedVectorConfig, trained: Path) -> NewItem[Shown] | None:
    """Returns the one vector in a file as it is shown and stored, and what is to say of it; None: no such file.

    Args:
        word: perhaps a file.
        config: of the run.
        trained: the run's cache.

    Raises:
        DataError: the file holds no vector of the run's kind, or more than one.
    """
    if not is_file(word):
        return None
    with tempfile.TemporaryDirectory(prefix="latentviz-") as folder:
        prepared, vectors = read_items(word, config, Path(folder), trained)
        if len(vectors) != 1:
            raise DataError(
                f"{printable(word)}: holds {len(vectors):,} vectors; give a file with one, as of the shape "
                f"(1, {vectors.shape[1]}), or place them all with `latentviz encode`"
            )
        text = (load_texts(Path(folder)) or [""])[0]
        return NewItem(Shown(text or printable(Path(word).name)), np.array(vectors[0], np.float32), prepared.notes)


def read_items(path: str, config: ResolvedVectorConfig, cache: Path, trained: Path) -> tuple[Prepared, np.ndarray]:
    """Returns the items at `path` and their vectors, (n, d) as the model takes them, written into `cache`.

    Columns and arrays are found anew: files of one kind need not have been written by one program.

    Args:
        path: whatever `fit` reads.
        config: of the run.
        cache: where they are written.
        trained: the run's cache.

    Raises:
        DataError: the file cannot be read, or its vectors have another length than the run's.
    """
    auto = dict.fromkeys(("array", "vector_column", "label_column", "text_column"), "auto")
    data = config.data.model_copy(update={"path": path, "items": "none", "labels": "none", **auto})
    prepared = prepare(data, cache, config.seed_everything, learn=False, dimensions=load(trained).shape[1])
    return prepared, load(cache)
