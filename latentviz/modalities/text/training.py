"""Callbacks of the training on texts: initial weights from the data, schedules, and a check for posterior collapse."""

import math

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from latentviz.modalities.text.cooccurrence import token_statistics
from latentviz.modalities.text.data import Tokens, to_ids
from latentviz.modalities.text.decoder import Costs, TextDecoder
from latentviz.modalities.text.nets import TextEncoder
from latentviz.model.encoding import encode_rows, kl_of_posteriors
from latentviz.model.information import aggregate
from latentviz.model.training import LightningVAE
from latentviz.model.vae import VAE
from latentviz.progress import warn

MONITORED = 2_000  # held-out texts that the latent is measured on, which caps the information at log 2,000 = 7.6 nats
ACTIVE = 0.2  # variance of μ of an active unit; collapsed models exceed the usual threshold of 0.01
FADED_TO, FADED_AT = 0.1, 0.7  # share of the auxiliary terms that remains, from this share of the training on
COLLAPSED_KL, COLLAPSED_INFORMATION = 1.0, 1.0  # nats per text


def _decoder(module: pl.LightningModule) -> TextDecoder | None:
    """Return the decoder of this package, which may be that of a part; None if the user has brought another."""
    found = getattr(module.decoder, "text", module.decoder)
    return found if isinstance(found, TextDecoder) else None


class InitialWeights(Callback):
    """Initialises the model from the statistics of the training texts; a resumed training loads its weights after.

    Args:
        tokens: (n, t), memory-mapped.
        rows: int64, the training texts.
        vectors: whether the token vectors start from the tokens' co-occurrence.
        seed: of the sample of texts.
    """

    def __init__(self, tokens: np.ndarray, rows: np.ndarray, *, vectors: bool, seed: int) -> None:
        self.tokens, self.rows, self.vectors, self.seed = tokens, rows, vectors, seed

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set topics, counts and token vectors."""
        del trainer, stage
        encoder, decoder = pl_module.encoder, _decoder(pl_module)
        if decoder is None:
            return
        topic = encoder.topic if isinstance(encoder, TextEncoder) else None
        topic_dim = encoder.given_dim if isinstance(encoder, TextEncoder) else 0
        size, width = decoder.tokens.weight.shape
        found = token_statistics(
            self.tokens,
            self.rows,
            size,
            width if self.vectors else 0,
            self.seed,
            topic=topic_dim,
        )
        if topic is not None and found.topics is not None:
            topic.initialise(found.topics)
        decoder.initialise(found.counts.to(pl_module.device), found.unrepeated.to(pl_module.device))
        if found.vectors is not None:
            decoder.tokens.weight.data.copy_(found.vectors)


class FullVocabulary(Callback):
    """Trains the last share of the steps on the whole vocabulary instead of a sample of it.

    The sampled softmax converges to slightly other weights than the exact one; a short exact phase corrects that.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Switch to the exact softmax when that phase begins; auxiliary terms stay sampled."""
        assert isinstance(pl_module, LightningVAE)
        decoder, total = _decoder(pl_module), pl_module.schedule.total
        place = pl_module.schedule.place(trainer.global_step)
        if decoder and decoder.negatives and math.isfinite(total) and place >= (1 - self.share) * total:
            decoder.exact = True


class FadeAuxiliary(Callback):
    """Lowers the weights of the auxiliary terms linearly, from the first step to a tenth at 70% of the training.

    At first they make the decoder use the latent; later they cost likelihood, since they take capacity of the trunk.

    Args:
        costs: the weights at the start.
    """

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Set the weights of this step."""
        assert isinstance(pl_module, LightningVAE)
        schedule = pl_module.schedule
        left = max(FADED_TO, 1 - schedule.place(trainer.global_step) / (FADED_AT * schedule.total))
        costs = self.costs._replace(position=self.costs.position * left, bag=self.costs.bag * left)
        if decoder := _decoder(pl_module):
            decoder.costs = costs


class CollapseMonitor(Callback):
    """Measures the information in the latent after each epoch and warns, once, of posterior collapse.

    Args:
        tokens: (n, t), memory-mapped.
        rows: int64, the held-out texts.
    """

    def __init__(self, tokens: np.ndarray, rows: np.ndarray) -> None:
        self.data, self.warned = Tokens(tokens, rows[:MONITORED]), False

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the mutual information I(x; z) in nats and the number of active units."""
        assert isinstance(pl_module, VAE)
        mu, logvar = (part.double() for part in encode_rows(pl_module, self.data, to_ids))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            together = aggregate(mu, logvar, len(mu))
        active = int((mu.var(0) > ACTIVE).sum()) if len(mu) > 1 else 0
        pl_module.log_dict(
            {"val_mutual_information": together.mutual_information, "val_active_units": float(active)}, sync_dist=True
        )
        kl = float(kl_of_posteriors(mu.numpy(), logvar.numpy()).mean())
        least = min(COLLAPSED_INFORMATION, 0.5 * together.cap)
        collapsed = kl < COLLAPSED_KL or together.mutual_information < least
        if collapsed and trainer.current_epoch > 0 and not self.warned:
            self.warned = True
            warn(
                f"posterior collapse: the decoder hardly uses the latent (KL {kl:.1f} and information "
                f"{together.mutual_information:.1f} nats per text, {active} of {mu.shape[1]} units active), so maps "
                "and samples will show little; raise model.free_bits, model.c or model.word_dropout, or set "
                "model.decoder=position"
            )
