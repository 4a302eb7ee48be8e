"""Chooses what tokens are and how many a text may have from the texts themselves, with notes for the user."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.tokens import Method, Tokenizer, count_characters
from latentviz.progress import plural

BLOCK = 8192  # texts tokenized at a time
_LOOKED_AT = 20_000  # texts that choices are based on
_RARE = 5  # times a character must occur to be learnt well, if there is enough text
_UNKNOWN = 0.01  # share of the text that may become unknown for that
_SHORT = 3  # words: if nine of ten texts, such as names, have no more, characters say more than words
_UNSPACED = 0.3  # share of letters from scripts without spaces above which tokens are characters
_SPACED = 0.02  # share of spaces below which there are no words, as in protein sequences
_LONGEST = 128  # tokens that auto allows, so that decoding takes a tolerable time
_WITHIN = 0.995  # share of the texts that auto does not cut
_LITTLE = 1.5  # if the longest text is at most this many times as long, auto does not cut it either

# Scripts without spaces between words, by the first word of their characters' names.
_SCRIPTS = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "YI", "JAVANESE"})


def blocks(texts: pa.ChunkedArray) -> Iterator[list[str]]:
    """Yield blocks of texts, so that only one block at a time is in Python's memory."""
    for start in range(0, len(texts), BLOCK):
        yield texts.slice(start, BLOCK).to_pylist()


def learn(texts: pa.ChunkedArray, data: TextData) -> tuple[Tokenizer, TextData, list[str]]:
    """Return a tokenizer learnt from the texts, the settings with "auto" resolved, and notes for the user.

    Args:
        texts: the training texts; held-out texts must not be used.
        data: settings, "auto" allowed.
    """
    rows = np.linspace(0, len(texts) - 1, min(len(texts), _LOOKED_AT)).astype(np.int64)
    sample: list[str] = texts.take(pa.array(rows)).to_pylist()
    method, why = choose_method(sample) if data.tokens == "auto" else (data.tokens, "")
    counts = count_characters(blocks(texts))
    min_count = fitting_count(counts) if data.min_count == "auto" else data.min_count
    tokenizer = Tokenizer.train(blocks(texts), counts, method, data.vocab_size, min_count)
    lengths = tokenizer.split(sample)[1]
    longest = fitting_length(lengths) if data.max_length == "auto" else data.max_length
    span = f"{lengths.min():,} to {lengths.max():,} tokens, median {int(np.median(lengths)):,}"
    notes = [_described(tokenizer, counts, min_count, why), f"lengths: {span}; max_length {longest:,} with the end"]
    resolved = data.model_copy(update={"tokens": method, "min_count": min_count, "max_length": longest})
    return tokenizer, resolved, notes


def choose_method(sample: Sequence[str]) -> tuple[Method, str]:
    """Return the method for these texts and the reason in words."""
    counts = Counter("".join(sample))
    letters = {c: n for c, n in counts.items() if unicodedata.category(c)[0] in "LM"}
    unspaced = sum(n for c, n in letters.items() if unicodedata.name(c, "").split(" ")[0].split("-")[0] in _SCRIPTS)
    if unspaced > _UNSPACED * max(1, sum(letters.values())):
        return "character", "a script without spaces between words"
    if np.quantile([len(text.split()) for text in sample], 0.9) <= _SHORT:
        return "character", "texts of a few words"
    if sum(n for c, n in counts.items() if c.isspace()) < _SPACED * counts.total():
        return "character", "texts with hardly any spaces"
    return "bpe", "words with spaces between them"


def fitting_count(counts: Counter[str]) -> int:
    """Return how often a token must occur to be known: 5 times, or fewer if more than 1% of the text were unknown."""
    total = counts.total()
    for least in range(_RARE, 1, -1):
        if sum(n for n in counts.values() if n < least) <= _UNKNOWN * total:
            return least
    return 1


def fitting_length(lengths: np.ndarray) -> int:
    """Return how many tokens a text may have, with its end: enough for nearly all texts, few enough for the decoder.

    >>> fitting_length(np.array([5, 6, 7])), fitting_length(np.array([5] * 999 + [40])), fitting_length(np.array([900]))
    (8, 6, 128)
    """
    enough = float(np.quantile(lengths, _WITHIN, method="lower"))
    longest = int(lengths.max())
    return max(2, min(_LONGEST, (longest if longest <= _LITTLE * enough else int(enough)) + 1))


def _described(tokenizer: Tokenizer, counts: Counter[str], min_count: int, why: str) -> str:
    """Return a line about the tokens."""
    rare = sum(1 for n in counts.values() if n < min_count)
    known = set(tokenizer.vocabulary)
    left = sum(1 for c, n in counts.items() if n >= min_count and c not in known and not c.isspace())
    name = "characters" if tokenizer.method == "character" else f"{tokenizer.size:,} parts of words (bpe)"
    line = f"tokens: {name}{f' ({why})' if why else ''}; {plural(len(counts), 'distinct character')}"
    if rare:
        line += f", {rare:,} of them unknown because they occur less than {plural(min_count, 'time')}"
    if left:
        line += f", {left:,} of them unknown because of vocab_size"
    return line
