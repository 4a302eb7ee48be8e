"""The terms of texts in any script: words, or characters and pairs of them in scripts without spaces."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from latentviz.clustering.keywords import Terms
from latentviz.runs.items import Items

LEAST = 3  # items that a term occurs in, at least
# English function words. Those of other languages, and common words of a collection, are found from the data; but where
# groups differ in the form of their sentences, as docstrings do, the data alone would make a topic of "if".
_GRAMMAR = """
    a about above after again against all also am an and another any are aren't as at be because been before being
    below between both but by can can't cannot could did didn't do does doesn't doing don't down during each either
    else etc even ever every few for from further had has have having he her here hers herself him himself his how
    however i if in into is isn't it it's its itself just let may me might more most must my myself neither no nor
    not now of off on once only onto or other others otherwise our ours ourselves out over own per rather same shall
    she should since so some such than that that's the their theirs them themselves then there therefore these they
    this those though through thus to too under until up upon us very via was we were what whatever when where
    whether which while who whom whose why will with within without would yet you your yours yourself yourselves
"""
GRAMMAR = frozenset(_GRAMMAR.split())
# Scripts without spaces between words: Han, Hiragana, Katakana, Thai, Lao, Myanmar, Khmer.
HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
UNSPACED = HAN + "\u3041-\u309f\u30a1-\u30ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"


def terms(items: Items) -> Terms:
    """Counts the terms in the text of each item."""
    return count_terms(items.column("text"))


def count_terms(texts: Sequence[str | None]) -> Terms:
    """Counts the terms in each text; terms in fewer than `LEAST` texts are left out."""
    from scipy.sparse import csr_matrix

    number: dict[str, int] = {}
    indices: list[int] = []
    ends = [0]
    for text in texts:
        indices += [number.setdefault(term, len(number)) for term in split(text or "")]
        ends.append(len(indices))
    counts = csr_matrix(([1] * len(indices), indices, ends), (len(texts), len(number)))
    counts.sum_duplicates()
    present = counts.copy()
    present.data[:] = 1
    kept = [k for k, n in enumerate(present.sum(axis=0).tolist()[0]) if n >= LEAST]
    names = list(number)
    return Terms(counts[:, kept], [names[k] for k in kept])


def split(text: str, *, every: bool = False) -> Iterator[str]:
    """Yields the terms of a text in lower case: words of at least two letters; pairs of characters without spaces.

    With `every`, also numbers, single letters and function words.

    Han characters are terms on their own too, since each has a meaning.

    >>> list(split("Reads the users' café, e.g. 3 times. 明月夜"))
    ['reads', 'users', 'café', 'times', '明', '月', '夜', '明月', '月夜']
    """
    word, run, cluster, han = _patterns()
    for found in word.findall(unicodedata.normalize("NFC", text).lower()):
        for part in run.split(found):
            if not part:
                continue
            if run.fullmatch(part):
                characters = cluster.findall(part)
                yield from (character for character in characters if han.fullmatch(character))
                yield from (a + b for a, b in pairwise(characters))
            elif every or (len(part) > 1 and not part.isdigit() and part not in GRAMMAR):
                yield part


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Returns patterns of words, runs of unspaced scripts, characters with their marks, and Han characters."""
    marks = "".join(chr(c) for c in range(0x300, 0x1F000) if unicodedata.category(chr(c)) in {"Mn", "Mc"})
    letter = rf"(?:[^\W_]|[{re.escape(marks)}])"
    return (
        re.compile(rf"[^\W_]{letter}*(?:['’]{letter}+)*"),
        re.compile(f"([{UNSPACED}]+)"),
        re.compile(f".[{re.escape(marks)}]*"),
        re.compile(f"[{HAN}]"),
    )
