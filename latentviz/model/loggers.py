"""Loggers and callbacks of a training: those with a short name, and those that Python gives as objects."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from latentviz.errors import ConfigError

# Each writes into the folder of the run; wandb and MLflow also to the server that their environment variables name.
LOGGERS: Mapping[str, Callable[[Path], Logger]] = {
    "tensorboard": lambda run: TensorBoardLogger(run, name="", version="tensorboard"),
    "csv": lambda run: CSVLogger(run, name="", version="csv"),
    "wandb": lambda run: WandbLogger(project="latentviz", name=run.name, save_dir=run),
    "mlflow": lambda run: MLFlowLogger("latentviz", run_name=run.name, save_dir=str(run / "mlflow")),
}
NEEDS_PACKAGE = ("tensorboard", "wandb", "mlflow")
CALLBACKS: Mapping[str, Callable[[], Callback]] = {
    "learning_rate": lambda: LearningRateMonitor(logging_interval="epoch"),
}


def check(trainer: Mapping[str, object]) -> None:
    """Raises a ConfigError if a package is missing, or an object is no logger or callback; makes none of them."""
    for name in _parts(trainer.get("logger")):
        if name in NEEDS_PACKAGE and importlib.util.find_spec(str(name)) is None:
            raise ConfigError(
                f"trainer.logger: {name} needs a package that is not installed; `pip install 'latentviz[{name}]'`"
            )
    for key, kind in (("logger", Logger), ("callbacks", Callback)):
        for part in _parts(trainer.get(key)):
            if not isinstance(part, (str, bool, kind)):
                raise ConfigError(
                    f"trainer.{key}: must be objects of Lightning's class {kind.__name__} (got {type(part).__name__})"
                )
    if "learning_rate" in _parts(trainer.get("callbacks")) and not _asked_loggers(trainer):
        raise ConfigError("trainer.callbacks: learning_rate needs a logger; set trainer.logger=csv, or leave it out")


def loggers(trainer: Mapping[str, object], run: Path) -> list[Logger]:
    """Makes the loggers that are asked for; by default one for TensorBoard, if that is installed.

    Args:
        trainer: arguments of the Trainer.
        run: folder of the run.
    """
    return [LOGGERS[part](run) if isinstance(part, str) else part for part in _asked_loggers(trainer)]


def callbacks(trainer: Mapping[str, object]) -> list[Callback]:
    """Makes the callbacks that are asked for."""
    asked = _parts(trainer.get("callbacks"))
    made = [CALLBACKS[part]() if isinstance(part, str) else part for part in asked if part != "none"]
    return [part for part in made if isinstance(part, Callback)]


def _asked_loggers(trainer: Mapping[str, object]) -> list[str | Logger]:
    asked = _parts(trainer.get("logger"))
    if asked in ([], [True]) and trainer.get("logger") != []:
        asked = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    return [part for part in asked if isinstance(part, (str, Logger)) and part != "none"]


def _parts(value: object) -> Sequence[object]:
    if value is None:
        return []
    return value if isinstance(value, (list, tuple)) else [value]
