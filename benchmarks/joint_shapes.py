"""Measure how often a joint model draws what a text says, says what an image shows, and draws what it says itself.

    python benchmarks/joint_shapes.py [--levels 1,2,3,4,5] [--seeds 0,1,2] [SETTING=VALUE …]

The data are the recipe `shapes`. An image's attributes are those of the template that explains most of its variance: a
shape at one of many places and sizes; the best colours of shape and ground follow by least squares. An image of which
no template explains half is wrong. A text's attributes are its likeliest word for each. Strict accuracy: all
attributes are right. Text and image are held-out items; joint: z is drawn as `latentviz generate` draws it, from a
mixture over μ, or from the prior, and image and words agree.
Settings are those of `latentviz fit`.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from latentviz.modalities.joint.shapes import (
    COLOURS,
    GROUNDS,
    JITTER,
    MIDDLE,
    PLACES,
    RADII,
    SIZE,
    Drawing,
    mask,
    values,
)
from latentviz.progress import plural

RESULTS = Path(__file__).parent / "results"
DRAWN = 1_000  # z from the prior
EXPLAINED = 0.5  # of the variance of an image, at least
STEPS = 3  # sizes of each name
WAYS = ("text→image", "image→text", "joint", "joint, prior")
ABOUT = """\
Written by `benchmarks/joint_shapes.py`: strict accuracy (every attribute of an item is right) on the held-out tenth of
the recipe `shapes`, {seeds}. Joint: {drawn:,} draws as `generate` makes them, from a mixture of Gaussians
over μ, and from the prior. The attributes of an image are read off by templates, which are right for {right:.1%} of the
held-out images themselves."""


class Templates:
    """Reads the attributes of images by the shapes that a level can draw.

    Args:
        level: of the recipe.
    """

    def __init__(self, level: int) -> None:
        self.known = values(level)
        steps = np.linspace(-JITTER, JITTER, 5).tolist()
        sizes = {name: RADII[name] for name in self.known.get("size", ("big",))}
        places = {name: PLACES[name] for name in self.known["place"]} if "place" in self.known else {"": MIDDLE}
        drawn, self.names = [], list[dict[str, str]]()
        for shape, (size, radii), (place, (x, y)) in itertools.product(
            self.known["shape"], sizes.items(), places.items()
        ):
            for radius, across, down in itertools.product(np.linspace(*radii, STEPS).tolist(), steps, steps):
                drawn.append(np.asarray(mask(shape, (x + across, y + down), radius), np.float32).ravel() / 255)
                self.names.append({"shape": shape, "size": size, "place": place})
        masks = np.stack(drawn)
        self.means = masks.mean(1)
        self.masks = masks - self.means[:, None]
        self.squares = np.square(self.masks).sum(1)

    def read(self, images: np.ndarray) -> list[Drawing | None]:
        """Return the attributes of images, float (n, 3, 32, 32) in [0, 1]; None where no template explains half."""
        x = images.reshape(len(images), 3, -1).astype(np.float32)
        mean = x.mean(2)
        products = np.einsum("tp,ncp->nct", self.masks, x - mean[..., None], optimize=True)
        explained = np.square(products).sum(1) / self.squares  # (n, t)
        total = np.square(x - mean[..., None]).sum((1, 2))
        best = explained.argmax(1)
        found = list[Drawing | None]()
        for row, number in enumerate(best.tolist()):
            slope = products[row, :, number] / self.squares[number]
            ground = 255 * (mean[row] - slope * self.means[number])
            colours = {"colour": _nearest(ground + 255 * slope, COLOURS), "ground": _nearest(ground, GROUNDS)}
            named = {**self.names[number], **colours}
            enough = explained[row, number] >= EXPLAINED * total[row] and total[row] > 0
            found.append(Drawing(**{name: named[name] for name in self.known}) if enough else None)
        return found


def _nearest(colour: np.ndarray, named: Mapping[str, tuple[int, int, int]]) -> str:
    return min(named, key=lambda name: float(np.square(colour - named[name]).sum()))


def said(level: int, words: Sequence[str], shares: np.ndarray) -> list[Drawing]:
    """Return the likeliest word for each attribute, from the probabilities of the words (n, v)."""
    column = {word: shares[:, number] for number, word in enumerate(words)}
    chosen = {}
    for name, known in values(level).items():
        scores = [np.prod([column[word] for word in value.split()], axis=0) for value in known]
        chosen[name] = [known[best] for best in np.argmax(scores, axis=0).tolist()]
    return [Drawing(**dict(zip(chosen, row, strict=True))) for row in zip(*chosen.values(), strict=True)]


def share(some: Sequence[Drawing | None], others: Sequence[Drawing | None]) -> float:
    """Return how often both are the same."""
    return float(np.mean([one is not None and one == other for one, other in zip(some, others, strict=True)]))


def measured(level: int, seed: int, folder: Path, settings: Sequence[str]) -> dict[str, Any]:
    """Fit on a level, and measure on its held-out items."""
    import latentviz as lv
    from latentviz.config import parse_overrides

    given: dict[str, Any] = parse_overrides(settings)
    data = {"level": level, **given.pop("data", {})}
    start = time.process_time()
    run = lv.fit("shapes", outputs=folder, run=f"{level}-{seed}", data=data, seed_everything=seed, preview=0, **given)
    seconds = time.process_time() - start
    return {"level": level, "seed": seed, "cpu_seconds": round(seconds, 1), **scores(run.path, level, seed)}


def scores(path: Path, level: int, seed: int) -> dict[str, float]:
    """Return the strict accuracies of a run on its held-out items."""
    import torch

    from latentviz.modalities.joint.kind import JointKind
    from latentviz.modalities.loading import load_model
    from latentviz.model.encoding import posteriors
    from latentviz.model.samplers import sample
    from latentviz.runs.run import RunFolder

    loaded = load_model(RunFolder.open(path))
    kind, vae, layout = loaded.kind, loaded.vae, loaded.kind.layout
    assert isinstance(kind, JointKind)
    stored, templates = kind.packed[kind.items.val], Templates(level)
    pixels, words = layout.slices["image"], layout.slices["caption"]

    def decoded(z: np.ndarray) -> tuple[list[Drawing | None], list[Drawing]]:
        with torch.inference_mode():
            expected = vae.decode(torch.from_numpy(z)).numpy()
        return templates.read(colour(expected[:, pixels])), said(level, layout.words, expected[:, words])

    def colour(flat: np.ndarray) -> np.ndarray:
        images = flat.reshape(-1, *layout.image)
        return np.broadcast_to(images, (len(images), 3, SIZE, SIZE))  # grey below level 3

    def of(part: str) -> np.ndarray:
        alone = stored.copy()
        alone[:, : len(layout.parts)] = np.array(layout.parts) == part
        return posteriors(vae, alone, kind.to_input).mu

    truth = said(level, layout.words, stored[:, words].astype(np.float32))
    known = posteriors(vae, kind.packed[kind.items.train], kind.to_input)
    drawn = {
        name: decoded(sample(name, known.mu, known.logvar, DRAWN, np.random.default_rng(seed)))
        for name in ("prior", "gmm")
    }
    return {
        "templates": share(templates.read(colour(stored[:, pixels] / 255)), truth),
        "text→image": share(decoded(of("caption"))[0], truth),
        "image→text": share(decoded(of("image"))[1], truth),
        "joint": share(*drawn["gmm"]),
        "joint, prior": share(*drawn["prior"]),
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the results in Markdown."""
    lines = [f"| level | {' | '.join(WAYS)} | CPU s |", f"|---|{'--:|' * (len(WAYS) + 1)}"]
    for level in sorted({line["level"] for line in found}):
        of_level = [line for line in found if line["level"] == level]
        cells = [f"{median(line[way] for line in of_level):.2f}" for way in WAYS]
        lines.append(f"| {level} | {' | '.join(cells)} | {median(line['cpu_seconds'] for line in of_level):.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--levels", default="1,2,3,4,5")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--trial", action="store_true", help="print, and write nothing")
    options = parser.parse_intermixed_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    results, found = RESULTS / "joint-shapes.json", list[dict[str, Any]]()
    if results.exists() and not options.trial:  # levels and seeds that were measured before with these settings
        known = json.loads(results.read_text(encoding="utf-8"))
        found = known["runs"] if known["settings"] == options.settings else []
    for level, seed in itertools.product(map(int, options.levels.split(",")), map(int, options.seeds.split(","))):
        with tempfile.TemporaryDirectory(prefix="latentviz-") as name:
            line = measured(level, seed, Path(name), options.settings)
        print(json.dumps(line, ensure_ascii=False), flush=True)
        found = [each for each in found if (each["level"], each["seed"]) != (level, seed)] + [line]
        if options.trial:
            continue
        n = len({each["seed"] for each in found})
        seeds = plural(n, "seed") + (" (medians)" if n > 1 else "")
        about = ABOUT.format(seeds=seeds, drawn=DRAWN, right=min(each["templates"] for each in found))
        (RESULTS / "joint-shapes.md").write_text(f"# Drawn shapes and their captions\n\n{about}\n\n{table(found)}\n")
        content = {"settings": options.settings, "runs": found}
        results.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
