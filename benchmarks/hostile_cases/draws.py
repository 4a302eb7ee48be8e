"""Random settings, words, names and calls."""

import inspect
import math
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hostile_cases.tables import KINDS, SMALL, Case, every

ODD = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    1e308,
    1e-308,
    -0.0,
    10**20,
    -(10**20),
    "",
    "auto",
    "x",
    "1",
    "\0",
    "../..",
    [],
    {},
)
ODD += (
    [[]],
    [None],
    {"a": 1},
    float("nan"),
    float("inf"),
    "/dev/zero",
    "null",
    "é\u202e\x1b[31m",
    0.5,
    1.5,
    "x" * 5000,
)
PYTHON = (
    *map(repr, (v for v in ODD if not (isinstance(v, float) and not math.isfinite(v)))),
    "np.nan",
    "np.inf",
    "b'x'",
)
PYTHON += (
    "np.int64(1)",
    "np.float32(1)",
    "np.zeros(3)",
    "np.zeros((2, 2, 2))",
    "Path('nowhere')",
    "object()",
    "(1, 2)",
)
PYTHON += (
    "int",
    "lambda: 1",
    "range(3)",
    "{1}",
    "np.array(['a'])",
    "(x for x in [1])",
    "'outside/thesis.tex'",
    "lv",
    "1j",
)
ODD_NAMES = (
    "a\nb",
    "a\tb",
    "\x1b[31mred",
    "a\rb",
    "\x07",
    "é",
    "e\u0301",
    "\u202eabc",
    "a b",
    " a",
    "a ",
    "-x",
    "--force",
    "=",
)
ODD_NAMES += (
    "a=b",
    "a:b",
    "a'b",
    'a"b',
    "$HOME",
    "`id`",
    "*",
    "~",
    "~root",
    "con",
    ".",
    "..",
    "...",
    ".x",
    "a\0b",
    "\udcff",
)
ODD_NAMES += (
    "x" * 300,
    "a/b",
    "/a",
    "a\\b",
    "#c",
    "%s",
    "{}",
    "\ufeff",
    "\u2028",
    "null",
    "1",
    "1.5",
    "[a]",
    "<b>",
    "&lt;",
    "\ud800",
)


