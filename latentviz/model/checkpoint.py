"""Checkpoints: written atomically, loaded without unpickling code."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from latentviz.config import FitConfig
from latentviz.errors import RunError
from latentviz.model.vae import VAE
from latentviz.runs.files import atomic_write
from latentviz.runs.run import RunFolder


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint under a temporary name and renames it, so that a kill leaves the previous one intact.

    Lightning copies it from the system's temporary folder, which a kill may interrupt.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint."""
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


def kept_checkpoint(config: FitConfig, run: RunFolder) -> Path:
    """Return the checkpoint that encodes a run: the best one with early stopping, else the last.

    The learning rate falls to 0, so the last epoch has converged; the lowest of many noisy validation losses is chance.
    """
    checkpoint: Path = run.best_checkpoint if config.model.patience else run.last_checkpoint
    return checkpoint


def load_weights(vae: VAE, checkpoint: Path, again: str = "`latentviz fit` makes it again with --force") -> VAE:
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
        vae.load_state_dict(content["state_dict"])
    except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise RunError(f"{checkpoint}: cannot be loaded ({reason}); {again}") from None
    return vae
