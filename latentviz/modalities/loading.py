"""Opens a finished run: its config, items and latents, and its trained model when a command needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from latentviz.config import FitConfig, read_yaml, validate
from latentviz.errors import ConfigError, RunError, message_of
from latentviz.modalities import kinds, modality
from latentviz.modalities.base import AnyDataKind, AnyModality, MapContents
from latentviz.modalities.networks import STANDARD, Networks, check_given, listed, missing, recall
from latentviz.progress import one_line, plural
from latentviz.runs.info import RunInfo
from latentviz.runs.items import Items
from latentviz.runs.run import RunFolder

if TYPE_CHECKING:
    from latentviz.model.base import Encoder
    from latentviz.model.vae import VAE


class OpenRun:
    """A finished run, opened once per command: each file is read and checked on first use, then kept.

    Args:
        run: where it is on disk.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    @cached_property
    def info(self) -> RunInfo:
        """The content of run.json."""
        return self.run.info()

    @cached_property
    def modality(self) -> AnyModality:
        """The light half of the run's data kind."""
        return modality(self.config.data.kind)

    @cached_property
    def config(self) -> FitConfig:
        """The resolved config."""
        config = read_config(self.run)
        if config.data.kind != self.info["kind"]:
            raise RunError(
                f"{self.run.config_file}: damaged (data.kind is {config.data.kind}, and run.json has "
                f"{one_line(self.info['kind'], 40)}); {self.run.again}"
            )
        return config

    @cached_property
    def items(self) -> Items:
        """The row order."""
        items = self.run.items()
        if self.config.data.kind == "text" and "text" not in items.table.column_names:
            raise RunError(f"{self.run.items_file}: damaged (it has no column text); {self.run.again}")
        return items

    @cached_property
    def on_map(self) -> MapContents:
        """What the map shows of the items in addition to their points."""
        shown, n = self.modality.on_map(self.run.cache), len(self.items)
        if any(part is not None and len(part) != n for part in (shown.texts, shown.images)):
            raise RunError(f"{self.run.cache}: damaged (texts or images of other items); {self.run.again}")
        return shown

    @cached_property
    def mu(self) -> np.ndarray:
        """The posterior means, float32 (n, d), memory-mapped."""
        return self.run.mu()

    @cached_property
    def logvar(self) -> np.ndarray:
        """The posterior log-variances, float32 (n, d), memory-mapped."""
        return self.run.logvar()

    @cached_property
    def model(self) -> Loaded:
        """The trained model; loading it takes seconds."""
        return load_model(self)

    @cached_property
    def loadable(self) -> bool:
        """Whether this process has the code of the model; that of networks of one's own is not in the run."""
        return not missing(self.config.networks, recall(self.run))

    @property
    def content_dim(self) -> int:
        """The first dimensions of mu, which are clustered; the others hold style."""
        return self.info["summary"].get("content_dim", self.mu.shape[1])

    @property
    def given_dim(self) -> int:
        """The first dimensions of mu that are computed from the data instead of learnt."""
        return self.info["summary"].get("given_dim", 0)

    @property
    def contrast(self) -> float:
        """The weight of the contrast that the model was trained with."""
        return self.info["summary"].get("contrast", 0.0)


@dataclass(frozen=True)
class Loaded:
    """A trained model with the run that it comes from."""

    opened: OpenRun  # the run
    vae: VAE  # in evaluation mode
    kind: AnyDataKind  # the data

    @property
    def run(self) -> RunFolder:
        """Where the run is on disk."""
        return self.opened.run

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder in its fastest form, made once."""
        from latentviz.model.encoding import at_rest

        return at_rest(self.vae)

    @property
    def config(self) -> FitConfig:
        """The resolved config."""
        return self.opened.config

    @property
    def items(self) -> Items:
        """The row order."""
        return self.opened.items


def load_model(run: RunFolder | OpenRun, networks: Networks | None = None) -> Loaded:
    """Load the trained model of a finished run.

    Args:
        run: the run.
        networks: parts of the model that the user has given; None: those that are known for this run.

    Raises:
        RunError: the run is unfinished or damaged, its parts do not fit each other, or its networks are not known to
            this process.
    """
    from latentviz.model.checkpoint import kept_checkpoint, load_weights

    opened = run if isinstance(run, OpenRun) else OpenRun(run)
    folder, config = opened.run, opened.config
    if networks is None:
        networks = recall(folder) if config.networks else STANDARD
    check_given(config.networks, networks, folder)
    checkpoint = folder.require(kept_checkpoint(config, folder))
    folder.verify()
    kind = modality(config.data.kind).data_kind.load(config, folder.cache, opened.items)
    again = (
        f"give the networks that it was trained with: {listed(config.networks)}" if config.networks else folder.again
    )
    if len(kind.dataset()) != len(opened.items):
        raise RunError(
            f"{folder.cache}: damaged ({plural(len(kind.dataset()), 'item')}, and the run has {len(opened.items):,}); "
            f"{folder.again}"
        )
    vae = load_weights(kind.build(networks), checkpoint, again).eval()
    if vae.latent_dim != opened.mu.shape[1]:
        raise RunError(
            f"{folder.config_file}: damaged (the model has {plural(vae.latent_dim, 'latent dimension')}, and "
            f"mu.npy has {opened.mu.shape[1]}); {folder.again}"
        )
    return Loaded(opened, vae, kind)


def read_config(run: RunFolder) -> FitConfig:
    """Read the resolved config of a run.

    Raises:
        RunError: it is damaged.
    """
    run.verify_config()
    try:
        values = read_yaml(run.config_file)
        data = values.get("data")
        kind = data.get("kind") if isinstance(data, dict) else None
        if isinstance(kind, str) and kind not in kinds():
            raise RunError(
                f"{run.config_file}: data.kind: no installed package has this kind of data (got {kind}); install the "
                "package that the run was trained with"
            )
        return validate(modality(str(kind)).resolved, values, str(run.config_file))
    except ConfigError as error:
        raise RunError(
            f"{run.config_file}: damaged ({message_of(error)}); put it right, or make the run "
            f"again with `latentviz fit SOURCE --run {run.name} --outputs {run.path.parent} --force`"
        ) from None
