r"""How good a model of texts is: bounds, what the latent holds, what is decoded from it, and how fluent samples are.

    python benchmarks/text.py --data tang=couplets.tsv.gz --outputs outputs --out benchmarks/results/text.md

`tang` is a table of couplets with the columns text, author, title, form and era. A tenth of the poems is held out and
never read by the model; no label reaches it, they score only. A run that is there is measured and not trained again.

    python benchmarks/text.py --data docstrings=docstrings --data wordnet=wordnet.tsv --data debian=debian.tsv

Labelled English sentences: a recipe, or a table with the columns text and label; `text_sets.py` makes two.
"""

import argparse
from pathlib import Path

from text_english import english
from text_tang import tang

PARTS = {"tang": tang, "docstrings": english, "wordnet": english, "debian": english}


def write(out: Path, name: str, lines: list[str]) -> None:
    """Puts a part's lines into the results, in place of what was there of it; other parts stay."""
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
    """Measures every part that is given and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=PATH", help=", ".join(PARTS))
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where runs go")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/text.md"))
    parser.add_argument("--language-seconds", type=float, help="of the language model's training; as the model's")
    parser.add_argument("overrides", nargs="*", help="settings of the fit, as in model.contrast=0")
    options = parser.parse_args()
    for given in options.data:
        name, _, path = given.partition("=")
        write(options.out, name, PARTS[name](Path(path), options.outputs, options.overrides, options.language_seconds))


if __name__ == "__main__":
    main()
