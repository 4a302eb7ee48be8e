"""The ways to choose the z to decode: one function each, all listed in `WAYS`."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentviz.errors import ArgumentError, RunError
from latentviz.modalities.base import Shown
from latentviz.modalities.joint.config import Part, ResolvedJointConfig
from latentviz.model.samplers import aggregated, sample
from latentviz.progress import one_line, say
from latentviz.queries.lookup import CLUSTER, Lookup

NEIGHBOURS = 12  # nearest points whose mu are averaged for a position on the map
NEAR_RANK, NEAR_SHARE = 5, 0.99  # near data: the 5th neighbour is within the distance that 99% of the items have
ACTIVE = 0.01  # variance of mu above which a latent dimension is active (Burda et al. 2016, section 3.3)
WALK = 3.0  # standard deviations of the prior, in both directions
LARGEST_GRID = 40  # cells per side
WIDEST = 1_000.0  # factor on a posterior's standard deviation; decoders are meaningless long before
WIDEST_NAME = 60  # characters of what is given, in names and messages
FARTHEST = 1e30  # a coordinate on the map, whose square is still a number


class Options(NamedTuple):
    """Options of some of the ways; `ACTS` says of which."""

    rng: np.random.Generator  # source of every draw
    n: int = 64  # number of draws
    steps: int = 9  # z along a path
    spread: float = 1.0  # factor on the posterior's standard deviation
    sampler: str = "auto"  # a name in `samplers.SAMPLERS`


# Option → the ways that read it; the others refuse it.
ACTS: Mapping[str, tuple[str, ...]] = {
    "n": ("prior", "cluster", "like", "parts"),
    "steps": ("between", "traverse"),
    "spread": ("like", "parts"),
    "sampler": ("prior",),
}


@dataclass(frozen=True)
class Plan:
    """The z to decode, and the layout of the outputs."""

    name: str  # default name of the result
    z: np.ndarray  # float32 (m, d)
    rows: Sequence[tuple[str, Sequence[int]]]  # rows of the sheet: caption, and indices into z
    # rows above those: caption, and items as their data kind shows them
    given: Sequence[tuple[str, Sequence[Shown]]] = ()
    origins: Sequence[str] = ()  # what each z came from, m texts; or empty
    facts: Mapping[str, object] = field(default_factory=dict)  # further entries for the JSON file
    warnings: Sequence[str] = ()  # shown to the user
    # how much of the posterior's noise is in each z, float32 (m,): 0 for the mu of an item, 1 for a draw. Some decoders
    # read a mu more exactly. None: 1 everywhere.
    noise: np.ndarray | None = None


def from_prior(lookup: Lookup, _: bool, options: Options) -> Plan:
    """Draw n z from the sampler; samplers that are fitted are fitted to the training items."""
    train = lookup.items.train
    z = sample(options.sampler, np.asarray(lookup.mu[train]), np.asarray(lookup.logvar[train]), options.n, options.rng)
    return Plan(options.sampler, z, _block(len(z)))


def from_cluster(lookup: Lookup, number: int, options: Options) -> Plan:
    """Draw n z from a cluster's aggregated posterior: choose a member i, then z ~ q(z|xᵢ)."""
    rows = options.rng.choice(lookup.cluster(number), options.n)
    z = aggregated(lookup.mu, lookup.logvar, rows, options.rng)
    ids = lookup.ids
    return Plan(f"cluster-{number}", z, _block(len(z)), origins=[ids[row] for row in rows])


def between(lookup: Lookup, ends: Sequence[str], options: Options) -> Plan:
    """Go from one item or cluster to another, along a straight line and along an arc (White 2016)."""
    if len(ends) != 2:
        raise ArgumentError(f"--between: must be two items or clusters (got {len(ends)})")
    a, b = (lookup.place(word) for word in ends)
    at = np.linspace(0, 1, options.steps, dtype=np.float32)[:, None]
    line, arc = (1 - at) * a.mu + at * b.mu, spherical(a.mu, b.mu, at)
    steps = len(at)
    means = [i for place, pair in ((a, (0, steps)), (b, (steps - 1, 2 * steps - 1))) if place.is_item for i in pair]
    return Plan(
        f"between-{a.short}-{b.short}",
        np.concatenate([line, arc]).astype(np.float32),
        [("linear", range(steps)), ("spherical", range(steps, 2 * steps))],
        [(f"{a.name}, {b.name}", [a.given, b.given])],
        [f"{path} {float(t):.3g}" for path in ("linear", "spherical") for t in at[:, 0]],
        noise=_noise(2 * steps, means),
    )


