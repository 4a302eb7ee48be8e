"""The nearest neighbours of every item: one search, shared by the training's positives, the reducer and the map."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

# Up to here all distances are computed: exact, repeatable on any number of cores, and quicker than building an index.
EXACT_BELOW = 150_000
BLOCK_BYTES = 128 * 2**20  # of distances held at a time
CHUNK = 64  # columns whose least distance stands for them in the first pass
SPARE = 8  # candidates kept beyond k, since the first pass rounds


class Neighbours(NamedTuple):
    """The nearest neighbours of every item, itself first.

    Attributes:
        indices: int32 (n, k).
        distances: float32 (n, k), ascending.
    """

    indices: np.ndarray
    distances: np.ndarray


def neighbours(mu: np.ndarray, k: int, *, metric: str = "euclidean", seed: int = 0) -> Neighbours:
    """Returns the k nearest neighbours of each row of `mu` (n, d), each row its own first neighbour.

    Exact for up to 150,000 items; above, by nearest-neighbour descent (Dong et al. 2011, in pynndescent).

    Args:
        mu: float32 (n, d).
        k: neighbours of each row, itself included; less than n.
        metric: "euclidean", or "cosine" for 1 − cosine.
        seed: of the descent.
    """
    vectors = np.ascontiguousarray(mu, np.float32)
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = exact_neighbours(vectors, k) if len(mu) <= EXACT_BELOW else _descent(vectors, k, seed)
    # For unit vectors ‖a − b‖² = 2·(1 − cosine).
    return Neighbours(found.indices, found.distances**2 / 2) if metric == "cosine" else found


def exact_neighbours(vectors: np.ndarray, k: int) -> Neighbours:
    """Returns the k nearest rows of each row of `vectors` (n, d) by Euclidean distance, itself first."""
    return _search(vectors, vectors, k, own=True)


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> Neighbours:
    """Returns the k rows of `vectors` (n, d) nearest to each row of `queries` (m, d) by Euclidean distance, exact.

    Of rows equally far the first comes first. What is found for a query does not depend on the other queries.
    """
    return _search(np.ascontiguousarray(queries, np.float32), np.ascontiguousarray(vectors, np.float32), k, own=False)


def _search(queries: np.ndarray, vectors: np.ndarray, k: int, *, own: bool) -> Neighbours:
    """Returns the k nearest rows of `vectors` for each query; with `own`, query i is row i and its own neighbour.

    A block of all distances comes from one matrix product. Its columns are looked at in chunks of 64: only the k
    chunks with the least minima can hold one of the k nearest, so that the costly selection sees a few hundred
    candidates and not n. The distances that are returned are computed afresh from the differences.
    """
    from threadpoolctl import threadpool_limits

    n, m = len(vectors), len(queries)
    centred = vectors - vectors.mean(axis=0)
    asked = centred if own else queries - vectors.mean(axis=0)
    chunks = -(-n // CHUNK)
    columns = np.zeros((chunks * CHUNK, vectors.shape[1]), np.float32)
    columns[:n] = centred
    offsets = np.full(chunks * CHUNK, np.inf, np.float32)
    offsets[:n] = np.einsum("ij,ij->i", centred, centred)
    indices, distances = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
    height = max(1, min(m, BLOCK_BYTES // (4 * len(columns))))
    wanted = min(k + SPARE, n)

    def block(start: int) -> None:
        rows = slice(start, min(start + height, m))
        d = columns @ (-2 * asked[rows]).T  # (columns, rows): ‖y‖² − 2·x·y, which orders like ‖x − y‖²
        d += offsets[:, None]
        these = np.arange(rows.start, rows.stop)
        if own:
            d[these, these - rows.start] = -np.inf
        least = d.reshape(chunks, CHUNK, -1).min(axis=1).T  # (rows, chunks)
        kept = min(wanted, chunks)
        near = np.argpartition(least, kept - 1, axis=1)[:, :kept]  # (rows, kept)
        candidates = (near[:, :, None] * CHUNK + np.arange(CHUNK)).reshape(len(these), -1)
        of = np.take_along_axis(d.T, candidates, axis=1)
        best = np.argpartition(of, wanted - 1, axis=1)[:, :wanted]
        best = np.take_along_axis(candidates, best, axis=1)  # (rows, wanted)
        exact = np.sqrt(np.square(vectors[best] - queries[rows, None]).sum(-1))
        if own:
            exact[best == these[:, None]] = -1  # an item is its own first neighbour, before its duplicates
        order = np.lexsort((best, exact), axis=1)[:, :k]
        indices[rows] = np.take_along_axis(best, order, axis=1)
        distances[rows] = np.take_along_axis(exact, order, axis=1).clip(0)

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(block, range(0, m, height)))
    return Neighbours(indices, distances)


def _descent(vectors: np.ndarray, k: int, seed: int) -> Neighbours:
    from pynndescent import NNDescent

    index = NNDescent(vectors, n_neighbors=k, random_state=seed, n_jobs=-1, low_memory=True, compressed=False)
    indices, distances = index.neighbor_graph
    return Neighbours(indices.astype(np.int32), distances.astype(np.float32))
