"""How long a training on images is. Loads without torch."""

from concurrent.futures import ThreadPoolExecutor

from latentviz.modalities.image.config import ImageFitConfig
from latentviz.modalities.image.read import read
from latentviz.modalities.image.survey import survey
from latentviz.modalities.length import Length

# A training draws each image SEEN_EACH times, within these bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 500_000, 1_500_000
# One that ends by itself draws at least so many, and some of each. See "Sooner" in docs/experiments.md.
FIRST, FIRST_EACH, FIRST_EPOCHS = 120_000, 10, 100
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500


def epochs(n: int) -> float:
    """Returns the epochs for n training items, before the bounds."""
    return min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n


def least(n: int) -> float:
    """Returns the epochs of the shortest training that ends by itself, for n training items, before the bounds."""
    return min(FIRST_EPOCHS, FIRST / n + FIRST_EACH)


def length(config: ImageFitConfig) -> Length:
    """Returns how long a training is, without decoding the images."""
    source = read(config.data)
    with ThreadPoolExecutor() as pool:
        c, h, w = survey(source, config.data, pool).chw
    return Length.of(config, len(source), epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, auto="still", item=c * h * w)
