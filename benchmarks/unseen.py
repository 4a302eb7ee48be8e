r"""Cluster three data sets that were never looked at while latentviz was developed, once, at its defaults.

    python benchmarks/unseen.py --fonts DIR --packages DIR --work outputs/benchmark-unseen

- letters: A to Z of each font file below `--fonts`, drawn on 28×28 pixels; the letter is the label. The table is of
  the 673 files of 73 Debian packages with Latin letters, which are named below (`apt-get download`, `dpkg-deb -x`).
- cells: 700 blood cells, 765 genes, from `scanpy/datasets/10x_pbmc68k_reduced.h5ad` in the PyPI package scanpy; labels
  by the cells' markers (`bulk_labels`).
- penguins: four measures of 342 penguins of three species, from `palmerpenguins/data/penguins.csv` in the PyPI package
  palmerpenguins.

`--packages` holds both packages, unpacked. Labels are used for scoring only, but by k-means, which gets their number.
Three seeds of everything; the baselines start from the pixels or the columns scaled to unit variance. The table goes
to benchmarks/results/unseen.md.

The packages of fonts, each with the prefix fonts-:
adf-accanthis adf-baskervald adf-berenis adf-gillius adf-ikarius adf-irianis adf-libris adf-mekanus adf-oldania
adf-romande adf-switzera adf-tribun adf-universalis adf-verana anonymous-pro arapey averia-sans-gwf averia-serif-gwf
b612 cabin cantarell cardo clear-sans comfortaa comic-neue courier-prime crosextra-caladea crosextra-carlito
dancingscript dosis dustin ebgaramond elstob eurofurence fantasque-sans fanwood freefont-otf georgewilliams
gfs-artemisia go hack inconsolata isabella junction junicode jura karla kaushanscript lato league-mono league-spartan
liberation lindenhill linuxlibertine lobster lobstertwo manrope mononoki national-park oldstandard open-sans
opendyslexic paratype play prociono quattrocento quicksand roboto-unhinted roboto-slab routed-gothic sil-andika
sil-charis sil-gentium.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from clustering_methods import from_pixels, kmeans, score, umap_recipe

RESULTS = Path(__file__).parent / "results" / "unseen.json"
SIDE, INNER = 28, 22  # pixels of an image, and of the longer side of a letter in it
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Items(NamedTuple):
    """A labelled data set: uint8 (n, h, w) images or float32 (n, d) columns, with their names if they have any."""

    data: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...] = ()


def letters(options: argparse.Namespace) -> Items:
    """Draw the letters; those that look the same as an earlier one are left out."""
    drawn: dict[bytes, str] = {}
    for file in sorted(options.fonts.rglob("*.[to]tf")):
        for letter, image in glyphs(file):
            drawn.setdefault(image.tobytes(), letter)
    images = np.stack([np.frombuffer(image, np.uint8).reshape(SIDE, SIDE) for image in drawn])
    return Items(images, np.array(list(drawn.values())))


def glyphs(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the letters that a font has, each centred, uint8 (28, 28)."""
    from fontTools.ttLib import TTFont
    from PIL import Image, ImageDraw, ImageFont

    try:
        has = TTFont(file, lazy=True).getBestCmap() or {}
        font = ImageFont.truetype(str(file), 96)
    except Exception as error:  # noqa: BLE001 - some files in packages are no fonts that can be read
        print(f"{file.name}: {error}", file=sys.stderr)
        return
    for letter in LETTERS:
        left, top, right, bottom = font.getbbox(letter)
        width, height = int(right - left), int(bottom - top)
        if ord(letter) not in has or min(width, height) < 1:
            continue
        large = Image.new("L", (width, height))
        ImageDraw.Draw(large).text((-left, -top), letter, fill=255, font=font)
        share = INNER / max(width, height)
        small = large.resize((max(1, round(width * share)), max(1, round(height * share))), Image.Resampling.LANCZOS)
        image = Image.new("L", (SIDE, SIDE))
        image.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
        yield letter, np.asarray(image)


def cells(options: argparse.Namespace) -> Items:
    """Read the blood cells."""
    import h5py

    with h5py.File(options.packages / "scanpy/datasets/10x_pbmc68k_reduced.h5ad") as file:
        kinds, names = file["obs"]["bulk_labels"], file["uns/bulk_labels_categories"].asstr()[:]
        return Items(file["X"][:].astype(np.float32), names[kinds].astype(str))