def value_of(schema: dict[str, Any], draw: random.Random) -> Any:
    """Draw a value for a setting of this JSON schema: often an allowed one, small or at a bound."""
    if draw.random() < 0.4:
        return draw.choice([value for value in ODD if not (isinstance(value, (int, float)) and value > 64)])
    for part in ("anyOf", "oneOf"):
        if part in schema:
            return value_of(draw.choice(schema[part]), draw)
    bounds = [schema[key] for key in ("minimum", "exclusiveMinimum", "default") if key in schema]
    if "enum" in schema or "const" in schema:
        return draw.choice(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "integer":
        return draw.choice([value for value in (*bounds, 2, 3, 8) if value != "auto"])
    if schema.get("type") == "number":
        return draw.choice([value for value in (*bounds, 0.5, 1e-6, 1.0) if value != "auto"])
    return draw.choice([True, False, "auto", "none", *bounds, []])


@cache
def settings_of(kind: str | None) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each setting by its dotted key: of `fit` for a kind, or of `cluster`."""
    from latentviz.config import ClusterConfig
    from latentviz.modalities import modality

    config = ClusterConfig if kind is None else modality(kind).config
    found: dict[str, dict[str, Any]] = {}
    for name, field in config.model_fields.items():
        section = field.annotation
        if inspect.isclass(section) and hasattr(section, "model_json_schema"):
            found.update({f"{name}.{key}": value for key, value in section.model_json_schema()["properties"].items()})
        elif name != "trainer":
            found[name] = {"type": "integer"}
    return found


@cache
def trainer_keys() -> tuple[str, ...]:
    """Return the names of the Trainer's arguments."""
    from pytorch_lightning import Trainer

    return tuple(inspect.signature(Trainer.__init__).parameters)[1:]


TRAINER = (
    *(
        1,
        2,
        0,
        -1,
        0.5,
        1.5,
        True,
        False,
        None,
        "auto",
        "abc",
        "",
        "16-true",
        "64-true",
        "bf16-mixed",
        "32",
        "tpu",
        "gpu",
    ),
    *(
        "cpu",
        "mps",
        7,
        [0],
        [9],
        "norm",
        "value",
        "ddp",
        "min",
        "00:00:00:01",
        float("nan"),
        float("inf"),
        {},
        -5,
        1e308,
    ),
)


def setting(key: str, schema: dict[str, Any], draw: random.Random) -> str:
    """Write one drawn setting as key=value."""
    return f"{key}={value_of(schema, draw)}"


def random_settings(draw: random.Random) -> Iterator[Case]:
    """Draw settings of every section for `fit`, `config`, `cluster` and `map`, one to three at a time."""
    for number in range(300):
        kind = KINDS[number % 3]
        keys = settings_of(None if number % 5 == 4 else kind)
        chosen = draw.sample(sorted(keys), draw.choice([1, 1, 2, 3]))
        drawn = [setting(key, keys[key], draw) for key in chosen if key != "data.path"]
        if number % 5 == 4:
            base = [] if any(key.startswith("reduce.m") for key in chosen) else ["reduce.method=pca"]
            yield Case(kind, ("cluster", "r", "--name", "again", *base, *drawn))
        elif number % 5 == 3:
            yield Case(kind, ("config", "DATA", *drawn))
        else:
            small = [word for word in SMALL[kind].split() if word.split("=")[0] not in chosen]
            yield Case(kind, ("fit", "DATA", "--run", "again", *small, "trainer.max_epochs=1", *drawn))


def random_trainers(draw: random.Random) -> Iterator[Case]:
    """Draw each key of the Trainer with several values, in the shell and in Python."""
    for number, key in enumerate([*trainer_keys(), *trainer_keys(), *trainer_keys(), *trainer_keys()]):
        kind, value = KINDS[number % 3], draw.choice(TRAINER)
        if key.startswith(("max_", "min_")) and value in (7, 1e308, float("inf")):  # that would be a long training
            value = 1
        more = {"trainer.max_epochs": "1", f"trainer.{key}": value}
        words = [word for word in SMALL[kind].split() if "max_epochs" not in word]
        yield Case(kind, ("fit", "DATA", "--run", "again", *words, *(f"{k}={v}" for k, v in more.items())))


def random_words(draw: random.Random) -> Iterator[Case]:
    """Draw a command, its positional words and options from the argparse tree."""
    from latentviz.shell.cli import parsers

    parsed = parsers()[1]
    words = (
        "r",
        "0",
        "1",
        "NEW",
        "-1",
        "nan",
        "cluster:0",
        "1,1",
        "",
        "x",
        "cluster == 0",
        "a=b",
        "tree",
        "2",
        "0 - 1",
        "again",
    )
    words += ("1e400", "9" * 30, "\0", "\udcff", "é", "\x1b[31m\n", "-", "--", "@x", "kept", "pca", "reduce.method=pca")
    for number in range(300):
        command = draw.choice(sorted(parsed))
        options = [option for action in parsed[command]._actions for option in action.option_strings]
        options = [option for option in options if option not in {"-h", "--help"}]
        line = [draw.choice(["r", "r", "r", draw.choice(words)])]
        line += [draw.choice([*options, *words]) if options else draw.choice(words) for _ in range(draw.randrange(5))]
        if command == "fit":
            line = ["DATA", *line[1:], "trainer.max_epochs=1", "--run", "again"]
        yield Case(KINDS[number % 3], (command, *line))


def random_names(draw: random.Random) -> Iterator[Case]:
    """Give odd names to everything that has one: runs, folders, clusterings, results, titles, items, data files."""
    ways = (
        *("config X", "generate r --n 1 --name X", "generate r --n 1 --name=X", "cluster r --name X reduce.method=pca"),
        *(
            "runs --outputs X",
            "map r title=X",
            "map r colour_by=X",
            "recommend r X",
            "generate r --like X",
            "evaluate X",
        ),
        *(
            "recommend r 0 --name X",
            "recommend r 0 --where X",
            "encode r NEW --name X",
            "encode r X",
            "map r --clustering X",
        ),
        "fit DATA --run X TINY",
        "fit DATA --run again --outputs X TINY",
    )
    for number, name in enumerate(ODD_NAMES * 5):
        way = draw.choice(ways)
        yield Case(
            KINDS[number % 3], tuple(name if word == "X" else word.replace("=X", f"={name}") for word in way.split())
        )

    def plant(folder: Path, names: random.Random) -> str:
        name = names.choice(
            [name for name in ODD_NAMES if not set(name) & set("/\0\ud800") and name not in {".", ".."}]
        )[:200]
        (folder / "outputs" / "r").rename(folder / "outputs" / name)
        return f"the run is called {name!r}"

    yield from every(
        [plant] * 20, ("evaluate", "cluster reduce.method=pca --name again", "generate --n 1", "runs", "map"), 1
    )


def random_calls(draw: random.Random) -> Iterator[Case]:
    """Call the functions and methods of Python with odd arguments."""
    import latentviz as lv

    names = ("fit", "open", "cluster", "map", "evaluate", "generate", "recommend", "encode", "export", "inspect")
    for number in range(250):
        name = names[number % len(names)]
        parameters = list(inspect.signature(getattr(lv, name)).parameters.values())
        by_name = {
            p.name: draw.choice(PYTHON) for p in draw.sample(parameters, min(len(parameters), draw.choice([1, 1, 2])))
        }
        first = {"fit": ("source", "'outside/nothing'"), "inspect": ("source", "'outside/thesis.tex'")}.get(
            name, ("run", "'r'")
        )
        by_name = {first[0]: first[1], **by_name}
        if name == "recommend":
            by_name = {"items": "[0]", **by_name}
        if name == "encode":
            by_name = {"data": "'outside/thesis.tex'", **by_name}
        if name == "fit" and "outputs" not in by_name:
            by_name["trainer"] = by_name.get("trainer", "{'max_epochs': 1}")
        yield Case(
            KINDS[number % 3], ("py", f"lv.{name}({', '.join(f'{key}={value}' for key, value in by_name.items())})")
        )
