"""A model of words: the encoder looks letters up, the decoder finds the nearest ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent
from torch.utils.data import DataLoader, Dataset

from latentviz.config import resolved
from latentviz.modalities.base import DataKind, Training
from latentviz.modalities.batches.order import loader
from latentviz.modalities.io.prepared import Prepared
from latentviz.model.base import Decoder, Encoder
from latentviz.model.elbo import diagonal_normal
from latentviz.model.vae import VAE, Batch
from latentviz.runs.items import Items
from tests.words.config import ResolvedWordConfig, WordConfig
from tests.words.new import LETTERS, prepare, stored


class Letters(Encoder):
    """Letters → their places in the alphabet, in [−1, 1]."""

    def forward(self, x: Tensor) -> Independent:
        """Return q(z|x)."""
        mu = x.float() / 12.5 - 1
        return diagonal_normal(mu, torch.full_like(mu, -8.0))


class Nearest(Decoder):
    """z → the letters nearest to it."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.arange(26) / 12.5 - 1)

    def forward(self, z: Tensor) -> Independent:
        """Return p(x|z)."""
        logits = -200 * (z[..., None] - self.places).square()
        return Independent(Categorical(logits=logits, validate_args=False), 1, validate_args=False)


class Words(Dataset[Tensor]):
    """Words as numbers, int64 (n, 5)."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = torch.from_numpy(values)

    def __len__(self) -> int:
        """Return n."""
        return len(self.values)

    def __getitems__(self, rows: Sequence[int]) -> Tensor:
        """Return a batch, (b, 5)."""
        return self.values[list(rows)]


class WordBatches:
    """Batches of words."""

    def __init__(self, values: np.ndarray, train: np.ndarray, val: np.ndarray, size: int) -> None:
        self.trainer = None
        self.values, self.train, self.val, self.size = values, train, val, size

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return shuffled batches."""
        return loader(Words(self.values[self.train]), self.size, shuffled=True, module=self)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Return the held-out batches."""
        return loader(Words(self.values[self.val]), self.size, shuffled=False, module=self)

    def on_after_batch_transfer(self, batch: Tensor, _: int) -> Batch:
        """Decode what was encoded."""
        return Batch(batch, batch)


class EpochWords:
    """Counts the epochs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.epochs = folder, 0

    def epoch(self, vae: VAE, number: int) -> None:
        """Count one."""
        self.epochs = number

    def finish(self) -> None:
        """Write the count."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "epochs.txt").write_text(str(self.epochs))


@dataclass(frozen=True)
class WordKind(DataKind[WordConfig, ResolvedWordConfig]):
    """A set of words."""

    @staticmethod
    def prepare(config: WordConfig, cache: Path) -> Prepared:
        """Read the words."""
        return prepare(config.data.path, "w", config.data, cache)

    @staticmethod
    def resolve(config: WordConfig, prepared: Prepared, cache: Path) -> ResolvedWordConfig:
        """Resolve C."""
        return resolved(ResolvedWordConfig, config, model={"c": 1.0 if config.model.c == "auto" else config.model.c})

    @classmethod
    def load(cls, config: ResolvedWordConfig, cache: Path, items: Items) -> "WordKind":
        """Open the words of a run."""
        return cls(config, items)

    @property
    def values(self) -> np.ndarray:
        """All words as numbers, int64 (n, 5)."""
        return np.stack([stored(word) for word in self.items.column("text")])

    def networks(self) -> tuple[Letters, Nearest]:
        """Return the encoder and the decoder."""
        return Letters(), Nearest()

    def training(self, cache: Path) -> Training:
        """Return the batches."""
        return Training(WordBatches(self.values, self.items.train, self.items.val, self.config.data.batch_size), [])

    def dataset(self) -> Words:
        """Return all items."""
        return Words(self.values)

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Return the batch."""
        return batch

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[str]:
        """Return the likeliest words."""
        return ["".join(LETTERS[letter] for letter in word) for word in vae.decode(z).tolist()]

    def recorder(self, folder: Path) -> EpochWords:
        """Return what counts the epochs."""
        return EpochWords(folder)
