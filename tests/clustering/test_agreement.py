"""The agreement of labellings is scikit-learn's adjusted Rand index."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from latentviz.clustering.agreement import partition_agreement


def test_agreement_is_that_of_the_library() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        n, k = random.integers(2, 60), random.integers(1, 9)
        labels = random.integers(-1, k, n).astype(np.int32)
        others = np.where(random.random(n) < random.random(), labels, random.integers(-1, 5, n))
        assert partition_agreement(labels, others) == adjusted_rand_score(labels, others)
