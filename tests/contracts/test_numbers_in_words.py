"""A number in front of a noun has its form, 1 item and 2 items: messages leave it to `plural`."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "latentviz"
NOUNS = (
    "batch|cluster|column|dimension|epoch|file|folder|image|item|label|landmark|line|number|output"
    "|point|row|step|string|text|token|value|vector|word"
)
# A value that a plural follows, perhaps after an adjective: `{n:,} new items`.
COUNTED = re.compile(rf"\0 (?!has |holds |lists |names? |of )(?:[a-z-]+ )?(?:{NOUNS})(?:e?s)\b")
# "1 of 20 items", "none of its 20 columns": the number counts everything there is.
OF_ALL = re.compile(r"(?:of|of its|all) $")
# Counts that are never 1, each with the reason.
MANY = {
    ("modalities/io/archives.py", "files"): "a limit",
    ("modalities/io/foreign.py", "numbers"): "the sides of a matrix",
    ("modalities/io/table_kind.py", "columns"): "at least _SEVERAL_NUMBERS",
    ("modalities/memory/lists.py", "items"): "at least 2",
    ("model/own.py", "items"): "two items, which a module is tried with",
    ("modalities/text/vocabulary.py", "tokens"): "a span",
    ("modalities/vectors/new.py", "vectors"): "not one, which is what is asked for",
    ("stages/generate.py", "outputs"): "more than a limit",
    ("stages/again.py", "items"): "MOST",
    ("evaluation/results.py", "dimensions"): "of a topic",
    ("modalities/joint/guesses.py", "labels"): "more than a limit",
}


def shape(node: ast.JoinedStr) -> str:
    """Returns an f-string's text with NUL for each of its values."""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)


def counted(text: str) -> list[str]:
    """Returns the nouns that follow a value in the plural."""
    return [hit[0].split()[-1] for hit in COUNTED.finditer(text) if not OF_ALL.search(text[: hit.start()])]


def test_what_counts_as_a_number_with_its_noun() -> None:
    assert counted("x: \0 items, \0 new columns and \0 of \0 rows") == ["items", "columns"]
    assert counted("\0 of them; \0 holds vectors; the \0 values") == ["values"]


def test_numbers_and_nouns_agree() -> None:
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found |= {(name, noun): node.lineno for noun in counted(shape(node))}
    assert {key: line for key, line in found.items() if key not in MANY} == {}
