"""How data travels inside the HTML file: gzip and base64, in blocks that browsers do not parse as markup."""

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

# "img_007.png" → "img_", "007", ".png": the last number and the text around it.
_NUMBERED = re.compile(r"^(.*?)(\d{1,15})(\D*)$", re.DOTALL)


def pack(content: bytes) -> str:
    """Compresses bytes to base64 text; the same bytes give the same text."""
    return encode(gzip.compress(content, 9, mtime=0))


def encode(content: bytes) -> str:
    """Encodes bytes that are already compressed as base64 text."""
    return base64.b64encode(content).decode("ascii")


def pack_json(content: object) -> str:
    """Packs content as JSON; numbers that JSON lacks become null."""
    text = json.dumps(_plain(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return pack(text.encode("utf-8", "replace"))


def _plain(content: object) -> object:
    """Replaces NumPy's types and non-finite numbers with what JSON has."""
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, (np.ndarray, np.generic)):
        return _plain(content.tolist())
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, float):
        return content if np.isfinite(content) else None
    return content if content is None or isinstance(content, (bool, int, str)) else str(content)


def planes(values: np.ndarray) -> bytes:
    """Serialises numbers as byte planes, all lowest bytes first, which compress better."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return little.view(np.uint8).reshape(-1, little.itemsize).T.tobytes()


def pack_places(places: np.ndarray) -> str:
    """Packs ascending indices as the uint16 gaps between them."""
    return pack(planes(np.diff(places, prepend=0).astype(np.uint16)))


def quantise(values: np.ndarray, low: float, high: float, bits: int = 16) -> np.ndarray:
    """Maps numbers in [low, high] to uint8 or uint16 steps; non-finite ones become 0."""
    finite = np.nan_to_num(np.asarray(values, np.float64), nan=low, posinf=high, neginf=low)
    scaled = np.clip((finite - low) / ((high - low) or 1), 0, 1)
    steps: np.ndarray = np.rint(scaled * (2**bits - 1)).astype(np.uint16 if bits > 8 else np.uint8)
    return steps


def texts(values: Sequence[object]) -> dict[str, object]:
    """Encodes texts as the page reads them: numbered names as runs, anything else as a list.

    >>> texts(["a 1.png", "a 2.png", "a 3.png", "b", "b"])["runs"]
    [['a ', 1, 1, '.png', 3], ['b', -1, 0, '', 2]]
    """
    plain = ["" if value is None else str(value) for value in values]
    runs: list[tuple[str, int, int, str, int]] = []
    for text in plain:
        found = _NUMBERED.match(text)
        head, digits, tail = found.groups() if found else (text, "", "")
        # A number with leading zeros has a fixed width; other numbers grow, which is written as width 1.
        width = len(digits) if digits.startswith("0") else min(len(digits), 1)
        number = int(digits) if digits else -1
        if runs and _continues(runs[-1], head, number, width, tail, len(digits)):
            runs[-1] = (*runs[-1][:4], runs[-1][4] + 1)
        else:
            runs.append((head, number, width, tail, 1))
    if len(runs) * 3 <= len(plain) or len(plain) < 64:
        return {"runs": [list(run) for run in runs]}
    return {"list": plain}


def _continues(run: tuple[str, int, int, str, int], head: str, number: int, width: int, tail: str, digits: int) -> bool:
    """Checks whether a numbered name directly follows the last one of a run."""
    run_head, first, run_width, run_tail, length = run
    if (run_head, run_tail) != (head, tail):
        return False
    if first < 0 or number < 0:
        return first == number
    return number == first + length and (width == run_width or (run_width > 1 and digits == run_width))
