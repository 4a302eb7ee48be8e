"""The shell: an argparse tree with one parser per command; a user's mistake is one line and exit code 2."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from latentviz.errors import LatentvizError, shell_words
from latentviz.shell import arguments
from latentviz.shell.parser import Parser

OVERRIDE = re.compile(r"[A-Za-z_]\w*(\.\w+)*=")


class Command(NamedTuple):
    """One command: a line of help, a function that adds its arguments to a parser, and examples."""

    summary: str
    arguments: Callable[[Parser], None]
    examples: str


COMMANDS: dict[str, Command] = {
    "fit": Command(
        "train a VAE on a collection of items and export their latents",
        arguments.add_fit,
        """\
  latentviz fit digits --open                       a recipe; `latentviz recipes` lists them
  latentviz fit photos/ --cluster --open            a folder of images: to its map, in the browser
  latentviz fit reviews.csv data.text_column=body   texts: a table, or a file with one per line
  latentviz fit photos/ --run cats model.latent_dim=16 trainer.max_epochs=5
  latentviz fit outputs/cats/config.yaml --run cats --resume
  latentviz fit --continue cats new-photos/""",
    ),
    "tune": Command(
        "search settings of the training, and keep the run of the best",
        arguments.add_tune,
        """\
  latentviz tune digits model.latent_dim=8..64 model.lr=1e-3..1e-2
  latentviz tune photos/ model.contrast=0,300,1000 --objective clusters --trials 12""",
    ),
    "cluster": Command(
        "reduce and cluster the latents of a run, and draw its map",
        arguments.add_cluster,
        """\
  latentviz cluster                                 the newest run
  latentviz cluster cats --name fine cluster.min_cluster_size=20
  latentviz cluster cats --name linear reduce.method=pca""",
    ),
    "evaluate": Command(
        "evaluate a run: model, map and clusters; exit code 1 if the model collapsed",
        arguments.add_evaluate,
        """\
  latentviz evaluate                                the newest run
  latentviz evaluate cats --clustering fine               another of its clusterings
  latentviz evaluate cats --json | jq .clusters""",
    ),
    "map": Command(
        "draw the map of a clustering again, without clustering",
        arguments.add_map,
        """\
  latentviz map                                     the newest run
  latentviz map cats title="My cats" theme=dark colour_by=label""",
    ),
    "explore": Command(
        "serve the map on this machine, with the run behind it: originals, exact decoding, new items, the whole table",
        arguments.add_explore,
        """\
  latentviz explore --open                          the newest run, in the browser; Ctrl-C ends it
  latentviz explore cats --clustering fine --port 8000""",
    ),
    "generate": Command(
        "decode new items",
        arguments.add_generate,
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
        arguments.add_recommend,
        """\
  latentviz recommend cats tabby/7.jpg              an item of the run; or its row number
  latentviz recommend cats ~/new.jpg -k 5           a new file
  latentviz recommend glyphs "smiling cat"          a text, in runs with captions
  latentviz recommend cats 12 40 --not 7 --diverse 0.3 --where "cluster == 3 and label != 'dog'\"""",
    ),
    "encode": Command(
        "encode new data with a trained model and place it on the map",
        arguments.add_encode,
        """\
  latentviz encode cats new-photos/
  latentviz encode cats new-photos/ --name july""",
    ),
    "annotate": Command(
        "put names, merges, splits, tags and notes from the map into the run",
        arguments.add_annotate,
        """\
  latentviz annotate cats annotations.json
  latentviz annotate cats ~/Downloads/annotations.json --clustering fine""",
    ),
    "label": Command(
        "ask for the labels that help most, and spread a few labels to all items",
        arguments.add_label,
        """\
  latentviz label cats --ask 20                     writes labels.csv, to fill in
  latentviz label cats labels.csv
  latentviz label cats labels.csv --ask 20          further items, with the labels so far""",
    ),
    "compare": Command(
        "compare two clusterings of the same items: agreement, what moved, both maps side by side",
        arguments.add_compare,
        """\
  latentviz compare cats --clusterings default fine  two clusterings of a run
  latentviz compare cats cats-2 --open              two runs over the same items""",
    ),
    "export": Command(
        "write a run for other programs and people: networks, a model card, a table, a site; put it on the hub",
        arguments.add_export,
        """\
  latentviz export cats --onnx --card               networks; README.md with the figures of `evaluate`
  latentviz export cats --hub me/cats               on the Hugging Face hub; RUN hf:me/cats opens it""",
    ),
    "mcp": Command(
        "answer an agent's questions about the runs, read-only, by the Model Context Protocol",
        arguments.add_outputs,
        "  latentviz mcp --outputs ~/maps/outputs           in the settings of the agent",
    ),
    "verify": Command(
        "check every byte of a run, its links, and what its files hold; exit code 2 if something is damaged",
        arguments.add_run,
        "  latentviz verify cats",
    ),
    "runs": Command("list the runs and their clusterings, newest last", arguments.add_runs, "  latentviz runs --json"),
    "recipes": Command("list the recipes", arguments.add_nothing, "  latentviz recipes"),
    "config": Command(
        "print the config of a source, a comment per key; or a preset",
        arguments.add_config,
        """\
  latentviz config digits
  latentviz config --preset quick
  latentviz config photos/ model.net=mlp > mine.yaml""",
    ),
    "schema": Command(
        "print the JSON schema of a config", arguments.add_nothing, "  latentviz schema > latentviz.schema.json"
    ),
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
    for name, (summary, add, examples) in COMMANDS.items():
        each[name] = tree.add_parser(name, help=summary, description=summary, epilog=f"examples:\n{examples}")
        add(each[name])
        if name != "mcp":  # which prints JSON of its own
            text = "print the result as JSON; docs/json.md lists the keys"
            each[name].add_argument("--json", action="store_true", help=text)
    return root, each


@shell_words()
def main(given: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 done, 1 a collapsed model, 2 a user's mistake, 130 interrupted."""
    words = list(sys.argv[1:] if given is None else given)
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
