"""New items → mu, and z → outputs, in memory: nothing is written into the run."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from latentviz.errors import ObjectError
from latentviz.modalities.io.memory import find, named
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import examples
from latentviz.modalities.loading import OpenRun
from latentviz.model.encoding import bounds, means
from latentviz.progress import plural

FARTHEST = 1e6  # of a latent: the prior has N(0, 1); squares in decoders must stay finite in float32
DRAWS = 16  # z per item for the bound on log p(x)


@contextmanager
def stored_items(run: OpenRun, path: str) -> Iterator[np.ndarray]:
    """Give the items at `path` as the data kind stores them; row i is item i.

    Args:
        run: a finished run.
        path: the items, as `source_of` gives it.

    Raises:
        ObjectError: an item cannot be read, so rows would not be those of the data.
        DataError: nothing there can be read.
    """
    ready = run.modality.stored(path, run.config, run.run.cache)
    if ready is not None:
        yield ready
        return
    with tempfile.TemporaryDirectory(prefix="latentviz-") as folder:
        prepared, stored = run.modality.new.read_items(path, run.config, Path(folder), run.run.cache)
        shown, content = printable(named(path)), find(path)
        n = len(stored) + len(prepared.bad) if content is None else content.n
        if len(stored) != n:
            why = f" ({examples(prepared.bad)})" if prepared.bad else ", or are blank"
            raise ObjectError(
                f"{shown}: {n - len(stored):,} of {n:,} items cannot be read{why}; correct or remove them, or place "
                "the others with `latentviz encode`"
            )
        yield stored


def transform(run: OpenRun, path: str) -> np.ndarray:
    """Return the posterior means of the items at `path`, float32 (n, d); the model stays loaded."""
    with stored_items(run, path) as stored:
        return means(run.model.vae, run.model.encoder, stored, run.model.kind.to_input)


def log_bounds(run: OpenRun, path: str, seed: int) -> np.ndarray:
    """Return a lower bound on log p(x) of each item at `path`, float64 (n,) in nats; `seed` is that of its draws."""
    with stored_items(run, path) as stored:
        return bounds(run.model.vae, stored, run.model.kind.to_input, draws=DRAWS, seed=seed)


def decode(run: OpenRun, z: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray | Sequence[str]:
    """Return what the decoder makes of each z (m, d): images uint8 (m, c, h, w), texts, or vectors float32 (m, D).

    Raises:
        ObjectError: z has another shape, or numbers that are not finite or too large.
    """
    return run.model.kind.outputs(run.model.vae, checked_latents(run, z))


def checked_latents(run: OpenRun, z: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
    """Return z as float32 (m, d).

    Raises:
        ObjectError: z has another shape, or numbers that are not finite or too large.
    """
    d = run.mu.shape[1]
    try:
        values = np.asarray(z)
    except ValueError:  # rows of different lengths
        values = np.asarray(z, object)
    if values.dtype.kind not in "buif" or values.ndim != 2 or values.shape[1] != d or not len(values):
        raise ObjectError(
            f"z: must be an array of numbers (m, {d}), such as rows of run.mu (got {values.dtype}{values.shape})"
        )
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ObjectError(f"z: row {row} has values that are NaN or infinite; every z needs {plural(d, 'number')}")
    if (largest := float(np.abs(values.astype(np.float64)).max())) > FARTHEST:
        raise ObjectError(
            f"z: must be {-FARTHEST:,.0f} to {FARTHEST:,.0f} (got {largest:g}); mu of this run reach "
            f"{float(np.abs(run.mu).max()):.3g}"
        )
    return np.array(values, np.float32)
