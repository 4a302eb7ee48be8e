"""Texts to tokens and back."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentviz.config import validate
from latentviz.errors import RunError
from latentviz.modalities.text.config import ResolvedTextConfig, TextData
from latentviz.modalities.text.new import read_item
from latentviz.modalities.text.tokens import END, PAD, UNK, Tokenizer, count_characters
from latentviz.modalities.text.vocabulary import choose_method, fitting_count, learn

TEXTS = [
    "Hello, world! This is [PAD] and [END].",
    "naïve café, don't stop",
    "日本語 テキスト 🧑‍👩‍👧 मराठी",
    "two\nlines of text",
    "שלום עולם ערבית العربية",
] * 4


def trained(method: str, texts: list[str] = TEXTS, vocab_size: int = 1000, min_count: int = 2) -> Tokenizer:
    """Return a tokenizer learnt from texts."""
    return Tokenizer.train([texts], count_characters([texts]), method, vocab_size, min_count)


@pytest.mark.parametrize("method", ["character", "bpe"])
class TestBoth:
    def test_there_and_back(self, method: str) -> None:
        tokenizer = trained(method)
        rows, cut, unknown = tokenizer.encode(TEXTS, 60)
        assert (rows.dtype, rows.shape, cut, unknown) == (np.int32, (len(TEXTS), 60), 0, 0)
        assert tokenizer.decode(rows) == TEXTS
        assert tokenizer.method == method
        assert rows.max() < tokenizer.size == len(tokenizer.vocabulary)

    def test_every_row_is_tokens_then_one_end_then_padding(self, method: str) -> None:
        rows, cut, _ = trained(method).encode([*TEXTS[:5], "", "to"], 4)
        assert cut == 5
        assert ((rows == END).sum(1) == 1).all(), "texts that spell the special tokens do not have them"
        for row in rows:
            end = int(np.flatnonzero(row == END)[0])
            assert (row[end + 1 :] == PAD).all()
            assert (row[:end] != PAD).all()
        assert rows[-2].tolist() == [END] + [PAD] * 3

    def test_what_was_never_seen_is_unknown_and_shown_as_such(self, method: str) -> None:
        tokenizer = trained(method)
        rows, _, unknown = tokenizer.encode(["Zoo ☃"], 20)
        assert unknown == 2 == (rows == UNK).sum()
        assert tokenizer.decode(rows) == ["\N{REPLACEMENT CHARACTER}oo \N{REPLACEMENT CHARACTER}"]

    def test_combining_marks_are_composed(self, method: str) -> None:
        tokenizer = trained(method)
        composed, apart = tokenizer.encode(["café", "cafe\u0301"], 20)[0]
        assert np.array_equal(composed, apart)

    def test_a_text_of_megabytes(self, method: str) -> None:
        rows, cut, _ = trained(method).encode(["Hello, " * 500_000, "stop"], 8)
        assert cut == 1
        assert rows[0, -1] == END

    def test_saved_and_loaded(self, method: str, tmp_path: Path) -> None:
        tokenizer = trained(method)
        tokenizer.save(tmp_path)
        again = Tokenizer.load(tmp_path)
        assert (again.method, again.vocabulary) == (tokenizer.method, tokenizer.vocabulary)
        assert np.array_equal(again.encode(TEXTS, 30)[0], tokenizer.encode(TEXTS, 30)[0])
        (tmp_path / "tokenizer.json").write_text("{")
        with pytest.raises(RunError, match=r"tokenizer\.json: damaged"):
            Tokenizer.load(tmp_path)

    def test_the_vocabulary_is_bounded_and_the_same_each_time(self, method: str) -> None:
        small = trained(method, vocab_size=20)
        assert small.size <= 20 + (method == "bpe")
        assert trained(method).vocabulary == trained(method).vocabulary


def test_rare_characters_are_left_out_in_an_order_of_their_own() -> None:
    texts = ["".join(chr(0x4E00 + i) for i in range(200)) + " ab" * 9]
    vocabulary = trained("bpe", texts, vocab_size=40, min_count=1).vocabulary
    assert vocabulary[3:] == ["a", "b", "▁", *(chr(0x4E00 + i) for i in range(34))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_characters_come_back(texts: list[str]) -> None:
    import unicodedata

    tokenizer = trained("character", texts, min_count=1)
    rows, cut, unknown = tokenizer.encode(texts, 128)
    assert (cut, unknown) == (0, sum(text.count("\N{REPLACEMENT CHARACTER}") for text in texts))
    assert tokenizer.decode(rows) == [unicodedata.normalize("NFC", text) for text in texts]


def test_characters_are_looked_up_as_the_library_does() -> None:
    tokenizer = trained("character")
    ids, lengths = tokenizer.split([*TEXTS, "Zoo ☃", ""])
    library = [encoding.ids for encoding in tokenizer.backend.encode_batch([*TEXTS, "Zoo ☃", ""])]
    assert lengths.tolist() == [len(found) for found in library]
    assert ids.tolist() == [i for found in library for i in found]


def test_a_word_is_the_same_wherever_it_stands() -> None:
    tokenizer = trained("bpe", ["the cat sat", "a cat", "cat food"] * 9)
    first, second = tokenizer.encode(["cat", "the cat"], 9)[0]
    assert first[0] == second[1]
    assert tokenizer.encode(["a   cat"], 9)[0].tolist() == tokenizer.encode(["a cat"], 9)[0].tolist()


@pytest.mark.parametrize(
    ("texts", "method", "why"),
    [
        (["秦川雄帝宅,函谷壮皇居"] * 3, "character", "a script without spaces"),
        (["ภาษาไทย ไม่มีช่องว่างระหว่างคำ " * 3] * 3, "character", "a script without spaces"),
        (["Anna Maria", "Bob"] * 9, "character", "a few words"),
        (["GATTACA" * 30] * 3, "character", "a few words"),
        (["the first sentence of a docstring"] * 3, "bpe", "words with spaces"),
        (["안녕하세요 저는 한국어를 공부하고 있습니다 반갑습니다"] * 3, "bpe", "words with spaces"),
    ],
)
def test_the_method_is_chosen_from_the_texts(texts: list[str], method: str, why: str) -> None:
    found, reason = choose_method(texts)
    assert found == method
    assert why in reason


def test_rare_characters_are_unknown_where_that_costs_little() -> None:
    assert fitting_count(Counter({"a": 1000, "b": 4})) == 5
    assert fitting_count(Counter({"a": 1000, "b": 4, "c": 4, "d": 4})) == 4
    assert fitting_count(Counter("abc")) == 1


def test_the_notes_report_what_was_learnt() -> None:
    texts = pa.chunked_array([["天地玄黄"] * 200 + ["宙"] * 2, ["洪荒" * 20]])
    tokenizer, data, notes = learn(texts, TextData(path="x"))
    assert (data.tokens, data.min_count, data.max_length) == ("character", 5, 5)
    assert len(notes) == 2
    for fact in ("tokens: characters", "without spaces", "7 distinct characters", "1 of them unknown", "5 times"):
        assert fact in notes[0]
    for fact in ("1 to 40 tokens", "median 4", "max_length 5"):
        assert fact in notes[1]
    assert tokenizer.size == 9
    tokenizer, data, notes = learn(texts, TextData(path="x", tokens="bpe", vocab_size=16, min_count=1, max_length=7))
    assert (data.tokens, data.min_count, data.max_length) == ("bpe", 1, 7)
    assert "16 parts of words (bpe)" in notes[0]


@pytest.mark.parametrize("method", ["character", "bpe"])
def test_a_new_text_may_hold_bytes_that_are_no_text(method: str, tmp_path: Path) -> None:
    trained(method).save(tmp_path)
    data = {"kind": "text", "path": "x.txt", "tokens": method, "min_count": 2, "max_length": 60}
    model = {"topic_dim": 0, "c": 1.0, "memory": 8, "lag": 0}
    config = validate(ResolvedTextConfig, {"data": data, "model": model}, "test")
    item = read_item("don't \udcffstop", config, tmp_path)  # as Python gives undecodable bytes of an argument
    assert item is not None
    assert item.shown == "don't \ufffdstop"
    assert (item.stored == UNK).any()
