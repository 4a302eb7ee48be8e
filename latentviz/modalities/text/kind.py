"""What `fit` asks of a data kind, answered for texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.text.config import TextFitConfig
from latentviz.modalities.text.cooccurrence import metre
from latentviz.modalities.text.data import TextDataModule, Tokens, to_ids
from latentviz.modalities.text.decoding import NO_REPEATS, decode
from latentviz.modalities.text.likelihood import Costs
from latentviz.modalities.text.nets import TextDecoder, TextEncoder
from latentviz.modalities.text.prepare import load, load_texts
from latentviz.modalities.text.prepare import prepare as prepare_texts
from latentviz.modalities.text.progress import REBUILT, EpochTexts
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.text.training import Beginning, Fading, LastStretch, Watch
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

SEEN_SHORT, SEEN_LONG = 14_400_000, 11_400_000  # tokens drawn in a training, padding included: a dozen core minutes
LEARNING, ENCODING = 5.6e-5, 5e-6  # seconds of a core a token
FEWEST_EPOCHS, MOST_EPOCHS = 4, 60
TOPIC_DIM = 128  # of texts of words; the learnt μ of characters' texts tells as much
C = 0.67  # of C·distortion + KL
SHORT = 24  # tokens of texts for which a small net remembers enough
SMALL_MEMORY, LARGE_MEMORY = 256, 512
SURE = 0.95  # probability from which a token is told a second time at a μ, as repeats are in few texts
GRADIENT_CLIP = 5.0  # of a loss in nats a text
FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches


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
        tokens, model, trainer = load(cache), config.model, dict(config.trainer)
        if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:
            seen = SEEN_SHORT if tokens.shape[1] <= SHORT else SEEN_LONG
            epochs = round(seen / (len(prepared.items.train) * tokens.shape[1]))
            trainer["max_epochs"] = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
        trainer.setdefault("gradient_clip_val", GRADIENT_CLIP)
        found: dict[str, Any] = {}
        if model.c == "auto":
            found["c"] = C
        if model.memory == "auto":
            found["memory"] = SMALL_MEMORY if tokens.shape[1] <= SHORT else LARGE_MEMORY
        if model.topic_dim == "auto":
            words = Tokenizer.load(cache).method == "bpe"
            found["topic_dim"] = TOPIC_DIM if words and not model.contrast else 0
        if model.lag == "auto":
            found["lag"] = metre(tokens, prepared.items.train)
        return config.model_copy(
            update={"data": prepared.data, "model": model.model_copy(update=found), "trainer": trainer}
        )

    @classmethod
    def load(cls, config: TextFitConfig, cache: Path, items: Items) -> "TextKind":
        """Returns the kind over an existing cache."""
        return cls(config, load(cache), items, Tokenizer.load(cache))

    def build(self) -> VAE:
        """Returns the untrained model."""
        model, size, t = self.config.model, self.tokenizer.size, self.tokens.shape[1]
        assert model.memory != "auto"
        assert model.lag != "auto"
        vectors = nn.Embedding(size, model.width)
        nn.init.normal_(vectors.weight, std=0.5)
        topic, d = self.topic_dim, self.topic_dim + model.latent_dim
        decoder = TextDecoder(
            vectors,
            t,
            d,
            memory=model.memory if model.decoder != "position" else 0,
            lag=model.lag,
            word_dropout=model.word_dropout,
            dropout=model.dropout,
            costs=self.costs,
            negatives=model.negatives,
        )
        # The topic is given: no bits need to be free for it to be learnt.
        free_bits = torch.cat([torch.zeros(topic), torch.full((model.latent_dim,), model.free_bits)])
        vae = VAE(
            TextEncoder(vectors, t, model.latent_dim, topic),
            decoder,
            d,
            lr=model.lr,
            kl_warmup=model.kl_warmup,
            free_bits=free_bits,
            contrast=model.contrast,
            temperature=model.temperature,
            noise_mix=model.noise_mix,
            content_dim=min(model.content_dim, d) if model.contrast else topic or d,
        )
        vae.given_dim = topic
        return vae

    @property
    def costs(self) -> Costs:
        """What the training begins with."""
        model = self.config.model
        assert model.c != "auto"
        return Costs(model.c, model.position_weight, model.bag_weight)

    @property
    def topic_dim(self) -> int:
        """Dimensions of the topic: none with contrast, which makes content dimensions of its own."""
        dimensions = self.config.model.topic_dim
        assert dimensions != "auto"
        return 0 if self.config.model.contrast else dimensions

    @property
    def threads(self) -> int | None:
        """How many threads a step is worth; None: as many as there are."""
        return None

    @property
    def seconds(self) -> tuple[float, float]:
        """How long a core takes to learn from a text once, and to encode it."""
        return self.tokens.shape[1] * LEARNING, self.tokens.shape[1] * ENCODING

    def training(self, cache: Path) -> tuple[TextDataModule, list[Callback]]:
        """Returns the batches, and what goes on beside the training."""
        del cache
        model, train, val = self.config.model, self.items.train, self.items.val
        batch_size = min(self.config.data.batch_size, max(2, len(train) // FEWEST_STEPS))
        beside = [
            Beginning(self.tokens, train, vectors=model.vectors == "ppmi", seed=self.config.seed_everything),
            Fading(self.costs),
            LastStretch(model.all_tokens),
            Watch(self.tokens, val),
        ]
        return TextDataModule(self.tokens, train, val, batch_size, views=model.contrast > 0), beside

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

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[str]:
        """Returns a text for each z (b, d): the likeliest at the μ of an item, one drawn from p(x|z) elsewhere.

        At a μ a token that texts do not have twice is told again where the decoder is nearly certain of it.

        Args:
            vae: the model.
            z: (b, d).
            noise: how much of the posterior's noise is in z, (b,): 0 for a μ, 1 for a draw.
        """
        model, texts = self.config.model, [""] * len(z)
        drawn: dict[str, Any] = {
            "temperature": model.sampling,
            "top_p": model.top_p,
            "repeats": 0.0 if model.repeats else NO_REPEATS,
            "candidates": model.candidates,
        }
        for rows, how in ((noise <= 0, {"repeats": SURE}), (noise > 0, drawn)):
            if rows.any():
                ids = decode(vae.decoder(z[rows], noise[rows]), z[rows], **how)
                for row, text in zip(
                    rows.nonzero()[:, 0].tolist(), self.tokenizer.decode(ids.cpu().numpy()), strict=True
                ):
                    texts[row] = text
        return texts

    @staticmethod
    def shown(cache: Path) -> dict[str, Any]:
        """Returns what a map shows of the items: their texts."""
        return {"texts": load_texts(cache)}

    def recorder(self, folder: Path) -> EpochTexts:
        """Returns what writes down the decoder's progress."""
        stored = self.dataset().__getitems__(self.items.val[:REBUILT].tolist())
        return EpochTexts(
            folder,
            self.decode,
            self.tokenizer.decode(stored.numpy()),
            to_ids(stored),
            latent_dim=self.topic_dim + self.config.model.latent_dim,
            samples=self.config.model.samples,
            seed=self.config.seed_everything,
        )


KIND = TextKind
