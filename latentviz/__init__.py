"""Explore unlabelled images, texts or vectors: a VAE, an interactive map of its latent space, and its decoder.

>>> import latentviz as lv
>>> run = lv.fit("digits")            # doctest: +SKIP
>>> result = lv.cluster(run)          # doctest: +SKIP
>>> result.points.head()              # doctest: +SKIP
>>> print(lv.evaluate(run))           # doctest: +SKIP
>>> lv.open("digits").clustering()    # doctest: +SKIP
"""

import os

TYPE_CHECKING = False  # importing typing would take as long as everything else before Ctrl-C is handled
if TYPE_CHECKING:
    from typing import Any

    from latentviz.api import Result, Run, cluster, fit, map, open, widget  # noqa: A004
    from latentviz.estimator import LatentMap
    from latentviz.modalities.vae import VAE
    from latentviz.tuning import Tuning, tune
    from latentviz.verbs import (
        Evaluation,
        annotate,
        compare,
        encode,
        evaluate,
        export,
        generate,
        inspect,
        label,
        recommend,
        verify,
    )

    __version__: str

# Set before torch is loaded: threads that wait for each other sleep instead of spinning, so that training next to
# another busy program does not become many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "VAE",
    "Evaluation",
    "LatentMap",
    "Result",
    "Run",
    "Tuning",
    "__version__",
    "annotate",
    "cluster",
    "compare",
    "encode",
    "evaluate",
    "export",
    "fit",
    "generate",
    "inspect",
    "label",
    "map",
    "open",
    "recommend",
    "tune",
    "verify",
    "widget",
]


def __getattr__(name: str) -> "Any":
    """Loads a public name on first use, so that `latentviz --help` does not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module 'latentviz' has no attribute {name!r}")
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("latentviz")
    elsewhere = {
        "VAE": ("modalities.vae", "VAE"),
        "Evaluation": ("verbs", "Evaluation"),
        "LatentMap": ("estimator", "LatentMap"),
        "inspect": ("verbs", "inspect"),
        "Tuning": ("tuning", "Tuning"),
        "tune": ("tuning", "tune"),
    }
    module, name_there = elsewhere.get(name, ("api", name))
    globals()[name] = value = getattr(importlib.import_module(f"latentviz.{module}"), name_there)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
