"""How long a training on texts is. Loads without torch."""

import tempfile
from pathlib import Path

import numpy as np

from latentviz.modalities.io.source import TextSource
from latentviz.modalities.length import ItemSeconds, Length
from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.prepare import load, prepare
from latentviz.modalities.text.read import read

SEEN_SHORT, SEEN_LONG = 14_400_000, 11_400_000  # tokens per training, with padding: about 12 minutes of a core
LEARNING, ENCODING = 6.5e-5, 5e-6  # seconds of one core per token; encoding reads the padding too
FEWEST_EPOCHS, MOST_EPOCHS = 4, 60
SHORT = 24  # tokens of a short text
SAMPLE = 5_000  # texts that are tokenised to estimate the length of a training on more


def epochs(n: int, t: int) -> float:
    """Returns the epochs for n training items of t tokens, before the bounds."""
    return (SEEN_SHORT if t <= SHORT else SEEN_LONG) / (n * t)


def item_seconds(tokens: np.ndarray) -> ItemSeconds:
    """Returns the cost of a text, for tokens (n, t)."""
    rows = np.linspace(0, len(tokens) - 1, min(len(tokens), SAMPLE)).astype(np.int64)
    return ItemSeconds(np.count_nonzero(tokens[rows]) / len(rows) * LEARNING, tokens.shape[1] * ENCODING)


def length(config: TextFitConfig) -> Length:
    """Returns how long a training is, which the number of tokens decides; of many texts it is an estimate."""
    source = read(config.data)
    n = len(source)
    if n > SAMPLE:
        rows = np.linspace(0, n - 1, SAMPLE).astype(np.int64)
        source = TextSource(
            texts=source.texts.take(rows),
            ids=[str(row) for row in rows],
            origins=[str(row) for row in rows],
            labels=[None] * SAMPLE,
        )
    data = config.data.model_copy(update={"group_column": "none"})
    with tempfile.TemporaryDirectory() as folder:
        prepare(data, Path(folder), config.seed_everything, source=source)
        tokens = load(Path(folder))
        t, seconds = tokens.shape[1], item_seconds(tokens)
    found = Length.of(config, n, lambda train: epochs(train, t), FEWEST_EPOCHS, MOST_EPOCHS, seconds=seconds)
    return found._replace(trainer=dict(config.trainer)) if n > SAMPLE else found
