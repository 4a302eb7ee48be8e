"""From a source of texts to the cache of a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from latentviz.errors import DataError, RunError
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.io.source import TextSource as Source
from latentviz.modalities.text import prepare as module
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.prepare import load, load_texts, prepare
from latentviz.modalities.text.tokens import Tokenizer

TEXTS = [f"text number {i} of a poem {i // 4}" for i in range(100)]


def source(texts: list[str] = TEXTS, **fields: Any) -> Source:
    """Returns texts as a source."""
    n = len(texts)
    return Source(
        **{
            "texts": pa.chunked_array([pa.array(texts, pa.string())]),
            "ids": [f"t/{i}" for i in range(n)],
            "origins": ["t"] * n,
            "labels": [None] * n,
            **fields,
        }
    )


def prepared(cache: Path, given: Source, seed: int = 0, **settings: Any) -> Prepared:
    """Prepares a source."""
    return prepare(TextData(path="t.txt", **settings), cache, seed, source=given)


def test_the_cache(tmp_path: Path) -> None:
    found = prepared(tmp_path, source(columns={"stars": list(range(100)), "text": ["x"] * 100}))
    tokens = load(tmp_path)
    assert tokens.dtype == np.uint16
    assert tokens.shape == (100, found.data.max_length)
    assert Tokenizer.load(tmp_path).decode(tokens) == TEXTS
    assert load_texts(tmp_path) == found.items.column("text") == TEXTS
    assert found.items.column("stars") == list(range(100))
    assert found.items.column("data_text")[0] == "x", "a column that is called as one of ours"
    assert len(found.items.val) == 10
    assert "auto" not in found.data.model_dump(include={"tokens", "min_count", "max_length"}).values()


def test_many_tokens_need_wider_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tokenizer, "size", property(lambda _: 2**16 + 1))
    prepared(tmp_path, source())
    assert load(tmp_path).dtype == np.int32


def test_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepared(tmp_path / "a", source())
    monkeypatch.setattr(module, "BLOCK", 7)
    again = prepared(tmp_path / "b", source())
    assert np.array_equal(load(tmp_path / "a"), load(tmp_path / "b"))
    assert whole.data == again.data


def test_the_fingerprint_changes_with_what_matters(tmp_path: Path) -> None:
    known = [
        prepared(tmp_path / str(i), given, **settings).fingerprint
        for i, (given, settings) in enumerate(
            [
                (source(), {}),
                (source(TEXTS[::-1]), {}),
                (source(labels=["a"] * 100), {}),
                (source(ids=[str(i) for i in range(100)]), {}),
                (source(), {"max_length": 5}),
            ]
        )
    ]
    assert len(set(known)) == 5
    assert prepared(tmp_path / "again", source()).fingerprint == known[0]


class TestGroups:
    def split(self, tmp_path: Path, columns: dict[str, Any], group: str, **settings: Any) -> np.ndarray:
        found = prepared(tmp_path, source(columns=columns), group_column=group, **settings)
        return np.asarray(found.items.column("split")) == "val"

    def test_they_are_held_out_as_a_whole(self, tmp_path: Path) -> None:
        poem = np.arange(100) // 4
        out = self.split(tmp_path, {"poem": pa.array(poem)}, "poem")
        assert set(poem[out]) & set(poem[~out]) == set()
        assert 10 <= out.sum() <= 14

    def test_by_several_columns(self, tmp_path: Path) -> None:
        author, title = [i // 50 for i in range(100)], [i % 50 // 5 for i in range(100)]
        out = self.split(tmp_path, {"author": author, "title": title}, "author, title")
        groups = [*zip(author, title, strict=True)]
        held = {group for group, is_out in zip(groups, out, strict=True) if is_out}
        assert held.isdisjoint(group for group, is_out in zip(groups, out, strict=True) if not is_out)
        assert len(held) == 2

    def test_one_that_is_larger_than_the_share_is_trained_on(self, tmp_path: Path) -> None:
        out = self.split(tmp_path, {"g": ["big"] * 60 + [str(i) for i in range(40)]}, "g", val_fraction=0.2)
        assert not out[:60].any()
        assert out.sum() == 20

    def test_without_a_group_a_text_is_one_on_its_own(self, tmp_path: Path) -> None:
        out = self.split(tmp_path, {"g": [None] * 60 + ["", "", *"a" * 38]}, "g")
        assert out.sum() == 10
        assert not out[62:].any()

    def test_what_cannot_be(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"group_column: no column 'pome'; there are poem. Did you mean 'poem'"):
            self.split(tmp_path, {"poem": ["a"] * 100}, "pome")
        with pytest.raises(DataError, match="all 100 texts are of one group"):
            self.split(tmp_path, {"poem": ["a"] * 100}, "poem")
        assert not (tmp_path / "tokens.npy").exists()


def test_the_vocabulary_is_learnt_from_the_training_split(tmp_path: Path) -> None:
    texts = [*TEXTS[:80], *(f"ж {i}" for i in range(20))]
    group = ["train"] * 80 + ["val"] * 20
    found = prepared(
        tmp_path,
        source(texts, columns={"g": group}),
        group_column="g",
        tokens="character",
        min_count=1,
        val_fraction=0.3,
    )
    assert found.items.val.tolist() == list(range(80, 100))
    assert "ж" not in Tokenizer.load(tmp_path).vocabulary
    assert any(note.startswith("unknown: 20 tokens") for note in found.notes)


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    found = prepared(tmp_path, source(), max_length=5, tokens="bpe")
    assert "cut: 100 of 100 texts (100.0%), to 4 tokens" in found.notes[-1]


def test_repeated_texts_are_noted(tmp_path: Path) -> None:
    notes = prepared(tmp_path, source(TEXTS[:91] + TEXTS[:9])).notes
    assert any(note.startswith("repeated: 9 of 100 texts") for note in notes)


def test_damage(tmp_path: Path) -> None:
    for read in (load, load_texts):
        with pytest.raises(RunError, match=r"(damaged|missing).*--force"):
            read(tmp_path)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t.txt: all 20 texts are identical"):
        prepared(tmp_path, source(["the same"] * 20))
    with pytest.raises(DataError, match=r"t.txt: holds 5 texts; .* at least 16"):
        prepared(tmp_path, source(TEXTS[:5]))


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Tokenizer, "save", full)
    with pytest.raises(DataError, match="cannot be written"):
        prepared(tmp_path, source())
