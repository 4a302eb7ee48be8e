"""Measure how often single clouds are called reliable clusters, and whether sets of groups are.

    python benchmarks/reliability.py outputs/digits outputs/mnist --out benchmarks/results/reliability.json

Each cloud is a set of vectors as an encoder might give them: a cube, a Gaussian, a sphere, a curve, a swiss roll, an
arc and others of 1 to 16 dimensions, embedded in 16 by a rotation or by a smooth map, compared by Euclidean distance
or by the cosine. It takes the way of `latentviz cluster`: neighbours, three to seven layouts, the choice of the cut,
the verdict. Runs given as arguments are clustered anew. Rows that `--out` has are not measured again, so an
interrupted benchmark continues. A Markdown table is written next to `--out`.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs, make_moons

from latentviz.clustering.cut import RELIABLE
from latentviz.clustering.reducers import directions
from latentviz.clustering.repeats import find_repeats
from latentviz.config import ClusterConfig
from latentviz.modalities.loading import OpenRun
from latentviz.progress import say
from latentviz.runs.files import write_json
from latentviz.runs.run import RunFolder
from latentviz.stages.cluster import clustered_mu, fit_to_size, with_metric
from latentviz.stages.layout import lay_out_and_cluster, updated

Random = np.random.Generator
FIRST = 500_000  # seed of the first cloud; the bounds in `clustering/prominence.py` were set with seeds below 10,000
SIZES = (200, 300, 400, 500, 700, 1_000, 1_500)
LARGE = {30: 5_000, 70: 5_000, 110: 5_000, 150: 10_000}  # cloud number → items
DIMENSIONS = (1, 2, 3, 5, 8, 16)
WIDTH = 16  # of the vectors
MOST_ITEMS = 6_000  # of a run, a random sample


def sphere(n: int, d: int, random: Random) -> np.ndarray:
    """The surface of a ball in d + 1 dimensions; a ring for d = 1."""
    points = random.normal(size=(n, d + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True) + 0.02 * random.normal(size=(n, d + 1))


def curve(n: int, d: int, random: Random) -> np.ndarray:
    """A smooth curve in four dimensions, evenly dense along its length, and a little noise."""
    del d
    frequencies, along = np.arange(1, 5), np.linspace(0, 1, 20_001)[:, None]
    phases, weights = random.uniform(0, 2 * np.pi, (4, 4)), random.normal(size=(4, 4))
    path = np.stack(
        [np.sin(1.4 * np.pi * along * frequencies + phases[i]) / frequencies @ weights[i] for i in range(4)], axis=1
    )
    length = np.append(0, np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum())
    places = random.uniform(0, length[-1], n)
    return np.stack([np.interp(places, length, column) for column in path.T], axis=1) + 0.02 * random.normal(
        size=(n, 4)
    )


def roll(n: int, d: int, random: Random) -> np.ndarray:
    """A sheet of two dimensions, rolled up in three."""
    del d
    turn = 1.5 * np.pi * (1 + 2 * random.uniform(size=n))
    return np.stack([turn * np.cos(turn), 21 * random.uniform(size=n), turn * np.sin(turn)], axis=1)


def arc(n: int, d: int, random: Random) -> np.ndarray:
    """Half a circle with noise."""
    del d
    angle = np.pi * random.uniform(size=n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.06 * random.normal(size=(n, 2))


CLOUDS: dict[str, Callable[[int, int, Random], np.ndarray]] = {
    "uniform cube": lambda n, d, random: random.uniform(size=(n, d)),
    "Gaussian": lambda n, d, random: random.normal(size=(n, d)),
    "sphere or ring": lambda n, d, random: sphere(n, min(d, 8), random),
    "curve": curve,
    "swiss roll": roll,
    "arc (a single moon)": arc,
    "Gaussian, axes of decreasing length": lambda n, d, random: (
        random.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.7
    ),
    "Student's t with 5 degrees of freedom": lambda n, d, random: random.standard_t(5, size=(n, d)),
    "exponential": lambda n, d, random: random.exponential(size=(n, d)),
}


def rotated(points: np.ndarray, random: Random) -> np.ndarray:
    """Embeds points (n, d) by a rotation, (n, at least 16)."""
    d = points.shape[1]
    return points @ np.linalg.qr(random.normal(size=(max(WIDTH, d), d)))[0].T


def bent(points: np.ndarray, random: Random) -> np.ndarray:
    """Embeds points (n, d) by a smooth random map, with a little noise, (n, 16)."""
    hidden = np.tanh(
        0.1 * points @ random.normal(size=(points.shape[1], 64)) / points.shape[1] ** 0.5 + random.uniform(-1, 1, 64)
    )
    mapped = hidden @ random.normal(size=(64, WIDTH))
    mapped = (mapped - mapped.mean(axis=0)) / mapped.std()
    return mapped + 0.02 * random.normal(size=mapped.shape)


def cloud(number: int) -> tuple[dict[str, Any], np.ndarray]:
    """Returns a single cloud's description and vectors, float32 (n, 16)."""
    random = np.random.default_rng(FIRST + number)
    name = list(CLOUDS)[number % len(CLOUDS)]
    d, n = int(random.choice(DIMENSIONS)), LARGE.get(number, int(random.choice(SIZES)))
    embedding = str(random.choice(["rotated", "rotated", "bent", "cosine"]))
    points = CLOUDS[name](n, d, random)
    points = (points - points.mean(axis=0)) / points.std()
    vectors = rotated(points, random) if embedding == "rotated" else bent(points, random)
    if embedding == "cosine":  # a patch of the sphere
        vectors = vectors + 2 * random.normal(size=WIDTH)
    row = {"cloud": name, "dimensions": d, "embedding": embedding}
    return row, vectors.astype(np.float32)


