"""Opens an image with Pillow, reads its header, and decodes it to uint8 pixels of a given shape."""

import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, ImageStat, UnidentifiedImageError

from latentviz.errors import message_of

Fit = Literal["crop", "pad", "stretch"]

# EPS runs Ghostscript; the others are stubs that show nothing without a plug-in.
_UNWANTED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Modes with more than 8 bits per value: one image alone does not show which value is white.
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
GREY_MODES = frozenset({"1", "L", "LA", "La"}) | DEEP_MODES
# Formats of Pillow whose further frames are images of their own; those of MPO, ICNS and PSD are not.
ANIMATED_FORMATS = frozenset({"GIF", "WEBP", "PNG", "AVIF", "FLI", "DCX", "TIFF"})
# Channels of a grey image may differ by this much: JPEG rounds chroma.
_GREY_TOLERANCE = 8


@cache
def formats() -> tuple[str, ...]:
    """Names of the file formats that are read: all of Pillow's except the unwanted ones, and HEIF if it is there."""
    Image.init()
    if find_spec("pillow_heif"):
        import pillow_heif  # 20 ms, so only once an image is opened

        pillow_heif.register_heif_opener()
    return tuple(name for name in Image.ID if name not in _UNWANTED)


def open_image(file: Path | IO[bytes]) -> Image.Image:
    """Opens an image of an accepted format; reads the header only. Raises what Pillow raises."""
    try:
        return Image.open(file, formats=formats())
    except UnidentifiedImageError:
        if _is_heif(file) and "HEIF" not in formats():
            raise Unreadable("HEIC needs the package pillow-heif: `pip install 'latentviz[heic]'`") from None
        raise


def _is_heif(file: Path | IO[bytes]) -> bool:
    """Whether a file begins like HEIC photos, whatever its suffix says."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return _is_heif(stream)
    file.seek(4)
    return file.read(8) in {b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc", b"ftypmsf1"}


class Unreadable(Exception):  # noqa: N818 - not a program error: it describes one item
    """An image that has to be left out; the message gives the reason in one line."""


class NoImage(Unreadable):
    """The item has no image."""


@dataclass(frozen=True)
class Header:
    """What is known before decoding: size in pixels after EXIF rotation, and Pillow's mode."""

    height: int
    width: int
    mode: str
    animated: bool = False  # further frames follow that are images of their own


@contextmanager
def strict() -> Iterator[None]:
    """Turns Pillow's warning about decompression bombs into an error, and silences its other warnings.

    Warning filters apply to the whole process: enter this once around a thread pool, not inside each thread.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def reason(error: Exception) -> str:
    """Explains in one line why an image could not be read."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that Pillow reads, or its header is damaged"
    if isinstance(error, (Image.DecompressionBombWarning, Image.DecompressionBombError)):
        return (
            f"more pixels than Pillow's limit of {Image.MAX_IMAGE_PIXELS} against decompression bombs; "
            "scale it down first"
        )
    text = getattr(error, "strerror", "") or message_of(error)
    return f"damaged ({text or type(error).__name__})"


def header(image: Image.Image) -> Header:
    """Reads size and mode from an image's header."""
    width, height = image.size
    # Without "exif" in info, getexif would decode a PNG; Pillow itself rotates the size of a TIFF.
    if "exif" in image.info and image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8):
        width, height = height, width
    return Header(height, width, image.mode, image.format in ANIMATED_FORMATS and _animated(image))


def _animated(image: Image.Image) -> bool:
    try:
        return getattr(image, "n_frames", 1) > 1 if image.format == "TIFF" else getattr(image, "is_animated", False)
    except Exception:  # noqa: BLE001 - a damaged later frame; the first can be read
        return False


def value_range(low: float, high: float, *, integer: bool) -> tuple[float, float]:
    """Guesses the values of black and white from the least and the greatest value.

    Chooses the scale whose full range is plausibly used: [0, 1], [−1, 1], [0, 255], for integers also 10, 12, 14 and 16
    bits; otherwise [low, high].

    >>> value_range(0, 0.9, integer=False), value_range(0, 16, integer=True), value_range(3, 4e3, integer=True)
    ((0, 1), (0, 16), (0, 4095))
    """
    if low >= 0:
        if high <= 1:
            return 0, 1
        if high < 64:  # nearly black on the scale to 255: digits to 16, palettes, masks
            return 0, high
        tops = (255, 1023, 4095, 16383, 65535) if integer else (255,)
        for top in tops:
            if high <= top:
                return 0, top
    elif low >= -1 and high <= 1:
        return -1, 1
    return low, high


def known_range(
    trained: tuple[float, float] | None, low: float, high: float, *, integer: bool
) -> tuple[float, float] | None:
    """Returns black and white of the training data if new values from `low` to `high` can be on its scale.

    New images are few, so that their range alone says little: the brightest of them may be a dark one.

    >>> known_range((0, 16), 0, 12, integer=False), known_range((0, 255), 0, 1, integer=False)
    ((0, 16), None)
    """
    if trained is None or not trained[0] <= low <= high <= trained[1]:
        return None
    of_unit = not integer and high <= 1  # as in `value_range`
    return None if of_unit and trained[1] >= 64 else trained


