"""Items with several parts: what training, encoding and decoding need of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.config import resolved
from latentviz.errors import RunError
from latentviz.modalities.base import DataKind, Outputs, Training
from latentviz.modalities.batches.pairs import Rows
from latentviz.modalities.features import PYTHON
from latentviz.modalities.image.augment import flips_fit
from latentviz.modalities.image.data import Views, scale_to_variance
from latentviz.modalities.image.kind import SMALL_PIXELS
from latentviz.modalities.image.nets import LOGVAR_LIMIT, net_of
from latentviz.modalities.image.show import Recorder, to_uint8
from latentviz.modalities.io.names import printable
from latentviz.modalities.io.prepared import Prepared, again
from latentviz.modalities.joint.config import JointFitConfig, Part, ResolvedJointConfig, text_settings
from latentviz.modalities.joint.data import JointDataModule
from latentviz.modalities.joint.guesses import check_guesses
from latentviz.modalities.joint.layout import LAYOUT, Layout, Packed
from latentviz.modalities.joint.length import FEWEST_EPOCHS, MOST_EPOCHS, epochs, least, text_epochs
from latentviz.modalities.joint.nets import CaptionEncoder, JointDecoder, JointEncoder, JointLikelihood, networks
from latentviz.modalities.joint.prepare import prepare as prepare_parts
from latentviz.modalities.joint.show import LIKELY, WORDS, Shown, described
from latentviz.modalities.page import PageCaptions, PageDecoder
from latentviz.modalities.settings import Settings, batch_size, contrast_settings, with_epochs
from latentviz.modalities.text import length as text_length
from latentviz.modalities.text.cooccurrence import metre
from latentviz.modalities.text.decoder import Costs
from latentviz.modalities.text.kind import GRADIENT_CLIP, memory_of, texts_of
from latentviz.modalities.text.progress import EpochTexts
from latentviz.modalities.text.tokens import Tokenizer
from latentviz.modalities.vectors.prepare import STANDARD, Standard, load_standard
from latentviz.model.vae import VAE
from latentviz.runs.items import Items

if TYPE_CHECKING:
    from pytorch_lightning.callbacks import Callback

# Nats that losing all of a part costs.
IMAGE, CAPTION, LABEL, VECTORS, VECTORS_OF_TEXTS = 3_000.0, 1_000.0, 100.0, 1_000.0, 3_000.0
CONTRAST, CONTRAST_OF_TEXTS = 300.0, 3.0
LATENT_DIM = 192  # of texts with vectors, two thirds of it for the vectors: 32 dimensions keep too little of them
SAMPLE = 10_000  # images that C is computed from
SHOWN = 10  # items and samples in each epoch's picture


@dataclass(frozen=True)
class JointKind(DataKind[JointFitConfig, ResolvedJointConfig]):
    """A set of items with several parts."""

    packed: Packed
    standard: Standard | None = None  # of the vectors, if they are a part
    tokenizer: Tokenizer | None = None  # of the texts, if they are a part
    gain = 0.02

    @staticmethod
    def prepare(config: JointFitConfig, cache: Path) -> Prepared:
        """Read the data into the cache."""
        return prepare_parts(config.data, cache, config.seed_everything)

    @staticmethod
    def resolve(config: JointFitConfig, prepared: Prepared, cache: Path) -> ResolvedJointConfig:
        """Replace every "auto" by the value that follows from the data."""
        packed, model, train = Packed(cache), config.model, prepared.items.train
        caption, label = part_nats(packed, train)
        if model.label_objective == "m2":
            check_guesses(packed.layout)
        parts, texts = config.data.parts, "text" in config.data.parts
        c = model.c
        if c == "auto" and not texts:
            c = float(f"{scale_to_variance(_drawn(packed, config.seed_everything), config.seed_everything, IMAGE):.4g}")
        vectors = VECTORS_OF_TEXTS if texts else VECTORS
        wide = texts and "vectors" in parts
        latent_dim = LATENT_DIM if wide and "latent_dim" not in model.model_fields_set else model.latent_dim
        content = max(1, 2 * latent_dim // 3 if wide else latent_dim // 2)
        chosen = {
            "c": 1.0 if c == "auto" else c,
            "net": ("conv" if texts else net_of(packed.layout.image)) if model.net == "auto" else model.net,
            "vectors_weight": vectors if model.vectors_weight == "auto" else model.vectors_weight,
            "caption_weight": _weight(CAPTION, caption) if model.caption_weight == "auto" else model.caption_weight,
            "label_weight": _weight(LABEL, label) if model.label_weight == "auto" else model.label_weight,
            "latent_dim": latent_dim,
            "content_dim": content if model.content_dim == "auto" else model.content_dim,
        }
        chosen |= _contrasted(config, packed)
        length = epochs(len(train)), FEWEST_EPOCHS, MOST_EPOCHS, least(len(train))
        if texts:
            tokens = packed.tokens()
            mean = text_length.mean_length(tokens[packed.has("text")])
            chosen |= {
                "memory": memory_of(mean) if model.memory == "auto" else model.memory,
                "lag": metre(tokens, train[packed.has("text")[train]]) if model.lag == "auto" else model.lag,
            }
            length = text_epochs(len(train), tokens.shape[1]), text_length.FEWEST_EPOCHS, text_length.MOST_EPOCHS, 0.0
        stop, trainer = with_epochs(config, *length)
        if texts:
            trainer.setdefault("gradient_clip_val", GRADIENT_CLIP)
        data = {**dict(prepared.data), "parts": list(config.data.parts)}
        return resolved(ResolvedJointConfig, config, data=data, model={**chosen, "stop": stop}, trainer=trainer)

    @classmethod
    def load(cls, config: ResolvedJointConfig, cache: Path, items: Items) -> "JointKind":
        """Open an existing cache; a RunError if its items are not those of the config."""
        packed = Packed(cache, len(items))
        if packed.layout.parts != tuple(config.data.parts):
            raise RunError(f"{cache / LAYOUT}: damaged (it is of other parts); {again(cache)}")
        standard = load_standard(cache) if "vectors" in packed.layout.parts else None
        if standard is not None and standard.centre.shape != (packed.layout.vectors,):
            raise RunError(f"{cache / STANDARD}: damaged (it is of vectors of other dimensions); {again(cache)}")
        tokenizer = Tokenizer.load(cache) if "text" in packed.layout.parts else None
        return cls(config, items, packed, standard, tokenizer)

    @property
    def layout(self) -> Layout:
        """Where the parts are in a stored item."""
        return self.packed.layout

    def networks(self) -> tuple[JointEncoder, JointDecoder]:
        """Return the untrained encoder and decoder."""
        size = 0 if self.tokenizer is None else self.tokenizer.size
        return networks(self.layout, self.config.model, standard=self.standard, vocabulary=size)

    @property
    def settings(self) -> Settings:
        """The settings of the VAE, with contrast; for texts with the noise that their decoder reads."""
        mixed = {} if self.tokenizer is None else {"noise_mix": text_settings(self.config.model).noise_mix}
        return super().settings | contrast_settings(self.config.model) | mixed

    @property
    def about(self) -> Sequence[str]:
        """The parts, the network of the features, and that scores of labels mean little where labels are learnt."""
        learnt, features = f"learnt from {', '.join(self.layout.parts)}", self.config.data.features
        known = [] if features == "none" else [f"vectors of {printable(features.removeprefix(PYTHON))}"]
        return [
            f"{learnt}; scores against the labels are of what was learnt" if "label" in self.layout.parts else learnt,
            *known,
        ]

    @property
    def step_bytes(self) -> int:
        """As of images, in each of the views."""
        return 2_000

    @property
    def threads(self) -> int | None:
        """One for texts and small images, whose threads would wait for each other more than they compute."""
        return 1 if np.prod(self.layout.image) <= SMALL_PIXELS else None

    def training(self, cache: Path) -> Training:
        """Return the batches."""
        train, settings, seed = self.items.train, self.config.model, self.config.seed_everything
        positives: Views | None = None
        callbacks: list[Callback] = []
        if settings.augment:
            from latentviz.modalities.joint.training import of_images

            none = np.empty((len(self.packed), 0), np.int32)
            positives = Views(strength=settings.augment, flip=settings.flip, neighbours=none)
            callbacks += of_images(self.packed, train, positives, k=settings.neighbors, seed=seed, cache=cache)
        size = batch_size(self.config, len(train))
        guesses = settings.label_objective == "m2" and "label" in self.layout.parts
        batches = JointDataModule(
            self.packed, train, self.items.val, size, settings.word_dropout, positives, guesses=guesses
        )
        if self.standard is not None:
            from latentviz.modalities.joint.training import PrincipalStart

            known = self.packed.vectors()[train[self.packed.has("vectors")[train]]]
            callbacks.append(PrincipalStart(known, self.settings["content_dim"], seed))
        if self.tokenizer is None:
            return Training(batches, callbacks)
        from latentviz.modalities.text.training import FadeAuxiliary, FullVocabulary, InitialWeights

        model, tokens = text_settings(self.config.model), self.packed.tokens()
        rows = train[self.packed.has("text")[train]]
        costs = Costs(model.c, model.position_weight, model.bag_weight)
        first = InitialWeights(tokens, rows, vectors=model.vectors == "ppmi", seed=seed)
        return Training(batches, [*callbacks, first, FadeAuxiliary(costs), FullVocabulary(model.all_tokens)])

    def dataset(self) -> Rows:
        """Return all items in item order."""
        return Rows(self.packed, np.arange(len(self.packed)))

    @staticmethod
    def to_input(batch: Tensor) -> Tensor:
        """Return stored items uint8 (b, p) as they are: the encoder knows their parts."""
        return batch

    def page_decoder(self, vae: VAE) -> PageDecoder | None:
        """Return the network from z to pixel means; None without images."""
        assert isinstance(vae.decoder, JointDecoder)
        if "image" not in self.layout.parts:
            return None
        return PageDecoder(vae.decoder.image.net, self.layout.image, self.layout.slices["image"])

    def page_captions(self, vae: VAE) -> PageCaptions | None:
        """Return the networks of the captions, and that of the labels."""
        encoder, decoder = vae.encoder, vae.decoder
        assert isinstance(encoder, JointEncoder)
        assert isinstance(decoder, JointDecoder)
        if "caption" not in self.layout.parts:
            return None
        expert = encoder.experts["caption"]
        assert isinstance(expert, CaptionEncoder)
        labels = decoder.heads["label"] if "label" in self.layout.parts else None
        known = (self.layout.words, expert.idf.tolist(), expert.net, LOGVAR_LIMIT)
        words = (decoder.heads["caption"], self.layout.idf, WORDS, LIKELY)
        return PageCaptions(*known, *words, self.layout.labels, labels)

    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> list[Shown]:
        """Return the pixel means of p(x|z) with the likeliest words and label, or a text; only that reads the noise."""
        if self.tokenizer is not None:
            return [Shown(text) for text in self._texts(vae, z, noise)]
        expected = vae.decode(z).float().cpu().numpy()
        images = to_uint8(expected[:, self.layout.slices["image"]]).reshape(-1, *self.layout.image)
        return [Shown(text, image) for text, image in zip(described(self.layout, expected), images, strict=True)]

    def _texts(self, vae: VAE, z: Tensor, noise: Tensor) -> list[str]:
        """Write one text for each z (m, d) with its noise (m,)."""
        assert self.tokenizer is not None

        def likelihood(z: Tensor, noise: Tensor) -> Distribution:
            found = vae.likelihood(z, noise)
            assert isinstance(found, JointLikelihood)
            return found.dense["text"]

        return texts_of(likelihood, z, noise, self.tokenizer, text_settings(self.config.model))

    def outputs(self, vae: VAE, z: np.ndarray) -> np.ndarray | list[str]:
        """Return the pixel means, uint8 (m, c, h, w), or texts."""
        return self.values_of(self.decode_all(vae, z, np.zeros(len(z), np.float32)))

    def values_of(self, outputs: Outputs) -> np.ndarray | list[str]:
        """Return the images, or the texts."""
        if self.tokenizer is not None:
            return [str(output) for output in outputs]
        return np.stack([output.image for output in outputs if isinstance(output, Shown) and output.image is not None])

    def recorder(self, folder: Path) -> "EpochPictures | EpochTexts":
        """Return what draws or writes items and samples after each epoch."""
        if self.tokenizer is None:
            return EpochPictures(folder, self)
        rows = self.items.val[self.packed.has("text")[self.items.val]][:SHOWN]
        model = text_settings(self.config.model)
        return EpochTexts(
            folder,
            self._texts,
            self.tokenizer.decode(self.packed.tokens()[rows]),
            torch.from_numpy(self.packed[rows]),
            latent_dim=self.config.model.latent_dim,
            samples=model.samples,
            seed=self.config.seed_everything,
        )


def _contrasted(config: JointFitConfig, packed: Packed) -> dict[str, float]:
    """Return the settings of the contrast: of an image with its caption or vectors, or of two views of it."""
    parts, model = {*config.data.parts}, config.model
    paired, augment, contrast, flip = bool({"caption", "vectors"} & parts), model.augment, model.contrast, model.flip
    if augment == "auto":
        augment = 0.0 if paired else 1.0
    if "image" not in parts:
        augment = 0.0
    if contrast == "auto":
        contrast = (CONTRAST if "image" in parts else CONTRAST_OF_TEXTS) if paired or augment else 0.0
    augment = augment if contrast else 0.0
    if flip == "auto":
        flip = bool(augment) and flips_fit(_drawn(packed, config.seed_everything), config.seed_everything)
    return {
        "contrast": contrast,
        "augment": augment,
        "neighbors": model.neighbors if augment else 0,
        "flip": flip,
    }


def _drawn(packed: Packed, seed: int) -> np.ndarray:
    """Return a sample of the images, uint8 (m, c, h, w)."""
    rows = np.flatnonzero(packed.has("image"))
    found: np.ndarray = packed.images[np.sort(np.random.default_rng(seed).permutation(rows)[:SAMPLE])]
    return found


def part_nats(packed: Packed, train: np.ndarray) -> tuple[float, float]:
    """Return what the mean caption and the mean label cost in nats if nothing else is known of an item.

    Each word and label then has its share among the training items as probability. 1 where there is nothing to know.
    """
    found = []
    layout, pixels = packed.layout, packed.layout.pixels
    parts: list[Part] = ["caption", "label"]
    for part in parts:
        if part not in layout.parts:
            found.append(1.0)
            continue
        place = layout.slices[part]
        there = train[packed.rest[train, layout.parts.index(part)] > 0]
        counts = packed.rest[there, place.start - pixels : place.stop - pixels].astype(np.float64)
        share = counts.sum(0) / max(1.0, counts.sum())
        nats = -float((counts.sum(0) * np.log(np.maximum(share, 1e-12))).sum()) / max(1, len(there))
        found.append(nats if nats > 0 else 1.0)
    return found[0], found[1]


def _weight(total: float, nats: float) -> float:
    return float(f"{total / nats:.4g}")


class EpochPictures:
    """Draws the same items and the same z ~ N(0, I) after each epoch.

    Args:
        folder: where the pictures go.
        kind: the data.
    """

    def __init__(self, folder: Path, kind: JointKind) -> None:
        self.kind = kind
        rows = kind.items.val[:SHOWN]
        self.items = kind.packed[rows]
        self.recorder = Recorder(folder, kind.packed.images[rows])
        generator = torch.Generator().manual_seed(kind.config.seed_everything)
        self.z = torch.randn(SHOWN, kind.config.model.latent_dim, generator=generator)

    @torch.no_grad()
    def epoch(self, vae: VAE, number: int) -> None:
        """Write the picture of epoch `number`, counted from 1."""
        layout, mu = self.kind.layout, vae.encode(torch.from_numpy(self.items).to(vae.device))[0]
        decoded, samples = (
            vae.decode(z.to(vae.device))[:, layout.slices["image"]].reshape(-1, *layout.image).float().cpu().numpy()
            for z in (mu, self.z)
        )
        self.recorder.epoch(f"epoch-{number:04d}", decoded, samples)

    def finish(self) -> None:
        """Write one picture with the samples of all epochs."""
        self.recorder.finish()
