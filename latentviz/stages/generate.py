"""New items out of the decoder: z by one of `plans.WAYS` → p(x|z) → a sheet, single outputs, the exact z."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentviz.errors import ConfigError, choose
from latentviz.modalities.base import Outputs
from latentviz.model.samplers import SAMPLERS
from latentviz.progress import say, warn
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import WAYS, Options, Plan
from latentviz.runs.files import write_json
from latentviz.runs.run import ResultFolder, RunFolder

MOST = 100_000  # outputs of one call: each becomes a file


@dataclass(frozen=True)
class Generated:
    """What the decoder made.

    Attributes:
        z: float32 (m, d), exactly what was decoded.
        outputs: m outputs as the data kind gives them: uint8 (m, c, h, w) for images, texts for text.
        folder: where they lie.
        info: what generated.json holds.
    """

    z: np.ndarray
    outputs: Outputs
    folder: ResultFolder
    info: dict[str, Any]

    def _repr_png_(self) -> bytes | None:
        """Returns the sheet, for notebooks."""
        sheet = self.folder.path / str(self.info["sheet"][0])
        return sheet.read_bytes() if sheet.suffix == ".png" else None


def generate(
    run: RunFolder,
    *,
    n: int = 64,
    seed: int = 0,
    steps: int = 9,
    spread: float = 1.0,
    sampler: str = "auto",
    clustering: str = "default",
    name: str | None = None,
    force: bool = False,
    **way: Any,
) -> Generated:
    """Decodes z chosen by one way, and writes `generated/<name>/`.

    Args:
        run: a finished run.
        n: how many, where they are drawn.
        seed: of every draw; the same seed gives the same z.
        steps: of paths and walks.
        spread: for `like`: factor on the posterior's standard deviation.
        sampler: without a way: prior, gmm (a mixture over μ), kde (the aggregated posterior), or auto: gmm where the
            run was trained with contrast, else prior.
        clustering: whose clusters and map are meant.
        name: of the folder; None: from the way. An earlier result is never overwritten without `force`.
        force: replace an earlier result of this name.
        **way: at most one of cluster=3, between=("a", "b"), at=(1.5, −2), like="a", vector="a - b + c",
            reconstruct=["a", "b"], traverse=True, manifold=20.

    Raises:
        LatentvizError: an item or cluster is not there, or the run cannot give what is asked.
    """
    lookup = Lookup(run, clustering)
    plan, asked = choose_plan(lookup, way, n=n, seed=seed, steps=steps, spread=spread, sampler=sampler)
    for line in plan.warnings:
        warn(line)
    outputs = lookup.model.kind.decode_all(lookup.model.vae, plan.z, plan.noise)
    with run.adding("generated", name, plan.name, force=force) as folder:
        rows = [(caption, [outputs[i] for i in numbers]) for caption, numbers in plan.rows]
        sheet, files = lookup.show.draw(folder.path, list(outputs), [*plan.given, *rows])
        info = {
            **asked,
            "seed": seed,
            "latent_dim": int(plan.z.shape[1]),
            **plan.facts,
            "warnings": list(plan.warnings),
            "sheet": sheet,
            "outputs": [
                {
                    "file": file,
                    **({"from": plan.origins[i]} if plan.origins else {}),
                    **({"text": outputs[i]} if isinstance(outputs[i], str) else {}),
                    "z": plan.z[i].tolist(),
                }
                for i, file in enumerate(files)
            ],
        }
        write_json(folder.generated_file, info)
    return Generated(plan.z, outputs, folder.final, info)


def choose_plan(
    lookup: Lookup, way: dict[str, Any], *, n: int, seed: int, steps: int, spread: float, sampler: str
) -> tuple[Plan, dict[str, Any]]:
    """Returns the plan of the way that was asked for, and what was asked, for the JSON file.

    Raises:
        ConfigError: an unknown way, more than one, or a number out of range.
    """
    wanted = {name: value for name, value in way.items() if value is not None and value is not False}
    if unknown := sorted(set(wanted) - set(WAYS)):
        raise ConfigError(f"generate: unknown way {unknown[0]!r}; choose one of {', '.join(WAYS)}")
    if len(wanted) > 1:
        raise ConfigError(f"generate: one way at a time (got {', '.join(f'--{name}' for name in wanted)})")
    if not 1 <= n <= MOST:
        raise ConfigError(f"--n: must lie between 1 and {MOST:,} (got {n})")
    if not 2 <= steps <= MOST:
        raise ConfigError(f"--steps: must lie between 2 and {MOST:,} (got {steps})")
    if seed < 0:
        raise ConfigError(f"--seed: must be 0 or more (got {seed})")
    name, value = next(iter(wanted.items()), ("prior", True))
    if sampler not in {"auto", "prior"} and name != "prior":
        raise ConfigError(f"--sampler {sampler}: is for fresh draws; it cannot go with --{name}")
    choose({"auto": None, **SAMPLERS}, sampler, "--sampler")
    sampler = fitting_sampler(lookup) if sampler == "auto" and name == "prior" else sampler
    options = Options(n, steps, spread, sampler, np.random.default_rng(seed))
    asked = {"way": name, "asked": _plain(value), **({"sampler": sampler} if name == "prior" else {})}
    return WAYS[name](lookup, value, options), asked


def fitting_sampler(lookup: Lookup) -> str:
    """Returns the sampler for a run: contrast draws the μ apart into groups, and the prior knows nothing of these."""
    if not lookup.run.info()["summary"].get("contrast"):
        return "prior"
    say(
        "drawn from a mixture over μ: trained with contrast, this run's latents lie in groups that the prior misses "
        "(--sampler prior draws from it all the same)"
    )
    return "gmm"


def _plain(value: Any) -> Any:
    """Returns what was asked as JSON can hold it; paths become texts."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)
