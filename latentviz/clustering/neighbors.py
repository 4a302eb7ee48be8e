"""Nearest neighbours, for the positives in training, the reducer, the map and new items."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

EXACT_BELOW = 150_000  # items up to which all distances are computed; see docs/experiments.md
CELL = 200  # items in a cell, on average
SEARCHED = 8_000  # items compared with each query, at least: those of the nearest cells
BLOCK_BYTES = 128 * 2**20  # of distances held at a time
CHUNK = 64  # columns represented by their least distance in the first pass
TILE = 16 * CHUNK  # columns whose distances fit into the processor's cache until their minima are known
SPARE = 8  # candidates kept beyond k, because the first pass rounds


class Neighbours(NamedTuple):
    """The nearest neighbours of every item, itself first."""

    indices: np.ndarray  # int32 (n, k)
    distances: np.ndarray  # float32 (n, k), ascending


def neighbours(mu: np.ndarray, k: int, *, seed: int = 0) -> Neighbours:
    """Finds the k < n nearest neighbours of each row of `mu` (n, d) by Euclidean distance, each row its own first.

    Exact for up to 150,000 items; above, approximate, see `Cells`, which `seed` is for. The result does not depend on
    the number of cores.
    """
    vectors = np.ascontiguousarray(mu, np.float32)
    if len(mu) <= EXACT_BELOW:
        return exact_neighbours(vectors, k)
    return refined(vectors, Cells(vectors, seed).neighbours(k))


def exact_neighbours(vectors: np.ndarray, k: int) -> Neighbours:
    """Finds the k nearest rows of each row of `vectors` (n, d) by Euclidean distance, itself first."""
    return _search(vectors, vectors, k, own=True)


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> Neighbours:
    """Finds the k rows of `vectors` (n, d) nearest to each row of `queries` (m, d) by Euclidean distance, exactly.

    Of rows at the same distance the first comes first. A query's result does not depend on the other queries.
    """
    return _search(np.ascontiguousarray(queries, np.float32), np.ascontiguousarray(vectors, np.float32), k, own=False)


def _search(queries: np.ndarray, vectors: np.ndarray, k: int, *, own: bool) -> Neighbours:
    """With `own`, query i is row i and its own first neighbour."""
    m = len(queries)
    indices, distances = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
    among = Among(vectors)
    height = max(1, min(m, BLOCK_BYTES // (4 * len(among.columns))))

    def block(start: int) -> None:
        rows = slice(start, min(start + height, m))
        itself = np.arange(rows.start, rows.stop) if own else None
        indices[rows], distances[rows] = among.nearest(queries[rows], k, itself)

    _in_parallel(block, range(0, m, height))
    return Neighbours(indices, distances)


def _in_parallel(work: Callable[[int], None], jobs: Iterable[int]) -> None:
    """Runs jobs on all cores in threads; numpy releases the lock in their long parts."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, jobs))


