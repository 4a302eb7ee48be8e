"""The agreement of labellings is scikit-learn's adjusted Rand index; their consensus is what most of them have."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from latentviz.clustering.agreement import COMBINATIONS, consensus, partition_agreement


def test_agreement_is_that_of_the_library() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        n, k = random.integers(2, 60), random.integers(1, 9)
        labels = random.integers(-1, k, n).astype(np.int32)
        others = np.where(random.random(n) < random.random(), labels, random.integers(-1, 5, n))
        assert partition_agreement(labels, others) == adjusted_rand_score(labels, others)


def test_the_consensus_is_what_most_labellings_have() -> None:
    truth = np.repeat([0, 1, 2], 50)
    joined, swapped = np.where(truth == 2, 1, truth), (truth + 1) % 3
    assert partition_agreement(truth, consensus([joined, truth, swapped])) == 1
    assert partition_agreement(joined, consensus([joined, truth, joined])) == 1
    assert len(np.unique(consensus([joined, truth]))) == 3, "half of them is not most"
    assert len(np.unique(consensus([np.zeros(9, int), np.zeros(9, int)]))) == 1


def test_items_whose_clusters_are_a_rare_combination_are_in_no_group() -> None:
    random = np.random.default_rng(0)
    common = np.repeat([0, 1], 2000)
    odd = random.integers(2, 60, (3, 2 * COMBINATIONS))
    groups = consensus([np.concatenate([common, labels]) for labels in odd])
    assert len(np.unique(groups[:4000])) == 2
    assert (groups[:4000] >= 0).all()
    assert (groups[4000:] < 0).any()
