"""The arguments of Lightning's Trainer that a config may have, with their values, and those that it may not."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from latentviz.config.base import AtLeast1, Section
from latentviz.errors import did_you_mean

LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")  # short names; `model.loggers` makes them
CALLBACKS = ("learning_rate",)  # `model.loggers` makes these too
AS_OBJECTS = {"accelerator", "callbacks", "logger", "plugins", "profiler", "strategy"}
FROM_PYTHON = ", an object from Python"  # ends the note that a config.yaml has in the place of one

PLAIN = (str, int, float, dict, type(None))

MOST = 2**31
Count = Annotated[int, Field(ge=0, le=MOST)]


def _length(value: object) -> object:
    if type(value) is int and (value == -1 or 1 <= value <= MOST):
        return value
    raise ValueError(f"must be a whole number from 1 on, or -1 for no limit (got {value!r})")


def _batches(value: object) -> object:
    """Accepts a number of batches, or a share of them."""
    if type(value) is int and value >= 1:
        return value
    if type(value) is float and 0 < value <= 1:
        return value
    raise ValueError(f"must be a whole number from 1 on, or a share above 0 and up to 1.0 (got {value!r})")


def _duration(value: object) -> object:
    """Accepts `DD:HH:MM:SS`, or the arguments of a timedelta, which is returned as its seconds."""
    try:
        if isinstance(value, str):
            days, hours, minutes, seconds = (int(part) for part in value.split(":"))
            length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        elif isinstance(value, timedelta):
            length = value
            value = {"seconds": length.total_seconds()}
        else:
            length = timedelta(**cast("dict[str, float]", value))
    except (TypeError, ValueError, OverflowError):
        length = timedelta(0)
    if length <= timedelta(0):
        raise ValueError(f"must be a time above 0, as in 00:08:30:00 (days, hours, minutes, seconds; got {value!r})")
    return value


def _interval(value: object) -> object:
    return _duration(value) if isinstance(value, (str, dict, timedelta)) else _batches(value)


def _precision(value: object) -> object:
    if isinstance(value, str) and value in {"16-true", "bf16-true"}:
        raise ValueError(f"{value}: weights in half precision lose small steps; choose {str(value)[:-5]}-mixed")
    return value


def _no_names(value: object) -> object:
    if value != []:
        raise ValueError(
            f"are Lightning's objects, which Python alone can give: trainer={{'plugins': …}} (got {value!r})"
        )
    return value


def _named(allowed: tuple[str, ...]) -> BeforeValidator:
    def check(value: object) -> object:
        for name in value if isinstance(value, list) else [value]:
            if name not in allowed:
                near = did_you_mean(str(name), allowed)
                raise ValueError(f"must be a short name, or a list of them: {', '.join(allowed)} (got {name!r}).{near}")
        return value

    return BeforeValidator(check)


Batches = Annotated[int | float, BeforeValidator(_batches)]
Length = Annotated[int, BeforeValidator(_length)]


class TrainerSection(Section):
    """Lightning's arguments that act in a training by latentviz; what they mean, Lightning's documentation says."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    strategy: str = "auto"
    devices: AtLeast1 | Literal[-1] | str | Annotated[list[Count], Field(min_length=1)] = "auto"
    num_nodes: AtLeast1 = 1
    precision: (
        Annotated[
            Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "64", "32", "16", "bf16", 64, 32, 16],
            BeforeValidator(_precision),
        ]
        | None
    ) = None
    logger: Annotated[str | list[str], _named((*LOGGERS, "none"))] | bool | None = None
    callbacks: Annotated[str | list[str], _named((*CALLBACKS, "none"))] | None = None
    max_epochs: Length | None = None
    min_epochs: AtLeast1 | None = None
    max_steps: Length | None = -1
    min_steps: AtLeast1 | None = None
    max_time: Annotated[str | dict[str, float], BeforeValidator(_duration)] | None = None
    limit_train_batches: Batches | None = None
    limit_val_batches: Batches | None = None
    overfit_batches: Batches | Literal[0] = 0
    val_check_interval: Annotated[int | float | str | dict[str, float], BeforeValidator(_interval)] | None = None
    check_val_every_n_epoch: AtLeast1 | None = 1
    num_sanity_val_steps: Annotated[int, Field(ge=-1, le=MOST)] | None = None
    log_every_n_steps: Count | None = None
    enable_model_summary: bool | None = None
    accumulate_grad_batches: Annotated[int, Field(ge=1, le=MOST)] = 1
    gradient_clip_val: Annotated[float, Field(ge=0)] | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    inference_mode: bool = True
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    detect_anomaly: bool = False
    plugins: Annotated[list[str], BeforeValidator(_no_names)] | None = None
    sync_batchnorm: bool = False
    reload_dataloaders_every_n_epochs: Count = 0
    enable_autolog_hparams: bool = True


