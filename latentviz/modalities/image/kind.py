"""What `fit` asks of a data kind, answered for images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from latentviz.modalities.batches.pairs import Rows
from latentviz.modalities.batches.positives import UpdatePositives
from latentviz.modalities.image.augment import flips_fit, principal_components
from latentviz.modalities.image.config import ImageFitConfig
from latentviz.modalities.image.data import ImageDataModule, Views, scale_to_variance, to_float
from latentviz.modalities.image.nets import ImageDecoder, build
from latentviz.modalities.image.prepare import load
from latentviz.modalities.image.prepare import prepare as prepare_images
from latentviz.modalities.image.show import Recorder, to_uint8
from latentviz.modalities.image.statistics import CleanStatistics
from latentviz.modalities.io.prepared import Prepared
from latentviz.model.encoding import decode_batches
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

SHOWN = 10  # items and samples in each epoch's picture
# Images that are drawn in a training: so often each, within bounds. See docs/experiments.md.
SEEN_EACH, SEEN_LEAST, SEEN_MOST = 40, 500_000, 1_500_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 500
SMALL_PIXELS = 256  # of all channels
FEWEST_STEPS = 8  # in an epoch: smaller sets get smaller batches


@dataclass(frozen=True)
class ImageKind:
    """A trained or trainable set of images.

    Attributes:
        config: resolved, no "auto" left.
        images: uint8 (n, c, h, w), memory-mapped.
        items: the row order.
    """

    config: ImageFitConfig
    images: np.ndarray
    items: Items

    @staticmethod
    def prepare(config: ImageFitConfig, cache: Path) -> Prepared:
        """Reads the data into the cache."""
        return prepare_images(config.data, cache, config.seed_everything)

    @staticmethod
    def resolve(config: ImageFitConfig, prepared: Prepared, cache: Path) -> ImageFitConfig:
        """Returns the config with every "auto" replaced by what follows from the data."""
        images, model, trainer = load(cache), config.model, dict(config.trainer)
        if model.c == "auto":
            c = float(f"{scale_to_variance(images, config.seed_everything):.4g}")
            model = model.model_copy(update={"c": c})
        if model.flip == "auto":
            flip = bool(model.contrast) and flips_fit(images, config.seed_everything)
            model = model.model_copy(update={"flip": flip})
        if trainer.get("max_epochs") is None and trainer.get("max_steps", -1) == -1:
            n = len(prepared.items.train)
            epochs = round(min(SEEN_MOST, max(SEEN_LEAST, SEEN_EACH * n)) / n)
            trainer["max_epochs"] = min(MOST_EPOCHS, max(FEWEST_EPOCHS, epochs))
        return config.model_copy(update={"data": prepared.data, "model": model, "trainer": trainer})

    @classmethod
    def load(cls, config: ImageFitConfig, cache: Path, items: Items) -> "ImageKind":
        """Returns the kind over an existing cache."""
        return cls(config, load(cache), items)

    def build(self) -> VAE:
        """Returns the untrained model."""
        model = self.config.model
        _, c, h, w = self.images.shape
        assert model.c != "auto"
        encoder, decoder = build(
            model.net, (c, h, w), latent_dim=model.latent_dim, width=model.width, likelihood=model.likelihood, c=model.c
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
        """How many threads a step is worth; None: as many as there are. Small images spend theirs on waiting."""
        return 1 if np.prod(self.images.shape[1:]) <= SMALL_PIXELS else None

    def training(self, cache: Path) -> tuple[ImageDataModule, list[Callback]]:
        """Returns the batches, and what goes on beside the training."""
        model, train, val = self.config.model, self.items.train, self.items.val
        views: Views | None = None
        callbacks: list[Callback] = []
        if model.contrast:
            assert model.flip != "auto"
            views = Views(strength=model.augment, flip=model.flip, neighbours=np.empty((len(self.images), 0), np.int32))
            seed = self.config.seed_everything
            callbacks.append(CleanStatistics(self.images, train, seed))
            if model.neighbors:
                callbacks.append(
                    UpdatePositives(
                        self.dataset(),
                        self.to_input,
                        lambda: principal_components(self.images, seed),
                        train,
                        views,
                        k=model.neighbors,
                        seed=seed,
                        cache=cache,
                    )
                )
        batch_size = min(self.config.data.batch_size, max(2, len(train) // FEWEST_STEPS))
        return ImageDataModule(self.images, train, val, batch_size, views), callbacks

    def dataset(self) -> Rows:
        """Returns all items in item order."""
        return Rows(self.images, np.arange(len(self.images)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Returns a batch of the dataset as the encoder takes it."""
        return to_float(batch)

    def page_decoder(self, vae: VAE) -> tuple[nn.Module, tuple[int, int, int]]:
        """Returns the network from z to images, and their shape (c, h, w); a kind that the page cannot draw: None."""
        decoder = vae.decoder
        assert isinstance(decoder, ImageDecoder)
        _, c, h, w = self.images.shape
        return decoder.net, (c, h, w)

    @staticmethod
    def pictures(vae: VAE, z: np.ndarray) -> np.ndarray:
        """Returns what the decoder draws at each z (m, d), uint8 (m, c, h, w)."""
        return to_uint8(decode_batches(vae, z)) if len(z) else np.empty((0, 1, 1, 1), np.uint8)

    @staticmethod
    def decode(vae: VAE, z: Tensor, noise: Tensor) -> np.ndarray:
        """Returns what the decoder draws at z (b, d): the pixel means of p(x|z), uint8 (b, c, h, w).

        Args:
            vae: the model.
            z: (b, d).
            noise: how much of the posterior's noise is in z, (b,); to images it makes no difference.
        """
        del noise
        return to_uint8(vae.decode(z).float().cpu().numpy())

    @staticmethod
    def shown(cache: Path) -> dict[str, np.ndarray]:
        """Returns what a map shows of the items: their images, uint8 (n, c, h, w), memory-mapped."""
        return {"images": load(cache)}

    def recorder(self, folder: Path) -> "EpochPictures":
        """Returns what draws the decoder's progress."""
        rows = self.items.val[:SHOWN]
        return EpochPictures(
            Recorder(folder, self.images[rows]), self.config.model.latent_dim, self.config.seed_everything
        )


class EpochPictures:
    """Draws the same items and the same z ~ N(0, I) after each epoch."""

    def __init__(self, recorder: Recorder, latent_dim: int, seed: int) -> None:
        self.recorder = recorder
        generator = torch.Generator().manual_seed(seed)
        self.z = torch.randn(SHOWN, latent_dim, generator=generator)

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Writes the picture of epoch `number`, counted from 1."""
        x = to_float(torch.from_numpy(self.recorder.initial)).to(vae.device)
        decoded = vae.decode(vae.encode(x)[0])
        samples = vae.decode(self.z.to(vae.device))
        self.recorder.epoch(f"epoch-{number:04d}", decoded.float().cpu().numpy(), samples.float().cpu().numpy())

    def finish(self) -> None:
        """Writes the strip through the epochs."""
        self.recorder.finish()


KIND = ImageKind
