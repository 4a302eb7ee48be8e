"""The items whose vectors are nearest to a decoded vector: exact, one block of the memory-mapped cache at a time."""

from typing import NamedTuple

import numpy as np

from latentviz.modalities.vectors.prepare import blocks_of


class Near(NamedTuple):
    """The nearest items of each query, nearest first."""

    rows: np.ndarray  # int64 (m, k)
    scores: np.ndarray  # float32 (m, k): the cosine, or minus the Euclidean distance; higher is nearer


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int, metric: str, units: np.ndarray | None = None) -> Near:
    """Finds the k rows of `vectors` (n, d) nearest to each of `queries` (m, d).

    Args:
        queries: float32.
        vectors: memory-mapped; some megabytes are held at a time, unlike in `clustering.neighbors.nearest`.
        k: at most n.
        metric: cosine or euclidean.
        units: float32 (d,), what each dimension is divided by; None: 1.
    """
    queries = queries if units is None else queries / units
    queries = unit(queries) if metric == "cosine" else queries
    rows = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start, raw in blocks_of(vectors):
        block = raw if units is None else raw / units
        found = queries @ unit(block).T if metric == "cosine" else -_distances(queries, block)  # (m, b)
        kept = min(k, found.shape[1])
        best = np.argpartition(-found, kept - 1, axis=1)[:, :kept]
        rows = np.concatenate([rows, best + start], axis=1)
        scores = np.concatenate([scores, np.take_along_axis(found, best, axis=1)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return Near(rows, scores)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales each row to length 1; rows of zeros stay unchanged."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return scaled


def _distances(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances (m, n)."""
    squares = np.square(queries).sum(1)[:, None] - 2 * queries @ vectors.T + np.square(vectors).sum(1)
    distances: np.ndarray = np.sqrt(np.maximum(squares, 0))
    return distances
