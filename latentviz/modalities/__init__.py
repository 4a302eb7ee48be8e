"""The data kinds. One folder each; a new kind is a folder and a line in `MODALITIES`."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentviz.errors import DataError, choose

# kind -> package with the modules `config` (FitConfig, detect), `data`, `nets` and `show`.
MODALITIES: Mapping[str, str] = {"image": "latentviz.modalities.image"}


def part(kind: str, module: str) -> Any:
    """Returns one module of a data kind, such as `part("image", "nets")`; only what is asked for is imported."""
    return importlib.import_module(f"{choose(MODALITIES, kind, 'data.kind')}.{module}")


def detect(path: str) -> str:
    """Returns the data kind of bare data at `path`.

    Raises:
        DataError: no kind knows what to do with it.
    """
    if not path.startswith(("hf:", "sklearn:")) and not Path(path).exists():
        raise DataError(f"{path}: no recipe, config, file or folder of this name; `latentviz recipes` lists recipes")
    for kind in MODALITIES:
        if part(kind, "config").detect(path):
            return kind
    raise DataError(f"{path}: cannot tell what kind of data this is; say it with data.kind=… "
                    f"(one of {', '.join(MODALITIES)})")