def to_uint8(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Scales numbers to uint8 in [0, 255], `black` to 0 and `white` to 255."""
    if values.dtype == np.uint8 and (black, white) == (0, 255):
        return values
    scale = 255 / (white - black) if white > black else 0.0
    scaled: np.ndarray = np.rint(((values.astype(np.float64) - black) * scale).clip(0, 255)).astype(np.uint8)
    return scaled


def deep_values(image: Image.Image) -> np.ndarray:
    """Reads the values (h, w) of an image with more than 8 bits; raises Unreadable if some are NaN or infinite."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise Unreadable("some of its values are NaN or infinite")
    return values


def decode(
    image: Image.Image, shape: tuple[int, int, int], fit: Fit, scale: tuple[float, float] | None = None
) -> np.ndarray:
    """Decodes an image to uint8 (c, h, w) in [0, 255].

    Args:
        image: as Pillow opened it; only the first frame is used.
        shape: (c, h, w), c 1 or 3.
        fit: for another aspect ratio: `crop` cuts the longer side evenly, `pad` adds bars in the mean colour of the
            image's border, `stretch` changes the aspect ratio.
        scale: the values of black and white in images with more than 8 bits; None: guessed from this image.

    Raises:
        Unreadable: the file is damaged, a decompression bomb, or not an image.
    """
    channels, height, width = shape
    try:
        _draft(image, height, width, fit)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        flat = flatten(image, scale)
    except Exception as error:  # noqa: BLE001 - Pillow raises nearly anything on damaged files
        raise Unreadable(reason(error)) from None
    flat = flat.convert("L" if channels == 1 else "RGB")
    pixels: np.ndarray = np.asarray(resize(flat, height, width, fit))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _draft(image: Image.Image, height: int, width: int, fit: Fit) -> None:
    """Lets the JPEG decoder skip detail that scaling down would lose; keeps a factor of 2 to average over."""
    if image.format not in {"JPEG", "MPO"}:
        return
    head = header(image)
    ratios = height / head.height, width / head.width
    factor = 2 * (min(ratios) if fit == "pad" else max(ratios))
    if factor < 1:
        image.draft(None, (max(1, int(image.width * factor)), max(1, int(image.height * factor))))


def flatten(image: Image.Image, scale: tuple[float, float] | None = None) -> Image.Image:
    """Converts to mode L or RGB: transparency on white, deep values scaled to 8 bits."""
    if image.mode in DEEP_MODES:
        values = deep_values(image)
        black, white = scale or value_range(values.min(), values.max(), integer=values.dtype.kind in "iu")
        return Image.fromarray(to_uint8(values, black, white))
    mode = "L" if image.mode in GREY_MODES else "RGB"
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colour).convert(mode)
    return image if image.mode == mode else image.convert(mode)


def resize(image: Image.Image, height: int, width: int, fit: Fit) -> Image.Image:
    """Resizes an L or RGB image; scaling down averages over the pixels it merges."""
    if image.size == (width, height):
        return image
    # Pillow widens the bicubic kernel by the scale, which antialiases; a gap of 3 looks exact and is fast.
    if fit == "stretch":
        return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    if fit == "pad":
        return ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, color=_border_colour(image))
    factor = min(image.width / width, image.height / height)
    # Rounding can put a side an ulp outside the image, which Pillow refuses.
    left, top = max(0.0, (image.width - factor * width) / 2), max(0.0, (image.height - factor * height) / 2)
    box = (left, top, min(image.width, left + factor * width), min(image.height, top + factor * height))
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _border_colour(image: Image.Image) -> tuple[int, ...]:
    """Mean colour of the pixels along the image's edge."""
    mask = Image.new("1", image.size, 1)
    if min(image.size) > 2:
        mask.paste(0, (1, 1, image.width - 1, image.height - 1))
    return tuple(round(value) for value in ImageStat.Stat(image, mask).mean)


def binarise(pixels: np.ndarray) -> np.ndarray:
    """Draws each uint8 pixel as 255 with probability value/255, otherwise 0.

    The static binarisation of Salakhutdinov & Murray (2008). The seed follows from the image, so equal images stay
    equal whenever and in whatever order they are read.

    >>> int(binarise(np.full((1, 100, 100), 51, np.uint8)).mean()) in range(46, 57)
    True
    """
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(pixels).tobytes()))
    return np.where(rng.random(pixels.shape) * 255 < pixels, np.uint8(255), np.uint8(0))


def is_grey(image: Image.Image) -> bool:
    """Whether R, G and B of a flattened (L or RGB) image differ by rounding only."""
    if image.mode == "L":
        return True
    pixels = np.asarray(image).astype(np.int16)  # (h, w, 3)
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() <= _GREY_TOLERANCE)
