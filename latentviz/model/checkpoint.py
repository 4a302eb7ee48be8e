"""Loads checkpoints without unpickling code."""

import zipfile
from pathlib import Path
from typing import TypeVar

import torch

from latentviz.config import FitConfig
from latentviz.model.vae import VAE
from latentviz.runs.regular import check_regular, damage
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
        ReadError: the system refuses to read it.
    """
    with damage(checkpoint, again):
        check_regular(checkpoint)
        with zipfile.ZipFile(checkpoint) as archive:  # torch does not verify its archive's checksums
            if sum(part.file_size for part in archive.infolist()) > checkpoint.stat().st_size:
                raise ValueError("it is packed, which no checkpoint is")
            changed = archive.testzip()
        if changed:
            raise ValueError(f"{changed} is not what was written")
        weights = torch.load(checkpoint, map_location=vae.device, weights_only=True)["state_dict"]
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            raise ValueError("weights that are not finite")
        if not vae.objective:  # terms that a user has added to the loss, with weights of their own, only train
            weights = {name: value for name, value in weights.items() if not name.startswith("objective.")}
        vae.load_state_dict(weights)
    return vae
