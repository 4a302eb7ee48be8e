"""The networks between captions and the latent, with which the page searches by meaning and names what it decodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentviz.maps.network import Layer, network_layers

if TYPE_CHECKING:
    from torch import nn

MOST = 1_000_000  # weights of a network that the file has room for: a byte each, and a third more as text


@dataclass(frozen=True)
class CaptionData:
    """What the page needs to encode a caption, and to find the likeliest words of a latent."""

    words: Sequence[str]  # v
    idf: Sequence[float]  # of each word, in a caption
    weights: Sequence[float]  # of each word, by which times its probability the words for a latent are ordered
    named: int  # so many of these words, at most
    likely: float  # those whose probability is less than this share of the likeliest one's are not named
    labels: Sequence[str]  # k
    # log(1 + counts)·idf of a caption (v,), scaled to length 1 → μ and log σ² of its expert (2d,), which the prior
    # joins; z (d,) → logits of the words; z → logits of the labels; empty where the page cannot run them
    encoder: Sequence[Layer]
    decoder: Sequence[Layer]
    label_decoder: Sequence[Layer]
    limit: float  # of |log σ²|
    dims: int  # first ones of μ, by whose cosine items are ranked
    unspaced: str  # characters of scripts without spaces, as in the brackets of a regular expression,
    han: str  # and those of them that are words


def small_layers(net: "nn.Module | None") -> list[Layer]:
    """Reads a network as layers; none if the page cannot run it or the file has no room for it."""
    layers = [] if net is None else network_layers(net) or []
    weights = sum(layer.weight.size for layer in layers if layer.weight is not None)
    return layers if weights <= MOST else []
