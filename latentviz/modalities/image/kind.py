"""Images: what training, encoding and decoding need of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.config import resolved
from latentviz.errors import RunError
from latentviz.modalities.base import DataKind, Training
from latentviz.modalities.batches.pairs import Rows
from latentviz.modalities.features import tip
from latentviz.modalities.image.augment import flips_fit, principal_components
from latentviz.modalities.image.config import ImageFitConfig, ResolvedImageConfig
from latentviz.modalities.image.data import ImageDataModule, Views, scale_to_variance, to_float
from latentviz.modalities.image.length import FEWEST_EPOCHS, MOST_EPOCHS, epochs, least
from latentviz.modalities.image.nets import ImageDecoder, ImageEncoder, build, likelihood_of, net_of
from latentviz.modalities.image.new import shape_of
from latentviz.modalities.image.prepare import IMAGES, load
from latentviz.modalities.image.prepare import prepare as prepare_images
from latentviz.modalities.image.show import Recorder, to_uint8
from latentviz.modalities.io.prepared import Prepared, again
from latentviz.modalities.io.roles import caption_note
from latentviz.modalities.page import PageDecoder
from latentviz.modalities.settings import Settings, batch_size, contrast_settings, with_epochs
from latentviz.model.base import network_of
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback

SHOWN = 10  # items and samples in each epoch's picture
SMALL_PIXELS = 256  # of all channels
PHOTOGRAPH = 64  # pixels a side from which colour images may be photographs


@dataclass(frozen=True)
class ImageKind(DataKind[ImageFitConfig, ResolvedImageConfig]):
    """A set of images."""

    images: np.ndarray  # uint8 (n, c, h, w), memory-mapped
    gain = 0.06  # what more epochs gain is seen less than in texts

    @staticmethod
    def prepare(config: ImageFitConfig, cache: Path) -> Prepared:
        """Read the data into the cache."""
        found = prepare_images(config.data, cache, config.seed_everything)
        notes = [*found.notes, *caption_note(found.items.table.column_names)]
        size, channels = found.data.size, found.data.channels
        photographs = channels == 3 and (size if isinstance(size, int) else min(size)) >= PHOTOGRAPH
        return replace(found, notes=[*notes, *([tip(config.data.path, "image")] if photographs else [])])

    @staticmethod
    def resolve(config: ImageFitConfig, prepared: Prepared, cache: Path) -> ResolvedImageConfig:
        """Replace every "auto" by the value that follows from the data."""
        images, c, flip = load(cache), config.model.c, config.model.flip
        if c == "auto":
            c = float(f"{scale_to_variance(images, config.seed_everything):.4g}")
        if flip == "auto":
            flip = bool(config.model.contrast) and flips_fit(images, config.seed_everything)
        net = net_of(images.shape[1:]) if config.model.net == "auto" else config.model.net
        n = len(prepared.items.train)
        stop, trainer = with_epochs(config, epochs(n), FEWEST_EPOCHS, MOST_EPOCHS, least(n), "still")
        model = {"net": net, "c": c, "flip": flip, "stop": stop}
        return resolved(ResolvedImageConfig, config, data=dict(prepared.data), model=model, trainer=trainer)

    @classmethod
    def load(cls, config: ResolvedImageConfig, cache: Path, items: Items) -> "ImageKind":
        """Open an existing cache; a RunError if its images are not those of the config and the items."""
        images = load(cache, len(items))
        if images.shape[1:] != (shape := shape_of(config)):
            raise RunError(
                f"{cache / IMAGES}: damaged (images of shape {images.shape[1:]}, and those of the run are {shape}); "
                f"{again(cache)}"
            )
        return cls(config, items, images)

    def networks(self) -> tuple[ImageEncoder, ImageDecoder]:
        """Return the untrained encoder and decoder."""
        model = self.config.model
        _, c, h, w = self.images.shape
        return build(
            model.net, (c, h, w), latent_dim=model.latent_dim, width=model.width, likelihood=model.likelihood, c=model.c
        )

    def likelihood(self) -> Callable[[Tensor], Distribution]:
        """Return what makes pixel means, or logits, to a likelihood."""
        return partial(likelihood_of, likelihood=self.config.model.likelihood, c=self.config.model.c)

    @property
    def settings(self) -> Settings:
        """The settings of the VAE, with contrast."""
        return super().settings | contrast_settings(self.config.model)

    @property
    def step_bytes(self) -> int:
        """More for residual networks, which keep many activations at each size."""
        return 2_000 if self.config.model.net == "residual" else 300

    @property
    def threads(self) -> int | None:
        """One for small images, whose threads would wait for each other more than they compute."""
        return 1 if np.prod(self.images.shape[1:]) <= SMALL_PIXELS else None

    def training(self, cache: Path) -> Training:
        """Return the batches, and with contrast the callbacks that renew the views."""
        model, train, val = self.config.model, self.items.train, self.items.val
        views: Views | None = None
        callbacks: list[Callback] = []
        if model.contrast:
            from latentviz.modalities.batches.positives import UpdatePositives
            from latentviz.modalities.image.statistics import CleanStatistics

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
        size = batch_size(self.config, len(train))
        return Training(ImageDataModule(self.images, train, val, size, views), callbacks)

    def dataset(self) -> Rows:
        """Return all items in item order."""
        return Rows(self.images, np.arange(len(self.images)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Scale uint8 (b, c, h, w) to float32 in [0, 1]."""
        return to_float(batch)

    def page_decoder(self, vae: VAE) -> PageDecoder:
        """Return the network from z to pixel means."""
        _, c, h, w = self.images.shape
        return PageDecoder(network_of(vae.decoder) or vae.decoder, (c, h, w))

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> np.ndarray:
        """Return the pixel means of p(x|z), uint8 (m, c, h, w); the noise in z makes no difference."""
        del noise
        return to_uint8(vae.decode(z).float().cpu().numpy())

    def recorder(self, folder: Path) -> "EpochPictures":
        """Return what draws items and samples after each epoch."""
        rows = self.items.val[:SHOWN]
        return EpochPictures(
            Recorder(folder, self.images[rows]), self.config.model.latent_dim, self.config.seed_everything
        )


class EpochPictures:
    """Draws the same items and the same z ~ N(0, I) after each epoch.

    Args:
        recorder: writes the pictures.
        latent_dim: d.
        seed: of the z.
    """

    def __init__(self, recorder: Recorder, latent_dim: int, seed: int) -> None:
        self.recorder = recorder
        generator = torch.Generator().manual_seed(seed)
        self.z = torch.randn(SHOWN, latent_dim, generator=generator)

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Write the picture of epoch `number`, counted from 1."""
        x = vae.cast(to_float(torch.from_numpy(self.recorder.initial)).to(vae.device))
        decoded = vae.decode(vae.encode(x)[0])
        samples = vae.decode(self.z.to(vae.device))
        self.recorder.epoch(f"epoch-{number:04d}", decoded.float().cpu().numpy(), samples.float().cpu().numpy())

    def finish(self) -> None:
        """Write one picture with the samples of all epochs."""
        self.recorder.finish()
