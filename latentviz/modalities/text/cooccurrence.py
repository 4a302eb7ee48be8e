"""Statistics of the training texts before any training: token counts, co-occurrence vectors, tokens without repeats."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from latentviz.modalities.text.tokens import END, PAD, UNK
from latentviz.modalities.text.topic import VECTORS, TopicMap, topic_map

TOKENS = 3_000_000  # tokens read at most, padding included
DENSE = 64  # tokens of a text whose pairs are counted: their number grows with the square
ONCE = 0.1  # a token is unrepeated if at most this share of the texts that have it repeat it
ALIKE = 0.9  # share of the texts that must agree on a verse's metre
SEEN = 5  # texts that must have a token before it can count as unrepeated


class TokenStatistics(NamedTuple):
    """Statistics of the training texts.

    Attributes:
        counts: how often each token occurs, int64 (v,); 0 for padding.
        unrepeated: bool (v,), tokens that hardly ever occur twice in a text.
        vectors: float32 (v, e), similar for tokens that occur together; None if not asked for.
        topics: map from texts to topics; None if not asked for.
    """

    counts: Tensor
    unrepeated: Tensor
    vectors: Tensor | None
    topics: TopicMap | None = None


def token_statistics(
    tokens: np.ndarray, rows: np.ndarray, size: int, width: int, seed: int, topic: int = 0
) -> TokenStatistics:
    """Return the statistics of the texts in `rows`, or of a sample of them if they are many.

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
    edge = np.ones((len(order), 1), bool)
    again = order[:, 1:] == order[:, :-1]
    first = np.concatenate([edge, ~again], axis=1)
    second = again & np.concatenate([edge, ~again[:, :-1]], axis=1)[:, : again.shape[1]]
    texts = np.bincount(order[first], minlength=size)
    repeating = np.bincount(order[:, 1:][second], minlength=size)
    unrepeated = (texts >= SEEN) & (repeating <= ONCE * texts)
    unrepeated[[PAD, UNK, END]] = False
    vectors = ppmi_vectors(ids, size, width, seed) if width else None
    topics = topic_map(ids, texts, ppmi_vectors(ids, size, VECTORS, seed).numpy(), topic) if topic else None
    return TokenStatistics(torch.from_numpy(counts), torch.from_numpy(unrepeated), vectors, topics)


def metre(tokens: np.ndarray, rows: np.ndarray) -> int:
    """Return the tokens of a line of verse with its separator; 0 if texts differ in length or have no separator.

    Nearly all texts must have one length, and one token, such as the comma of a couplet, at one inner position: their
    lines then correspond position by position.
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
    """Return vectors (size, width) whose products approximate the PPMI of two tokens in one text; root mean square ½.

    Positive pointwise mutual information max(0, log p(a, b) / p(a)p(b)), factored by a truncated singular value
    decomposition with the square root of the singular values on each side (Levy & Goldberg 2014, section 4.1).
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