_NOT_CALLED = "has no effect, because latentviz calls fit alone; leave it out"
# Lightning's other arguments: why they are refused, and what to use instead.
REFUSED: Mapping[str, str] = {
    "barebones": "it turns off the checkpoints and the validation that a run needs; leave it out",
    "default_root_dir": "latentviz writes into the folder of the run; choose that with --outputs DIR and --run NAME",
    "enable_checkpointing": "a run consists of checkpoints; leave it out",
    "enable_progress_bar": "latentviz has its own progress bar, which needs a terminal; leave it out",
    "fast_dev_run": "it writes no checkpoints; use trainer.max_epochs=1 with trainer.limit_train_batches=2",
    "limit_predict_batches": _NOT_CALLED,
    "limit_test_batches": _NOT_CALLED,
    "model_registry": "it uploads checkpoints; leave it out, and publish the files in checkpoints/",
    "use_distributed_sampler": "latentviz divides the batches among the processes itself; leave it out",
}
TRAINER_KEYS = (*TrainerSection.model_fields, *REFUSED)


def is_object(key: str, value: object) -> bool:
    """Whether an argument is something that only Python can give, such as a callback, or the note of one."""
    return key in AS_OBJECTS and any(_is_note(part) or not isinstance(part, PLAIN) for part in _listed(value))


def _is_note(value: object) -> bool:
    return isinstance(value, str) and value.endswith(FROM_PYTHON)


def noted(key: str, value: object) -> Any:
    """Returns what a config.yaml keeps of an argument: of an object, its class.

    >>> noted("callbacks", ["learning_rate", object()])
    ['learning_rate', 'object, an object from Python']
    """
    if not is_object(key, value):
        return value
    notes = [part if isinstance(part, str) else f"{type(part).__name__}{FROM_PYTHON}" for part in _listed(value)]
    return notes if isinstance(value, (list, tuple)) else notes[0]


def missing_objects(trainer: Mapping[str, object]) -> list[str]:
    """Lists the arguments that are a note of `noted`, a line for each."""
    return [
        f'trainer.{key}: this config was fitted with {note}; pass it again, as in lv.fit(…, trainer={{"{key}": …}}), '
        f"or leave it out with trainer.{key}=null"
        for key, value in trainer.items()
        for note in _listed(value)
        if _is_note(note)
    ]


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def refusals(trainer: Mapping[str, object]) -> list[str]:
    """Lists the arguments, a line for each, that are unknown, refused with any value, or contradict each other."""
    lines = [f"{key}: {reason} (got {trainer[key]!r})" for key, reason in REFUSED.items() if key in trainer]

    lines += [
        f"{key}: unknown key; Lightning's Trainer has no such argument.{did_you_mean(key, TRAINER_KEYS)}"
        for key in trainer
        if key not in TRAINER_KEYS
    ]

    def number(key: str) -> float:
        value = trainer.get(key)
        return value if isinstance(value, int) and value > 0 else math.nan

    lines += [
        f"min_{unit}: must be at most max_{unit}, which is {number(f'max_{unit}')} (got {number(f'min_{unit}')})"
        for unit in ("epochs", "steps")
        if number(f"min_{unit}") > number(f"max_{unit}")
    ]
    return lines
