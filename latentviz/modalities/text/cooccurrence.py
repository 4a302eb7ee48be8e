"""What the training texts say of their tokens before any training: counts, vectors, and which ones come but once."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.text.tokens import END, PAD, UNK
from latentviz.modalities.text.topic import VECTORS, Topics, topics

TOKENS = 3_000_000  # looked at at most, padding included
DENSE = 64  # tokens of a text that count as seen together, at most: pairs grow with the square
ONCE = 0.1  # a token comes but once if no more of the texts that have it than this have it again
ALIKE = 0.9  # share of the texts that are called nearly all
SEEN = 5  # texts that must have a token before that can be told


class Facts(NamedTuple):
    """What `look` returns.

    Attributes:
        counts: how often each token occurs, int64 (v,); padding does not.
        unrepeated: bool (v,), tokens that texts do not have twice.
        vectors: float32 (v, e), tokens that occur together point the same way; None where not asked for.
        topics: what the texts are about; None where not asked for.
    """

    counts: Tensor
    unrepeated: Tensor
    vectors: Tensor | None
    topics: Topics | None = None


def look(tokens: np.ndarray, rows: np.ndarray, size: int, width: int, seed: int, topic: int = 0) -> Facts:
    """Returns the facts of the texts in `rows`; a sample of them where they are many.

    Args:
        tokens: (n, t), memory-mapped.
        rows: int64, the training texts.
        size: v.
        width: e of the vectors; 0: none.
        seed: of the sample and the vectors.
        topic: dimensions of the topics; 0: none.
    """
    most = max(1, TOKENS // tokens.shape[1])
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    ids = np.asarray(tokens[rows], np.int64)
    counts = np.bincount(ids.ravel(), minlength=size)
    counts[PAD] = 0
    order = np.sort(ids, axis=1)
    again = order[:, 1:] == order[:, :-1]
    first = np.concatenate([np.ones((len(order), 1), bool), ~again], axis=1)
    texts = np.bincount(order[first], minlength=size)
    second = again & np.concatenate([np.ones((len(order), 1), bool), ~again[:, :-1]], axis=1)[:, : again.shape[1]]
    repeating = np.bincount(order[:, 1:][second], minlength=size)
    unrepeated = (texts >= SEEN) & (repeating <= ONCE * texts)
    unrepeated[[PAD, UNK, END]] = False
    vectors = ppmi_vectors(ids, size, width, seed) if width else None
    about = topics(ids, texts, ppmi_vectors(ids, size, VECTORS, seed).numpy(), topic) if topic else None
    return Facts(torch.from_numpy(counts), torch.from_numpy(unrepeated), vectors, about)


def metre(tokens: np.ndarray, rows: np.ndarray) -> int:
    """Returns how many tokens apart the lines of verse stand; 0 where texts differ in length or no token divides them.

    Texts of one length with the same token at one inner place in nearly all of them, such as the comma of a couplet,
    have lines that answer each other place by place.
    """
    ids = np.asarray(tokens[rows[: TOKENS // tokens.shape[1]]])
    lengths = (ids > END).sum(1)
    length = int(np.median(lengths))
    if not len(ids) or (lengths == length).mean() < ALIKE:
        return 0
    for place in range(1, length // 2 + 1):
        if np.bincount(ids[:, place].astype(np.int64)).max() >= ALIKE * len(ids):
            return place + 1
    return 0


def ppmi_vectors(ids: np.ndarray, size: int, width: int, seed: int) -> Tensor:
    """Returns vectors (size, width) whose products approximate the PPMI of two tokens being in one text.

    Positive pointwise mutual information max(0, log p(a, b) / p(a)p(b)), factored by a truncated singular value
    decomposition, each side taking the root of the singular values (Levy & Goldberg 2014); root mean square ½.
    """
    import scipy.sparse as sp
    from sklearn.utils.extmath import randomized_svd

    ids = ids[:, :DENSE]
    there = ids > END
    row = np.repeat(np.arange(len(ids)), there.sum(1))
    seen = sp.csr_matrix((np.ones(len(row), np.float32), (row, ids[there])), (len(ids), size))
    seen.data[:] = 1
    pairs = (seen.T @ seen).tocoo()
    off = pairs.row != pairs.col
    a, b, together = pairs.row[off], pairs.col[off], pairs.data[off].astype(np.float64)
    alone = np.bincount(a, together, size)
    information = np.log(together * together.sum() / (alone[a] * alone[b])) if len(a) else together
    kept = information > 0
    table = sp.csr_matrix((information[kept], (a[kept], b[kept])), (size, size), dtype=np.float32)
    vectors = np.zeros((size, width), np.float32)
    if table.nnz:
        left, values, _ = randomized_svd(table, min(width, size - 1), random_state=seed)
        vectors[:, : len(values)] = left * np.sqrt(values)
        vectors *= 0.5 / np.sqrt(np.square(vectors[END + 1 :]).mean())
    noise = np.random.default_rng(seed).normal(0, 0.1, vectors.shape).astype(np.float32)
    empty = ~vectors.any(axis=1)
    vectors[empty] = noise[empty]
    return torch.from_numpy(vectors)
