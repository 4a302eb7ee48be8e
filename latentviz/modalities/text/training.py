"""What goes on beside the training on texts: what the data says beforehand, the last stretch, a watch on the latent."""

import math

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from latentviz.modalities.text.cooccurrence import look
from latentviz.modalities.text.data import Tokens, to_ids
from latentviz.modalities.text.decoder import Costs, TextDecoder
from latentviz.modalities.text.nets import TextEncoder
from latentviz.model.information import aggregate
from latentviz.model.vae import VAE
from latentviz.progress import warn

WATCHED = 2_000  # held-out texts that the latent is watched on: information is seen up to log 2,000 = 7.6 nats
ACTIVE = 0.2  # variance of μ of a unit that says something; a collapsed model passes the usual .01
FADED_TO, FADED_AT = 0.1, 0.7  # what is left of the auxiliary terms, from this share of the training on
COLLAPSED_KL, COLLAPSED_INFORMATION = 1.0, 1.0  # nats a text


class Beginning(Callback):
    """Gives the untrained model what the training texts say without training; a resumed one brings its own weights.

    Args:
        tokens: (n, t), memory-mapped.
        rows: int64, the training texts.
        vectors: start the tokens' vectors from their co-occurrence.
        seed: of the sample looked at.
    """

    def __init__(self, tokens: np.ndarray, rows: np.ndarray, *, vectors: bool, seed: int) -> None:
        self.tokens, self.rows, self.vectors, self.seed = tokens, rows, vectors, seed

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Looks at the texts before weights are read from a checkpoint, which go over these."""
        del trainer, stage
        encoder, decoder = pl_module.encoder, pl_module.decoder
        assert isinstance(encoder, TextEncoder)
        assert isinstance(decoder, TextDecoder)
        table: nn.Embedding = decoder.tokens
        facts = look(
            self.tokens,
            self.rows,
            table.num_embeddings,
            table.embedding_dim if self.vectors else 0,
            self.seed,
            topic=0 if encoder.topic is None else encoder.topic.k,
        )
        if encoder.topic is not None and facts.topics is not None:
            encoder.topic.know(facts.topics)
        decoder.know(facts.counts.to(pl_module.device), facts.unrepeated.to(pl_module.device))
        if facts.vectors is not None:
            table.weight.data.copy_(facts.vectors)


class LastStretch(Callback):
    """Trains the last share of the steps on the whole vocabulary instead of a sample of it.

    The sampled softmax settles a little beside the exact one; a short stretch moves it there.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Switches over when it is time."""
        decoder = pl_module.decoder
        assert isinstance(decoder, TextDecoder)
        total = trainer.estimated_stepping_batches
        if decoder.negatives and math.isfinite(total) and trainer.global_step >= (1 - self.share) * total:
            decoder.negatives = 0


class Fading(Callback):
    """Lets the weights of the auxiliary terms fall, from the first step on, to a tenth at 70% of the training.

    They bring the latent into use and shape the trunk; later they cost the likelihood what the trunk could do for it.

    Args:
        costs: what the training begins with.
    """

    def __init__(self, costs: Costs) -> None:
        self.costs = costs

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Sets the weights of this step."""
        decoder = pl_module.decoder
        assert isinstance(decoder, TextDecoder)
        left = max(FADED_TO, 1 - trainer.global_step / (FADED_AT * trainer.estimated_stepping_batches))
        decoder.costs = self.costs._replace(position=self.costs.position * left, bag=self.costs.bag * left)


class Watch(Callback):
    """Measures after each epoch what the latent holds, and says by name when the posterior collapses.

    Args:
        tokens: (n, t), memory-mapped.
        rows: int64, the held-out texts.
    """

    def __init__(self, tokens: np.ndarray, rows: np.ndarray) -> None:
        self.data, self.warned = Tokens(tokens, rows[:WATCHED]), False

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the mutual information I(x; z) in nats and the number of active units."""
        assert isinstance(pl_module, VAE)
        mu, logvar = _posteriors(pl_module, self.data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            together = aggregate(mu, logvar, len(mu))
        active = int((mu.var(0) > ACTIVE).sum()) if len(mu) > 1 else 0
        pl_module.log_dict(
            {"val_mutual_information": together.mutual_information, "val_active_units": float(active)}, sync_dist=True
        )
        kl = float((0.5 * (logvar.exp() + mu.square() - 1 - logvar)).sum(-1).mean())
        least = min(COLLAPSED_INFORMATION, 0.5 * together.cap)
        collapsed = kl < COLLAPSED_KL or together.mutual_information < least
        if collapsed and trainer.current_epoch > 0 and not self.warned:
            self.warned = True
            warn(
                f"posterior collapse: the decoder hardly uses the latent (KL {kl:.1f}, information "
                f"{together.mutual_information:.1f} nats a text, {active} of {mu.shape[1]} units active); maps and "
                "samples will say little. Raise model.free_bits, model.c or model.word_dropout, or choose "
                "model.decoder=position"
            )


def _posteriors(vae: VAE, data: Tokens) -> tuple[Tensor, Tensor]:
    """Returns μ and log σ² of all texts, float64 (n, d), on the CPU."""
    parts = [
        vae.encode(to_ids(data.__getitems__(range(start, min(start + 1024, len(data)))).to(vae.device)))
        for start in range(0, len(data), 1024)
    ]
    mu, logvar = (torch.cat(columns).double().cpu() for columns in zip(*parts, strict=True))
    return mu, logvar
