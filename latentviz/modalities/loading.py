"""Loads a finished run: its config, its data and its trained model."""

from typing import Any

from latentviz.config import FitConfig, read_yaml, validate
from latentviz.errors import ConfigError, RunError
from latentviz.modalities import part
from latentviz.model.checkpoint import kept_checkpoint, load_weights
from latentviz.model.vae import VAE
from latentviz.runs.run import RunFolder


def load_model(run: RunFolder) -> tuple[VAE, Any]:
    """Returns the trained model of a run, in evaluation mode, and its data.

    Raises:
        RunError: the run is unfinished or damaged.
    """
    config = read_config(run)
    checkpoint = run.require(kept_checkpoint(config, run))
    run.verify()
    data = part(config.data.kind, "kind").KIND.load(config, run.cache, run.items())
    return load_weights(data.build(), checkpoint, run.again).eval(), data


def read_config(run: RunFolder) -> FitConfig:
    """Returns the resolved config of a run.

    Raises:
        RunError: it is damaged.
    """
    run.verify_config()
    try:
        values = read_yaml(run.config_file)
        data = values.get("data")
        kind = data.get("kind") if isinstance(data, dict) else None
        section: type[FitConfig] = part(str(kind), "config").CONFIG
        return validate(section, values, str(run.config_file))
    except ConfigError as error:
        raise RunError(
            f"{run.config_file}: damaged ({' '.join(str(error).split())}); put it right, or make the run "
            f"again with `latentviz fit SOURCE --run {run.name} --outputs {run.path.parent} --force`"
        ) from None
