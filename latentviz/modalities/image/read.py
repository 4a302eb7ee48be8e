"""Where images come from: `data.path` → the reader that knows it → a `Source`."""

from pathlib import Path

from latentviz.errors import DataError, did_you_mean
from latentviz.modalities.image.arrays import Part, array_source
from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.idx import read_idx
from latentviz.modalities.image.source import Source, printable


def read(data: ImageData) -> Source:
    """Returns the images that `data.path` names, found but not decoded.

    Raises:
        DataError: there is nothing of this name, or nothing in it that is an image.
    """
    scheme, _, name = data.path.partition(":")
    if scheme == "sklearn":
        return read_bundled(name)
    path = Path(data.path)
    return read_idx(path, data.label_column)


def read_bundled(name: str) -> Source:
    """Returns scikit-learn's `digits`: 1,797 grey digits of 8×8 pixels, values 0 to 16, which no download is needed for.

    Raises:
        DataError: it is not `digits` that is asked for.
    """
    if name != "digits":
        raise DataError(f"sklearn:{printable(name)}: scikit-learn bundles no such images; its only one is "
                        f"sklearn:digits.{did_you_mean(name, ['digits'])}")
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second to import, for this one data set

    digits = load_digits()
    part = Part("digits", digits.images, [str(label) for label in digits.target], "sklearn:digits")
    return array_source([part], ids=[f"digit-{row:04d}" for row in range(len(digits.images))])
