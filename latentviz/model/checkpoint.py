"""Checkpoints: written whole, loaded without executing anything pickled."""

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
    """Writes each checkpoint beside its place and renames it, so that a killed training leaves the last one whole.

    Lightning's own way is a copy out of the system's temporary folder, which may be cut off.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes one."""
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())


def kept_checkpoint(config: FitConfig, run: RunFolder) -> Path:
    """Returns the checkpoint that a run's μ come from: the best with early stopping, else the last.

    The learning rate falls to 0, so that the last epoch is the converged one; the lowest of many noisy validation
    losses is an accident unless the training was told to stop there.
    """
    checkpoint: Path = run.best_checkpoint if config.model.patience else run.last_checkpoint
    return checkpoint


def load_weights(vae: VAE, checkpoint: Path, again: str = "`latentviz fit` makes it again with --force") -> VAE:
    """Puts a checkpoint's weights into `vae` and returns it; nothing pickled is ever executed.

    Raises:
        RunError: the file is missing, damaged, or holds another model's weights; `again` says what makes it again.
    """
    try:
        with zipfile.ZipFile(checkpoint) as archive:  # torch does not look at the checksums in its own archive
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"damaged: {damaged} is not what was written")
        content = torch.load(checkpoint, map_location=vae.device, weights_only=True)
        vae.load_state_dict(content["state_dict"])
    except Exception as error:  # noqa: BLE001 - torch raises a dozen kinds for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise RunError(f"{checkpoint}: cannot be loaded ({reason}); {again}") from None
    return vae
