"""Conditions on a table: the rows they select, and the errors."""

import numpy as np
import pyarrow as pa
import pytest

from latentviz.errors import ConfigError
from latentviz.queries.filter import LONGEST, select

TABLE = pa.table(
    {
        "cluster": pa.array([0, 1, 1, None], pa.int32()),
        "probability": [0.1, 0.5, 0.9, 1.0],
        "label": ["3", "y", None, "it's"],
        "new": [True, False, True, False],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("cluster == 1", [1, 2]),
        ("cluster != 1", [0, 3]),
        ("cluster == None", [3]),
        ("cluster in [0, 1]", [0, 1, 2]),
        ("cluster not in (0, 1)", [3]),
        ("cluster >= 0", [0, 1, 2]),
        ("0.2 < probability <= 0.9", [1, 2]),
        ("0.5 > probability", [0]),
        ("-1 < cluster", [0, 1, 2]),
        ("label == 3", [0]),
        ("label == '3' or label == \"it's\"", [0, 3]),
        ("label is None", [2]),
        ("label is not None", [0, 1, 3]),
        ("label < 'j'", [0, 3]),
        ("not (cluster == 1 and label == 'y')", [0, 2, 3]),
        ("new", [0, 2]),
        ("not new and probability > 0.6", [3]),
        ("new == False", [1, 3]),
        ("cluster == 'x'", []),
        (" cluster == 1 ", [1, 2]),
    ],
)
def test_rows_that_fulfil_it(condition: str, rows: list[int]) -> None:
    chosen = select(condition, TABLE)
    assert chosen.dtype == np.bool_
    assert np.flatnonzero(chosen).tolist() == rows


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("clutser == 1", "Did you mean 'cluster'?"),
        ("label == y", "'y'"),
        ("cluster", "cluster == …"),
        ("cluster = 1", "not understood"),
        ("", "not understood"),
        ("1 == 1", "one side of a comparison must be a column"),
        ("label > 3", "cannot be ordered"),
        ("cluster > None", "cannot be ordered"),
        ("cluster + 1 == 2", "only texts in quotes"),
        ("label in 'abc'", "must be a list"),
        ("label in [y]", "texts in quotes"),
        ("__import__('os').system('true')", "only comparisons"),
        ("label.__class__ == 1", "only texts in quotes"),
        ("(lambda: 1)() == cluster", "only texts in quotes"),
        ("[x for x in label] == 1", "only texts in quotes"),
        ("(" * 300 + "new" + ")" * 300, "not understood"),
        ("cluster == 1 " + "and new " * LONGEST, "characters at most"),
    ],
)
def test_what_is_refused(condition: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^where") as caught:
        select(condition, TABLE)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
