"""See what is in a pile of images or texts: a VAE, its latent space as a map, and the decoder behind it.

>>> import latentviz as lv
>>> run = lv.fit("digits")            # doctest: +SKIP
>>> result = lv.cluster(run)          # doctest: +SKIP
>>> result.points.head()              # doctest: +SKIP
>>> print(lv.evaluate(run))           # doctest: +SKIP
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentviz.api import Evaluation, Result, cluster, encode, evaluate, export, fit, generate, redraw
    from latentviz.runs.run import Run

# Set before torch is loaded: threads that wait for each other sleep instead of spinning, so that a training beside
# another busy program is not many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_VERBS = ("cluster", "encode", "evaluate", "export", "fit", "generate", "redraw")
_HOMES = {**dict.fromkeys(["Evaluation", "Result", *_VERBS], "latentviz.api"), "Run": "latentviz.runs.run"}
__all__ = ["Evaluation", "Result", "Run", "cluster", "encode", "evaluate", "export", "fit", "generate", "redraw"]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `latentviz --help` need not wait for torch and umap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'latentviz' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
