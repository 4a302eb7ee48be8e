"""How long a training on items with several parts is. Loads without torch."""

from concurrent.futures import ThreadPoolExecutor

from latentviz.modalities.image.survey import survey
from latentviz.modalities.io.source import ImageSource
from latentviz.modalities.joint.config import JointFitConfig
from latentviz.modalities.joint.read import read
from latentviz.modalities.length import Length
from latentviz.modalities.text import length as text_length

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


def text_epochs(n: int, t: int) -> float:
    """Return the epochs for n training items with texts of t tokens, each of which is decoded `VIEWS` times."""
    return text_length.epochs(n, t) / VIEWS


def length(config: JointFitConfig) -> Length | None:
    """Return how long a training is, without decoding the images; None of texts, which had to be tokenised."""
    if config.data.main == "text":
        return None
    source = read(config.data).source
    assert isinstance(source, ImageSource)
    with ThreadPoolExecutor() as pool:
        c, h, w = survey(source, config.data.of_images(config.data.shown), pool).chw
    item = int(VIEWS * c * h * w)
    return Length.of(config, len(source), epochs, FEWEST_EPOCHS, MOST_EPOCHS, least=least, item=item)
