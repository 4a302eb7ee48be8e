"""The progress bar of a training: in a terminal, in a notebook, or some lines."""

import html
import math
import sys
import time
from collections.abc import Mapping
from io import StringIO
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from latentviz.model.training import LightningVAE, epoch_steps
from latentviz.progress import hidden, notebook, print_through, say


def _metrics(trainer: pl.Trainer, split: str) -> dict[str, float]:
    """Returns the latest metrics of a split, without its prefix."""
    found = trainer.callback_metrics.items()
    return {name.removeprefix(f"{split}_"): float(value) for name, value in found if name.startswith(f"{split}_")}


def _parts(metrics: Mapping[str, float]) -> str:
    """Formats a loss as the sum that it is, then what else was trained on; an empty string without a loss.

    >>> _parts({"loss": 10, "reconstruction": 7, "kl_cost": 3, "contrast_cost": 2})
    '10.0 (reconstruction 7.0 + KL 3.0), contrast 2.0'
    """
    if "loss" not in metrics:
        return ""
    apart = {"contrast_cost": "contrast", "auxiliary_cost": "auxiliary"}
    names = {"reconstruction": "reconstruction", "kl_cost": "KL"}
    others = {"loss", "log_likelihood", "kl", "mutual_information", "active_units"}
    names |= {name: name for name in metrics if name not in {*names, *others, *apart}}  # terms that the user has added
    parts = [f"{word} {metrics[name]:.1f}" for name, word in names.items() if name in metrics]
    more = [f", {word} {metrics[name]:.1f}" for name, word in apart.items() if name in metrics]
    return f"{metrics['loss']:.1f} ({' + '.join(parts)}){''.join(more)}"


def _losses(train: Mapping[str, float], validation: Mapping[str, float]) -> str:
    """Formats both losses, which mean the same; with contrast, the training's is that of views.

    >>> _losses({"loss": 10, "reconstruction": 7, "kl_cost": 3}, {"loss": 9, "reconstruction": 6, "kl_cost": 3})
    'loss 10.0 (reconstruction 7.0 + KL 3.0); validation 9.0 (reconstruction 6.0 + KL 3.0)'
    """
    held_out = _parts(validation)
    of = " of training views" if "contrast_cost" in train else ""
    return f"loss{of} {_parts(train)}{f'; validation {held_out}' if held_out else ''}"


def _epochs(trainer: pl.Trainer, vae: LightningVAE) -> int | None:
    """Returns the epochs of the training as far as its length is known; None: nothing is known."""
    end = vae.schedule.end
    return math.ceil(end / epoch_steps(trainer)) if math.isfinite(end) else None


def _of(trainer: pl.Trainer, vae: LightningVAE) -> str:
    """Returns what follows the number of an epoch: /309, or /≤309 where the training may end sooner."""
    epochs, schedule = _epochs(trainer, vae), vae.schedule
    return f"/{'≤' if schedule.least and schedule.begun is None else ''}{epochs}" if epochs else ""


class NotebookBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A progress bar as one output of a notebook's cell that is updated; it needs no ipywidgets."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.output = {"display_id": f"latentviz-bar-{id(self)}-{time.monotonic_ns()}"}
        self.shown = False
        super().__init__(*args, **options, file=StringIO())

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Updates the output."""
        del msg, pos
        numbers = {**self.format_dict, "ncols": None, "bar_format": "{l_bar}{r_bar}"}
        text = self.format_meter(**numbers)
        total = f'max="{self.total}" ' if self.total else ""
        page = f'<progress {total}value="{self.n}"></progress> <code>{html.escape(text)}</code>'
        content = {"text/plain": text, "text/html": page}
        notebook().display_pub.publish(content, transient=self.output, update=self.shown)
        self.shown = True
        return True


class Bar(Callback):
    """A progress bar over the whole training with ETA, the loss and its parts; without a terminal or notebook, lines.

    Lightning's bars cover one epoch each, and so does their ETA.
    """

    LINES = 20  # without a terminal, about
    REFRESH = 0.5  # seconds; reading the numbers waits for the device

    def __init__(self) -> None:
        self.bar: tqdm[NoReturn] | None = None
        self.read = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar at the current step."""
        inside = notebook() is not None
        if trainer.is_global_zero and not hidden() and (inside or sys.stderr.isatty()):
            assert isinstance(pl_module, LightningVAE)
            total = pl_module.schedule.end
            self.bar = (NotebookBar if inside else tqdm)(
                total=int(total) if math.isfinite(total) else None,
                initial=trainer.global_step,
                unit="step",
                dynamic_ncols=True,
                mininterval=self.REFRESH,
            )
            if not inside:
                print_through(lambda line: tqdm.write(line, file=sys.stderr))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Advances by one step."""
        if self.bar is None:
            return
        if time.monotonic() - self.read > self.REFRESH:
            self.read = time.monotonic()
            assert isinstance(pl_module, LightningVAE)
            self.bar.total = pl_module.schedule.end if math.isfinite(pl_module.schedule.end) else None
            self._describe(trainer, pl_module, {name: float(value) for name, value in pl_module.latest.items()})
        self.bar.update()

    def _describe(self, trainer: pl.Trainer, vae: LightningVAE, train: Mapping[str, float]) -> None:
        if self.bar is not None:
            self.bar.set_description(f"epoch {trainer.current_epoch + 1}{_of(trainer, vae)}", refresh=False)
            self.bar.set_postfix_str(_losses(train, _metrics(trainer, "val")), refresh=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the epoch's metrics, in the bar or as a line."""
        assert isinstance(pl_module, LightningVAE)
        self._describe(trainer, pl_module, _metrics(trainer, "train"))
        epoch, epochs = trainer.current_epoch + 1, _epochs(trainer, pl_module)
        every = max(1, (epochs if epochs and pl_module.schedule.least is None else 2 * epoch) // self.LINES)
        if self.bar is None and trainer.is_global_zero and (epoch == epochs or epoch % every == 0):
            losses = _losses(*(_metrics(trainer, split) for split in ("train", "val")))
            say(f"  epoch {epoch}{_of(trainer, pl_module)}: {losses}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Closes the bar."""
        del trainer, pl_module
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Closes the bar, so that the error starts on a new line."""
        del trainer, pl_module, exception
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            print_through(None)
            self.bar.close()
            self.bar = None
