"""Make tables of labelled English sentences for `benchmarks/text.py` from WordNet and Debian's package list.

    python benchmarks/text_sets.py wordnet PATH/data.noun > wordnet.tsv     (in Debian's package wordnet-base)
    apt-cache dumpavail | python benchmarks/text_sets.py debian - > debian.tsv

wordnet: the first gloss of a noun, labelled by its lexicographer file. debian: the one-line description of a package,
labelled by its section. Labels with too few sentences are dropped, the others are subsampled at random.
"""

import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

FEWEST_WORDS = 4
# Minimal and maximal number of sentences per label.
LIMITS = {"wordnet": (300, 500), "debian": (200, 800)}


def wordnet(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield gloss and label of each line of a data file, in the format of wndb(5WN)."""
    for line in lines:
        if not line.startswith("  "):
            synset, _, gloss = line.partition("|")
            yield gloss.split(";")[0].split('"')[0], f"file {synset.split()[1]}"


def debian(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield description and section of each package."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.strip():
            key, _, value = line.partition(":")
            fields.setdefault(key, value.strip())
            continue
        description = fields.get("Description", "")
        if "Section" in fields and not re.search("transitional|dummy", description):
            yield re.sub(r"\s*(\(.*\)|- .*)$", "", description), fields["Section"].split("/")[-1]
        fields = {}


def main(kind: str, path: str) -> None:
    """Write the table to standard output."""
    least, most = LIMITS[kind]
    reader = {"wordnet": wordnet, "debian": debian}[kind]
    labelled, seen = defaultdict(list), set()
    with sys.stdin if path == "-" else open(path, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
        for text, label in reader(lines):
            words = text.split()
            line = " ".join(words)
            if len(words) >= FEWEST_WORDS and line.lower() not in seen:
                seen.add(line.lower())
                labelled[label].append(line)
    chance = random.Random(0)
    rows = [
        (text, label)
        for label, texts in sorted(labelled.items())
        if len(texts) >= least
        for text in chance.sample(texts, min(most, len(texts)))
    ]
    chance.shuffle(rows)
    print("text\tlabel", *("\t".join(row) for row in rows), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
