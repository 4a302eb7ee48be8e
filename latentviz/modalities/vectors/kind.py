"""What `fit` asks of a data kind, answered for vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from latentviz.modalities.batches.pairs import Positives, Rows
from latentviz.modalities.batches.positives import UpdatePositives
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared
from latentviz.modalities.vectors.config import VectorFitConfig
from latentviz.modalities.vectors.data import VectorDataModule, principal_components, variance_held
from latentviz.modalities.vectors.nearest import nearest
from latentviz.modalities.vectors.nets import build
from latentviz.modalities.vectors.prepare import load, load_standard, load_texts
from latentviz.modalities.vectors.prepare import prepare as prepare_vectors
from latentviz.modalities.vectors.show import Shown, given, load_images, one_line
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

# What losing all the variance of the data costs, in nats.
SHARE = 10_000.0
# Where the latents can hold most of the variance, reconstruction alone keeps neighbours; see docs/experiments.md.
CONTRAST, MOST_HELD = 10_000.0, 0.5
# Vectors that are drawn in a training: so often each, within bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 400_000, 2_000_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500
FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches
NAMED = 3  # items that a decoded vector is described by
SHOWN = 10  # items and samples in each epoch's report
REFERENCE = 20_000  # items that those are compared with


@dataclass(frozen=True)
class VectorKind:
    """A trained or trainable set of vectors.

    Attributes:
        config: resolved, no "auto" left.
        vectors: float32 or float16 (n, m), memory-mapped.
        items: the row order.
        cache: where the vectors, their standardisation, and what is shown of them lie.
    """

    config: VectorFitConfig
    vectors: np.ndarray
    items: Items
    cache: Path

    @staticmethod
    def prepare(config: VectorFitConfig, cache: Path) -> Prepared:
        """Reads the data into the cache."""
        return prepare_vectors(config.data, cache, config.seed_everything)

    @staticmethod
    def resolve(config: VectorFitConfig, prepared: Prepared, cache: Path) -> VectorFitConfig:
        """Returns the config with every "auto" replaced by what follows from the data."""
        model, trainer = config.model, dict(config.trainer)
        if model.c == "auto":  # the variances of the standardised columns sum to the number of columns
            model = model.model_copy(update={"c": float(f"{SHARE / load(cache).shape[1]:.4g}")})
        if model.contrast == "auto":
            held = variance_held(load(cache), config.seed_everything, prepared.data.metric, model.latent_dim)
            model = model.model_copy(update={"contrast": 0.0 if held >= MOST_HELD else CONTRAST})
        if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:
            n = len(prepared.items.train)
            epochs = round(min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n)
            trainer["max_epochs"] = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
        return config.model_copy(update={"data": prepared.data, "model": model, "trainer": trainer})

    @classmethod
    def load(cls, config: VectorFitConfig, cache: Path, items: Items) -> "VectorKind":
        """Returns the kind over an existing cache."""
        return cls(config, load(cache), items, cache)

    def build(self) -> VAE:
        """Returns the untrained model."""
        model, standard = self.config.model, load_standard(self.cache)
        assert model.c != "auto"
        assert model.contrast != "auto"
        encoder, decoder = build(
            standard.centre, standard.deviation, latent_dim=model.latent_dim, width=model.width, c=model.c
        )
        return VAE(
            encoder,
            decoder,
            model.latent_dim,
            lr=model.lr,
            kl_warmup=model.kl_warmup,
            free_bits=model.free_bits,
            contrast=model.contrast,
            temperature=model.temperature,
            content_dim=min(model.content_dim, model.latent_dim) if model.contrast else model.latent_dim,
        )

    @property
    def threads(self) -> int | None:
        """How many threads a step is worth: one, since the matrices of a batch are small."""
        return 1

    @property
    def about(self) -> list[str]:
        """What the map and the tables say of the data: whose vectors these are, and what became of them."""
        data, model = self.config.data, self.config.model
        kept = min(model.content_dim, model.latent_dim) if model.contrast else model.latent_dim
        return [f"vectors brought along: {printable(Path(data.path).name)}, {self.vectors.shape[1]:,} → {kept}"]

    def training(self, cache: Path) -> tuple[VectorDataModule, list[Callback]]:
        """Returns the batches, and what goes on beside the training."""
        model, train, val = self.config.model, self.items.train, self.items.val
        positives: Positives | None = None
        callbacks: list[Callback] = []
        seed, metric = self.config.seed_everything, self.config.data.metric
        if model.contrast:
            positives = Positives(
                neighbours=np.empty((len(self.vectors), 0), np.int32), itself=0.0 if model.neighbors else 1.0
            )
            if model.neighbors:
                callbacks.append(
                    UpdatePositives(
                        self.dataset(),
                        self.to_input,
                        lambda: principal_components(self.vectors, seed, metric),
                        train,
                        positives,
                        k=model.neighbors,
                        seed=seed,
                        cache=cache,
                        renew=False,
                    )
                )
        batch_size = min(self.config.data.batch_size, max(2, len(train) // FEWEST_STEPS))
        noise = model.noise * load_standard(self.cache).deviation
        return VectorDataModule(self.vectors, train, val, batch_size, positives, noise), callbacks

    def dataset(self) -> Rows:
        """Returns all items in item order."""
        return Rows(self.vectors, np.arange(len(self.vectors)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Returns a batch of the dataset as the encoder takes it."""
        return batch.float()

    def page_decoder(self, vae: VAE) -> None:
        """Returns nothing: the page draws no vectors."""
        del vae

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[Shown]:
        """Returns what the decoder makes of z (b, d): the means of p(x|z), each told by the items nearest to it.

        How much of the posterior's noise is in z is all one to the decoder of vectors.
        """
        del noise
        means = vae.decode(z).float().cpu().numpy()
        near = nearest(means, self.vectors, min(NAMED, len(self.vectors)), self.config.data.metric)
        return self.told(means, near.rows, near.scores)

    def told(self, vectors: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> list[Shown]:
        """Returns decoded vectors with a line a vector: what their nearest items are, and how near."""
        found = given(self.cache, self.items, rows.reshape(-1))
        k = rows.shape[1]
        told = []
        for i, vector in enumerate(vectors):
            items = found[i * k : (i + 1) * k]
            line = " · ".join(
                f"{_short(item)} ({abs(score):.2f})" for item, score in zip(items, scores[i], strict=True)
            )
            told.append(Shown(line, items[0].image, vector))
        return told

    @staticmethod
    def shown(cache: Path) -> dict[str, Any]:
        """Returns what a map shows of the items: their texts or images, where there are any."""
        shown = {"texts": load_texts(cache), "images": load_images(cache)}
        return {name: values for name, values in shown.items() if values is not None}

    def recorder(self, folder: Path) -> "EpochLines":
        """Returns what tells the decoder's progress."""
        return EpochLines(folder, self)


def _short(text: str, most: int = 60) -> str:
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


class EpochLines:
    """Tells after each epoch what the same items and the same z ~ N(0, I) are decoded to: the items nearest to it."""

    def __init__(self, folder: Path, kind: VectorKind) -> None:
        self.folder, self.kind = folder, kind
        self.rows = kind.items.val[:SHOWN]
        n, seed = len(kind.vectors), kind.config.seed_everything
        self.reference = np.sort(np.random.default_rng(seed).permutation(n)[:REFERENCE])
        self.vectors = kind.vectors[self.reference]
        generator = torch.Generator().manual_seed(seed)
        self.z = torch.randn(SHOWN, kind.config.model.latent_dim, generator=generator)

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Writes the lines of epoch `number`, counted from 1."""
        x = self.kind.to_input(self.kind.dataset().__getitems__(self.rows.tolist()).to(vae.device))
        mu, _ = vae.encode(x)
        asked = given(self.kind.cache, self.kind.items, self.rows)
        lines = ["validation items → the items nearest to their reconstructions"]
        lines += [f"  {_short(item)} → {found}" for item, found in zip(asked, self._found(vae, mu), strict=True)]
        lines += ["drawn from the prior", *(f"  {found}" for found in self._found(vae, self.z.to(vae.device)))]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"epoch-{number:04d}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _found(self, vae: VAE, z: Tensor) -> list[Shown]:
        means = vae.decode(z).float().cpu().numpy()
        near = nearest(means, self.vectors, 1, self.kind.config.data.metric)
        return self.kind.told(means, self.reference[near.rows], near.scores)

    def finish(self) -> None:
        """Adds nothing: the epochs' files can be read one after the other."""


KIND = VectorKind
