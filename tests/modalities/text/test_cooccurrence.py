"""Statistics of tokens without training."""

import numpy as np
import pytest
import torch

from latentviz.modalities.text.cooccurrence import metre, token_statistics
from latentviz.modalities.text.tokens import END, PAD

SIZE, T = 13, 8


def corpus(n: int = 600) -> np.ndarray:
    """Return texts of two topics, tokens 3–7 and 8–11, with token 12 twice in each."""
    rng = np.random.default_rng(0)
    rows = np.full((n, T), PAD, np.int32)
    for row in rows:
        topic = np.arange(3, 8) if rng.random() < 0.5 else np.arange(8, 12)
        row[:5] = [*rng.permutation(topic)[:3], 12, 12]
        row[5] = END
    return rows


def test_tokens_that_occur_together_point_the_same_way() -> None:
    facts = token_statistics(corpus(), np.arange(600), SIZE, 6, seed=0)
    vectors = torch.nn.functional.normalize(facts.vectors, dim=1)
    cosines = vectors @ vectors.T
    within = torch.cat([cosines[3:8, 3:8].flatten(), cosines[8:12, 8:12].flatten()])
    assert within.min() > cosines[3:8, 8:12].max() + 0.1
    assert facts.vectors.isfinite().all()
    assert facts.vectors.shape == (SIZE, 6)
    assert facts.vectors.any(dim=1).all(), "tokens that never occur have vectors too"


def test_counts_leave_padding_out() -> None:
    facts = token_statistics(corpus(), np.arange(600), SIZE, 0, seed=0)
    assert facts.vectors is None
    assert facts.counts[PAD] == 0
    assert facts.counts[12] == 1200
    assert facts.counts.sum() == 600 * 6


def test_a_token_that_occurs_twice_may_be_repeated() -> None:
    facts = token_statistics(corpus(), np.arange(600), SIZE, 0, seed=0)
    assert facts.unrepeated[3:12].all()
    assert not facts.unrepeated[[PAD, END, 12]].any()


@pytest.mark.parametrize("rows", [np.arange(3), np.arange(0)])
def test_few_texts_will_do(rows: np.ndarray) -> None:
    facts = token_statistics(corpus(), rows, SIZE, 40, seed=0)
    assert facts.vectors.shape == (SIZE, 40)
    assert facts.vectors.isfinite().all()


def test_the_metre_is_found_in_verse_and_in_nothing_else() -> None:
    rng = np.random.default_rng(0)
    verse = rng.integers(4, 40, (300, 12)).astype(np.int32)
    verse[:, 5], verse[:, -1] = 3, END
    assert metre(verse, np.arange(300)) == 6
    prose = verse.copy()
    prose[::2, 8:] = [END, PAD, PAD, PAD]
    assert metre(prose, np.arange(300)) == 0
    undivided = verse.copy()
    undivided[:, 5] = rng.integers(4, 40, 300)
    assert metre(undivided, np.arange(300)) == 0
