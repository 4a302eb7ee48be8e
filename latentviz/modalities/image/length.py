"""How long a training on images is. Loads without torch."""

from concurrent.futures import ThreadPoolExecutor

from latentviz.modalities.image.config import ImageFitConfig
from latentviz.modalities.image.read import read
from latentviz.modalities.image.survey import survey
from latentviz.modalities.length import Length

# A training draws each image SEEN_EACH times, within these bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 500_000, 1_500_000
SEEN_FIRST = 100_000  # before it may end by itself
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500


def epochs(n: int) -> float:
    """Returns the epochs for n training items, before the bounds."""
    return min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n


def least(n: int) -> float:
    """Returns the epochs of the shortest training that ends by itself, for n training items, before the bounds."""
    return SEEN_FIRST / n


def length(config: ImageFitConfig) -> Length:
    """Returns how long a training is, without decoding the images."""
    source = read(config.data)
    with ThreadPoolExecutor() as pool:
        c, h, w = survey(source, config.data, pool).chw
    return Length.of(config, len(source), epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, item=c * h * w)
