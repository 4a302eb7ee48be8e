"""Perceived colour difference: CAM02-UCS distances for normal, deutan and protan vision."""

import numpy as np
from colorspacious import cspace_convert

# sRGB as each kind of vision sees it; 100 is full dichromacy (Machado, Oliveira & Fernandes 2009).
VISIONS = {
    "normal": "sRGB1",
    "deutan": {"name": "sRGB1+CVD", "cvd_type": "deuteranomaly", "severity": 100},
    "protan": {"name": "sRGB1+CVD", "cvd_type": "protanomaly", "severity": 100},
}


def to_rgb(hexes: list[str]) -> np.ndarray:
    """Converts colours such as "#4269d0" to sRGB, float64 (k, 3) in [0, 1]."""
    return np.array([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in hexes]).reshape(-1, 3) / 255


def to_hex(rgb: np.ndarray) -> list[str]:
    """Converts sRGB (k, 3) in [0, 1] to colours such as "#4269d0"."""
    return ["#{:02x}{:02x}{:02x}".format(*row) for row in np.rint(rgb * 255).astype(int)]


def cam02ucs(rgb: np.ndarray, vision: str = "normal") -> np.ndarray:
    """Converts sRGB (k, 3) in [0, 1] to J', a', b' (k, 3) (Luo, Cui & Li 2006) for one of `VISIONS`."""
    seen = np.clip(cspace_convert(rgb, VISIONS[vision], "sRGB1"), 0, 1)
    converted: np.ndarray = cspace_convert(seen, "sRGB1", "CAM02-UCS")
    return converted


def distances(rgb: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Computes the CAM02-UCS distances (k, m) between two sets of colours, (k, 3) and (m, 3), for each vision."""
    pairs = {vision: (cam02ucs(rgb, vision), cam02ucs(others, vision)) for vision in VISIONS}
    return {vision: np.linalg.norm(a[:, None] - b[None], axis=2) for vision, (a, b) in pairs.items()}
