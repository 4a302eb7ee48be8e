"""What `fit` asks of a data kind, answered for texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from latentviz.elbo import diagonal_normal
from latentviz.items import Items
from latentviz.modalities.prepared import Prepared
from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.data import TextDataModule, Tokens, to_ids
from latentviz.modalities.text.prepare import load, load_texts
from latentviz.modalities.text.prepare import prepare as prepare_texts
from latentviz.modalities.text.show import one_line
from latentviz.modalities.text.tokens import PAD, Tokenizer
from latentviz.vae import VAE

SHOWN = 10  # items and samples in each epoch's file
SEEN = 1_000_000  # texts that are drawn in a training
FEWEST_EPOCHS, MOST_EPOCHS = 3, 200
FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches


class Encoder(nn.Module):
    """Tokens (b, t) → q(z|x), by convolutions over the positions."""

    def __init__(self, size: int, t: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size, width, padding_idx=PAD)
        self.net = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=1), nn.GELU(), nn.Conv1d(width, width, 3, padding=1), nn.GELU(),
            nn.AdaptiveAvgPool1d(min(t, 8)), nn.Flatten(), nn.Linear(width * min(t, 8), 2 * latent_dim))

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Returns the posterior q(z|x): batch shape (b,), event shape (d,)."""
        mu, logvar = self.net(self.tokens(x).transpose(1, 2)).chunk(2, dim=-1)  # each (b, d)
        return diagonal_normal(mu, logvar)


class TokenLikelihood:
    """p(x|z): a categorical at each position, padding not counted.

    Args:
        logits: (b, t, v).
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def log_prob(self, x: Tensor) -> Tensor:
        """Returns the log-likelihood in nats of each text (b, t), summed over its tokens and its end, shape (b,)."""
        nats = nn.functional.cross_entropy(self.logits.float().transpose(1, 2), x, reduction="none")
        return -(nats * (x != PAD)).sum(-1)


class Decoder(nn.Module):
    """z (b, d) → p(x|z), every position at once."""

    def __init__(self, size: int, t: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.t, self.width = t, width
        self.start = nn.Linear(latent_dim, t * width)
        self.net = nn.Sequential(nn.GELU(), nn.Conv1d(width, width, 3, padding=1), nn.GELU())
        self.out = nn.Linear(width, size)

    def forward(self, z: Tensor) -> TokenLikelihood:
        """Returns the likelihood."""
        hidden = self.net(self.start(z).view(-1, self.width, self.t))
        return TokenLikelihood(self.out(hidden.transpose(1, 2)))


@dataclass(frozen=True)
class TextKind:
    """A trained or trainable set of texts.

    Attributes:
        config: resolved, no "auto" left.
        tokens: uint16 or int32 (n, t), memory-mapped.
        items: the row order.
        tokenizer: tokens ↔ text.
    """

    config: TextFitConfig
    tokens: np.ndarray
    items: Items
    tokenizer: Tokenizer

    @staticmethod
    def prepare(config: TextFitConfig, cache: Path) -> Prepared:
        """Reads the data into the cache."""
        return prepare_texts(config.data, cache, config.seed_everything)

    @staticmethod
    def resolve(config: TextFitConfig, prepared: Prepared, cache: Path) -> TextFitConfig:
        """Returns the config with every "auto" replaced by what follows from the data."""
        del cache
        trainer = dict(config.trainer)
        if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:
            epochs = round(SEEN / len(prepared.items.train))
            trainer["max_epochs"] = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
        model = config.model.model_copy(update={"c": 1.0 if config.model.c == "auto" else config.model.c})
        return config.model_copy(update={"data": prepared.data, "model": model, "trainer": trainer})

    @classmethod
    def load(cls, config: TextFitConfig, cache: Path, items: Items) -> "TextKind":
        """Returns the kind over an existing cache."""
        return cls(config, load(cache), items, Tokenizer.load(cache))

    def build(self) -> VAE:
        """Returns the untrained model."""
        model, size, t = self.config.model, self.tokenizer.size, self.tokens.shape[1]
        encoder = Encoder(size, t, model.latent_dim, model.width)
        return VAE(encoder, Decoder(size, t, model.latent_dim, model.width), model.latent_dim, lr=model.lr,
                   kl_warmup=model.kl_warmup, free_bits=model.free_bits)

    @property
    def threads(self) -> int | None:
        """How many threads a step is worth; None: as many as there are."""
        return None

    def training(self, cache: Path) -> tuple[TextDataModule, list[Callback]]:
        """Returns the batches, and what goes on beside the training."""
        del cache
        train = self.items.train
        batch_size = min(self.config.data.batch_size, max(2, len(train) // FEWEST_STEPS))
        return TextDataModule(self.tokens, train, self.items.val, batch_size), []

    def dataset(self) -> Tokens:
        """Returns all items in item order."""
        return Tokens(self.tokens, np.arange(len(self.tokens)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Returns a batch of the dataset as the encoder takes it."""
        return to_ids(batch)

    def page_decoder(self, vae: VAE) -> None:
        """Returns None: the page draws no texts."""
        del vae

    def decode(self, vae: VAE, z: Tensor) -> list[str]:
        """Returns the likeliest text at each z (b, d)."""
        likeliest = vae.decoder(z).logits.argmax(-1)  # (b, t)
        return self.tokenizer.decode(likeliest.cpu().numpy())

    @staticmethod
    def shown(cache: Path) -> dict[str, Any]:
        """Returns what a map shows of the items: their texts."""
        return {"texts": load_texts(cache)}

    def recorder(self, folder: Path) -> "EpochTexts":
        """Returns what writes down the decoder's progress."""
        return EpochTexts(folder, self)


class EpochTexts:
    """Writes the same items and the texts of the same z ~ N(0, I) after each epoch."""

    def __init__(self, folder: Path, kind: TextKind) -> None:
        self.folder, self.kind = folder, kind
        self.initial = kind.dataset().__getitems__(kind.items.val[:SHOWN].tolist())
        generator = torch.Generator().manual_seed(kind.config.seed_everything)
        self.z = torch.randn(SHOWN, kind.config.model.latent_dim, generator=generator)

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Writes `epoch-0001.txt` and so on: items, the same encoded and decoded, and samples."""
        self.folder.mkdir(parents=True, exist_ok=True)
        decoded = self.kind.decode(vae, vae.encode(to_ids(self.initial).to(vae.device))[0])
        drawn = self.kind.decode(vae, self.z.to(vae.device))
        written = []
        for text, again in zip(self.kind.tokenizer.decode(self.initial.numpy()), decoded, strict=True):
            written += [f"  {one_line(text)}", f"→ {one_line(again)}", ""]
        written += ["drawn from the prior:", *(f"  {one_line(text)}" for text in drawn), ""]
        (self.folder / f"epoch-{number:04d}.txt").write_text("\n".join(written), encoding="utf-8")

    def finish(self) -> None:
        """Does nothing: the files of the epochs are all there is."""


KIND = TextKind
