"""Training on more than one process: the first one reads, writes and speaks, and the others wait for it.

Lightning starts the others itself (`trainer.devices=2`), running the same command again, or torchrun, SLURM or
Kubernetes have started all of them. Either way every process comes through `team` before anything is read or written.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from latentviz.errors import ConfigError
from latentviz.log import quiet, silence

T = TypeVar("T")

PATIENCE = timedelta(days=10)  # that the others wait while the first reads the data
STARTED = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")  # what starting processes sets


@dataclass(frozen=True)
class Team:
    """The processes of one training.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        group: what they wait in; None: there is one.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that reads, writes and speaks."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """Returns the first process's value in all of them; who comes early waits."""
        if self.group is None:
            return value
        told = [value]
        torch.distributed.broadcast_object_list(told, src=0, group=self.group)
        return told[0]

    def wait(self) -> None:
        """Returns once all processes have come here."""
        self.share(None)
        if self.group is not None:
            torch.distributed.barrier(group=self.group)

    def part(self, n: int) -> range:
        """Returns this process's rows of n.

        >>> [list(Team(rank, 3).part(7)) for rank in range(3)]
        [[0, 1], [2, 3], [4, 5, 6]]
        """
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)


ALONE = Team()


@contextmanager
def team(trainer: pl.Trainer) -> Iterator[Team]:
    """Yields the processes that a Trainer of these settings asks for, all of them started.

    An error in the first ends the others that it started; one in another ends all, which Lightning sees to.

    Raises:
        ConfigError: the strategy has no processes of this kind.
    """
    strategy, launcher = trainer.strategy, trainer.strategy.launcher
    if launcher is None:
        yield ALONE
        return
    if not isinstance(launcher, _SubprocessScriptLauncher):  # it would copy the data into each process
        raise ConfigError(f"trainer.strategy: {type(strategy).__name__} with forked or spawned processes cannot train "
                          "here; use trainer.strategy=ddp from the shell, or trainer.devices=1 in a notebook")
    before = {name: os.environ.get(name) for name in STARTED}
    try:
        with quiet():
            launcher.launch(strategy.setup_environment)
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        if rank:
            silence()
        yield Team(rank, size, torch.distributed.new_group(backend="gloo", timeout=PATIENCE))
    except BaseException:
        launcher.kill(signal.SIGTERM)
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
