"""The terms of words: their letters."""

import numpy as np

from latentviz.clustering.keywords import Terms
from latentviz.runs.items import Items
from tests.words.new import LETTERS


def terms(items: Items) -> Terms:
    """Returns how often each letter occurs in each word."""
    from scipy.sparse import csr_matrix

    return Terms(
        csr_matrix([[word.count(letter) for letter in LETTERS] for word in items.column("text")], dtype=np.int64),
        list(LETTERS),
    )
