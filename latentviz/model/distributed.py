"""Distributed training: the first process reads, writes and prints, the others wait for it.

Either Lightning starts the others by running the same command again (`trainer.devices=2`), or torchrun, SLURM or
Kubernetes start all of them. In both cases each process enters `team` before anything is read or written. Lightning's
`prepare_data` comes too late for that: the model that it is called with is built from the data and the resolved config.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from latentviz.errors import ConfigError, TrainingError
from latentviz.progress import quiet, silence

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

T = TypeVar("T")

TIMEOUT = timedelta(days=10)  # for the others, while the first reads the data
LAUNCH_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")  # set by the launch

GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Application timeout")  # gloo's errors


@dataclass(frozen=True)
class Team:
    """The processes of one training.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.
        group: process group for waiting; None for a single process.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def first(self) -> bool:
        """Whether this process reads, writes and prints."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """Returns the first process's value in all processes, which wait for it."""
        if self.group is None:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0, group=self.group)
        return values[0]

    def wait(self) -> None:
        """Waits until all processes have called this."""
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


def several() -> bool:
    """Whether several processes train together."""
    group = torch.distributed
    return group.is_available() and group.is_initialized() and group.get_world_size() > 1


def summed(values: Tensor) -> Tensor:
    """Sums values over all processes, with gradients."""
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return total


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes (Ioffe & Szegedy 2015).

    PyTorch's SyncBatchNorm needs a GPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each channel of x (b, c, h, w)."""
        if not (self.training and several()):
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        values = x.float()
        sums = summed(torch.cat([values.sum((0, 2, 3)), values.new_tensor([values[:, 0].numel()])]))
        n = float(sums[-1])
        centred = values - (sums[:-1] / n)[:, None, None]
        variance = summed(centred.square().sum((0, 2, 3))) / n
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(sums[:-1] / n, share)
            self.running_var.lerp_(variance * n / (n - 1), share)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def check_shares(network: nn.Module, batch: int, processes: Team) -> None:
    """Refuses batches of which a process gets a single item, where batch normalisation needs two.

    `BatchNorm` does not, because it normalises over all processes.
    """
    if batch // processes.size < 2 and any(isinstance(layer, nn.BatchNorm1d) for layer in network.modules()):
        raise ConfigError(
            f"trainer.devices: {processes.size} processes divide batches of {batch} items, and each needs 2 of them; "
            f"use at most trainer.devices={max(1, batch // 2)}, or a larger data.batch_size, or more items"
        )


def check_devices(trainer: "Trainer") -> None:
    """Raises a ConfigError if there are more processes than cores, each with all of the libraries in memory."""
    cores = max(2, os.cpu_count() or 1)
    if trainer.strategy.root_device.type == "cpu" and trainer.num_devices > cores:
        raise ConfigError(
            f"trainer.devices: must be 1 to {cores}, the processes that this machine has cores for (got "
            f"{trainer.num_devices})"
        )


@contextmanager
def team(trainer: "Trainer") -> Iterator[Team]:
    """Starts the processes that the Trainer's settings ask for, and yields them.

    An error in the first process ends those that it started; Lightning ends all on an error in another.

    Raises:
        ConfigError: the strategy forks or spawns processes, or there are too many of them.
        TrainingError: another process ended while this one waited for it.
    """
    from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

    strategy, launcher = trainer.strategy, trainer.strategy.launcher
    if launcher is None:
        yield ALONE
        return
    if not isinstance(launcher, _SubprocessScriptLauncher):  # it would copy the data into each process
        raise ConfigError(
            f"trainer.strategy: {type(strategy).__name__} with forked or spawned processes cannot train "
            "here; use trainer.strategy=ddp from the shell, or trainer.devices=1 in a notebook"
        )
    if not launcher.cluster_environment.creates_processes_externally:
        check_devices(trainer)
    before = {name: os.environ.get(name) for name in LAUNCH_VARIABLES}
    try:
        with quiet():
            launcher.launch(strategy.setup_environment)
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        if rank:
            silence()
        yield Team(rank, size, torch.distributed.new_group(backend="gloo", timeout=TIMEOUT))
    except BaseException as error:
        launcher.kill(signal.SIGTERM)
        if lost(error):
            raise TrainingError(
                "one of the processes has ended, and the others cannot continue; resume from the last epoch "
                "with --resume"
            ) from error
        raise
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def lost(error: BaseException) -> bool:
    """Whether an error means that another process has ended."""
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in GONE)
    )