def penguins(options: argparse.Namespace) -> Items:
    """Read the penguins whose measures are known."""
    import pandas as pd

    table = pd.read_csv(options.packages / "palmerpenguins/data/penguins.csv")
    measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    table = table.dropna(subset=measures)
    return Items(table[measures].to_numpy(np.float32), table["species"].to_numpy(str), tuple(measures))


SETS: dict[str, Callable[[argparse.Namespace], Items]] = {"letters": letters, "cells": cells, "penguins": penguins}


def ours(folder: Path, seed: int) -> dict[str, Any]:
    """Fit and cluster with latentviz's defaults."""
    import pandas as pd

    import latentviz as lv
    from latentviz.clustering.reducers import directions

    data, labels = (np.load(folder / f"{name}.npy") for name in ("data", "labels"))
    if (columns := folder / "names.json").exists():
        data = pd.DataFrame(data, columns=json.loads(columns.read_text(encoding="utf-8")))
    run = lv.fit(data, run=f"{folder.name}-{seed}", outputs=folder, force=True, seed_everything=seed)
    found = lv.cluster(run, force=True, seed_everything=100 * seed)
    content = np.array(found.mu[:, : run.summary["content_dim"]])
    vectors = directions(content, "cosine" if run.summary["contrast"] else "euclidean")
    points = found.points
    return score(vectors, labels, points["cluster"].to_numpy(), points["nearest_cluster"].to_numpy())


METHODS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "latentviz": ours,
    "pixels or columns, latentviz's layouts and cut": lambda folder, seed: from_pixels(str(folder), seed),
    "the same, settings of UMAP's documentation": lambda folder, seed: umap_recipe(str(folder), seed),
    "k-means, given k": lambda folder, seed: kmeans(str(folder), seed),
}


def prepare(items: Items, folder: Path) -> None:
    """Write a set as latentviz gets it, and as the baselines do (`chosen.npy`, which they divide by 255)."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "data.npy", items.data)
    np.save(folder / "labels.npy", items.labels)
    if items.names:
        (folder / "names.json").write_text(json.dumps(items.names), encoding="utf-8")
    flat = items.data.reshape(len(items.data), -1)
    scaled = flat if items.data.ndim == 3 else 255 * (flat - flat.mean(0)) / flat.std(0).clip(1e-9)
    np.save(folder / "chosen.npy", scaled)


def table(found: dict[str, Any]) -> str:
    """The results as Markdown: medians, and the range of ARI."""
    lines = [
        "# Data sets that were not looked at before",
        "",
        "Written by `benchmarks/unseen.py`, which describes the sets. Medians of three seeds, and the range of ARI;",
        "noise is assigned to the nearest cluster; kNN: accuracy of 15 neighbours in what is laid out.",
        "",
        "| set | method | ARI | NMI | ACC | clusters | kNN |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name, each in found.items():
        for method, runs in each["methods"].items():
            ari, nmi, acc = ([run["nearest_cluster"][key] for run in runs] for key in ("ari", "nmi", "acc"))
            clusters, knn = ([run[key] for run in runs] for key in ("n_clusters", "knn_accuracy"))
            lines.append(
                f"| {name}, {each['n']:,} in {each['k']} classes | {method} | {statistics.median(ari):.3f} "
                f"({min(ari):.3f}–{max(ari):.3f}) | {statistics.median(nmi):.3f} | {statistics.median(acc):.3f} | "
                f"{statistics.median(clusters):.0f} | {statistics.median(knn):.3f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, required=True, metavar="DIR", help="font files")
    parser.add_argument("--packages", type=Path, required=True, metavar="DIR", help="scanpy/ and palmerpenguins/")
    parser.add_argument("--work", type=Path, default=Path("outputs/benchmark-unseen"), help="folder of data and runs")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the results, as JSON")
    options = parser.parse_args()
    found = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    for name, make in ((name, SETS[name]) for name in options.sets):
        folder = (options.work / name).resolve()
        items = make(options)
        prepare(items, folder)
        methods: dict[str, list[dict[str, Any]]] = {}
        for method, measure in METHODS.items():
            print(f"{name}, {method} …", file=sys.stderr, flush=True)
            methods[method] = [measure(folder, seed) for seed in range(options.seeds)]
        found[name] = {"n": len(items.data), "k": len(np.unique(items.labels)), "methods": methods}
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
