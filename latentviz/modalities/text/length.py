"""How long a training on texts is. Loads without torch."""

import tempfile
from pathlib import Path

import numpy as np

from latentviz.modalities.io.source import TextSource
from latentviz.modalities.length import ItemSeconds, Length
from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.prepare import load, prepare
from latentviz.modalities.text.read import read

SEEN_SHORT, SEEN_LONG = 9_600_000, 11_400_000  # tokens that a training sees at most, with padding
FIRST = 1_000_000  # tokens, without padding, before a training may end by itself
LEARNING, ENCODING = 6e-5, 5e-6  # seconds of one core per token; encoding reads the padding too
FEWEST_EPOCHS, MOST_EPOCHS = 4, 60
SHORT = 24  # tokens of a short text
SAMPLE = 5_000  # texts that are tokenised to estimate the length of a training on more


def epochs(n: int, t: int) -> float:
    """Returns the epochs for n training items of t tokens, before the bounds."""
    return (SEEN_SHORT if t <= SHORT else SEEN_LONG) / (n * t)


def least(n: int, length: float) -> float:
    """Returns the epochs of the shortest training that ends by itself, for n training items of a mean length."""
    return FIRST / (n * length)


def mean_length(tokens: np.ndarray) -> float:
    """Returns the tokens of a text with its end on average, for tokens (n, t); of many texts an estimate."""
    rows = np.linspace(0, len(tokens) - 1, min(len(tokens), SAMPLE)).astype(np.int64)
    return float(np.count_nonzero(tokens[rows]) / len(rows))


def item_seconds(tokens: np.ndarray) -> ItemSeconds:
    """Returns the cost of a text, for tokens (n, t)."""
    return ItemSeconds(mean_length(tokens) * LEARNING, tokens.shape[1] * ENCODING)


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
        t, mean, seconds = tokens.shape[1], mean_length(tokens), item_seconds(tokens)
    found = Length.of(
        config,
        n,
        lambda train: epochs(train, t),
        FEWEST_EPOCHS,
        MOST_EPOCHS,
        least=lambda train: least(train, mean),
        auto="still",
        seconds=seconds,
    )
    return found._replace(trainer=dict(config.trainer)) if n > SAMPLE else found
