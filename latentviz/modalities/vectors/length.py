"""How long a training on vectors is. Loads without torch."""

from latentviz.modalities.length import Length
from latentviz.modalities.vectors.config import VectorFitConfig
from latentviz.modalities.vectors.read import read

# A training draws each vector SEEN_EACH times, within these bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 400_000, 2_000_000
SEEN_FIRST = 100_000  # before it may end by itself
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500


def epochs(n: int) -> float:
    """Returns the epochs for n training items, before the bounds."""
    return min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n


def least(n: int) -> float:
    """Returns the epochs of the shortest training that ends by itself, for n training items, before the bounds."""
    return SEEN_FIRST / n


def length(config: VectorFitConfig) -> Length:
    """Returns how long a training is."""
    n, d = read(config.data).shape
    return Length.of(config, n, epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, item=4 * d)
