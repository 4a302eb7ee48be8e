"""The shell's side: the argparse tree, and one line with exit code 2 for a user's mistake."""

import argparse
import errno
import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from latentviz.errors import LatentvizError

SETTINGS = "settings, such as model.latent_dim=16"
OVERRIDE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=")
# What the machine refuses, whatever the program does: a full disk, one that may not be written to, a name too long.
REFUSALS = {
    errno.ENOSPC,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ENAMETOOLONG,
    getattr(errno, "EDQUOT", errno.ENOSPC),
}
SPOT = re.compile(r"-[\d.eE+-]+,[\d.eE+-]+$")  # whose sign argparse would take for an option's


class Parser(argparse.ArgumentParser):
    """argparse's parser, but that a mistake is told in one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        """Tells a mistake and ends with exit code 2."""
        self.exit(2, f"{self.prog.replace(' ', ': ', 1)}: {message}; `{self.prog} --help` lists the options\n")


class Command(NamedTuple):
    """One entry of the argparse tree."""

    summary: str
    arguments: Callable[[Parser], None]
    examples: str


def _outputs(parser: Parser) -> None:
    parser.add_argument("--outputs", default="outputs", metavar="DIR", help="folder of the runs (default: outputs)")


def _fit(parser: Parser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a recipe, a YAML file, a folder, a file, or hf:NAME")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=SETTINGS)
    parser.add_argument("--run", metavar="NAME", help="name of the run (default: from SOURCE)")
    _outputs(parser)
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--force", action="store_true", help="replace an existing run")


def _cluster(parser: Parser) -> None:
    parser.add_argument(
        "words", nargs="*", metavar="RUN|key=value", help="a run's name or path (default: the newest), and settings"
    )
    parser.add_argument("--name", default="default", help="name of this clustering (default: default)")
    _outputs(parser)
    parser.add_argument("--force", action="store_true", help="replace an existing clustering of this name")


def _evaluate(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name or path (default: the newest)")
    parser.add_argument("--clustering", metavar="NAME", help="which clustering (default: default, if there is one)")
    _outputs(parser)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON and nothing else")


def _map(parser: Parser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="RUN|key=value",
        help="a run's name or path (default: the newest), and title=, theme=, colour_by=, layers=",
    )
    parser.add_argument("--clustering", default="default", metavar="NAME", help="which clustering (default: default)")
    _outputs(parser)


def _config(parser: Parser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a recipe, a YAML file, a folder, a file, or hf:NAME")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=SETTINGS)


def _run(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's name or path (default: the newest)")
    _outputs(parser)


def _named(parser: Parser, group: str) -> None:
    parser.add_argument("--clustering", default="default", metavar="NAME", help="whose clusters and map are meant")
    parser.add_argument("--name", help=f"name of the folder in {group}/ (default: from what is asked)")


def _generate(parser: Parser) -> None:
    _run(parser)
    ways = parser.add_argument_group("what to draw: fresh draws, or one of").add_mutually_exclusive_group()
    ways.add_argument("--cluster", type=int, metavar="K", help="draws from that cluster's aggregated posterior")
    ways.add_argument("--between", nargs=2, metavar=("A", "B"), help="the way from A to B: items, or cluster:3")
    ways.add_argument("--at", metavar="X,Y", help="a spot of the map")
    ways.add_argument("--like", metavar="ITEM", help="draws around an item's posterior")
    ways.add_argument("--vector", metavar='"A - B + C"', help="a sum of items or clusters")
    ways.add_argument("--reconstruct", nargs="+", metavar="ITEM", help="items, encoded and decoded")
    ways.add_argument("--traverse", action="store_true", help="each active unit walked from −3 to 3")
    ways.add_argument("--manifold", type=int, metavar="G", help="a G×G grid over a latent of 2 dimensions")
    parser.add_argument("--n", type=int, default=64, help="how many, where they are drawn (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    parser.add_argument("--steps", type=int, default=9, help="of --between and --traverse (default: 9)")
    parser.add_argument("--spread", type=float, default=1.0, help="of --like, in posterior deviations (default: 1)")
    parser.add_argument(
        "--sampler",
        default="auto",
        help="of fresh draws: prior, gmm (a mixture over μ), kde (around "
        "the items), or auto: prior, and gmm after training with contrast",
    )
    _named(parser, "generated")
    parser.add_argument("--force", action="store_true", help="replace an earlier result of this name")
    parser.add_argument("--json", action="store_true", help="print what generated.json holds")


def _recommend(parser: Parser) -> None:
    parser.usage = "%(prog)s [options] [RUN] ITEM [ITEM ...]"
    parser.add_argument(
        "items",
        nargs="+",
        metavar="[RUN] ITEM",
        help="a run (default: the newest), then items: ids, row numbers, files, texts in quotes",
    )
    _outputs(parser)
    parser.add_argument("-k", type=int, default=10, help="how many (default: 10)")
    parser.add_argument("--not", nargs="+", dest="disliked", default=[], metavar="ITEM", help="keep away from these")
    parser.add_argument("--metric", default="cosine", help="cosine or euclidean (default: cosine)")
    parser.add_argument(
        "--diverse", type=float, default=0.0, metavar="λ", help="0 to 1: how much results should differ (default: 0)"
    )
    parser.add_argument("--where", metavar="CONDITION", help='only items that fulfil it, as in "cluster == 3"')
    parser.add_argument(
        "--on",
        default="auto",
        help="dimensions of μ: all, content (what is clustered), or auto: all, and of sentences the topic",
    )
    _named(parser, "recommended")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of the table")


def _encode(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's name or path")
    parser.add_argument("data", metavar="DATA", help="a folder, a file, or hf:NAME")
    _outputs(parser)
    _named(parser, "encoded")
    parser.add_argument("--force", action="store_true", help="replace an earlier result of this name")


def _export(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--onnx", action="store_true", help="encoder.onnx and decoder.onnx")
    parser.add_argument("--safetensors", action="store_true", help="model.safetensors: the weights")
    parser.add_argument("--force", action="store_true", help="replace earlier exports")


def _nothing(parser: Parser) -> None:
    del parser


COMMANDS: dict[str, Command] = {
    "fit": Command(
        "train a VAE on a pile of items and export their latents",
        _fit,
        """\
  latentviz fit digits                              a recipe; `latentviz recipes` lists them
  latentviz fit photos/                             a folder of images
  latentviz fit reviews.csv data.text_column=body   texts: a table, or a file with one a line
  latentviz fit photos/ --run cats model.latent_dim=16 trainer.max_epochs=5
  latentviz fit outputs/cats/config.yaml --run cats --resume""",
    ),
    "cluster": Command(
        "reduce and cluster a run's latents, and draw its map",
        _cluster,
        """\
  latentviz cluster                                 the newest run
  latentviz cluster cats --name fine cluster.min_cluster_size=20
  latentviz cluster cats --name linear reduce.method=pca""",
    ),
    "evaluate": Command(
        "judge a run: model, map and clusters; exit code 1 if the model collapsed",
        _evaluate,
        """\
  latentviz evaluate                                the newest run
  latentviz evaluate cats --clustering fine               another of its clusterings
  latentviz evaluate cats --json | jq .clusters""",
    ),
    "map": Command(
        "draw the map of a clustering again, without clustering",
        _map,
        """\
  latentviz map                                     the newest run
  latentviz map cats title="My cats" theme=dark colour_by=label""",
    ),
    "generate": Command(
        "draw new items with the decoder",
        _generate,
        """\
  latentviz generate                                fresh draws from the newest run
  latentviz generate cats --cluster 3 --n 16
  latentviz generate cats --between tabby/7.jpg cluster:2 --steps 9
  latentviz generate cats --at 1.5,-2               a spot of the map
  latentviz generate cats --vector "a.jpg - b.jpg + c.jpg\"""",
    ),
    "recommend": Command(
        "find the items most like given ones",
        _recommend,
        """\
  latentviz recommend cats tabby/7.jpg              an item of the run; a row number does as well
  latentviz recommend cats ~/new.jpg -k 5           a new file
  latentviz recommend cats 12 40 --not 7 --diverse 0.3 --where "cluster == 3 and label != 'dog'\"""",
    ),
    "encode": Command(
        "place new data on a run's map with the frozen model",
        _encode,
        """\
  latentviz encode cats new-photos/
  latentviz encode cats new-photos/ --name july""",
    ),
    "export": Command(
        "write encoder and decoder for other programs",
        _export,
        """\
  latentviz export cats --onnx
  latentviz export cats --safetensors""",
    ),
    "recipes": Command("list the recipes", _nothing, "  latentviz recipes"),
    "config": Command(
        "print the config of a source with a comment a key",
        _config,
        """\
  latentviz config digits
  latentviz config photos/ model.net=mlp > mine.yaml""",
    ),
    "schema": Command("print the JSON schema of a config", _nothing, "  latentviz schema > latentviz.schema.json"),
}

