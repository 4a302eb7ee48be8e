"""The shell: an argparse tree with one parser per command; a user's mistake is one line and exit code 2."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from latentviz.errors import LatentvizError, shell_words
from latentviz.shell.parser import Parser

OVERRIDE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=")


class Command(NamedTuple):
    """One command: a line of help, a function that adds its arguments to a parser, and examples."""

    summary: str
    arguments: Callable[[Parser], None]
    examples: str


def _open(parser: Parser, more: str = "") -> None:
    parser.add_argument("--open", dest="show", action="store_true", help=f"{more}open the map in the browser")


def _source(parser: Parser, *, nargs: str | None = None) -> None:
    text = "a recipe, a YAML file, a folder, a file, or hf:NAME"
    parser.add_argument("source", metavar="SOURCE", help=text, nargs=nargs)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, such as model.latent_dim=16")


def _outputs(parser: Parser) -> None:
    parser.add_argument("--outputs", default="outputs", metavar="DIR", help="folder of the runs (default: outputs)")


def _run(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="name or path of a run (default: the newest)")
    _outputs(parser)


def _run_and_settings(parser: Parser, settings: str) -> None:
    text = f"name or path of a run (default: the newest), and {settings}"
    parser.add_argument("words", nargs="*", metavar="RUN|key=value", help=text)
    _outputs(parser)


def _clustering(parser: Parser, default: str | None = "default", more: str = "") -> None:
    text = f"the clustering to use (default: default{more})"
    parser.add_argument("--clustering", default=default, metavar="NAME", help=text)


def _result(parser: Parser, group: str) -> None:
    parser.add_argument("--name", help=f"name of the new folder in {group}/ (default: from the request)")
    _force(parser, "an earlier result of this name")


def _force(parser: Parser, what: str) -> None:
    parser.add_argument("--force", action="store_true", help=f"replace {what}")


def _fit(parser: Parser) -> None:
    _source(parser)
    parser.add_argument("--run", metavar="NAME", help="name of the new run (default: from SOURCE)")
    text = "train a new run on the items of RUN and those of SOURCE, from its weights"
    parser.add_argument("--continue", dest="start", metavar="RUN", help=text)
    _outputs(parser)
    parser.add_argument(
        "--resume", action="store_true", help="continue an interrupted run, or a finished one to more epochs"
    )
    _force(parser, "an existing run")
    parser.add_argument("--dry-run", action="store_true", help="print what would be learnt from, and stop")
    text = "then cluster the run and draw its map; settings of `cluster` may be among the others"
    parser.add_argument("--cluster", action="store_true", help=text)
    _open(parser, "do that, and ")


def _cluster(parser: Parser) -> None:
    _run_and_settings(parser, "settings, such as reduce.n_neighbors=30")
    parser.add_argument("--name", default="default", help="name of the new clustering (default: default)")
    _force(parser, "an existing clustering of this name")
    _open(parser)


def _evaluate(parser: Parser) -> None:
    _run(parser)
    _clustering(parser, None, "; the model alone if there is none")


def _map(parser: Parser) -> None:
    _run_and_settings(parser, "title=, theme=, colour_by=, layers=")
    _clustering(parser)
    _open(parser)


def _explore(parser: Parser) -> None:
    _run(parser)
    _clustering(parser)
    text = "port on 127.0.0.1 to listen on (default: a free one)"
    parser.add_argument("--port", type=int, default=0, metavar="N", help=text)
    _open(parser)


def _generate(parser: Parser) -> None:
    _run(parser)
    ways = parser.add_argument_group("what to decode: fresh draws, or one of").add_mutually_exclusive_group()
    ways.add_argument(
        "--cluster", type=int, metavar="K", help="draws from the posteriors of cluster K; −1: of the noise"
    )
    ways.add_argument("--between", nargs=2, metavar=("A", "B"), help="the path from A to B: items, or cluster:3")
    ways.add_argument("--at", metavar="X,Y", help="a position on the map")
    ways.add_argument("--like", metavar="ITEM", help="draws around the posterior of an item")
    ways.add_argument("--vector", metavar='"A - B + C"', help="a sum of items or clusters")
    ways.add_argument("--reconstruct", nargs="+", metavar="ITEM", help="items, encoded and decoded")
    ways.add_argument("--traverse", action="store_true", help="each active unit, varied from −3 to 3")
    ways.add_argument("--manifold", type=int, metavar="G", help="a G×G grid over a latent of 2 dimensions")
    parts = parser.add_argument_group("or an item of which some parts are given, in runs with data.parts")
    parts.add_argument("--caption", metavar="TEXT", help='draws from the posterior of a text, as in "a red heart"')
    parts.add_argument("--label", metavar="LABEL", help="the same of a label; with others, of all that are given")
    parts.add_argument("--image", metavar="FILE", help="the same of an image")
    parser.add_argument("-n", "--n", type=int, default=64, help="number of draws (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed of every draw (default: 0)")
    parser.add_argument("--steps", type=int, default=9, help="steps of --between and --traverse (default: 9)")
    text = "width of --like and of parts, in standard deviations of the posterior (default: 1)"
    parser.add_argument("--spread", type=float, default=1.0, help=text)
    text = "of fresh draws: prior, gmm (a mixture over mu), kde (around the items); auto: prior, after contrast gmm"
    parser.add_argument("--sampler", default="auto", help=text)
    _clustering(parser)
    _result(parser, "generated")


def _recommend(parser: Parser) -> None:
    parser.usage = "%(prog)s [options] [RUN] ITEM [ITEM ...]"
    text = "a run (default: the newest), then items: ids, row numbers, files, texts in quotes"
    parser.add_argument("items", nargs="+", metavar="[RUN] ITEM", help=text)
    _outputs(parser)
    parser.add_argument("-k", type=int, default=10, help="number of results (default: 10)")
    parser.add_argument("--not", nargs="+", dest="disliked", default=[], metavar="ITEM", help="move away from these")
    parser.add_argument("--metric", default="cosine", help="cosine or euclidean (default: cosine)")
    text = "0 to 1: how much the results should differ from each other (default: 0)"
    parser.add_argument("--diverse", type=float, default=0.0, metavar="λ", help=text)
    parser.add_argument("--where", metavar="CONDITION", help='only items that meet it, as in "cluster == 3"')
    text = "dimensions of mu: all, content (the clustered ones), or auto: all, and the topic of sentences"
    parser.add_argument("--on", default="auto", help=text)
    _clustering(parser)
    parser.add_argument("--save", action="store_true", help="write a sheet and the table to recommended/")
    parser.add_argument("--name", help="name of that folder (default: from the request); saves too")
    _force(parser, "an earlier result of this name")


def _encode(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    parser.add_argument("data", metavar="DATA", help="a folder, a file, or hf:NAME")
    _outputs(parser)
    _clustering(parser)
    _result(parser, "encoded")


def _annotate(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    parser.add_argument("annotations", metavar="FILE", help="annotations.json, which the map saves")
    _outputs(parser)
    _clustering(parser)


def _label(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    text = (
        "a table with the columns id and label, to spread; with --ask: the labels so far; none: what a run has learnt"
    )
    parser.add_argument("labels", nargs="?", metavar="LABELS", help=text)
    parser.add_argument("--ask", type=int, metavar="N", help="write the N items whose labels help most to labelled/")
    _outputs(parser)
    _clustering(parser)
    _result(parser, "labelled")


def _compare(parser: Parser) -> None:
    parser.add_argument("run", metavar="A", help="name or path of a run")
    parser.add_argument("other", nargs="?", metavar="B", help="another run over the same items (default: A itself)")
    _outputs(parser)
    parser.add_argument("--clusterings", nargs=2, default=("default",) * 2, metavar="NAME", help="those of A and of B")
    _result(parser, "compared")
    _open(parser)


def _export(parser: Parser) -> None:
    _run(parser)
    parser.add_argument("--onnx", action="store_true", help="write encoder.onnx and decoder.onnx")
    parser.add_argument("--safetensors", action="store_true", help="write model.safetensors: the weights")
    parser.add_argument("--card", action="store_true", help="write a model card: README.md, and the map's picture")
    parser.add_argument("--embedding-atlas", action="store_true", help="write a table and labels for that program")
    parser.add_argument("--site", action="store_true", help="write a folder for static pages: all maps of the run")
    parser.add_argument("--hub", metavar="NAME", help="put it into USER/NAME on the Hugging Face hub, with a card")
    parser.add_argument("--public", action="store_true", help="with --hub: for everybody (default: private)")
    _clustering(parser)
    _force(parser, "earlier exports, or the files of a repository that exists")


def _config(parser: Parser) -> None:
    _source(parser, nargs="?")
    text = "print what a preset sets, without a SOURCE: quick, default or best"
    parser.add_argument("--preset", metavar="NAME", help=text)


def _runs(parser: Parser) -> None:
    _outputs(parser)


def _nothing(parser: Parser) -> None:
    del parser


COMMANDS: dict[str, Command] = {
    "fit": Command(
        "train a VAE on a collection of items and export their latents",
        _fit,
        """\
  latentviz fit digits --open                       a recipe; `latentviz recipes` lists them
  latentviz fit photos/ --cluster --open            a folder of images: to its map, in the browser
  latentviz fit reviews.csv data.text_column=body   texts: a table, or a file with one per line
  latentviz fit photos/ --run cats model.latent_dim=16 trainer.max_epochs=5
  latentviz fit outputs/cats/config.yaml --run cats --resume
  latentviz fit --continue cats new-photos/""",
    ),
    "cluster": Command(
        "reduce and cluster the latents of a run, and draw its map",
        _cluster,
        """\
  latentviz cluster                                 the newest run
  latentviz cluster cats --name fine cluster.min_cluster_size=20
  latentviz cluster cats --name linear reduce.method=pca""",
    ),
    "evaluate": Command(
        "evaluate a run: model, map and clusters; exit code 1 if the model collapsed",
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
    "explore": Command(
        "serve the map on this machine, with the run behind it: originals, exact decoding, new items, the whole table",
        _explore,
        """\
  latentviz explore --open                          the newest run, in the browser; Ctrl-C ends it
  latentviz explore cats --clustering fine --port 8000""",
    ),
    "generate": Command(
        "decode new items",
        _generate,
        """\
  latentviz generate                                fresh draws from the newest run
  latentviz generate cats --cluster 3 --n 16
  latentviz generate cats --between tabby/7.jpg cluster:2 --steps 9
  latentviz generate cats --at 1.5,-2               a position on the map
  latentviz generate cats --vector "a.jpg - b.jpg + c.jpg"
  latentviz generate glyphs --caption "greek small letter" -n 16""",
    ),
    "recommend": Command(
        "find the items most similar to given ones",
        _recommend,
        """\
  latentviz recommend cats tabby/7.jpg              an item of the run; or its row number
  latentviz recommend cats ~/new.jpg -k 5           a new file
  latentviz recommend glyphs "smiling cat"          a text, in runs with captions
  latentviz recommend cats 12 40 --not 7 --diverse 0.3 --where "cluster == 3 and label != 'dog'\"""",
    ),
    "encode": Command(
        "encode new data with a trained model and place it on the map",
        _encode,
        """\
  latentviz encode cats new-photos/
  latentviz encode cats new-photos/ --name july""",
    ),
    "annotate": Command(
        "put names, merges, splits, tags and notes from the map into the run",
        _annotate,
        """\
  latentviz annotate cats annotations.json
  latentviz annotate cats ~/Downloads/annotations.json --clustering fine""",
    ),
    "label": Command(
        "ask for the labels that help most, and spread a few labels to all items",
        _label,
        """\
  latentviz label cats --ask 20                     writes labels.csv, to fill in
  latentviz label cats labels.csv
  latentviz label cats labels.csv --ask 20          further items, with the labels so far""",
    ),
    "compare": Command(
        "compare two clusterings of the same items: agreement, what moved, both maps side by side",
        _compare,
        """\
  latentviz compare cats --clusterings default fine  two clusterings of a run
  latentviz compare cats cats-2 --open              two runs over the same items""",
    ),
    "export": Command(
        "write a run for other programs and people: networks, a model card, a table, a site; put it on the hub",
        _export,
        """\
  latentviz export cats --onnx --card               networks; README.md with the figures of `evaluate`
  latentviz export cats --hub me/cats               on the Hugging Face hub; RUN hf:me/cats opens it""",
    ),
    "verify": Command(
        "check every byte of a run, its links, and what its files hold; exit code 2 if something is damaged",
        _run,
        "  latentviz verify cats",
    ),
    "runs": Command("list the runs and their clusterings, newest last", _runs, "  latentviz runs --json"),
    "recipes": Command("list the recipes", _nothing, "  latentviz recipes"),
    "config": Command(
        "print the config of a source, a comment per key; or a preset",
        _config,
        """\
  latentviz config digits
  latentviz config --preset quick
  latentviz config photos/ model.net=mlp > mine.yaml""",
    ),
    "schema": Command("print the JSON schema of a config", _nothing, "  latentviz schema > latentviz.schema.json"),
}

