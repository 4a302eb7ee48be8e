"""How data travels inside the HTML file: gzipped, base64, in blocks that no browser takes for markup."""

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# A number at the end of an id or file name, and what stands around it: "img_" "007" ".png".
_NUMBERED = re.compile(r"^(.*?)(\d{1,15})(\D*)$", re.DOTALL)


def pack(content: bytes) -> str:
    """Returns bytes gzipped as base64 text; the same bytes give the same text."""
    return encode(gzip.compress(content, 9, mtime=0))


def encode(content: bytes) -> str:
    """Returns bytes that are compressed already as base64 text."""
    return base64.b64encode(content).decode("ascii")


def pack_json(content: Any) -> str:
    """Returns JSON gzipped as base64 text; numbers that JSON lacks become null."""
    text = json.dumps(_plain(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return pack(text.encode("utf-8", "replace"))


def _plain(content: Any) -> Any:
    """Returns content with NumPy's scalars and arrays, and numbers that are not finite, as JSON has them."""
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, np.ndarray):
        return _plain(content.tolist())
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, np.generic):
        return _plain(content.item())
    if isinstance(content, float):
        return content if np.isfinite(content) else None
    return content if content is None or isinstance(content, (bool, int, str)) else str(content)


def planes(values: np.ndarray) -> bytes:
    """Returns little-endian numbers byte plane by byte plane, all lowest bytes first, which gzips better."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return little.view(np.uint8).reshape(-1, little.itemsize).T.tobytes()


def pack_places(places: np.ndarray) -> str:
    """Returns which of the points something is there for, ascending, as base64 text of the uint16 gaps between them."""
    return pack(planes(np.diff(places, prepend=0).astype(np.uint16)))


def quantise(values: np.ndarray, low: float, high: float, bits: int = 16) -> np.ndarray:
    """Returns numbers in [low, high] as uint8 or uint16 steps of that range; what is not finite becomes 0."""
    top = 2**bits - 1
    finite = np.nan_to_num(np.asarray(values, np.float64), nan=low, posinf=high, neginf=low)
    scaled = (finite - low) / ((high - low) or 1)
    steps: np.ndarray = np.rint(np.clip(scaled, 0, 1) * top).astype(np.uint16 if bits > 8 else np.uint8)
    return steps


def texts(values: Sequence[Any]) -> dict[str, Any]:
    """Returns texts as the page reads them: numbered names as runs, anything else as a list.

    >>> texts(["a 1.png", "a 2.png", "a 3.png", "b", "b"])["runs"]
    [['a ', 1, 1, '.png', 3], ['b', -1, 0, '', 2]]
    """
    runs: list[list[Any]] = []
    for value in values:
        text = "" if value is None else str(value)
        found = _NUMBERED.match(text)
        head, digits, tail = found.groups() if found else (text, "", "")
        # Leading zeros are kept by a width; without them the number's own width grows, which is written as 1.
        width = len(digits) if digits.startswith("0") else min(len(digits), 1)
        number = int(digits) if digits else -1
        if runs and _continues(runs[-1], head, number, width, tail, len(digits)):
            runs[-1][4] += 1
        else:
            runs.append([head, number, width, tail, 1])
    if len(runs) * 3 <= len(values) or len(values) < 64:
        return {"runs": runs}
    return {"list": ["" if value is None else str(value) for value in values]}


def _continues(run: list[Any], head: str, number: int, width: int, tail: str, digits: int) -> bool:
    """Returns whether a numbered name comes right after the last one of a run."""
    if run[0] != head or run[3] != tail:
        return False
    if run[1] < 0 or number < 0:
        return bool(run[1] == number)
    padded = width == run[2] or (run[2] > 1 and digits == run[2])
    return bool(padded and number == run[1] + run[4])


def embed(name: str, packed: str) -> str:
    """Returns the script element, of a type that browsers leave alone, that carries a packed block."""
    return f'<script type="text/plain" id="lv-{name}">{packed}</script>\n'
