"""How an item with several parts is stored: one row of bytes, with a mark for each part that is there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from latentviz.errors import RunError
from latentviz.modalities.io.prepared import again
from latentviz.modalities.joint.config import Part
from latentviz.modalities.text.keywords import split
from latentviz.modalities.text.tokens import END, PAD
from latentviz.runs.files import atomic_write, read_json, read_npy

IMAGES, LAYOUT = "images.npy", "parts.json"
WORDS = "parts.npy"  # the stored items without their pixels
MOST = 255  # times that a word is counted in a caption
NUMBER = 4  # bytes of a number of a vector, and of a token


@dataclass(frozen=True)
class Layout:
    """What a run knows of its parts; an item is uint8 (p,): marks, pixels, counts of words, and one of the labels.

    Last come the bytes of the vectors, float32, and those of the text's tokens, int32.

    Attributes:
        parts: the parts that are learnt, in their order.
        image: (c, h, w); (0, 0, 0) without images.
        words: the v words of the captions, the commonest first.
        idf: log(n/n_w) of each word among the n training items with a caption.
        labels: the k labels.
        vectors: numbers in a vector, m.
        text: tokens in a text, t.
    """

    parts: tuple[Part, ...]
    image: tuple[int, int, int]
    words: tuple[str, ...]
    idf: tuple[float, ...]
    labels: tuple[str, ...]
    vectors: int = 0
    text: int = 0

    @cached_property
    def slices(self) -> dict[Part, slice]:
        """Where the bytes of each part are."""
        return self._places(NUMBER * self.vectors, NUMBER * self.text)

    @cached_property
    def expected(self) -> dict[Part, slice]:
        """Where each part is in what the decoder expects of an item; a text has no mean, so it is not in it."""
        return self._places(self.vectors, 0)

    def _places(self, vectors: int, text: int) -> dict[Part, slice]:
        sizes: dict[Part, int] = {"image": self.pixels, "caption": len(self.words), "label": len(self.labels)}
        sizes |= {"vectors": vectors, "text": text}
        found, start = dict[Part, slice](), len(self.parts)
        for part in self.parts:
            found[part] = slice(start, start + sizes[part])
            start += sizes[part]
        return found

    @property
    def pixels(self) -> int:
        """Bytes of an image, c·h·w."""
        return int(np.prod(self.image))

    @property
    def size(self) -> int:
        """Bytes of an item, p."""
        return int(self.slices[self.parts[-1]].stop)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _label_numbers(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    def bags(self, captions: Sequence[str | None]) -> np.ndarray:
        """Count the known words of captions, uint8 (m, v)."""
        found = np.zeros((len(captions), len(self.words)), np.uint8)
        for row, caption in enumerate(captions):
            for word in split(caption or "", every=True):
                number = self._numbers.get(word)
                if number is not None and found[row, number] < MOST:
                    found[row, number] += 1
        return found

    def rest(
        self,
        captions: Sequence[str | None],
        labels: Sequence[str | None],
        drawn: np.ndarray | None = None,
        *,
        vectors: np.ndarray | None = None,
        tokens: np.ndarray | None = None,
    ) -> np.ndarray:
        """Store n items without their pixels, uint8 (n, p − c·h·w).

        Args:
            captions: n texts, None for an item without one; one without a known word is missing too.
            labels: n labels, None for an item without one; an unknown one is missing too.
            drawn: bool (n,), which items have an image; None: all.
            vectors: float32 (n, m), NaN for an item without one; None: no item has one.
            tokens: (n, t), ids of the texts; one that is empty is missing. None: no item has a text.
        """
        n, shift = len(captions), self.pixels
        found = np.zeros((n, self.size - shift), np.uint8)
        for mark, part in enumerate(self.parts):
            if part == "image":
                found[:, mark] = 1 if drawn is None else drawn
                continue
            place = found[:, self.slices[part].start - shift : self.slices[part].stop - shift]
            if part in {"vectors", "text"}:
                values, dtype = (vectors, np.float32) if part == "vectors" else (tokens, np.int32)
                if values is not None:
                    there = ~np.isnan(values).any(axis=1) if part == "vectors" else ~np.isin(values[:, 0], (PAD, END))
                    place[:] = np.where(there[:, None], values, 0).astype(dtype).view(np.uint8)
                    found[:, mark] = there
                continue
            if part == "caption":
                place[:] = self.bags(captions)
                found[:, mark] = place.any(axis=1)
                continue
            for row, label in enumerate(labels):
                if label is not None and label in self._label_numbers:
                    place[row, self._label_numbers[label]] = found[row, mark] = 1
        return found

    def join(self, rest: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Put pixels, uint8 (n, c, h, w), into items without them; those of an item that has no image are 0."""
        if "image" not in self.parts:
            return rest
        marks, pixels = len(self.parts), images.reshape(len(rest), -1) * rest[:, :1]
        return np.concatenate([rest[:, :marks], pixels, rest[:, marks:]], axis=1)

    def has(self, stored: np.ndarray, part: Part) -> np.ndarray:
        """Return which stored items have a part, bool (n,)."""
        return stored[:, self.parts.index(part)] > 0

    def save(self, cache: Path) -> None:
        """Write it into a run's cache."""
        content = {
            "parts": self.parts,
            "image": self.image,
            "words": self.words,
            "idf": self.idf,
            "labels": self.labels,
            "vectors": self.vectors,
            "text": self.text,
        }
        with atomic_write(cache / LAYOUT) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, cache: Path) -> "Layout":
        """Read it from a run's cache; a RunError if it is missing or damaged."""
        content = read_json(cache / LAYOUT, again(cache))
        try:
            lists = [tuple(content[name]) for name in ("parts", "image", "words", "idf", "labels")]  # type: ignore[var-annotated, arg-type]
            return cls(*lists, *(content.get(name, 0) for name in ("vectors", "text")))  # type: ignore[arg-type]
        except (KeyError, TypeError) as error:
            raise RunError(f"{cache / LAYOUT}: damaged ({error}); {again(cache)}") from None


