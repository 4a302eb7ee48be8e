"""The batches of a data kind as a LightningDataModule; separate, since loading a model must not import Lightning."""

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from latentviz.modalities.base import TrainingBatches
from latentviz.model.vae import Batch


class LightningBatches(pl.LightningDataModule):
    """Gives the batches of a data kind to a Trainer, and the Trainer to them."""

    def __init__(self, batches: TrainingBatches) -> None:
        super().__init__()
        self.batches = batches

    def setup(self, stage: str) -> None:
        """Let the batches ask the Trainer for rank, world size and stage."""
        del stage
        self.batches.trainer = self.trainer

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return shuffled batches."""
        return self.batches.train_dataloader()

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Return held-out batches in order."""
        return self.batches.val_dataloader()

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Batch:
        """Convert a batch on the device, to the precision of the training."""
        converted = self.batches.on_after_batch_transfer(batch, dataloader_idx)
        if self.trainer is None:
            return converted
        precise: Batch = self.trainer.precision_plugin.convert_input(converted)
        return precise
