"""Vectors: what training, encoding and decoding need of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentviz.config import resolved
from latentviz.errors import RunError
from latentviz.modalities.base import DataKind, Outputs, Training
from latentviz.modalities.batches.pairs import Positives, Rows
from latentviz.modalities.io.memory import named
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared, again
from latentviz.modalities.settings import Settings, batch_size, contrast_settings, with_epochs
from latentviz.modalities.vectors.config import ResolvedVectorConfig, VectorFitConfig
from latentviz.modalities.vectors.data import VectorDataModule, principal_components, variance_held
from latentviz.modalities.vectors.length import FEWEST_EPOCHS, MOST_EPOCHS, epochs, least
from latentviz.modalities.vectors.nearest import nearest
from latentviz.modalities.vectors.nets import VectorDecoder, VectorEncoder, VectorLikelihood, build
from latentviz.modalities.vectors.prepare import STANDARD, load, load_standard
from latentviz.modalities.vectors.prepare import prepare as prepare_vectors
from latentviz.modalities.vectors.show import Shown, given
from latentviz.modalities.vectors.units import load_units
from latentviz.model.encoding import decode_batches
from latentviz.model.vae import VAE
from latentviz.progress import one_line
from latentviz.runs.items import Items

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback

# Nats that losing all the variance of the data costs.
SHARE = 10_000.0
# If the latents can hold most of the variance, reconstruction alone keeps neighbours; see docs/experiments.md.
CONTRAST, MOST_HELD = 10_000.0, 0.5
NAMED = 3  # items that a decoded vector is described by
SHORT = 60  # characters of an item's text in a description
SHOWN = 10  # items and samples in each epoch's report
REFERENCE = 20_000  # items among which the nearest ones are searched for it


@dataclass(frozen=True)
class VectorKind(DataKind[VectorFitConfig, ResolvedVectorConfig]):
    """A set of vectors."""

    vectors: np.ndarray  # float32 or float16 (n, m), memory-mapped
    cache: Path  # the folder of the vectors, their standardisation, and the texts and images they stand for

    @staticmethod
    def prepare(config: VectorFitConfig, cache: Path) -> Prepared:
        """Read the data into the cache."""
        return prepare_vectors(config.data, cache, config.seed_everything)

    @staticmethod
    def resolve(config: VectorFitConfig, prepared: Prepared, cache: Path) -> ResolvedVectorConfig:
        """Replace every "auto" by the value that follows from the data."""
        c, contrast = config.model.c, config.model.contrast
        if c == "auto":  # the variances of the standardised columns sum to the number of columns
            c = float(f"{SHARE / load(cache).shape[1]:.4g}")
        if contrast == "auto":
            held = variance_held(
                load(cache),
                config.seed_everything,
                prepared.data.metric,
                config.model.latent_dim,
                load_standard(cache).units,
            )
            contrast = 0.0 if held >= MOST_HELD else CONTRAST
        n = len(prepared.items.train)
        stop, trainer = with_epochs(config, epochs(n), FEWEST_EPOCHS, MOST_EPOCHS, least(n))
        return resolved(
            ResolvedVectorConfig,
            config,
            data=dict(prepared.data),
            model={"c": c, "contrast": contrast, "stop": stop},
            trainer=trainer,
        )

    @classmethod
    def load(cls, config: ResolvedVectorConfig, cache: Path, items: Items) -> "VectorKind":
        """Open an existing cache; a RunError if its parts do not fit each other."""
        vectors, standard, units = load(cache, len(items)), load_standard(cache), load_units(cache)
        shapes = [np.shape(standard.centre), *([units.shift.shape] if units else [])]
        shapes += [] if standard.units is None else [standard.units.shape]
        if any(shape != vectors.shape[1:] for shape in shapes):
            raise RunError(f"{cache / STANDARD}: damaged (it is of vectors of other dimensions); {again(cache)}")
        return cls(config, items, vectors, cache)

    def networks(self) -> tuple[VectorEncoder, VectorDecoder]:
        """Return the untrained encoder and decoder."""
        model, standard = self.config.model, load_standard(self.cache)
        return build(standard.centre, standard.deviation, latent_dim=model.latent_dim, width=model.width, c=model.c)

    def likelihood(self) -> VectorLikelihood:
        """Return what makes means to a likelihood."""
        return VectorLikelihood(load_standard(self.cache).deviation, self.config.model.c)

    @property
    def settings(self) -> Settings:
        """The settings of the VAE, with contrast."""
        return super().settings | contrast_settings(self.config.model)

    @cached_property
    def units(self) -> np.ndarray | None:
        """What each column is divided by before distances are computed; None: nothing."""
        return load_standard(self.cache).units

    @property
    def threads(self) -> int | None:
        """One: the matrices of a batch are small."""
        return 1

    @property
    def about(self) -> list[str]:
        """The file of the vectors, and their dimensions before and after encoding."""
        data, model = self.config.data, self.config.model
        kept = min(model.content_dim, model.latent_dim) if model.contrast else model.latent_dim
        return [f"vectors of {printable(Path(named(data.path)).name)}, dimensions {self.vectors.shape[1]:,} → {kept}"]

    def training(self, cache: Path) -> Training:
        """Return the batches, and with contrast the callback that finds each vector's neighbours."""
        model, train, val = self.config.model, self.items.train, self.items.val
        positives: Positives | None = None
        callbacks: list[Callback] = []
        seed, metric = self.config.seed_everything, self.config.data.metric
        if model.contrast:
            positives = Positives(
                neighbours=np.empty((len(self.vectors), 0), np.int32), itself=0.0 if model.neighbors else 1.0
            )
            if model.neighbors:
                from latentviz.modalities.batches.positives import UpdatePositives

                callbacks.append(
                    UpdatePositives(
                        self.dataset(),
                        self.to_input,
                        lambda: principal_components(self.vectors, seed, metric, self.units),
                        train,
                        positives,
                        k=model.neighbors,
                        seed=seed,
                        cache=cache,
                        renew=False,
                    )
                )
        size = batch_size(self.config, len(train))
        batches = VectorDataModule(self.vectors, train, val, size, positives)
        deviation = load_standard(self.cache).deviation
        if isinstance(deviation, np.ndarray):
            batches.noise, batches.units = model.noise, torch.from_numpy(deviation)
        else:
            batches.noise = model.noise * deviation
        return Training(batches, callbacks)

    def dataset(self) -> Rows:
        """Return all items in item order."""
        return Rows(self.vectors, np.arange(len(self.vectors)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Convert stored vectors to float32 (b, m)."""
        return batch.float()

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[Shown]:
        """Return the means of p(x|z), described by the items nearest to them; the noise in z makes no difference."""
        del noise
        means = vae.decode(z).float().cpu().numpy()
        near = nearest(means, self.vectors, min(NAMED, len(self.vectors)), self.config.data.metric, self.units)
        return self.described(self._in_units(means), near.rows, near.scores)

    def outputs(self, vae: VAE, z: np.ndarray) -> np.ndarray:
        """Return the means of p(x|z) in the units of the data, float32 (m, dimensions), or float64 if these need it."""
        return self._in_units(decode_batches(vae, z))

    def values_of(self, outputs: Outputs) -> np.ndarray:
        """Return the vectors that are described."""
        return np.stack([np.asarray(output.vector) for output in outputs if isinstance(output, Shown)])

    def _in_units(self, means: np.ndarray) -> np.ndarray:
        """Return stored vectors in the units of the data."""
        units = load_units(self.cache)
        return means if units is None else means / units.unit + units.shift

    def described(self, vectors: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> list[Shown]:
        """Describe decoded vectors by their nearest items, one line each.

        Args:
            vectors: float32 (m, dimensions).
            rows: int (m, k), the nearest items.
            scores: (m, k), their cosine, or minus their distance.
        """
        found = given(self.cache, self.items, rows.reshape(-1))
        k = rows.shape[1]
        lines = []
        for i, vector in enumerate(vectors):
            items = found[i * k : (i + 1) * k]
            line = " · ".join(
                f"{one_line(item, SHORT)} ({abs(score):.2f})" for item, score in zip(items, scores[i], strict=True)
            )
            lines.append(Shown(line, items[0].image, vector))
        return lines

    def recorder(self, folder: Path) -> "EpochLines":
        """Return what describes reconstructions and samples after each epoch."""
        return EpochLines(folder, self)


class EpochLines:
    """Describes after each epoch what the same items and the same z ~ N(0, I) decode to, by the nearest items.

    Args:
        folder: where the files go.
        kind: the data.
    """

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
        """Write the lines of epoch `number`, counted from 1."""
        x = self.kind.to_input(self.kind.dataset().__getitems__(self.rows.tolist()).to(vae.device))
        mu, _ = vae.encode(x)
        asked = given(self.kind.cache, self.kind.items, self.rows)
        lines = ["validation items → the items nearest to their reconstructions"]
        lines += [
            f"  {one_line(item, SHORT)} → {found}" for item, found in zip(asked, self._found(vae, mu), strict=True)
        ]
        lines += ["drawn from the prior", *(f"  {found}" for found in self._found(vae, self.z.to(vae.device)))]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"epoch-{number:04d}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _found(self, vae: VAE, z: Tensor) -> list[Shown]:
        means = vae.decode(z).float().cpu().numpy()
        near = nearest(means, self.vectors, 1, self.kind.config.data.metric, self.kind.units)
        return self.kind.described(means, self.reference[near.rows], near.scores)

    def finish(self) -> None:
        """Write nothing more: each epoch has its own file."""
