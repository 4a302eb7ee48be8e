"""How much two labellings agree."""

import numpy as np


def partition_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the adjusted Rand index of two labellings (n,) in [−1, 1] (Hubert & Arabie 1985).

    scikit-learn checks its arguments ten times as long as this takes, and the choice of a cut asks hundreds of times.
    """
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    shared = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns)).reshape(len(rows), -1)
    n, both, one, other = (int(np.square(c).sum()) for c in (len(row), shared, shared.sum(axis=1), shared.sum(axis=0)))
    together, first_only, second_only = both - len(row), one - both, other - both  # pairs, counted twice
    apart = n - one - other + both
    if first_only == second_only == 0:
        return 1.0
    chance = (together + first_only) * (first_only + apart) + (together + second_only) * (second_only + apart)
    return 2.0 * (together * apart - first_only * second_only) / chance