def spherical(a: np.ndarray, b: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolate on the arc from a to b, (s, d): sin((1 − t)Ω)/sin Ω · a + sin(tΩ)/sin Ω · b (Shoemake 1985).

    t in [0, 1] is `at`, (s, 1), and Ω the angle between a and b (d,). If they are parallel, the line is straight.
    """
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    angle = math.acos(max(-1.0, min(1.0, float(a @ b) / lengths))) if lengths > 0 else 0.0
    if math.sin(angle) < 1e-4:
        line: np.ndarray = (1 - at) * a + at * b
        return line
    arc: np.ndarray = (np.sin((1 - at) * angle) * a + np.sin(at * angle) * b) / math.sin(angle)
    return arc


def at_position(lookup: Lookup, position: tuple[float, float], _: Options) -> Plan:
    """Decode a position on the map: the mean mu of its 12 nearest points with Gaussian weights.

    The bandwidth is half the distance to the 12th. A position is far from the data if its 5th nearest point is farther
    away than that of 99% of the points; it is decoded with a warning.
    """
    if not all(abs(number) <= FARTHEST for number in position):
        x, y = position
        raise ArgumentError(f"--at: must be two numbers from {-FARTHEST:g} to {FARTHEST:g} (got {x:g},{y:g})")
    placed, points, tree = lookup.placed
    rank, limit = min(NEAR_RANK, len(placed) - 1), lookup.reach(NEAR_RANK, NEAR_SHARE)
    distances, near = tree.query(np.asarray(position, np.float64), min(NEIGHBOURS, len(placed)))
    rows = placed[near]
    weights = np.exp(-0.5 * np.square(distances / max(distances[-1] / 2, 1e-9)))
    weights /= weights.sum()
    z = (weights @ np.asarray(lookup.mu[rows], np.float64)).astype(np.float32)[None]
    far = bool(distances[rank - 1] > limit)
    warning = (
        f"no data near {position[0]:g},{position[1]:g}: its {rank}th nearest point is {distances[rank - 1]:.2g} "
        f"away, which for {NEAR_SHARE:.0%} of the points is at most {limit:.2g}; the map spans x "
        f"{_span(points[:, 0])}, y {_span(points[:, 1])}"
    )
    ids = lookup.ids
    facts = {
        "near_data": not far,
        "distance": float(distances[rank - 1]),
        "near_below": limit,
        "neighbours": [ids[row] for row in rows],
        "weights": [round(float(w), 6) for w in weights],
    }
    return Plan(
        f"at-{position[0]:g}-{position[1]:g}",
        z,
        [("decoded", [0])],
        [("nearest points", list(lookup.given(rows)))],
        facts=facts,
        warnings=[warning] if far else [],
    )


def parse_spot(text: str) -> tuple[float, float]:
    """Parse `X,Y`.

    >>> parse_spot("1.5, -2")
    (1.5, -2.0)
    """
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError:
        raise ArgumentError(f"--at {text!r}: not a position on the map; write two numbers, as in --at 1.5,-2") from None
    return x, y


def like_item(lookup: Lookup, word: str, options: Options) -> Plan:
    """Draw n z around an item: z ~ N(μ, (spread·σ)²) of its posterior."""
    item = lookup.place(word)
    _check_spread(options)
    z = aggregated(item.mu[None], item.logvar[None], np.zeros(options.n, np.int64), options.rng, options.spread)
    noise = np.full(len(z), min(1.0, options.spread), np.float32)
    return Plan(f"like-{item.short}", z, _block(len(z)), [(item.name, [item.given])], noise=noise)


def from_parts(lookup: Lookup, given: Mapping[Part, str], options: Options) -> Plan:
    """Draw n z from the posterior of an item of which some parts are given, such as a caption."""
    config = lookup.opened.config
    if not isinstance(config, ResolvedJointConfig):
        raise ArgumentError(
            f"--{next(iter(given))}: {lookup.run.name} has learnt items of one part; train one with several, with "
            "`latentviz fit SOURCE data.parts=image,caption`"
        )
    _check_spread(options)
    from latentviz.modalities.joint.new import of_parts
    from latentviz.model.encoding import posteriors

    item = of_parts(given, config, lookup.run.cache)
    for note in item.notes:
        say(note)
    found = posteriors(lookup.model.vae, item.stored[None], lookup.model.kind.to_input)
    z = aggregated(found.mu, found.logvar, np.zeros(options.n, np.int64), options.rng, options.spread)
    words = [Path(word).stem if part == "image" else word for part, word in given.items()]
    said = ", ".join(f"{part} {one_line(word, WIDEST_NAME)}" for part, word in given.items())
    name = re.sub(r"[^\w-]+", "-", "-".join(words)).strip("-")[:WIDEST_NAME] or "parts"
    return Plan(name, z, _block(len(z)), [(said, [item.shown])] if "image" in given else (), facts={"given": said})


def _check_spread(options: Options) -> None:
    if not 0 <= options.spread <= WIDEST:
        raise ArgumentError(f"--spread: must be 0 to {WIDEST:g} (got {options.spread:g})")


def vector(lookup: Lookup, expression: str, _: Options) -> Plan:
    """Decode a sum of items and clusters, such as "A - B + C", with spaces around + and −."""
    terms = parse_vector(expression)
    places = [lookup.place(word) for _, word in terms]
    z = np.stack(
        [*(place.mu for place in places), sum(sign * place.mu for (sign, _), place in zip(terms, places, strict=True))]
    ).astype(np.float32)
    signed = [f"{'+' if sign > 0 else '-'} {place.name}" for (sign, _), place in zip(terms, places, strict=True)]
    m = len(places)
    return Plan(
        "vector",
        z,
        [("decoded", range(m)), ("= the sum", [m])],
        [(" ".join(signed).removeprefix("+ "), [place.given for place in places])],
        [*signed, "sum"],
        noise=_noise(m + 1, [i for i, place in enumerate(places) if place.is_item]),
    )


def parse_vector(text: str) -> list[tuple[int, str]]:
    """Parse a sum into signs and names.

    >>> parse_vector("digit-1 - cluster:2 + b c")
    [(1, 'digit-1'), (-1, 'cluster:2'), (1, 'b c')]
    """
    pieces = re.split(r"(?:^|\s+)([+-])(?:\s+|$)", text.strip())
    first, rest = pieces[0].strip(), pieces[1:]
    terms = [(1, first)] if first else []
    terms += [(1 if sign == "+" else -1, name.strip()) for sign, name in zip(rest[::2], rest[1::2], strict=True)]
    if not terms or not all(name for _, name in terms):
        raise ArgumentError(
            f'--vector {text!r}: not a sum; write items or {CLUSTER}K with spaces around + and -, as in "A - B + C"'
        )
    return terms


def reconstruct(lookup: Lookup, words: Sequence[str], _: Options) -> Plan:
    """Decode the mu of items; the sheet shows the items above their reconstructions."""
    items = [lookup.item(word) for word in ([words] if isinstance(words, str) else words)]
    if not items:
        raise ArgumentError("--reconstruct: no items (got none); give ids, row numbers or files")
    return Plan(
        "reconstruct",
        np.stack([item.mu for item in items]),
        [("decoded", range(len(items)))],
        [("given", [item.given for item in items])],
        [item.name for item in items],
        noise=_noise(len(items), range(len(items))),
    )


def traverse(lookup: Lookup, _: bool, options: Options) -> Plan:
    """Vary each active dimension from −3 to 3, with the others at the prior mean 0; largest variance of mu first."""
    variance = np.asarray(lookup.mu).var(axis=0)
    units = [int(unit) for unit in np.argsort(-variance, kind="stable") if variance[unit] > ACTIVE]
    if not units:
        raise RunError(
            f"{lookup.run.name}: no latent dimension is active (variance of mu above {ACTIVE:g}); train longer, "
            "or with a larger model.c"
        )
    steps = np.linspace(-WALK, WALK, options.steps, dtype=np.float32)
    z = np.zeros((len(units), len(steps), lookup.mu.shape[1]), np.float32)
    for row, unit in enumerate(units):
        z[row, :, unit] = steps
    rows = [(f"z{unit}", range(row * len(steps), (row + 1) * len(steps))) for row, unit in enumerate(units)]
    origins = [f"z{unit} = {step:.3g}" for unit in units for step in steps]
    return Plan(
        "traverse",
        z.reshape(-1, z.shape[2]),
        rows,
        origins=origins,
        facts={"units": units, "variances": [round(float(variance[unit]), 4) for unit in units]},
    )


def manifold(lookup: Lookup, cells: int, _: Options) -> Plan:
    """Decode a grid over a 2-d latent, at quantiles of the prior (Kingma & Welling 2013, figure 4).

    The cell centres (i + ½)/g in [0, 1]² are mapped by the inverse of the normal distribution function, so every cell
    has the same prior probability; the second coordinate grows upwards.
    """
    from scipy.special import ndtri

    d = lookup.mu.shape[1]
    if d != 2:
        raise RunError(
            f"--manifold: needs a latent of 2 dimensions (got {d} in {lookup.run.name}); train a run with "
            "`latentviz fit SOURCE model.latent_dim=2`"
        )
    if not 2 <= cells <= LARGEST_GRID:
        raise ArgumentError(f"--manifold: must be 2 to {LARGEST_GRID} cells per side (got {cells})")
    quantiles = ndtri((np.arange(cells) + 0.5) / cells)
    z = np.stack([np.tile(quantiles, cells), np.repeat(quantiles[::-1], cells)], axis=1).astype(np.float32)
    return Plan("manifold", z, [("", range(row * cells, (row + 1) * cells)) for row in range(cells)])


def _block(n: int) -> list[tuple[str, Sequence[int]]]:
    """Lay n outputs out in rows that form about a square."""
    wide = min(LARGEST_GRID, math.ceil(math.sqrt(n)))
    return [("", range(start, min(start + wide, n))) for start in range(0, n, wide)]


def _noise(m: int, means: Sequence[int]) -> np.ndarray:
    """Return the noise in m z, float32 (m,): 0 at the indices `means`, 1 elsewhere."""
    noise = np.ones(m, np.float32)
    noise[list(means)] = 0
    return noise


def _span(values: np.ndarray) -> str:
    return f"{values.min():.3g} to {values.max():.3g}"


# Option of `generate` → (lookup, value of the option, other options) → plan; "prior" if no other is given.
WAYS: Mapping[str, Callable[..., Plan]] = {
    "prior": from_prior,
    "cluster": from_cluster,
    "between": between,
    "at": at_position,
    "like": like_item,
    "parts": from_parts,
    "vector": vector,
    "reconstruct": reconstruct,
    "traverse": traverse,
    "manifold": manifold,
}
