"""A model of words that needs no training: the encoder looks letters up, the decoder finds the nearest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent

from latentviz.model.elbo import diagonal_normal
from latentviz.model.vae import VAE
from latentviz.runs.items import Items
from tests.words.new import LETTERS, stored


class Encoder(nn.Module):
    """Letters → their places in the alphabet, in [−1, 1]."""

    def forward(self, x: Tensor) -> Independent:
        """Returns q(z|x)."""
        mu = x.float() / 12.5 - 1
        return diagonal_normal(mu, torch.full_like(mu, -8.0))


class Decoder(nn.Module):
    """z → the letters nearest to it."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.arange(26) / 12.5 - 1)

    def forward(self, z: Tensor) -> Distribution:
        """Returns p(x|z)."""
        logits = -200 * (z[..., None] - self.places).square()
        return Independent(Categorical(logits=logits, validate_args=False), 1, validate_args=False)


class Words(torch.utils.data.Dataset):
    """Words as numbers."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __len__(self) -> int:
        """Returns n."""
        return len(self.words)

    def __getitems__(self, rows: Any) -> Tensor:
        """Returns a batch, (b, 5)."""
        return torch.from_numpy(np.stack([stored(self.words[row]) for row in rows]))


@dataclass(frozen=True)
class WordKind:
    """A set of words."""

    items: Items

    @classmethod
    def load(cls, config: Any, cache: Path, items: Items) -> "WordKind":
        """Returns the kind over existing items."""
        return cls(items)

    def build(self) -> VAE:
        """Returns the model."""
        return VAE(Encoder(), Decoder(), 5)

    def dataset(self) -> Words:
        """Returns all items."""
        return Words(self.items.column("text"))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Returns a batch as the encoder takes it."""
        return batch

    @staticmethod
    def decode(vae: VAE, z: Tensor, noise: Tensor) -> list[str]:
        """Returns the likeliest words."""
        del noise
        best = vae.decoder(z).base_dist.logits.argmax(-1)
        return ["".join(LETTERS[letter] for letter in word) for word in best.tolist()]

    def page_decoder(self, vae: VAE) -> None:
        """Returns nothing: the page draws no words."""

    @staticmethod
    def shown(cache: Path) -> dict[str, Any]:
        """Returns what a map shows."""
        return {"texts": (cache / "words.txt").read_text().split()}


KIND = WordKind