def groups() -> dict[str, np.ndarray]:
    """Returns sets of vectors with groups."""
    made = {
        "2 moons, 1,000 items": make_moons(1_000, noise=0.05, random_state=0)[0],
        "iris": load_iris().data,
        "wine, standardised": (load_wine().data - load_wine().data.mean(0)) / load_wine().data.std(0),
        "digits, pixels": load_digits().data,
    }
    for count, d, apart in ((5, 2, 6.0), (5, 16, 6.0), (20, 8, 6.0), (100, 8, 6.0), (5, 8, 4.0)):
        random = np.random.default_rng(count + d)
        centres = apart * count ** (1 / d) * random.uniform(size=(count, d))
        for _ in range(300):  # pushes the centres to a distance of at least `apart`
            gap = centres[:, None] - centres
            far = np.linalg.norm(gap, axis=2) + np.eye(count) * apart
            centres += (gap * ((apart - far).clip(0) / far)[:, :, None]).sum(axis=1) / 4
        made[f"{count} Gaussians in {d} dimensions, centres {apart:g} σ apart"] = make_blobs(
            [max(40, 1_000 // count)] * count, centers=centres, random_state=0
        )[0]
    return {name: vectors.astype(np.float32) for name, vectors in made.items()}


def measured(mu: np.ndarray, config: ClusterConfig) -> dict[str, Any]:
    """Clusters mu as `latentviz cluster` does; returns the verdict and what it rests on."""
    repeats = find_repeats(directions(mu, config.reduce.metric))
    config, _ = fit_to_size(config, len(mu) if repeats is None else len(repeats.first))
    _, choice = lay_out_and_cluster(mu, None, config, {}, repeats)
    assert choice is not None
    scores = choice.cut.scores
    return {
        "items": len(mu),
        "clusters": scores.clusters,
        "distinct": round(scores.distinct, 3),
        "agreement": round(choice.agreement or 0.0, 3),
        "reliable": choice.reliable,
    }


def of_run(path: Path) -> dict[str, Any]:
    """Clusters a run, or a sample of its items."""
    config, opened = ClusterConfig(), OpenRun(RunFolder(path))
    mu = clustered_mu(opened, config)
    if len(mu) > MOST_ITEMS:
        mu = mu[np.sort(np.random.default_rng(0).permutation(len(mu))[:MOST_ITEMS])]
    return measured(mu, with_metric(config, opened))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Returns the results in Markdown."""
    clouds = [row for row in rows.values() if "cloud" in row]
    wrong = sum(row["reliable"] for row in clouds)
    lines = [
        "# Reliable clusters: single clouds, and sets of groups",
        "",
        f"Written by `benchmarks/reliability.py`. Clusters are called reliable if at least {RELIABLE:.0%} of the items",
        "are in clusters with sparser places around them than a single cloud has. Three to seven layouts each.",
        "",
        f"Called reliable: {wrong} of {len(clouds)} single clouds ({wrong / max(1, len(clouds)):.1%}).",
        "",
        "| single clouds | of them | items | called reliable | share in distinct clusters, median | largest |",
        "|---|---|---|---|---|---|",
    ]
    kinds = defaultdict(list)
    for row in clouds:
        kinds[row["cloud"]].append(row)
        kinds[f"all, {row['embedding']}"].append(row)
        kinds[f"all of {'1 to 3' if row['dimensions'] < 4 else '5 to 16'} dimensions"].append(row)
    for name, found in sorted(kinds.items(), key=lambda item: item[0].startswith("all")):
        shares, items = [row["distinct"] for row in found], [row["items"] for row in found]
        lines.append(
            f"| {name} | {len(found)} | {min(items):,} to {max(items):,} | {sum(row['reliable'] for row in found)} | "
            f"{np.median(shares):.2f} | {max(shares):.2f} |"
        )
    lines += ["", "| groups | items | clusters | share in distinct clusters | agreement of layouts | called reliable |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {row['items']:,} | {row['clusters']} | {row['distinct']:.2f} | {row['agreement']:.2f} | "
        f"{'yes' if row['reliable'] else 'no'} |"
        for name, row in rows.items()
        if "cloud" not in row
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure the sets that are missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders with groups")
    parser.add_argument("--clouds", type=int, default=200, metavar="N", help="single clouds")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}

    def add(name: str, row: dict[str, Any]) -> None:
        say(f"{name}: {row['clusters']} clusters, {row['distinct']:.2f} of the items in distinct ones")
        rows[name] = row
        write_json(arguments.out, rows)

    config = ClusterConfig()
    for name, vectors in groups().items():
        if name not in rows:
            add(name, measured(vectors, updated(config, "reduce", metric="euclidean")))
    for path in arguments.runs:
        if (name := f"{path.name}, μ") not in rows:
            add(name, of_run(path))
    for number in range(arguments.clouds):
        if (name := f"cloud {number}") not in rows:
            row, vectors = cloud(number)
            metric = "cosine" if row["embedding"] == "cosine" else "euclidean"
            add(name, {**row, **measured(vectors, updated(config, "reduce", metric=metric))})
    arguments.out.with_suffix(".md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
