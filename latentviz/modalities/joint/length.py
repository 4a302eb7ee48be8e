"""How long a training on items with several parts is. Loads without torch."""

from concurrent.futures import ThreadPoolExecutor

from latentviz.modalities.image.survey import survey
from latentviz.modalities.joint.config import JointFitConfig
from latentviz.modalities.joint.read import read
from latentviz.modalities.length import Length

# A training draws each item SEEN_EACH times, within these bounds.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 20, 150_000, 1_000_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 200
VIEWS = 3.0  # times that an item is decoded in a step


def epochs(n: int) -> float:
    """Return the epochs for n training items, before the bounds."""
    return min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n


def least(n: int) -> float:
    """Return the epochs of the shortest training that ends by itself, for n training items, before the bounds."""
    return epochs(n) / 4


def length(config: JointFitConfig) -> Length:
    """Return how long a training is, without decoding the images."""
    source = read(config.data).source
    with ThreadPoolExecutor() as pool:
        c, h, w = survey(source, config.data.of_images(config.data.path), pool).chw
    item = int(VIEWS * c * h * w)
    return Length.of(config, len(source), epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, item=item)
