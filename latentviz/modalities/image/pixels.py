"""One image that Pillow opened → uint8 pixels of the wanted shape; and what its header says undecoded."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, ImageStat, UnidentifiedImageError

Fit = Literal["crop", "pad", "stretch"]

# EPS runs Ghostscript; the others are stubs that need a plug-in to show anything.
_UNWANTED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

# More than 8 bits a value: what white is cannot be known from one image.
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
GREY_MODES = frozenset({"1", "L", "LA", "La"}) | DEEP_MODES

# Values a channel may differ by in a picture that still counts as grey: JPEG's rounding of chroma.
_GREY_TOLERANCE = 8


@cache
def formats() -> tuple[str, ...]:
    """Returns the names of the file formats that are read: all of Pillow's but the unwanted ones."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _UNWANTED)


class Unreadable(Exception):  # noqa: N818 - not an error of the program: a fact about one item
    """An image that has to be left out; the text says why, in one line."""


@dataclass(frozen=True)
class Header:
    """What is known before an image is decoded: size in pixels after EXIF rotation, and Pillow's mode."""

    height: int
    width: int
    mode: str


@contextmanager
def strict() -> Iterator[None]:
    """Inside, Pillow's warning about decompression bombs is an error and its other warnings are silent.

    Warning filters belong to the whole process: enter this once around a pool of threads, not inside each.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def reason(error: Exception) -> str:
    """Returns in one line why Pillow could not read an image."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow reads, or damaged from its first bytes on"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return (
            f"more pixels than Pillow's limit of {Image.MAX_IMAGE_PIXELS} against decompression bombs; scale "
            "it down first"
        )
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    return f"damaged ({text or type(error).__name__})"


def header(image: Image.Image) -> Header:
    """Returns what the image's header says."""
    width, height = image.size
    if _turned(image):
        width, height = height, width
    return Header(height, width, image.mode)


def _turned(image: Image.Image) -> bool:
    """Returns whether EXIF says that the image lies on its side, as far as the header tells."""
    if "exif" not in image.info:  # then getexif would decode a PNG; Pillow turns TIFF's size itself
        return False
    return image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)


def value_range(low: float, high: float, *, integer: bool) -> tuple[float, float]:
    """Returns the values of black and white, for numbers that were seen to lie between `low` and `high`.

    That is the scale whose whole range is plausibly used: [0, 1], [−1, 1], [0, 255], for integers also 10, 12, 14
    and 16 bits; otherwise what was seen.

    >>> value_range(0, 0.9, integer=False), value_range(0, 16, integer=True), value_range(3, 4e3, integer=True)
    ((0, 1), (0, 16), (0, 4095))
    """
    if low >= 0:
        if high <= 1:
            return 0, 1
        if high < 64:  # would be all but black on the scale to 255: digits to 16, palettes, masks
            return 0, high
        tops = (255, 1023, 4095, 16383, 65535) if integer else (255,)
        for top in tops:
            if high <= top:
                return 0, top
    elif low >= -1 and high <= 1:
        return -1, 1
    return low, high


def to_uint8(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Returns numbers as uint8 of the same shape, in [0, 255] with `black` at 0 and `white` at 255."""
    if values.dtype == np.uint8 and (black, white) == (0, 255):
        return values
    scale = 255 / (white - black) if white > black else 0.0
    scaled = (values.astype(np.float64) - black) * scale
    rounded: np.ndarray = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return rounded


def deep_values(image: Image.Image) -> np.ndarray:
    """Returns the values of an image with more than 8 bits, float or integer (h, w).

    Raises:
        Unreadable: some are NaN or infinite.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise Unreadable("some of its values are NaN or infinite")
    return values


def decode(
    image: Image.Image, shape: tuple[int, int, int], fit: Fit, scale: tuple[float, float] | None = None
) -> np.ndarray:
    """Returns the image as uint8 (c, h, w) in [0, 255].

    Args:
        image: as Pillow opened it; its first frame is taken.
        shape: the wanted (c, h, w), c 1 or 3.
        fit: how another aspect ratio is made to fit: `crop` cuts the longer side evenly, `pad` adds bars in the
            mean colour of the image's border, `stretch` changes the aspect ratio.
        scale: the values of black and white for images with more than 8 bits; None: told from this image alone.

    Raises:
        Unreadable: the file is damaged, a bomb, or no image.
    """
    channels, height, width = shape
    try:
        _draft(image, height, width, fit)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        flat = flatten(image, scale)
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001 - damaged files make Pillow raise nearly anything
        raise Unreadable(reason(error)) from None
    flat = flat.convert("L" if channels == 1 else "RGB")
    pixels: np.ndarray = np.asarray(resize(flat, height, width, fit))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _draft(image: Image.Image, height: int, width: int, fit: Fit) -> None:
    """Lets JPEG's decoder skip detail that scaling down would lose; a factor of 2 is kept to average over."""
    if image.format not in {"JPEG", "MPO"}:
        return
    seen = header(image)
    ratios = height / seen.height, width / seen.width
    factor = 2 * (min(ratios) if fit == "pad" else max(ratios))
    if factor < 1:
        image.draft(None, (max(1, int(image.width * factor)), max(1, int(image.height * factor))))


def flatten(image: Image.Image, scale: tuple[float, float] | None = None) -> Image.Image:
    """Returns the image in mode L or RGB: transparency on white, deep values scaled to 8 bits."""
    if image.mode in DEEP_MODES:
        values = deep_values(image)
        ends = scale or value_range(values.min(), values.max(), integer=values.dtype.kind in "iu")
        return Image.fromarray(to_uint8(values, *ends))
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colour)
        return flat.convert("L" if image.mode in GREY_MODES else "RGB")
    if image.mode in {"L", "RGB"}:
        return image
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def resize(image: Image.Image, height: int, width: int, fit: Fit) -> Image.Image:
    """Returns an L or RGB image of the wanted size; scaling down averages over the pixels it merges."""
    if image.size == (width, height):
        return image
    # Pillow widens the bicubic kernel by the scale, which antialiases; a gap of 3 looks exact and is fast.
    if fit == "stretch":
        return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if fit == "pad":
        return ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, color=_border_colour(image))
    factor = min(image.width / width, image.height / height)
    left, top = (image.width - factor * width) / 2, (image.height - factor * height) / 2
    box = (left, top, left + factor * width, top + factor * height)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _border_colour(image: Image.Image) -> tuple[int, ...]:
    """Returns the mean colour of the pixels along the image's edge."""
    mask = Image.new("1", image.size, 1)
    if min(image.size) > 2:
        mask.paste(0, (1, 1, image.width - 1, image.height - 1))
    return tuple(round(value) for value in ImageStat.Stat(image, mask).mean)


def binarise(pixels: np.ndarray) -> np.ndarray:
    """Returns pixels that are 0 or 255, uint8 of the same shape: 255 with probability value/255, drawn once.

    The static binarisation of Salakhutdinov & Murray (2008). The draw follows from the image itself, so that equal
    images stay equal, wherever they stand and whenever they are read.

    >>> int(binarise(np.full((1, 100, 100), 51, np.uint8)).mean()) in range(46, 57)
    True
    """
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(pixels).tobytes()))
    return np.where(rng.random(pixels.shape) * 255 < pixels, np.uint8(255), np.uint8(0))


def is_grey(image: Image.Image) -> bool:
    """Returns whether a flattened (L or RGB) image is grey: R, G and B differ by no more than rounding."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image).astype(np.int16)  # (h, w, 3)
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() <= _GREY_TOLERANCE)
