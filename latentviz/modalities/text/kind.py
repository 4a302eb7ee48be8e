"""Texts: what training, encoding and decoding need of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.config import resolved
from latentviz.errors import RunError
from latentviz.modalities.base import DataKind, Training
from latentviz.modalities.features import tip
from latentviz.modalities.io.prepared import Prepared, again
from latentviz.modalities.length import ItemSeconds
from latentviz.modalities.settings import Settings, batch_size, with_epochs
from latentviz.modalities.text.config import ResolvedTextConfig, ResolvedTextModel, TextFitConfig
from latentviz.modalities.text.cooccurrence import metre
from latentviz.modalities.text.data import TextDataModule, Tokens, lengths, to_ids
from latentviz.modalities.text.decoder import Costs, TextDecoder, TextLikelihood, build
from latentviz.modalities.text.decoding import NO_REPEATS, decode
from latentviz.modalities.text.length import FEWEST_EPOCHS, MOST_EPOCHS, SHORT, epochs, item_seconds, least, mean_length
from latentviz.modalities.text.nets import TextEncoder
from latentviz.modalities.text.prepare import TOKENS, load
from latentviz.modalities.text.prepare import prepare as prepare_texts
from latentviz.modalities.text.progress import REBUILT, EpochTexts
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.model.base import point_estimate
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

TOPIC_DIM = 128  # for BPE tokens; for characters the learnt mu holds as much about the topic
C = 0.67  # of C·distortion + KL
SMALL_MEMORY, LARGE_MEMORY = 256, 512
SURE = 0.95  # probability above which a token that texts rarely repeat is repeated at a mu
GRADIENT_CLIP = 5.0  # for a loss in nats per text


@dataclass(frozen=True)
class TextKind(DataKind[TextFitConfig, ResolvedTextConfig]):
    """A set of texts."""

    tokens: np.ndarray  # uint16 or int32 (n, t), memory-mapped
    tokenizer: Tokenizer  # tokens ↔ text

    @staticmethod
    def prepare(config: TextFitConfig, cache: Path) -> Prepared:
        """Read the data into the cache."""
        found = prepare_texts(config.data, cache, config.seed_everything)
        words = found.data.tokens == "bpe"
        return replace(found, notes=[*found.notes, *([tip(config.data.path, "text")] if words else [])])

    @staticmethod
    def resolve(config: TextFitConfig, prepared: Prepared, cache: Path) -> ResolvedTextConfig:
        """Replace every "auto" by the value that follows from the data."""
        tokens, model = load(cache), config.model
        n, mean = len(prepared.items.train), mean_length(tokens)
        shortest, longest = least(n, mean), epochs(n, tokens.shape[1])
        stop, trainer = with_epochs(config, longest, FEWEST_EPOCHS, MOST_EPOCHS, shortest, "still")
        trainer.setdefault("gradient_clip_val", GRADIENT_CLIP)
        found: dict[str, float | int | str] = {"stop": stop}
        if model.c == "auto":
            found["c"] = C
        if model.memory == "auto":
            found["memory"] = memory_of(mean)
        if model.topic_dim == "auto":
            words = Tokenizer.load(cache).method == "bpe"
            found["topic_dim"] = TOPIC_DIM if words and not model.contrast else 0
        if model.lag == "auto":
            found["lag"] = metre(tokens, prepared.items.train)
        return resolved(ResolvedTextConfig, config, data=dict(prepared.data), model=found, trainer=trainer)

    @classmethod
    def load(cls, config: ResolvedTextConfig, cache: Path, items: Items) -> "TextKind":
        """Open an existing cache; a RunError if its tokens are not those of the tokenizer and the items."""
        tokens, tokenizer = load(cache, len(items)), Tokenizer.load(cache)
        if tokens.max(initial=0) >= tokenizer.size:
            raise RunError(
                f"{cache / TOKENS}: damaged (it holds tokens that the tokenizer does not have); {again(cache)}"
            )
        return cls(config, items, tokens, tokenizer)

    def networks(self) -> tuple[TextEncoder, TextDecoder]:
        """Return the untrained encoder and decoder, which share the vectors of the tokens."""
        return build(self.tokenizer.size, self.tokens.shape[1], self.config.model, self.topic_dim)

    @property
    def latent_dim(self) -> int:
        """Dimensions of z: those of the topic, and those that are learnt."""
        return self.topic_dim + self.config.model.latent_dim

    @property
    def settings(self) -> Settings:
        """The settings of the VAE, with contrast, the topic, and the noise that the decoder reads."""
        model, topic, d = self.config.model, self.topic_dim, self.latent_dim
        return super().settings | {
            # The topic is computed from the data, not learnt, so its dimensions need no free bits.
            "free_bits": torch.cat([torch.zeros(topic), torch.full((model.latent_dim,), model.free_bits)]),
            "contrast": model.contrast,
            "temperature": model.temperature,
            "noise_mix": 0.0 if "decoder" in self.config.networks else model.noise_mix,
            "content_dim": min(model.content_dim, d) if model.contrast else topic or d,
        }

    @property
    def costs(self) -> Costs:
        """The weights of the loss at the start of the training."""
        model = self.config.model
        return Costs(model.c, model.position_weight, model.bag_weight)

    @property
    def topic_dim(self) -> int:
        """Dimensions of the topic: 0 with contrast, which learns content dimensions instead, or an own encoder."""
        return 0 if self.config.model.contrast or "encoder" in self.config.networks else self.config.model.topic_dim

    @property
    def seconds(self) -> ItemSeconds:
        """Proportional to the length of a text."""
        return item_seconds(self.tokens)

    @property
    def threads(self) -> int | None:
        """One: recurrent steps are too small for two threads, which would wait for each other; all for own networks."""
        return None if self.config.networks else 1

    def training(self, cache: Path) -> Training:
        """Return the batches, and the callbacks that start, schedule and watch the text losses."""
        from latentviz.modalities.text.training import (
            CollapseMonitor,
            FadeAuxiliary,
            FullVocabulary,
            InitialWeights,
        )

        del cache
        model, train, val = self.config.model, self.items.train, self.items.val
        size = batch_size(self.config, len(train))
        callbacks = [
            InitialWeights(self.tokens, train, vectors=model.vectors == "ppmi", seed=self.config.seed_everything),
            FadeAuxiliary(self.costs),
            FullVocabulary(model.all_tokens),
            CollapseMonitor(self.tokens, val),
        ]
        return Training(TextDataModule(self.tokens, train, val, size, views=model.contrast > 0), callbacks)

    def dataset(self) -> Tokens:
        """Return all items in item order."""
        return Tokens(self.tokens, np.arange(len(self.tokens)))

    def lengths(self) -> np.ndarray:
        """Return the texts' tokens with their ends, int64 (n,)."""
        return lengths(self.tokens, np.arange(len(self.tokens)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Convert stored tokens to int64 (b, t)."""
        return to_ids(batch)

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[str]:
        """Decode z to texts: the mode of p(x|z) where `noise` is 0, at the mu of an item; a sample elsewhere.

        At a mu, a token that texts rarely repeat is repeated only if its probability exceeds `SURE`.
        """
        return texts_of(vae.likelihood, z, noise, self.tokenizer, self.config.model)

    def recorder(self, folder: Path) -> EpochTexts:
        """Return what writes samples and reconstructions after each epoch."""
        stored = self.dataset().__getitems__(self.items.val[:REBUILT].tolist())
        return EpochTexts(
            folder,
            self.decode,
            self.tokenizer.decode(stored.numpy()),
            to_ids(stored),
            latent_dim=self.latent_dim,
            samples=self.config.model.samples,
            seed=self.config.seed_everything,
        )


def memory_of(mean: float) -> int:
    """Return the units of the autoregressive network for texts of a mean length in tokens."""
    return SMALL_MEMORY if mean <= SHORT else LARGE_MEMORY


def texts_of(
    likelihood: Callable[[Tensor, Tensor], Distribution],
    z: Tensor,
    noise: Tensor,
    tokenizer: Tokenizer,
    model: ResolvedTextModel,
) -> list[str]:
    """Return one text for each z; see `TextKind.decode`.

    Args:
        likelihood: z (b, d) and its noise (b,) → p(x|z).
        z: (m, d).
        noise: (m,).
        tokenizer: of the run.
        model: how texts are drawn.
    """
    texts = [""] * len(z)
    drawn: dict[str, Any] = {
        "temperature": model.sampling,
        "top_p": model.top_p,
        "repeats": 0.0 if model.repeats else NO_REPEATS,
        "candidates": model.candidates,
    }
    for rows, how in ((noise <= 0, {"repeats": SURE}), (noise > 0, drawn)):
        if rows.any():
            found = likelihood(z[rows], noise[rows])
            # A decoder that the user has brought has another likelihood.
            ids = decode(found, z[rows], **how) if isinstance(found, TextLikelihood) else point_estimate(found).long()
            for row, text in zip(rows.nonzero()[:, 0].tolist(), tokenizer.decode(ids.cpu().numpy()), strict=True):
                texts[row] = text
    return texts