class Among:
    """Exact search among vectors.

    One matrix product gives a block of all distances. Its columns are reduced to minima of chunks of 64: only the k
    chunks with the least minima can hold one of the k nearest, so that the selection sees a few hundred candidates
    instead of n. The distances returned are recomputed from the differences.

    Args:
        vectors: float32 (n, d).
    """

    def __init__(self, vectors: np.ndarray) -> None:
        n = len(vectors)
        self.vectors, self.centre, self.chunks = vectors, vectors.mean(axis=0), -(-n // CHUNK)
        self.columns = np.zeros((self.chunks * CHUNK, vectors.shape[1]), np.float32)
        self.columns[:n] = vectors - self.centre
        self.offsets = np.full(self.chunks * CHUNK, np.inf, np.float32)
        self.offsets[:n] = np.einsum("ij,ij->i", self.columns[:n], self.columns[:n])

    def nearest(self, queries: np.ndarray, k: int, itself: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows int64 (m, k) and distances float32 (m, k) of the k nearest to each query, nearest first.

        Args:
            queries: float32 (m, d).
            k: at most n.
            itself: int (m,), each query's own row, which comes first; None: the queries are not rows.
        """
        m, wanted = len(queries), min(k + SPARE, len(self.vectors))
        right = -2 * (queries - self.centre).T
        d = np.empty((len(self.columns), m), np.float32)  # ‖y‖² − 2·x·y, which orders like ‖x − y‖²
        least = np.empty((self.chunks, m), np.float32)
        for start in range(0, len(d), TILE):
            tile = d[start : start + TILE]
            np.matmul(self.columns[start : start + TILE], right, out=tile)
            tile += self.offsets[start : start + TILE, None]
            tile.reshape(-1, CHUNK, m).min(axis=1, out=least[start // CHUNK :][: len(tile) // CHUNK])
        if itself is not None:
            d[itself, np.arange(m)] = least[itself // CHUNK, np.arange(m)] = -np.inf
        least = least.T
        kept = min(wanted, self.chunks)
        near = np.argpartition(least, kept - 1, axis=1)[:, :kept]  # (m, kept)
        candidates = (near[:, :, None] * CHUNK + np.arange(CHUNK)).reshape(m, -1)
        of = np.take_along_axis(d.T, candidates, axis=1)
        best = np.argpartition(of, wanted - 1, axis=1)[:, :wanted]
        best = np.take_along_axis(candidates, best, axis=1)  # (m, wanted)
        exact = np.sqrt(np.square(self.vectors[best] - queries[:, None]).sum(-1))
        if itself is not None:
            exact[best == itself[:, None]] = -1  # before its duplicates
        order = np.lexsort((best, exact), axis=1)[:, :k]
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(exact, order, axis=1).clip(0)


class Cells:
    """Approximate search: vectors grouped into cells, of which only the nearest are searched.

    The inverted file of Jégou, Douze & Schmid 2011 without compression. Centres are sampled from the vectors, so that
    cells are small in dense regions. All queries of a cell search the same cells, those with the centres nearest to its
    own, with one matrix product. The result depends neither on the number of cores nor on the other queries.

    Args:
        vectors: float32 (n, d).
        seed: of the centres.
    """

    def __init__(self, vectors: np.ndarray, seed: int = 0) -> None:
        self.vectors = np.ascontiguousarray(vectors, np.float32)
        n = len(vectors)
        count = max(1, n // CELL)
        self.centres = self.vectors[np.sort(np.random.default_rng(seed).permutation(n)[:count])]
        self.cell = nearest(self.vectors, self.centres, 1).indices[:, 0]  # of each vector, (n,)
        self.order = np.argsort(self.cell, kind="stable")  # rows by cell
        self.bounds = np.searchsorted(self.cell[self.order], np.arange(count + 1))
        self.sizes = np.diff(self.bounds)

    def neighbours(self, k: int) -> Neighbours:
        """Returns the k nearest rows of each row, itself first, of those in the nearest cells."""
        return self._look(self.vectors, self.cell, k, own=True)

    def nearest(self, queries: np.ndarray, k: int) -> Neighbours:
        """Finds the k rows nearest to each of `queries` (m, d) in the nearest cells."""
        queries = np.ascontiguousarray(queries, np.float32)
        return self._look(queries, nearest(queries, self.centres, 1).indices[:, 0], k, own=False)

    def searched(self, cell: int, k: int) -> np.ndarray:
        """Returns the rows that are searched for the queries of a cell, int64, ascending."""
        distance = np.square(self.centres - self.centres[cell]).sum(axis=1)
        cells = np.argsort(distance, kind="stable")
        enough = int(np.searchsorted(np.cumsum(self.sizes[cells]), max(SEARCHED, 4 * k))) + 1
        return np.sort(np.concatenate([self.order[self.bounds[c] : self.bounds[c + 1]] for c in cells[:enough]]))

    def _look(self, queries: np.ndarray, cell: np.ndarray, k: int, *, own: bool) -> Neighbours:
        m = len(queries)
        indices, distances = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
        asked = np.argsort(cell, kind="stable")
        cells, starts = np.unique(cell[asked], return_index=True)
        ends = np.append(starts[1:], m)

        def block(number: int) -> None:
            rows = asked[starts[number] : ends[number]]
            searched = self.searched(int(cells[number]), k)
            among = Among(self.vectors[searched])
            height = max(1, BLOCK_BYTES // (4 * len(among.columns)))
            for start in range(0, len(rows), height):
                some = rows[start : start + height]
                found, distances[some] = among.nearest(
                    queries[some], k, np.searchsorted(searched, some) if own else None
                )
                indices[some] = searched[found]

        _in_parallel(block, range(len(cells)))
        return Neighbours(indices, distances)


def refined(vectors: np.ndarray, found: Neighbours) -> Neighbours:
    """Improves approximate neighbours: the nearest among neighbours and their neighbours (Dong et al. 2011)."""
    n, k = found.indices.shape
    indices, distances = np.empty_like(found.indices), np.empty_like(found.distances)
    height = max(1, BLOCK_BYTES // (8 * k * k * vectors.shape[1]))

    def block(start: int) -> None:
        rows = np.arange(start, min(start + height, n))
        candidates = np.sort(found.indices[found.indices[rows]].reshape(len(rows), -1), axis=1)
        squares = np.square(vectors[candidates] - vectors[rows, None]).sum(axis=-1)
        squares[candidates == rows[:, None]] = -1
        squares[:, 1:][candidates[:, 1:] == candidates[:, :-1]] = np.inf  # each once
        best = np.argsort(squares, axis=1, kind="stable")[:, :k]
        indices[rows] = np.take_along_axis(candidates, best, axis=1)
        distances[rows] = np.sqrt(np.take_along_axis(squares, best, axis=1).clip(0))

    _in_parallel(block, range(0, n, height))
    return Neighbours(indices, distances)
