"""The networks of a model that the map's page may run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import nn


class PageDecoder(NamedTuple):
    """A network z (b, d) → images (b, c, h, w) that the map's page can run, and (c, h, w)."""

    network: "nn.Module"
    shape: tuple[int, int, int]
    place: slice = slice(None)  # of the image in an item, where items have other parts too


class PageCaptions(NamedTuple):
    """The networks between captions and the latent: a search by meaning, and words for a place on the map.

    A caption is known by its counts of v words: log(1 + count)·idf, scaled to length 1.
    """

    words: Sequence[str]
    idf: Sequence[float]  # of each word, in a caption
    encoder: "nn.Module"  # a caption (b, v) → μ and log σ² of its expert (b, 2d); the prior is the other one
    limit: float  # of |log σ²|
    decoder: "nn.Module"  # z (b, d) → logits of the words (b, v)
    weights: Sequence[float]  # of each word, by which times its probability the words for a z are ordered
    named: int  # so many of these words, at most
    likely: float  # those whose probability is less than this share of the likeliest one's are not named
    labels: Sequence[str]
    label_decoder: "nn.Module | None"  # z (b, d) → logits of the labels (b, k)
