r"""Measure a model of texts: bounds on the likelihood, content of the latent, reconstructions, fluency of samples.

    python benchmarks/text.py --data tang=couplets.tsv.gz --outputs outputs --out benchmarks/results/text.md

`tang` is a table of couplets with the columns text, author, title, form and era. A tenth of the poems is held out from
training; labels are used for scoring only. An existing run is measured without training it again.

    python benchmarks/text.py --data docstrings=docstrings --data wordnet=wordnet.tsv --data debian=debian.tsv

For labelled English sentences: a recipe, or a table with the columns text and label; `text_sets.py` makes two.
"""

import argparse
from pathlib import Path

from text_english import english
from text_tang import tang

PARTS = {"tang": tang, "docstrings": english, "wordnet": english, "debian": english}


def write(out: Path, name: str, lines: list[str]) -> None:
    """Write a section of the results, replacing its earlier version and keeping the other sections."""
    parts: dict[str, list[str]] = {}
    current = ""
    for line in out.read_text(encoding="utf-8").splitlines() if out.exists() else []:
        current = line.removeprefix("## ") if line.startswith("## ") else current
        parts.setdefault(current, []).append(line)
    parts[""] = ["# Texts", ""]
    parts[name] = [f"## {name}", "", *lines, ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join("\n".join(part).strip() for part in parts.values()) + "\n", encoding="utf-8")


def main() -> None:
    """Measure the given data sets and write their sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH", help=", ".join(PARTS))
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/text.md"))
    parser.add_argument(
        "--language-seconds", type=float, help="training time of the language model (default: that of the model)"
    )
    parser.add_argument("overrides", nargs="*", help="settings of the fit, such as model.contrast=0")
    options = parser.parse_args()
    for given in options.data:
        name, _, path = given.partition("=")
        write(options.out, name, PARTS[name](Path(path), options.outputs, options.overrides, options.language_seconds))


if __name__ == "__main__":
    main()
