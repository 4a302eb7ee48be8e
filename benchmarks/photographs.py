"""Make a set of small photographs: crops of the three photographs that scikit-learn and matplotlib ship.

    python benchmarks/photographs.py FOLDER [--n 5000] [--side 128] [--seed 0]

Each crop has a random place and size (96 to 256 pixels), so that neighbours are crops of nearby places. Its label is
the photograph and the ninth of it that the crop's centre lies in. Writes JPEG files and metadata.csv with the labels.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

SMALLEST, LARGEST = 96, 256  # pixels of a crop's side, before it is resized


def originals() -> list[Image.Image]:
    """The photographs."""
    import matplotlib as mpl
    from sklearn.datasets import load_sample_images

    hopper = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return [*map(Image.fromarray, load_sample_images().images), Image.open(hopper).convert("RGB")]


def crops(n: int, side: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Make n crops, uint8 (n, side, side, 3), and their labels."""
    random, photographs = np.random.default_rng(seed), originals()
    images, labels = np.empty((n, side, side, 3), np.uint8), []
    for row in range(n):
        number = int(random.integers(len(photographs)))
        photograph = photographs[number]
        size = random.uniform(SMALLEST, LARGEST)
        left, top = (random.uniform(0, edge - size) for edge in photograph.size)
        box = (left, top, left + size, top + size)
        images[row] = np.asarray(photograph.resize((side, side), Image.Resampling.BOX, box))
        third = [int(3 * (start + size / 2) / edge) for start, edge in zip((left, top), photograph.size, strict=True)]
        labels.append(f"{number}-{third[1]}-{third[0]}")
    return images, labels


def write(folder: Path, n: int, side: int, seed: int) -> None:
    """Write n crops and their labels into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = crops(n, side, seed)
    names = [f"{row:05d}.jpg" for row in range(n)]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name, quality=90)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "label"), *zip(names, labels, strict=True)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=5_000, help="number of crops (default: 5000)")
    parser.add_argument("--side", type=int, default=128, help="pixels of a side (default: 128)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.folder, options.n, options.side, options.seed)
