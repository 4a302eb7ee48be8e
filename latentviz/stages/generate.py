"""New items: choose z in one of the ways of `queries.ways`, decode p(x|z), and write a sheet, the outputs and the z."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentviz.display import LISTED, Rows, Shown, link, picture
from latentviz.errors import ArgumentError, choose
from latentviz.modalities.base import Outputs
from latentviz.modalities.joint.config import PARTS
from latentviz.model.samplers import SAMPLERS
from latentviz.progress import plural, say, warn
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import ACTS, WAYS, Options, Plan
from latentviz.runs.files import write_json
from latentviz.runs.run import ResultFolder, RunFolder

NAMED = {"prior": "fresh draws", "parts": "given parts such as --caption"}  # ways, where a message lists them
MOST = 100_000  # outputs of one call: each becomes a file


@dataclass(frozen=True, repr=False)
class Generated(Shown):
    """Decoded outputs.

    Attributes:
        z: float32 (m, d), what was decoded.
        outputs: images, uint8 (m, c, h, w); m texts; or vectors, float32 (m, D), in the units of the data.
        folder: where they are.
        asked: the way, its value, the sampler of fresh draws, and the seed.
        plan: how z was chosen.
        sheet: names of the sheet's files.
        files: the file of each output, m names.
        texts: the outputs in words, m texts; those of vectors name the nearest items. Empty for images.
        lines: what a terminal shows, one line per output; empty for images.
    """

    z: np.ndarray
    outputs: Outputs
    folder: ResultFolder
    asked: Mapping[str, object]
    plan: Plan
    sheet: Sequence[str]
    files: Sequence[str]
    texts: Sequence[str]
    lines: Sequence[str]

    @property
    def info(self) -> dict[str, object]:
        """The content of generated.json."""
        origins = self.plan.origins
        return {
            **self.asked,
            "latent_dim": int(self.z.shape[1]),
            **self.plan.facts,
            "warnings": list(self.plan.warnings),
            "sheet": list(self.sheet),
            "outputs": [
                {
                    "file": file,
                    **({"from": origins[i]} if origins else {}),
                    **({"text": str(self.texts[i])} if self.texts else {}),
                    "z": self.z[i].tolist(),
                }
                for i, file in enumerate(self.files)
            ],
        }

    def _shown(self) -> tuple[str, Rows]:
        lines = list(zip(self.files, self.lines, strict=False))[:LISTED]
        if lines and (more := len(self.files) - len(lines)) > 0:
            lines.append((f"{more:,} more", str(self.folder.path)))
        drawn = [] if self.asked["asked"] is True else [(str(self.asked["way"]), self.asked["asked"])]
        return f"Generated: {self.folder.path.name}", [
            *drawn,
            ("z", f"{self.z.dtype} {self.z.shape}"),
            ("outputs", f"{len(self.files):,}"),
            *lines,
            ("sheet", self.folder.path / self.sheet[0]),
        ]

    def _repr_html_(self) -> str:
        """Return the sheet of images, or the texts."""
        sheet = self.folder.path / self.sheet[0]
        drawn = picture(sheet, "generated items") if sheet.suffix == ".png" else ""
        return f"{drawn}{Shown._repr_html_(self)}<div>{link(sheet, f'Open {sheet.name}')}</div>"


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
    **ways: object,
) -> Generated:
    """Decode new items and write `generated/<name>/`; `verbs.generate` says what each option does.

    Of `ways`, the options in `WAYS`, at most one has a value other than None and False; without one, z are fresh draws.

    Raises:
        LatentvizError: an item or cluster does not exist, or the run cannot give what is asked.
    """
    ways = {way: value for way, value in ways.items() if value is not None and value is not False}
    parts = {part: str(ways.pop(part)) for part in PARTS if part in ways}
    if len(ways) + bool(parts) > 1:
        got = ", ".join(f"--{way}" for way in (*ways, *parts))
        raise ArgumentError(f"generate: takes one way at a time, or several of the parts of an item (got {got})")
    if parts:
        ways["parts"] = parts
    if seed < 0:
        raise ArgumentError(f"--seed: must be 0 or more (got {seed})")
    way, value = next(iter(ways.items()), ("prior", True))
    given = Options(np.random.default_rng(seed), n, steps, spread, sampler)
    for option, where in ACTS.items():
        if way not in where and (got := getattr(given, option)) != Options._field_defaults[option]:
            these = " and ".join(NAMED.get(name, f"--{name}") for name in where)
            other = f"leave out --{next(iter(parts), way)}" if ways else f"give --{where[0]}"
            raise ArgumentError(f"--{option}: is for {these} (got {got}); leave it out, or {other}")
    if not 1 <= n <= MOST:
        raise ArgumentError(f"--n: must be 1 to {MOST:,} (got {n})")
    if not 2 <= steps <= MOST:
        raise ArgumentError(f"--steps: must be 2 to {MOST:,} (got {steps})")
    choose({"auto": None, **SAMPLERS}, sampler, "--sampler")
    lookup = Lookup(run, clustering)
    if way == "prior" and sampler == "auto":
        sampler = fitting_sampler(lookup)
    plan = WAYS[way](lookup, value, given._replace(sampler=sampler))
    if len(plan.z) > MOST:
        raise ArgumentError(
            f"--steps: gives {plural(len(plan.z), 'output')} (got {steps:,}); at most {MOST:,} are written"
        )
    drawn = {"sampler": sampler} if way == "prior" else {}
    return write(lookup, plan, {"way": way, "asked": _plain(value), **drawn, "seed": seed}, name=name, force=force)


def write(lookup: Lookup, plan: Plan, asked: Mapping[str, object], *, name: str | None, force: bool) -> Generated:
    """Decode the z of a plan and write the outputs, the sheet and generated.json."""
    for line in plan.warnings:
        warn(line)
    kind = lookup.model.kind
    outputs = kind.decode_all(lookup.model.vae, plan.z, plan.noise)
    texts = outputs if isinstance(outputs, Sequence) else []
    with lookup.run.adding("generated", name, plan.name, force=force) as folder:
        rows = [(caption, [outputs[i] for i in numbers]) for caption, numbers in plan.rows]
        sheet, files = lookup.show.draw(folder.path, list(outputs), [*plan.given, *rows])
        lines = lookup.show.lines(list(outputs))
        made = Generated(plan.z, kind.values_of(outputs), folder.final, asked, plan, sheet, files, texts, lines)
        write_json(folder.generated_file, made.info)
    return made


def fitting_sampler(lookup: Lookup) -> str:
    """Choose the sampler for a run: contrast separates the mu into groups, which the prior does not know."""
    if not lookup.opened.contrast:
        return "prior"
    say(
        "drawn from a mixture over mu: the run was trained with contrast, so its latents form groups that the prior "
        "misses (--sampler=prior draws from the prior instead)"
    )
    return "gmm"


def _plain(value: object) -> object:
    """Convert a value to what JSON can hold; paths become texts."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value if isinstance(value, (bool, int, float, str)) else str(value)