EPILOG = """examples:
  latentviz fit digits && latentviz cluster         a first map, in about a minute
  latentviz fit photos/ && latentviz cluster        a map of your own images
  latentviz COMMAND --help                          more on one command"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 done, 1 a collapsed model, 2 a user's mistake, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command, rest = _choose(words)
    parser = Parser(
        prog=f"latentviz {command}",
        description=COMMANDS[command].summary,
        epilog=f"examples:\n{COMMANDS[command].examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    COMMANDS[command].arguments(parser)
    options = vars(parser.parse_intermixed_args(_join_spots(rest)))
    if "words" in options:
        options.update(_split(parser, options.pop("words")))
    from latentviz.shell import commands

    try:
        result: int | None = getattr(commands, command.replace("-", "_"))(**options)
        sys.stdout.flush()
    except LatentvizError as error:
        print(f"latentviz: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        from latentviz.progress import silent

        if silent():
            return 130
        print("latentviz: interrupted; what was finished is kept, and `--resume` goes on with a fit", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"latentviz: {where}cannot be written or read ({error.strerror}); mend that, or choose another folder "
            "with --outputs DIR",
            file=sys.stderr,
        )
        return 2
    return result or 0


def _choose(words: list[str]) -> tuple[str, list[str]]:
    """Returns the command and the words behind it; help, version and mistakes end here."""
    parser = Parser(
        prog="latentviz",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="See what is in a pile of images or texts: a VAE, its latent space as an interactive "
        "map, and the decoder behind it.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    listing = parser.add_argument_group("commands")
    for name, command in COMMANDS.items():
        listing.add_argument(f"_{name}", metavar=name, nargs="?", help=command.summary)
    if words and words[0] in COMMANDS:
        return words[0], words[1:]
    if words and not words[0].startswith("-"):
        from latentviz.errors import did_you_mean

        parser.exit(
            2,
            f"latentviz: unknown command {words[0]!r}; choose one of {', '.join(COMMANDS)}."
            f"{did_you_mean(words[0], COMMANDS)}\n",
        )
    if "--version" in words:
        from importlib.metadata import version

        print(f"latentviz {version('latentviz')}")
        parser.exit(0)
    if not words:
        parser.print_help()
        parser.exit(0)
    parser.parse_args(words)
    raise SystemExit(2)


def _join_spots(words: Sequence[str]) -> list[str]:
    """Returns the words with `--at -1,2` as `--at=-1,2`, which argparse would take for two options.

    >>> _join_spots(["--at", "-1.5,2", "--n", "3"])
    ['--at=-1.5,2', '--n', '3']
    """
    joined: list[str] = []
    for word in words:
        if SPOT.match(word) and joined and joined[-1] == "--at":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _split(parser: Parser, words: Sequence[str]) -> dict[str, object]:
    """Returns run and overrides out of `[RUN] [key=value …]`."""
    overrides = [word for word in words if OVERRIDE.match(word)]
    runs = [word for word in words if not OVERRIDE.match(word)]
    if len(runs) > 1:
        parser.error(f"one RUN at a time (got {', '.join(runs)}); settings are written key=value")
    return {"run": runs[0] if runs else None, "overrides": overrides}


if __name__ == "__main__":
    sys.exit(main())
