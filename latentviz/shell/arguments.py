"""The arguments of each command: a function that adds them to its parser."""

from latentviz.shell.parser import Parser


def _open(parser: Parser, more: str = "") -> None:
    parser.add_argument("--open", dest="show", action="store_true", help=f"{more}open the map in the browser")


def _source(
    parser: Parser,
    *,
    nargs: str | None = None,
    word: str = "key=value",
    settings: str = "settings, such as model.latent_dim=16",
) -> None:
    text = "a recipe, a YAML file, a folder, a file, or hf:NAME"
    parser.add_argument("source", metavar="SOURCE", help=text, nargs=nargs)
    parser.add_argument("overrides", nargs="*", metavar=word, help=settings)


def add_outputs(parser: Parser) -> None:
    """Adds the folder of the runs."""
    parser.add_argument("--outputs", default="outputs", metavar="DIR", help="folder of the runs (default: outputs)")


def add_run(parser: Parser) -> None:
    """Adds a run and the folder of the runs."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="name or path of a run (default: the newest)")
    add_outputs(parser)


def _run_and_settings(parser: Parser, settings: str) -> None:
    text = f"name or path of a run (default: the newest), and {settings}"
    parser.add_argument("words", nargs="*", metavar="RUN|key=value", help=text)
    add_outputs(parser)


def _clustering(parser: Parser, default: str | None = "default", more: str = "") -> None:
    text = f"the clustering to use (default: default{more})"
    parser.add_argument("--clustering", default=default, metavar="NAME", help=text)


def _result(parser: Parser, group: str) -> None:
    parser.add_argument("--name", help=f"name of the new folder in {group}/ (default: from the request)")
    _force(parser, "an earlier result of this name")


def _force(parser: Parser, what: str) -> None:
    parser.add_argument("--force", action="store_true", help=f"replace {what}")


def add_fit(parser: Parser) -> None:
    """Adds the arguments of `fit`."""
    _source(parser)
    parser.add_argument("--run", metavar="NAME", help="name of the new run (default: from SOURCE)")
    text = "train a new run on the items of RUN and those of SOURCE, from its weights"
    parser.add_argument("--continue", dest="start", metavar="RUN", help=text)
    add_outputs(parser)
    parser.add_argument(
        "--resume", action="store_true", help="continue an interrupted run, or a finished one to more epochs"
    )
    _force(parser, "an existing run")
    parser.add_argument("--dry-run", action="store_true", help="print what would be learnt from, and stop")
    text = "then cluster the run and draw its map; settings of `cluster` may be among the others"
    parser.add_argument("--cluster", action="store_true", help=text)
    _open(parser, "do that, and ")


def add_cluster(parser: Parser) -> None:
    """Adds the arguments of `cluster`."""
    _run_and_settings(parser, "settings, such as reduce.n_neighbors=30")
    parser.add_argument("--name", default="default", help="name of the new clustering (default: default)")
    _force(parser, "an existing clustering of this name")
    _open(parser)


def add_evaluate(parser: Parser) -> None:
    """Adds the arguments of `evaluate`."""
    add_run(parser)
    _clustering(parser, None, "; the model alone if there is none")


def add_map(parser: Parser) -> None:
    """Adds the arguments of `map`."""
    _run_and_settings(parser, "title=, theme=, colour_by=, layers=")
    _clustering(parser)
    _open(parser)


def add_explore(parser: Parser) -> None:
    """Adds the arguments of `explore`."""
    add_run(parser)
    _clustering(parser)
    text = "port on 127.0.0.1 to listen on (default: a free one)"
    parser.add_argument("--port", type=int, default=0, metavar="N", help=text)
    _open(parser)


def add_generate(parser: Parser) -> None:
    """Adds the arguments of `generate`."""
    add_run(parser)
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


def add_recommend(parser: Parser) -> None:
    """Adds the arguments of `recommend`."""
    parser.usage = "%(prog)s [options] [RUN] ITEM [ITEM ...]"
    text = "a run (default: the newest), then items: ids, row numbers, files, texts in quotes"
    parser.add_argument("items", nargs="+", metavar="[RUN] ITEM", help=text)
    add_outputs(parser)
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


def add_encode(parser: Parser) -> None:
    """Adds the arguments of `encode`."""
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    parser.add_argument("data", metavar="DATA", help="a folder, a file, or hf:NAME")
    add_outputs(parser)
    _clustering(parser)
    _result(parser, "encoded")


def add_annotate(parser: Parser) -> None:
    """Adds the arguments of `annotate`."""
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    parser.add_argument("annotations", metavar="FILE", help="annotations.json, which the map saves")
    add_outputs(parser)
    _clustering(parser)


def add_label(parser: Parser) -> None:
    """Adds the arguments of `label`."""
    parser.add_argument("run", metavar="RUN", help="name or path of a run")
    text = (
        "a table with the columns id and label, to spread; with --ask: the labels so far; none: what a run has learnt"
    )
    parser.add_argument("labels", nargs="?", metavar="LABELS", help=text)
    parser.add_argument("--ask", type=int, metavar="N", help="write the N items whose labels help most to labelled/")
    add_outputs(parser)
    _clustering(parser)
    _result(parser, "labelled")


def add_compare(parser: Parser) -> None:
    """Adds the arguments of `compare`."""
    parser.add_argument("run", metavar="A", help="name or path of a run")
    parser.add_argument("other", nargs="?", metavar="B", help="another run over the same items (default: A itself)")
    add_outputs(parser)
    parser.add_argument("--clusterings", nargs=2, default=("default",) * 2, metavar="NAME", help="those of A and of B")
    _result(parser, "compared")
    _open(parser)


def add_export(parser: Parser) -> None:
    """Adds the arguments of `export`."""
    add_run(parser)
    parser.add_argument("--onnx", action="store_true", help="write encoder.onnx and decoder.onnx")
    parser.add_argument("--safetensors", action="store_true", help="write model.safetensors: the weights")
    parser.add_argument("--card", action="store_true", help="write a model card: README.md, and the map's picture")
    parser.add_argument("--embedding-atlas", action="store_true", help="write a table and labels for that program")
    parser.add_argument("--site", action="store_true", help="write a folder for static pages: all maps of the run")
    parser.add_argument("--hub", metavar="NAME", help="put it into USER/NAME on the Hugging Face hub, with a card")
    parser.add_argument("--public", action="store_true", help="with --hub: for everybody (default: private)")
    _clustering(parser)
    _force(parser, "earlier exports, or the files of a repository that exists")


def add_config(parser: Parser) -> None:
    """Adds the arguments of `config`."""
    _source(parser, nargs="?")
    text = "print what a preset sets, without a SOURCE: quick, default or best"
    parser.add_argument("--preset", metavar="NAME", help=text)


def add_runs(parser: Parser) -> None:
    """Adds the arguments of `runs`."""
    add_outputs(parser)


def add_nothing(parser: Parser) -> None:
    """Adds nothing: the command takes no arguments."""
    del parser


def add_tune(parser: Parser) -> None:
    """Adds the arguments of `tune`."""
    text = "settings to search, such as model.latent_dim=8..64 or model.contrast=0,300, and others"
    _source(parser, word="key=values", settings=text)
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="trainings in all (default: 20)")
    text = "what is to be high: bound (of log p(x) of held-out items), or clusters (agreement × separation)"
    parser.add_argument("--objective", default="bound", metavar="NAME", help=f"{text} (default: bound)")
    parser.add_argument("--run", metavar="NAME", help="name of the run of the best trial (default: SOURCE-tuned)")
    add_outputs(parser)
    _force(parser, "an earlier search of this name, which is continued otherwise")
