"""How long a training on vectors is. Loads without torch."""

from latentviz.modalities.length import Length
from latentviz.modalities.vectors.config import VectorFitConfig
from latentviz.modalities.vectors.read import read

# A training draws each vector SEEN_EACH times, within these bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 400_000, 2_000_000
# One that ends by itself draws at least so many, and some of each. See "Sooner" in docs/experiments.md.
FIRST, FIRST_EACH, FIRST_EPOCHS = 120_000, 6, 100
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500


def epochs(n: int) -> float:
    """Returns the epochs for n training items, before the bounds."""
    return min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n


def least(n: int) -> float:
    """Returns the epochs of the shortest training that ends by itself, for n training items, before the bounds."""
    return min(FIRST_EPOCHS, FIRST / n + FIRST_EACH)


def length(config: VectorFitConfig) -> Length:
    """Returns how long a training is."""
    n, d = read(config.data).shape
    return Length.of(config, n, epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, item=4 * d)
