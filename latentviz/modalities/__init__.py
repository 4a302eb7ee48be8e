"""The data kinds. One folder each; a new kind is a folder and a line in `MODALITIES`."""

import importlib.util
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentviz.errors import DataError, choose

# kind -> package with the modules
#   config  CONFIG: pydantic only
#   detect  detect: whether bare data is of this kind; standard library only, until a file has to be opened
#   kind    KIND: what training, encoding and decoding ask for; its docstrings say what
#   show    given, lines, draw, draw_sheet: items and outputs as pictures or texts; without torch
#   new     read_item, read_items: items that are not in a run, made to fit its model, whose cache they are given;
#           without torch
# and where the items have any
#   keywords  terms: what the items are made of and named by, None where these have no words; without torch
# and whatever these need. tests/words is a kind as small as can be.
MODALITIES: Mapping[str, str] = {
    "image": "latentviz.modalities.image",
    "vectors": "latentviz.modalities.vectors",  # before texts: a table may have both, and its texts are shown beside
    "text": "latentviz.modalities.text",
}
# What bare data begins with that is neither a file nor a folder.
SCHEMES = ("hf:", "sklearn:", "python:")


def part(kind: str, module: str) -> Any:
    """Returns one module of a data kind, such as `part("image", "nets")`; only what is asked for is imported."""
    return importlib.import_module(f"{choose(MODALITIES, kind, 'data.kind')}.{module}")


def optional_part(kind: str, module: str) -> Any | None:
    """Returns one module of a data kind, or None where the kind has none of that name."""
    package = choose(MODALITIES, kind, "data.kind")
    return part(kind, module) if importlib.util.find_spec(f"{package}.{module}") else None


def detect(path: str) -> str:
    """Returns the data kind of bare data at `path`.

    Raises:
        DataError: no kind knows what to do with it.
    """
    if not path.startswith(SCHEMES) and not Path(path).exists():
        raise DataError(f"{path}: no recipe, config, file or folder of this name; `latentviz recipes` lists recipes")
    for kind in MODALITIES:
        if part(kind, "detect").detect(path):
            return kind
    kinds = " or ".join(f"{kind.removesuffix('s')}s" for kind in MODALITIES)
    raise DataError(
        f"{path}: {_contents(Path(path))}; cannot tell what kind of data this is. Name a folder or file of "
        f"{kinds}, or say the kind with data.kind=…"
    )


def _contents(path: Path) -> str:
    """Returns what a path holds, in words: "the folder is empty", "a folder with 3 .txt, 1 .csv", "a .txt file"."""
    if not path.is_dir():
        return f"a {path.suffix or 'nameless'} file"
    suffixes = Counter(file.suffix.lower() or "without a suffix" for file in path.rglob("*") if file.is_file())
    if not suffixes:
        return "the folder is empty"
    return "a folder with " + ", ".join(f"{count:,} {suffix}" for suffix, count in suffixes.most_common(3))
