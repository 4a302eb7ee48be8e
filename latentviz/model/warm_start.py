"""Starts a training from the weights of another one."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from latentviz.model.checkpoint import load_weights
from latentviz.model.vae import VAE


class Start(Callback):
    """Starts the training from the weights of another one; a resumed training loads its own after.

    Args:
        checkpoint: of the other training.
        again: what makes it again, for the message if it is damaged.
    """

    def __init__(self, checkpoint: Path, again: str) -> None:
        self.checkpoint, self.again = checkpoint, again

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Loads the weights, after the callbacks of the data kind have set theirs."""
        del trainer, stage
        assert isinstance(pl_module, VAE)
        load_weights(pl_module, self.checkpoint, self.again)
