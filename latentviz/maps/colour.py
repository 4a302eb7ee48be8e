"""Colours as eyes see them: CAM02-UCS, where distance is visible difference, for deutan and protan eyes too."""

import numpy as np

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
VISIONS = {"normal": np.eye(3), "deutan": DEUTAN, "protan": PROTAN}

_RGB_TO_XYZ = (
    np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    * 100
)
_CAT02 = np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]])
_HPE = np.array([[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0.0, 0.0, 1.0]])
_WHITE = np.array([95.047, 100.0, 108.883])  # D65, the screen's
# sRGB's viewing conditions: 64 lux of ambient light, a grey surround of 20%, average surround.
_L_A, _Y_B, _F, _C, _N_C = 64 / np.pi / 5, 20.0, 1.0, 0.69, 1.0


def to_rgb(hexes: list[str]) -> np.ndarray:
    """Returns sRGB values (k, 3) in [0, 1] of colours such as "#4269d0"."""
    return np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes]).reshape(-1, 3) / 255


def to_hex(rgb: np.ndarray) -> list[str]:
    """Returns colours such as "#4269d0" of sRGB values (k, 3) in [0, 1]."""
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in np.rint(rgb * 255).astype(int)]


def cam02ucs(rgb: np.ndarray, vision: str = "normal") -> np.ndarray:
    """Returns J', a', b' (k, 3) of sRGB values (k, 3) in [0, 1], as one of `VISIONS` sees them.

    Luo, Cui & Li 2006, equations 1–7, on CIECAM02 (Moroney et al. 2002).
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ VISIONS[vision].T, 0, 1)
    adapted, white = _adapt(linear @ _RGB_TO_XYZ.T), _adapt(_WHITE[None])
    n = _Y_B / _WHITE[1]
    n_bb = 0.725 * n**-0.2
    weights = np.array([2, 1, 1 / 20])
    achromatic, achromatic_white = ((v @ weights - 0.305) * n_bb for v in (adapted, white))
    lightness = 100 * (achromatic / achromatic_white) ** (_C * (1.48 + np.sqrt(n)))
    a = adapted @ np.array([1, -12 / 11, 1 / 11])
    b = adapted @ np.array([1, 1, -2]) / 9
    hue = np.arctan2(b, a)
    eccentricity = 0.25 * (np.cos(hue + 2) + 3.8)
    t = 50000 / 13 * _N_C * n_bb * eccentricity * np.hypot(a, b) / (adapted @ np.array([1, 1, 21 / 20]))
    chroma = t**0.9 * np.sqrt(lightness / 100) * (1.64 - 0.29**n) ** 0.73
    colourfulness = np.log1p(0.0228 * chroma * _f_l() ** 0.25) / 0.0228
    return np.stack(
        [1.7 * lightness / (1 + 0.007 * lightness), colourfulness * np.cos(hue), colourfulness * np.sin(hue)], axis=1
    )


def _f_l() -> float:
    """Returns CIECAM02's luminance-level adaptation factor."""
    k4 = (1 / (5 * _L_A + 1)) ** 4
    return float(0.2 * k4 * 5 * _L_A + 0.1 * (1 - k4) ** 2 * np.cbrt(5 * _L_A))


def _adapt(xyz: np.ndarray) -> np.ndarray:
    """Returns the cone responses (k, 3) after chromatic adaptation to the white and compression."""
    degree = _F * (1 - np.exp((-_L_A - 42) / 92) / 3.6)
    cones, white = xyz @ _CAT02.T, _CAT02 @ _WHITE
    adapted = cones * (_WHITE[1] * degree / white + 1 - degree)
    responses = np.maximum(adapted @ np.linalg.inv(_CAT02).T @ _HPE.T, 0)
    power = (_f_l() * responses / 100) ** 0.42
    compressed: np.ndarray = 400 * power / (power + 27.13) + 0.1
    return compressed


def distances(rgb: np.ndarray) -> np.ndarray:
    """Returns the distances (k, k) in CAM02-UCS, each the smallest over normal, deutan and protan eyes."""
    least = np.full((len(rgb), len(rgb)), np.inf)
    for vision in VISIONS:
        place = cam02ucs(rgb, vision)
        least = np.minimum(least, np.linalg.norm(place[:, None] - place[None], axis=2))
    return least
