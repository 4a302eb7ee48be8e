"""Loads checkpoints without unpickling code."""

import zipfile
from pathlib import Path
from typing import TypeVar

import torch

from latentviz.config import FitConfig
from latentviz.errors import RunError
from latentviz.model.vae import VAE
from latentviz.runs.run import RunFolder

V = TypeVar("V", bound=VAE)


def kept_checkpoint(config: FitConfig, run: RunFolder) -> Path:
    """Return the checkpoint that encodes a run: the best one with early stopping, else the last.

    The learning rate falls to 0, so the last epoch has converged; the lowest of many noisy validation losses is chance.
    """
    checkpoint: Path = run.best_checkpoint if config.model.patience else run.last_checkpoint
    return checkpoint


def load_weights(vae: V, checkpoint: Path, again: str = "`latentviz fit` makes it again with --force") -> V:
    """Load a checkpoint's weights into `vae` and return it, without unpickling code.

    Raises:
        RunError: the file is missing, damaged, or of another model; `again` is the remedy in the message.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:  # torch does not verify its archive's checksums
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"damaged: {damaged} is not what was written")
        content = torch.load(checkpoint, map_location=vae.device, weights_only=True)
        weights = content["state_dict"]
        if not vae.objective:  # terms that a user has added to the loss, with weights of their own, only train
            weights = {name: value for name, value in weights.items() if not name.startswith("objective.")}
        vae.load_state_dict(weights)
    except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise RunError(f"{checkpoint}: cannot be loaded ({reason}); {again}") from None
    return vae
