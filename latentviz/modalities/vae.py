"""`lv.VAE`: a VAE for a Trainer and DataLoaders of the user's own, without a run folder."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from latentviz.errors import ArgumentError
from latentviz.modalities.image import nets as image
from latentviz.modalities.networks import Networks
from latentviz.modalities.vectors import nets as vectors
from latentviz.model.base import Decoder, Encoder
from latentviz.model.check import check
from latentviz.model.own import LikelihoodOf, Network, Term, assembled, described
from latentviz.model.training import LightningVAE, Loaded
from latentviz.model.vae import Batch

CHANNELS, UNITS = 16, 512  # widths of the networks for images and for vectors, those of `lv.fit`


class VAE(LightningVAE):
    """A VAE that `pytorch_lightning.Trainer` trains on batches x (b, …), or (x, y), of any DataLoader.

    It logs train_loss, train_log_likelihood, train_kl and the parts of the loss, and the same of val and test.

    Args:
        encoder: a module, or a function of (shape, latent_dim) that returns one: x → a Normal, or mu and logvar, (b, d)
            each. None: convolutions for images, a multilayer perceptron for vectors.
        decoder: as `encoder`: z (b, d) → a Distribution over items, or the parameters of one.
        latent_dim: d.
        shape: of an item, (c, h, w) or (m,); needed unless both networks are modules.
        likelihood: the decoder's output → a Distribution over items. None: a Normal of variance 1/(2C).
        c: C; None: 10,000 over the number of values of an item, which suits values of unit variance.
        objective: terms to add to the loss, by name: functions of a step that return a scalar; step.y is the batch's y.
        lr: peak learning rate of Adam; it rises over the first 2% of the steps, then falls to 0 along a cosine.
        kl_warmup: share of the steps over which the weight of the KL rises from 0 to 1; 0: it is 1 throughout.
        free_bits: nats of KL per latent dimension that cost nothing.

    Raises:
        ArgumentError: a network is none, or the shape that it is built for is missing.
    """

    def __init__(
        self,
        encoder: Network | None = None,
        decoder: Network | None = None,
        latent_dim: int = 32,
        *,
        shape: tuple[int, ...] | None = None,
        likelihood: LikelihoodOf | None = None,
        c: float | None = None,
        objective: Mapping[str, Term] | None = None,
        lr: float = 1e-3,
        kl_warmup: float = 0.0,
        free_bits: float = 0.0,
    ) -> None:
        own = Networks(encoder, decoder, likelihood)
        if shape is not None and not (isinstance(shape, Sequence) and all(isinstance(size, int) for size in shape)):
            raise ArgumentError(f"shape: must be (c, h, w) or (m,), whole numbers (got {shape!r})")
        for name, value in (("shape", min(shape or (1,))), ("latent_dim", latent_dim)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{name}: must be 1 or more, a whole number (got {value!r})")
        if not lr > 0:
            raise ArgumentError(f"lr: must be greater than 0 (got {lr!r})")
        if shape is None and not all(isinstance(network, torch.nn.Module) for network in (encoder, decoder)):
            raise ArgumentError(
                "shape: networks are built for the shape of an item (got none); give shape=(c, h, w) or shape=(m,), or "
                "encoder and decoder as modules"
            )
        size = tuple(shape or ())
        networks = assembled(own, lambda: _standard(size, latent_dim, c), partial(_normal, c=c), size, latent_dim)
        super().__init__(*networks, latent_dim, objective=objective, lr=lr, kl_warmup=kl_warmup, free_bits=free_bits)
        self.save_hyperparameters(ignore=["encoder", "decoder", "likelihood", "objective"])
        self.checked, self.shape, self.floats = False, size, encoder is None
        parts = {"encoder": encoder, "decoder": decoder, "likelihood": likelihood, "objective": objective}
        self.given = [name for name, part in parts.items() if part is not None]

    def batch_of(self, loaded: Batch | Loaded) -> Batch:
        """Return a batch in the floating-point type of the weights; an ArgumentError if its shape is another."""
        batch = super().batch_of(loaded)
        x = self._items(batch.x)
        return batch._replace(x=x, target=x if batch.target is batch.x else self.cast(batch.target))

    def forward(self, x: Tensor | np.ndarray) -> Tensor:
        """Return the reconstruction of each item of x (b, …) from its posterior mean, as `decode` does."""
        return super().forward(self._items(x))

    def encode(self, x: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return (μ, log σ²) of q(z|x), each (b, d): the mean and never a draw, so that two calls agree."""
        return super().encode(self._items(x))

    def decode(self, z: Tensor | np.ndarray, noise: Tensor | None = None) -> Tensor:
        """Return one item for each z (b, d), without chance: the mean of p(x|z), or the mode of categories."""
        z = self._tensor("z", z)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ArgumentError(f"z: must have the shape (b, {self.latent_dim}) (got {tuple(z.shape)})")
        return super().decode(z.to(self.prior.mean.dtype), noise)

    def _items(self, x: Tensor | np.ndarray) -> Tensor:
        """Return x where the weights are, with floating-point numbers of their type.

        Raises:
            ArgumentError: x is none, has another shape than `shape`, or whole numbers that latentviz's networks do not
                take.
        """
        x = self._tensor("x", x)
        if self.shape and tuple(x.shape[1:]) != self.shape:
            hint = "; x[:, None] adds the axis of channels" if tuple(x.shape[1:]) == self.shape[1:] else ""
            raise ArgumentError(
                f"x: must have the shape (b, {', '.join(map(str, self.shape))}) (got {tuple(x.shape)}){hint}"
            )
        if self.floats and not x.is_floating_point():
            raise ArgumentError(
                f"x: must be floating-point numbers, of images in [0, 1] (got {x.dtype}); convert it, as with x.float()"
                f"{' / 255' if x.dtype == torch.uint8 and len(self.shape) == 3 else ''}"
            )
        return self.cast(x)

    def _tensor(self, name: str, values: Tensor | np.ndarray) -> Tensor:
        try:
            return torch.as_tensor(values, device=self.device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentError(f"{name}: must be a tensor or an array of numbers (got {described(values)})") from error

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the names of the user's parts, whose weights alone are stored."""
        checkpoint["given"] = self.given

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the user gave the parts again."""
        if missing := [name for name in checkpoint.get("given", ()) if name not in self.given]:
            raise ArgumentError(
                f"{missing[0]}: the checkpoint was made with a part of yours, and holds its weights alone; give it "
                f"again, as in VAE.load_from_checkpoint(file, {missing[0]}=…)"
            )

    def on_train_batch_start(self, batch: Batch | Loaded, batch_idx: int) -> None:
        """Check networks, likelihood and objective on the first batch."""
        del batch_idx
        if not self.checked:
            x = self.batch_of(batch)
            check(self, x.x[:2], x.x, None if x.y is None else x.y[:2])
            self.checked = True


def _standard(shape: tuple[int, ...], latent_dim: int, c: float | None) -> tuple[Encoder, Decoder]:
    """Return the networks of `lv.fit` for images (c, h, w) or vectors (m,)."""
    c = c or _default_c(math.prod(shape))
    if len(shape) == 3:
        return image.build(image.net_of(shape), shape, latent_dim=latent_dim, width=CHANNELS, likelihood="normal", c=c)
    if len(shape) == 1:
        return vectors.build(np.zeros(shape, np.float32), 1.0, latent_dim=latent_dim, width=UNITS, c=c)
    raise ArgumentError(
        f"shape: there are networks for images, (c, h, w), and vectors, (m,) (got {shape}); give encoder and decoder"
    )


def _default_c(values: int) -> float:
    return 10_000 / values


def _normal(mean: Tensor, c: float | None) -> Distribution:
    """Return N(mean, 1/(2C)·I) for means (b, …)."""
    scale = math.sqrt(0.5 / (c or _default_c(math.prod(mean.shape[1:]))))
    mean = mean.float()
    return Normal(mean, mean.new_tensor(scale).expand_as(mean), validate_args=False)
