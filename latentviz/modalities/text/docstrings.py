"""First sentences of the docstrings of installed Python packages: labelled English that every machine has."""

import ast
import gc
import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from latentviz.errors import DataError
from latentviz.modalities.io.names import natural
from latentviz.modalities.io.source import TextSource
from latentviz.progress import plural

T = TypeVar("T")

# Limits per package, spread evenly over its names and files, so that no large one dominates the map.
MOST_ITEMS, MOST_FILES = 800, 400
FEWEST_WORDS, MOST_WORDS = 4, 40
_LARGEST_FILE = 1_000_000  # bytes; larger files are generated tables

# Folders and modules that hold no public names.
_ASIDE = frozenset(
    "benchmarks conftest docs examples externals test testing tests third_party vendor vendored".split()  # noqa: SIM905
)
_ROLE = re.compile(r":[\w:.+-]+:`~?([^`]*)`")  # :func:`~a.b` → a.b
_TARGET = re.compile(r"\s*<[^<>`]*>(?=`)")  # `words <link>` → `words`
_REFERENCE = re.compile(r"(?<=[\w`])_(?!\w)")  # words_ and `words`_, which link elsewhere
_END = re.compile(r"(?<!\b[eE]\.g)(?<!\b[iI]\.e)(?<!\b[cC]f)(?<!\bvs)(?<!\betc)(?<!\bal)(?<![\s(][A-Z])[.!?](?=\s|$)")
_SIGNATURE = re.compile(r"^[\w.]+\s*\(|->|^[-=~*^#]+$|>>>|^\W*$|^\S+ ?[:=]")


class Docstring(NamedTuple):
    """One documented name."""

    name: str  # qualified, as in numpy.linalg.norm
    kind: str  # module, class, function or method
    file: str  # path below the folder of packages
    line: int  # of the definition, from 1
    text: str  # first sentence


def read_docstrings() -> TextSource:
    """Reads the first sentence of each public docstring of the installed packages, each sentence once.

    Files are parsed, not imported. Private names, tests and vendored copies are left out; of a large package, evenly
    spread names are kept. The same packages give the same texts in the same order.
    """
    files = package_files()
    seen: Counter[str] = Counter()
    items: list[Docstring] = []
    with _no_search_for_cycles():
        for package in tqdm(sorted(files, key=str.lower), desc="reading packages", delay=1, leave=False, disable=None):
            own: dict[str, Docstring] = {}
            for found in sorted(_of_package(files[package]), key=lambda d: natural(d.name)):
                seen[found.text.casefold()] += 1
                if seen[found.text.casefold()] == 1:
                    own.setdefault(found.name, found)
            items += spread(list(own.values()), MOST_ITEMS)
    if not items:
        raise DataError("python:docstrings: no installed package has docstrings; give a file of texts instead")
    labels = [item.name.split(".")[0] for item in items]
    again = seen.total() - len(seen)
    note = (
        f"docstrings of {plural(len(set(labels)), 'package')}, at most {MOST_ITEMS:,} of each; {again:,} with a "
        "sentence that another has were left out"
    )
    return TextSource(
        texts=pa.chunked_array([pa.array([item.text for item in items], pa.string())]),
        ids=[item.name for item in items],
        origins=[f"{item.file}:{item.line}" for item in items],
        labels=labels,
        columns={
            "kind": [item.kind for item in items],
            "module": [
                ".".join(i.name.split(".")[: 2 if i.file.count("/") > 1 or i.kind == "module" else 1]) for i in items
            ],
            "times": [seen[item.text.casefold()] for item in items],
        },
        notes=[note],
    )


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Pauses Python's search for cycles: syntax trees have none, and it takes longer than parsing them."""
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()


def package_files() -> dict[str, list[tuple[str, Path]]]:
    """Returns the Python files of each installed top-level package: path below the package folder, and full path."""
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    for distribution in distributions():
        for file in distribution.files or ():
            parts = file.with_suffix("").parts
            hidden = any(part.startswith("_") for part in parts[:-1]) or parts[-1] == "__main__"
            if file.suffix == ".py" and not hidden and all(p.isidentifier() and p.lower() not in _ASIDE for p in parts):
                files[parts[0]][file.as_posix()] = Path(str(file.locate()))
    files.pop("latentviz", None)
    return {package: sorted(found.items(), key=lambda entry: natural(entry[0])) for package, found in files.items()}


def _of_package(files: list[tuple[str, Path]]) -> Iterator[Docstring]:
    for name, path in spread(files, MOST_FILES):
        try:
            if path.stat().st_size <= _LARGEST_FILE:
                yield from documented(path.read_bytes(), name)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # code templates, and code for other versions of Python


def documented(code: bytes, file: str) -> Iterator[Docstring]:
    """Yields the documented public names of a Python file; names in a private module count as its parent's."""
    module = ".".join(part for part in Path(file).with_suffix("").parts if not part.startswith("_"))
    waiting: list[tuple[ast.AST, str, str]] = [(ast.parse(code), module, "module")]
    while waiting:
        node, name, kind = waiting.pop(0)
        assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        text = first_sentence(ast.get_docstring(node, clean=False) or "")
        if text:
            yield Docstring(name, kind, file, getattr(node, "lineno", 1), text)
        if kind in {"function", "method"}:
            continue
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
                function = "method" if kind == "class" else "function"
                child_kind = "class" if isinstance(child, ast.ClassDef) else function
                waiting.append((child, f"{name}.{child.name}", child_kind))


def first_sentence(docstring: str) -> str:
    r"""Returns the first sentence of a docstring without markup, or "" if it is not an English sentence.

    >>> first_sentence("Returns the `norm` of a matrix,\n    e.g. of :class:`~a.B`. See there.")
    'Returns the norm of a matrix, e.g. of a.B.'
    >>> first_sentence("norm(x, ord=None)")
    ''
    """
    text = inspect.cleandoc(docstring)
    paragraph = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    plain = _REFERENCE.sub("", _ROLE.sub(r"\1", _TARGET.sub("", paragraph)))
    plain = plain.replace("`", "").replace("*", "")
    end = _END.search(plain)
    sentence = plain[: end.end()] if end else plain
    words = sentence.split()
    letters = sum(c.isalpha() or c.isspace() for c in sentence)
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS or letters < 0.8 * len(sentence) or _SIGNATURE.search(sentence):
        return ""
    return sentence if sentence.isprintable() else ""


def spread(values: list[T], most: int) -> list[T]:
    """Returns at most `most` values, evenly spread over the list."""
    if len(values) <= most:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, most).round().astype(int)]
