"""Terms of texts in any script."""

import numpy as np
import pytest

from latentviz.modalities.text.keywords import count_terms, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Returns THE nodes' ids, and don’t_stop 12 x", ["returns", "nodes", "ids", "don’t", "stop"]),
        ("cafe\u0301 Zürich", ["café", "zürich"]),
        ("हिन्दी में किताब", ["हिन्दी", "में", "किताब"]),
        ("שָׁלוֹם العربية", ["שָׁלוֹם", "العربية"]),
        ("酒醉，秋风", ["酒", "醉", "酒醉", "秋", "风", "秋风"]),
        ("東京タワー", ["東", "京", "東京", "京タ", "タワ", "ワー"]),
        ("GPU显卡", ["gpu", "显", "卡", "显卡"]),
        ("ไทย", ["ไท", "ทย"]),
        ("👩‍👩‍👧 !? …", []),
        ("", []),
    ],
)
def test_terms_of_every_script(text: str, expected: list[str]) -> None:
    assert list(split(text)) == expected


def test_rare_terms_are_left_out_and_missing_texts_have_none() -> None:
    counts, names = count_terms(["wide wide world", "wide", None, "wide, once"])
    assert names == ["wide"]
    np.testing.assert_array_equal(counts.toarray(), [[2], [1], [0], [1]])
