"""The characters of a font that matplotlib ships, drawn: images with captions and labels that need no download."""

import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentviz.modalities.io.source import ImageSource

SIZE = 28  # pixels
FONT = "DejaVuSans.ttf"
POINTS = 20  # of the font, so that most characters fit
_LAST = 0x1F700  # code points beyond it are not in the font
_FEWEST = 20  # letters of a script that is a label


def read_glyphs() -> ImageSource:
    """Draw each named character of DejaVu Sans, 28×28 grey, white on black.

    The caption is the character's name in Unicode in lower case. The label of a letter is its script, which is the
    first word of the name; other characters, and scripts of fewer than 20 letters, have none.
    """
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font

    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / FONT
    codes = [code for code in sorted(FT2Font(str(file)).get_charmap()) if code < _LAST and _drawn(chr(code))]
    names = [unicodedata.name(chr(code)) for code in codes]
    letters = [unicodedata.category(chr(code)) in {"Lu", "Ll", "Lo"} for code in codes]
    first = [name.split()[0] if letter else "" for name, letter in zip(names, letters, strict=True)]
    scripts, counts = np.unique(first, return_counts=True)
    known = set(scripts[counts >= _FEWEST].tolist()) - {""}
    font = ImageFont.truetype(str(file), POINTS)
    return ImageSource(
        ids=[f"U+{code:04X}" for code in codes],
        origins=[f"python:glyphs/U+{code:04X}" for code in codes],
        labels=[script.lower() if script in known else None for script in first],
        open=lambda row: draw(chr(codes[row]), font),
        columns={"caption": [name.lower() for name in names]},
        notes=[f"glyphs: the named characters of {FONT}, drawn at {SIZE}×{SIZE}"],
    )


def _drawn(character: str) -> bool:
    """Whether a character has a name and leaves ink."""
    return unicodedata.name(character, "") != "" and unicodedata.category(character)[0] not in {"Z", "C"}


def draw(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw a character in the middle, grey (28, 28), made smaller if it is larger than the picture."""
    left, top, right, bottom = font.getbbox(character)
    width, height = max(1, int(right - left)), max(1, int(bottom - top))
    side = max(SIZE, width + 2, height + 2)
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text(((side - width) / 2 - left, (side - height) / 2 - top), character, 255, font=font)
    return image if side == SIZE else image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
