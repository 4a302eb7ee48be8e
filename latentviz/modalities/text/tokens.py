"""Texts ↔ tokens: characters, or parts of words learnt by byte-pair encoding (Sennrich et al. 2016)."""

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Regex, decoders, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer

from latentviz.modalities.io.prepared import again
from latentviz.runs.files import LARGEST_JSON, atomic_write
from latentviz.runs.regular import damage, open_regular

TOKENIZER = "tokenizer.json"
PAD, UNK, END = 0, 1, 2
# Their names in the vocabulary; the unknown token is Unicode's replacement character, so decoded texts show it.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_SPECIAL = ("[PAD]", UNKNOWN, "[END]")
_LONGEST = 24  # characters of a BPE token
_LEARNT_FROM = 20_000  # characters of one text to learn from, so that one long text does not decide the vocabulary

Method = Literal["character", "bpe"]


class Tokenizer:
    """Texts ↔ token ids: 0 is padding, 1 unknown, 2 the end of a text, 3 and above the vocabulary."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def train(
        cls, texts: Iterable[Sequence[str]], counts: Counter[str], method: Method, vocab_size: int, min_count: int
    ) -> "Tokenizer":
        """Learn a tokenizer from texts.

        Args:
            texts: blocks of texts.
            counts: how often each of their characters occurs.
            method: character or bpe.
            vocab_size: tokens at most, the three special ones included.
            min_count: times a character, or a pair of BPE tokens to merge, must occur.
        """
        known = sorted((c for c, count in counts.items() if count >= min_count), key=lambda c: (-counts[c], c))
        known = known[: vocab_size - len(_SPECIAL)]
        return cls._characters(known) if method == "character" else cls._bpe(texts, known, vocab_size, min_count)

    @classmethod
    def _characters(cls, known: Sequence[str]) -> "Tokenizer":
        backend = Backend(WordLevel({token: i for i, token in enumerate([*_SPECIAL, *known])}, unk_token=_SPECIAL[UNK]))
        backend.normalizer = normalizers.NFC()
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        backend.decoder = decoders.Fuse()
        return cls(backend)

    @classmethod
    def _bpe(cls, texts: Iterable[Sequence[str]], known: Sequence[str], vocab_size: int, min_count: int) -> "Tokenizer":
        """Learn BPE over characters instead of bytes, so that decoded ids are always valid text."""
        backend = Backend(BPE(unk_token=_SPECIAL[UNK]))
        backend.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Replace(Regex(r"[^\S\n]+"), " "),
                normalizers.Replace(Regex(r" ?\n\s*"), "\n"),
            ]
        )
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split("\n", "isolated"),
                pre_tokenizers.Metaspace(prepend_scheme="first"),
                pre_tokenizers.Punctuation("isolated"),
            ]
        )
        backend.decoder = decoders.Metaspace(prepend_scheme="first")
        # Fixed here, because the trainer drops rare characters in an order that depends on memory addresses.
        alphabet = sorted({"▁" if character.isspace() and character != "\n" else character for character in known})
        trainer = BpeTrainer(
            vocab_size=vocab_size,
            min_frequency=max(2, min_count),
            special_tokens=list(_SPECIAL),
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            max_token_length=_LONGEST,
            show_progress=False,
        )
        backend.train_from_iterator(([text[:_LEARNT_FROM] for text in block] for block in texts), trainer)
        # As added tokens, special ones would match texts that spell them; the vocabulary alone is enough.
        content = json.loads(backend.to_str())
        content["added_tokens"] = []
        return cls(Backend.from_str(json.dumps(content)))

    @classmethod
    def load(cls, cache: Path) -> "Tokenizer":
        """Load the tokenizer of a run's cache.

        Raises:
            RunError: it is missing or damaged.
        """
        file = cache / TOKENIZER
        with damage(file, again(cache)), open_regular(file, LARGEST_JSON) as stream:
            return cls(Backend.from_str(stream.read().decode()))

    def save(self, cache: Path) -> None:
        """Write it into a run's cache."""
        with atomic_write(cache / TOKENIZER) as temporary:
            temporary.write_text(self.backend.to_str(), encoding="utf-8")

    @property
    def method(self) -> Method:
        """Whether tokens are characters or BPE."""
        return "character" if isinstance(self.backend.model, WordLevel) else "bpe"

    @property
    def size(self) -> int:
        """The number of token ids, with the three special ones."""
        return int(self.backend.get_vocab_size())

    @property
    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return [token for token, _ in sorted(self.backend.get_vocab().items(), key=lambda entry: entry[1])]

    @cached_property
    def _ids(self) -> np.ndarray:
        """The token id of each code point, int32, if tokens are characters."""
        table = np.full(sys.maxunicode + 1, UNK, np.int32)
        for i, token in enumerate(self.vocabulary[len(_SPECIAL) :], len(_SPECIAL)):
            table[ord(token)] = i
        return table

    def split(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return all texts' tokens in sequence, int32, and their number in each text, int64 (n,); without ends.

        Characters are looked up in a table: the same result in a hundredth of the library's time.
        """
        if self.method == "character":
            normal = [unicodedata.normalize("NFC", text) for text in texts]
            codes = np.frombuffer("".join(normal).encode("utf-32-le", "surrogatepass"), np.uint32)
            return self._ids[codes], np.array([len(text) for text in normal], np.int64)
        split = [encoding.ids for encoding in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        lengths = np.array([len(ids) for ids in split], np.int64)
        return np.fromiter(chain.from_iterable(split), np.int32, int(lengths.sum())), lengths

    def encode(self, texts: Sequence[str], max_length: int) -> tuple[np.ndarray, int, int]:
        """Return token ids, int32 (n, max_length), and the numbers of cut texts and of unknown tokens.

        Each row is a text's tokens, one end, and padding; a text that is too long loses its last tokens.
        """
        limit = max_length - 1
        longest = limit * _LONGEST * 2  # characters; cuts huge texts before they are tokenized
        ids, lengths = self.split([text[:longest] for text in texts])
        kept = np.minimum(lengths, limit)
        starts = np.cumsum(lengths) - lengths
        rows = np.full((len(texts), max_length), PAD, np.int32)
        places = np.arange(max_length)
        inside = places < kept[:, None]
        rows[inside] = ids[(starts[:, None] + places)[inside]]
        rows[np.arange(len(texts)), kept] = END
        cut = sum(len(text) > longest or length > limit for text, length in zip(texts, lengths.tolist(), strict=True))
        return rows, cut, int((rows == UNK).sum())

    def decode(self, ids: np.ndarray) -> list[str]:
        """Return the texts of rows of token ids (b, t), each up to its first end."""
        texts = []
        for row in np.asarray(ids).tolist():
            end = row.index(END) if END in row else len(row)
            texts.append(self.backend.decode([i for i in row[:end] if i != PAD], skip_special_tokens=False))
        return texts


def count_characters(texts: Iterable[Sequence[str]]) -> Counter[str]:
    """Count the characters in blocks of texts."""
    counts: Counter[str] = Counter()
    for block in texts:
        for text in block:
            counts.update(unicodedata.normalize("NFC", text[:_LEARNT_FROM]))
    return counts