class Packed:
    """Stored items in order, put together from the files of a cache when they are asked for.

    Args:
        cache: the folder.
        n: how many there must be; None: any number.
    """

    def __init__(self, cache: Path, n: int | None = None) -> None:
        self.layout = Layout.load(cache)
        self.rest = read_npy(cache / WORDS, again(cache), shape=(n, None), kinds="u")
        shape = (len(self.rest), *self.layout.image)
        self.images = (
            read_npy(cache / IMAGES, again(cache), shape=shape, kinds="u")
            if "image" in self.layout.parts
            else np.empty(shape, np.uint8)
        )
        if self.rest.shape[1] != self.layout.size - self.layout.pixels:
            raise RunError(f"{cache / WORDS}: damaged (its rows have another length); {again(cache)}")

    def __len__(self) -> int:
        """Return n."""
        return len(self.rest)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return these items, uint8 (m, p)."""
        rest = self.rest[rows]
        return self.layout.join(rest, self.images[rows])

    def has(self, part: Part) -> np.ndarray:
        """Return which items have a part, bool (n,)."""
        return self.layout.has(self.rest, part)

    def bytes_of(self, part: Part) -> np.ndarray:
        """Return what is stored of a part other than the image, uint8 (n, bytes)."""
        place, shift = self.layout.slices[part], self.layout.pixels
        return np.ascontiguousarray(self.rest[:, place.start - shift : place.stop - shift])

    def vectors(self) -> np.ndarray:
        """Return the vectors, float32 (n, m); 0 for an item without one."""
        return self.bytes_of("vectors").view(np.float32)

    def tokens(self) -> np.ndarray:
        """Return the tokens of the texts, int32 (n, t); 0 for an item without one."""
        return self.bytes_of("text").view(np.int32)

    @property
    def shape(self) -> tuple[int, int]:
        """Return (n, p)."""
        return len(self), self.layout.size
