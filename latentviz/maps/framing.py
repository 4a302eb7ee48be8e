"""The part of the map that its first view frames, in the page and in `map.png`."""

import numpy as np

_CUT = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.045, 0.06)  # shares of the points that may lie outside
# What leaving out must gain: a scale larger by this factor, and by exp(16 × share), as 1.62 for 3% of the points. The
# tails of a single Gaussian do not pay at any of these shares.
_GAIN, _PRICE = 1.8, 16.0
_PAD = 0.02  # of the box's sides, around it


def bulk_box(points: np.ndarray) -> tuple[float, float, float, float]:
    """Finds the box that shows the points large: a few far groups stay outside if they would squeeze the rest.

    Args:
        points: (n, 2), finite map coordinates.

    Returns:
        x0, y0, x1, y1; the bounds of all points unless leaving some out pays.
    """
    if not len(points):
        return 0.0, 0.0, 1.0, 1.0
    middle = np.median(points, axis=0)
    spread = np.median(np.abs(points - middle), axis=0)
    spread = np.where(spread > 0, spread, np.ptp(points, axis=0) / 4 + 1e-9)
    order = np.argsort((np.abs(points - middle) / spread).max(axis=1), kind="stable")
    whole = _box(points)
    best, gained = whole, 0.0
    for share in _CUT:
        box = _box(points[order[: max(1, len(points) - int(share * len(points)))]])
        gain = np.log(np.ptp(whole, axis=0).max() / max(np.ptp(box, axis=0).max(), 1e-9))
        if gain > np.log(_GAIN) and gain - _PRICE * share > gained:
            best, gained = box, gain - _PRICE * share
    (x0, y0), (x1, y1) = best
    return float(x0), float(y0), float(x1), float(y1)


def _box(points: np.ndarray) -> np.ndarray:
    """Returns the lower and the upper corner, (2, 2), of the box around points, with some space."""
    low, high = points.min(axis=0), points.max(axis=0)
    pad = _PAD * (high - low) if (high > low).any() else 0.5
    return np.array([low - pad, high + pad])
