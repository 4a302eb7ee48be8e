"""Pictures of what the model does, epoch by epoch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

GAP = 2  # white pixels between tiles
LEAST_TILE = 32  # smaller images are magnified, each pixel a square


def sheet(rows: Sequence[np.ndarray]) -> Image.Image:
    """Returns one picture with each row's images side by side on white.

    Args:
        rows: uint8 (k, c, h, w) each, k may differ.
    """
    c, h, w = rows[0].shape[1:]
    times = max(1, -(-LEAST_TILE // max(h, w)))
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (h * times + GAP) + GAP, columns * (w * times + GAP) + GAP, c), 255, np.uint8)
    for r, row in enumerate(rows):
        for i, tile in enumerate(row):
            big = tile.transpose(1, 2, 0).repeat(times, 0).repeat(times, 1)
            top, left = GAP + r * (h * times + GAP), GAP + i * (w * times + GAP)
            canvas[top : top + h * times, left : left + w * times] = big
    return Image.fromarray(canvas.squeeze(-1) if c == 1 else canvas)


def to_uint8(mean: np.ndarray) -> np.ndarray:
    """Returns pixel means in [0, 1] as uint8, same shape."""
    pixels: np.ndarray = (mean.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


class Recorder:
    """Writes `epoch-*.png` (initial, encoded–decoded, fresh samples) and, at the end, `progress.png`.

    Args:
        folder: where the pictures go.
        initial: uint8 (k, c, h, w), the items that are shown encoded and decoded.
    """

    suffix = "png"

    def __init__(self, folder: Path, initial: np.ndarray) -> None:
        self.folder, self.initial = folder, initial

    def epoch(self, name: str, decoded: np.ndarray, samples: np.ndarray) -> None:
        """Writes one epoch's picture; `decoded` and `samples` are means in [0, 1], (k, c, h, w)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sheet([self.initial, to_uint8(decoded), to_uint8(samples)]).save(self.folder / f"{name}.png")

    def finish(self, strips: int = 10) -> Path | None:
        """Writes `progress.png`: the samples row of up to `strips` epochs, first on top; same z in every row."""
        pictures = sorted(self.folder.glob("epoch-*.png"))
        if not pictures:
            return None
        chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, strips).round().astype(int))]
        rows = []
        for path in chosen:
            with Image.open(path) as picture:
                top = 2 * (picture.height - GAP) // 3
                rows.append(np.asarray(picture)[top : -GAP or None])
        strip = np.concatenate([*rows, np.full_like(rows[0][:GAP], 255)])
        target = self.folder / "progress.png"
        Image.fromarray(strip).save(target)
        return target
