"""What is a token, and how many a text may have: chosen from the texts themselves, and told to the user."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.tokens import Method, Tokenizer, count_characters

BLOCK = 8192  # texts that are tokenised in one go
_LOOKED_AT = 20_000  # texts that choices are made from
_RARE = 5  # times a character must occur to be learnt well enough, where there is text enough
_UNKNOWN = 0.01  # share of the text that may be unknown for that
_SHORT = 3  # words: where nine of ten texts have no more, as names and terms have, letters tell more than words
_UNSPACED = 0.3  # share of letters of scripts without spaces between words, above which characters are the words
_SPACED = 0.02  # share of spaces below which there are no words to cut into pieces, as in sequences of proteins
_LONGEST = 128  # tokens that auto allows: what a decoder writes in a tolerable time
_WITHIN = 0.995  # share of the texts that auto does not cut
_LITTLE = 1.5  # times as long: if the longest text is no longer, it is not cut either

# Scripts without spaces between words, by the first word of their characters' names.
_SCRIPTS = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "YI", "JAVANESE"})


def blocks(texts: pa.ChunkedArray) -> Iterator[list[str]]:
    """Yields texts in blocks, so that only one of them is in Python's memory at a time."""
    for start in range(0, len(texts), BLOCK):
        yield texts.slice(start, BLOCK).to_pylist()


def learn(texts: pa.ChunkedArray, data: TextData) -> tuple[Tokenizer, TextData, list[str]]:
    """Returns a tokenizer learnt from the texts, the settings with what `auto` came to, and notes for the user.

    Args:
        texts: those to train on; those held out teach nothing.
        data: settings, `auto` allowed.
    """
    rows = np.linspace(0, len(texts) - 1, min(len(texts), _LOOKED_AT)).astype(np.int64)
    sample: list[str] = texts.take(pa.array(rows)).to_pylist()
    method, why = choose_method(sample) if data.tokens == "auto" else (data.tokens, "")
    counts = count_characters(blocks(texts))
    min_count = fitting_count(counts) if data.min_count == "auto" else data.min_count
    tokenizer = Tokenizer.train(blocks(texts), counts, method, data.vocab_size, min_count)
    lengths = tokenizer.split(sample)[1]
    longest = data.max_length
    if longest == "auto":
        longest = fitting_length(lengths)
    span = f"{lengths.min():,} to {lengths.max():,} tokens, half of the texts up to {int(np.median(lengths)):,}"
    notes = [_described(tokenizer, counts, min_count, why), f"lengths: {span}; max_length {longest:,} with the end"]
    resolved = data.model_copy(update={"tokens": method, "min_count": min_count, "max_length": longest})
    return tokenizer, resolved, notes


def choose_method(sample: Sequence[str]) -> tuple[Method, str]:
    """Returns what a token is to be, and why in words."""
    counts = Counter("".join(sample))
    letters = {c: n for c, n in counts.items() if unicodedata.category(c)[0] in "LM"}
    unspaced = sum(n for c, n in letters.items() if unicodedata.name(c, "").split(" ")[0].split("-")[0] in _SCRIPTS)
    if unspaced > _UNSPACED * max(1, sum(letters.values())):
        return "character", "a script without spaces between words"
    if np.quantile([len(text.split()) for text in sample], 0.9) <= _SHORT:
        return "character", "the texts are of a few words"
    if sum(n for c, n in counts.items() if c.isspace()) < _SPACED * counts.total():
        return "character", "there are hardly any spaces"
    return "bpe", "words with spaces between them"


def fitting_count(counts: Counter[str]) -> int:
    """Returns how often a token must occur to be known: 5 times, or fewer where more than 1% would be unknown."""
    total = counts.total()
    for least in range(_RARE, 1, -1):
        if sum(n for n in counts.values() if n < least) <= _UNKNOWN * total:
            return least
    return 1


def fitting_length(lengths: np.ndarray) -> int:
    """Returns how many tokens a text may have, its end included: enough for nearly all, and few for the decoder.

    >>> fitting_length(np.array([5, 6, 7])), fitting_length(np.array([5] * 999 + [40])), fitting_length(np.array([900]))
    (8, 6, 128)
    """
    enough = float(np.quantile(lengths, _WITHIN, method="lower"))
    longest = int(lengths.max())
    return max(2, min(_LONGEST, (longest if longest <= _LITTLE * enough else int(enough)) + 1))


def _described(tokenizer: Tokenizer, counts: Counter[str], min_count: int, why: str) -> str:
    """Returns what the tokens are, in words."""
    rare = sum(1 for n in counts.values() if n < min_count)
    known = set(tokenizer.vocabulary)
    left = sum(1 for c, n in counts.items() if n >= min_count and c not in known and not c.isspace())
    said = f"{len(counts):,} distinct characters"
    if rare:
        said += f", {rare:,} of them seen less than {min_count} times and unknown"
    if left:
        said += f", {left:,} more than vocab_size allows"
    pieces = "" if tokenizer.method == "character" else f"; {tokenizer.size:,} pieces of words learnt from them"
    name = {"character": "characters", "bpe": "pieces of words (bpe)"}[tokenizer.method]
    return f"tokens: {name}{f', for {why}' if why else ''}; {said}{pieces}"