DESCRIPTION = "Explore unlabelled images, texts or vectors: a VAE, an interactive map of its latent space, its decoder."
EPILOG = """examples:
  latentviz fit digits --cluster --open             a first map, in about a minute
  latentviz fit photos/ --cluster --open            a map of your own images
  latentviz COMMAND --help                          more about one command"""


def parsers() -> tuple[Parser, dict[str, Parser]]:
    """Builds the parser of `latentviz` and that of each command."""
    root = Parser(prog="latentviz", usage="latentviz COMMAND …", description=DESCRIPTION, epilog=EPILOG)
    root.add_argument("--version", action="store_true", help="print the version")
    tree = root.add_subparsers(title="commands", metavar="COMMAND", prog="latentviz")
    each = {}
    for name, (summary, arguments, examples) in COMMANDS.items():
        each[name] = tree.add_parser(name, help=summary, description=summary, epilog=f"examples:\n{examples}")
        arguments(each[name])
        each[name].add_argument(
            "--json", action="store_true", help="print the result as JSON; docs/json.md lists the keys"
        )
    return root, each


@shell_words()
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 done, 1 a collapsed model, 2 a user's mistake, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    root, each = parsers()
    if not words or words[0] not in each:
        if not root.parse_args(words or ["--help"]).version:
            root.error("a COMMAND comes first")
        from importlib.metadata import version

        print(f"latentviz {version('latentviz')}")
        return 0
    command, parser = words[0], each[words[0]]
    options = vars(parser.parse_intermixed_args(words[1:]))  # subparsers alone do not allow words between options
    if "words" in options:
        options.update(_split(parser, options.pop("words")))
    from latentviz.shell import commands

    try:
        result: int | None = getattr(commands, command)(**options)
        sys.stdout.flush()
    except BaseException as error:
        from latentviz.shell import process

        if isinstance(error, KeyboardInterrupt) or process.signalled():  # some libraries turn it into another error
            return process.stopped(command)
        reason = str(error) if isinstance(error, LatentvizError) else process.refused(error)
        if reason is None:
            raise
        from latentviz.modalities.io.names import printable

        lines = "\n".join(map(printable, reason.split("\n")))  # one for each mistake in a config
        print(f"latentviz: {lines}", file=sys.stderr)
        return 2
    return result or 0


def _split(parser: Parser, words: Sequence[str]) -> dict[str, object]:
    """Splits `[RUN] [key=value …]` into the run and the overrides."""
    overrides = [word for word in words if OVERRIDE.match(word)]
    runs = [word for word in words if not OVERRIDE.match(word)]
    if len(runs) > 1:
        parser.error(f"one RUN at a time (got {', '.join(runs)}); settings are written key=value")
    return {"run": runs[0] if runs else None, "overrides": overrides}
