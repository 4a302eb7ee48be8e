"""Distributed training: batches are shared between processes, and two processes train what one does."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from latentviz import progress
from latentviz.errors import ConfigError
from latentviz.modalities.batches.order import Batches
from latentviz.modalities.loading import load_model
from latentviz.model.contrast import from_all, info_nce
from latentviz.model.distributed import ALONE, BatchNorm, Team, check_shares
from latentviz.model.encoding import encode
from latentviz.runs.run import RunFolder

PLAIN = (
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "model.latent_dim=4",
    "model.width=4",
    "data.batch_size=32",
)
# Two processes compute InfoNCE over all their views, and batch norm over all their images; each checks the gradients
# against those of one process with all of them.
GRADIENT = """
import torch, torch.distributed as dist
from latentviz.model.contrast import from_all, info_nce
from latentviz.model.distributed import BatchNorm
dist.init_process_group("gloo")
rank = dist.get_rank()
views = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
whole = views.clone().requires_grad_()
info_nce(whole[0], whole[1], 0.2).backward()
part = views[:, 6 * rank : 6 * rank + 6].clone().requires_grad_()
loss = info_nce(from_all(part[0]), from_all(part[1]), 0.2)
loss.backward()
assert torch.allclose(part.grad / 2, whole.grad[:, 6 * rank : 6 * rank + 6], atol=1e-6), (part.grad, whole.grad)

images = 3 + torch.randn(8, 3, 4, 5, generator=torch.Generator().manual_seed(1))
pull = torch.randn(8, 3, 4, 5, generator=torch.Generator().manual_seed(2))
plain, own, share = torch.nn.BatchNorm2d(3), BatchNorm(3), slice(rank, None, 2)
for norm in (plain, own):
    norm.weight.data.copy_(torch.tensor([1.0, 2.0, 0.5]))
whole, part = images.clone().requires_grad_(), images[share].clone().requires_grad_()
expected, found = plain(whole), own(part)
(expected * pull).sum().backward()
(found * pull[share]).sum().backward()
assert torch.allclose(found, expected[share], atol=1e-5)
assert torch.allclose(part.grad, whole.grad[share], atol=1e-5), (part.grad, whole.grad[share])
for mine, theirs in zip(own.buffers(), plain.buffers(), strict=True):
    assert torch.allclose(mine.float(), theirs.float(), atol=1e-5), (mine, theirs)
dist.all_reduce(own.weight.grad)
assert torch.allclose(own.weight.grad, plain.weight.grad, atol=1e-4)
"""


class Module:
    """A data module as far as `Batches` looks at it."""

    def __init__(self, rank: int, ranks: int) -> None:
        self.trainer = self
        self.global_rank, self.world_size = rank, ranks


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_shares_of_a_batch_are_the_batch_that_one_process_sees(ranks: int) -> None:
    torch.manual_seed(7)
    whole = list(Batches(100, 12, shuffled=True))
    assert len(whole) == 8
    assert len({place for batch in whole for place in batch}) == 96, "the last four make no batch"
    shares = []
    for rank in range(ranks):
        torch.manual_seed(7 + rank)
        shares.append(list(Batches(100, 12, shuffled=True, module=Module(rank, ranks))))
    for number, batch in enumerate(whole):
        assert sorted(place for share in shares for place in share[number]) == sorted(batch)
        assert len({len(share[number]) for share in shares}) == 1


@pytest.mark.parametrize("ranks", [1, 2])
def test_batches_of_padded_items_hold_similar_lengths(ranks: int) -> None:
    lengths = np.random.default_rng(0).integers(2, 60, 1_000)
    modules = [Module(rank, ranks) for rank in range(ranks)]
    orders = []
    for seed in (7, 8):
        shares = []
        for rank, module in enumerate(modules):
            torch.manual_seed(seed + rank)
            shares.append(list(Batches(1_000, 32, shuffled=True, module=module, lengths=lengths)))
        whole = [sorted(place for share in shares for place in share[number]) for number in range(31)]
        assert [len(batch) for batch in whole] == [32] * 31
        assert len({place for batch in whole for place in batch}) == 31 * 32
        assert np.mean([np.ptp(lengths[batch]) for batch in whole]) < 4, "of 57"
        longest = [lengths[batch].max() for batch in whole]
        assert longest != sorted(longest), "in random order"
        orders.append(whole)
    assert sorted(orders[0]) != sorted(orders[1]), "another epoch has other batches"
    held_out = [list(Batches(1_000, 32, shuffled=False, module=m, lengths=lengths)) for m in modules]
    assert {place for share in held_out for batch in share for place in batch} == set(range(1_000))
    assert sum(lengths[batch].max() for batch in held_out[0]) < 1.1 * lengths.sum() / 32


def test_held_out_items_are_all_seen_in_as_many_batches() -> None:
    for n in (1, 7, 9, 40):
        shares = [list(Batches(n, 8, shuffled=False, module=Module(rank, 2))) for rank in range(2)]
        assert len(shares[0]) == len(shares[1]) == -(-n // 8)
        assert {place for share in shares for batch in share for place in batch} == set(range(n))
        assert all(share for share in shares[0] + shares[1])


def test_one_small_batch_is_kept() -> None:
    assert [len(batch) for batch in Batches(5, 8, shuffled=True)] == [5]


def test_alone_nothing_waits() -> None:
    ALONE.wait()
    assert ALONE.share({"a": 1}) == {"a": 1}
    views = torch.ones(3, 2)
    assert from_all(views) is views
    assert torch.isfinite(info_nce(views, views, 0.2))
    assert [row for rank in range(4) for row in Team(rank, 4).part(10)] == list(range(10))


def test_a_follower_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in progress.RANKS:
        monkeypatch.delenv(name, raising=False)
    assert not progress.may_follow()
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert progress.may_follow()
    monkeypatch.setattr(progress, "_silent", [])
    progress.silence()
    progress.say("a word")
    assert capsys.readouterr().err == ""


def test_processes_that_would_copy_the_data_are_refused(shell: Callable, few: Path, tmp_path: Path) -> None:
    words = ["trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp_spawn"]
    assert "use trainer.strategy=ddp from the shell" in shell("fit", few, "--outputs", tmp_path, *words).complaint
    assert not list(tmp_path.iterdir()), "nothing half made is left"


# The shell, where each item's draw of z follows from its own posterior, so that it is the same in any batch.
SAME_DRAWS = """
import sys, torch
from torch.distributions import Normal
def rsample(self, sample_shape=torch.Size()):
    unit = torch.arange(self.loc.shape[-1], dtype=self.loc.dtype)
    return self.loc + self.scale * (2 ** 0.5 * torch.sin(5 * self.loc.detach() + unit))
Normal.rsample = rsample
from latentviz.shell.cli import main
sys.exit(main())
"""
# The shell, where the process of a number kills itself: `RANK MOMENT WORDS…`.
KILLED = """
import os, signal, sys
import latentviz.model.encoding, latentviz.stages.fit
from latentviz.model.training import LightningVAE
rank, moment = int(sys.argv[1]), sys.argv[2]
encoding = sys.modules["latentviz.model.encoding"]
def deadly(function, when):
    def call(*arguments, **settings):
        if int(os.environ.get("LOCAL_RANK", 0)) == rank and when(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **settings)
    return call
if moment == "training":
    LightningVAE.training_step = deadly(LightningVAE.training_step, lambda vae, *_: vae.global_step == 8)
else:
    encoding._encode = deadly(encoding._encode, lambda *_: True)
from latentviz.shell.cli import main
sys.exit(main(sys.argv[3:]))
"""
BOTH = ("trainer.devices=2", "trainer.strategy=ddp")


def fit(
    few: Path, outputs: Path, name: str, *words: str, script: str = SAME_DRAWS, first: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    file = outputs.parent / f"{outputs.name}.py"
    file.write_text(script, encoding="utf-8")
    command = [sys.executable, str(file), *first, "fit", str(few), "--outputs", str(outputs), "--run", name]
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=300, check=False)


def test_shares_too_small_for_batch_normalisation_are_refused() -> None:
    plain, own, two = torch.nn.Sequential(torch.nn.BatchNorm1d(3)), torch.nn.Sequential(BatchNorm(3)), Team(0, 2)
    for network, batch, team in ((plain, 4, two), (plain, 2, ALONE), (own, 2, two)):
        check_shares(network, batch, team)
    with pytest.raises(ConfigError, match=r"^trainer.devices: .*trainer.devices=1\b.*data.batch_size"):
        check_shares(plain, 3, two)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        ("model.net=mlp", "model.contrast=0"),
        ("model.net=conv", "model.contrast=1000", "model.neighbors=0", "model.augment=0", "model.flip=false"),
    ],
)
def test_two_processes_train_what_one_trains(few: Path, tmp_path: Path, model: tuple[str, ...]) -> None:
    alone = fit(few, tmp_path, "one", *PLAIN, *model)
    assert alone.returncode == 0, alone.stderr
    both = fit(few, tmp_path, "two", *PLAIN, *model, *BOTH)
    assert both.returncode == 0, both.stderr
    assert both.stdout.count("its map: latentviz cluster two") == 1
    assert both.stderr.count("epoch 1/3") == both.stderr.count("reading done") == 1

    losses = []
    for name in ("one", "two"):
        with (tmp_path / name / "metrics.csv").open(encoding="utf-8") as file:
            losses.append([(float(row["train_loss"]), float(row["val_loss"])) for row in csv.DictReader(file)])
    assert len(losses[0]) == len(losses[1]) == 3
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)

    runs = [RunFolder(tmp_path / name) for name in ("one", "two")]
    np.testing.assert_allclose(runs[0].mu(), runs[1].mu(), atol=1e-3)
    assert runs[0].items().table.equals(runs[1].items().table)
    loaded = load_model(runs[1])
    vae, data = loaded.vae, loaded.kind
    encode(vae, data.dataset(), data.to_input, tmp_path / "mu.npy", tmp_path / "logvar.npy")
    np.testing.assert_allclose(runs[1].mu(), np.load(tmp_path / "mu.npy"), atol=1e-5)
    np.testing.assert_allclose(runs[1].logvar(), np.load(tmp_path / "logvar.npy"), atol=1e-5)
    assert not list(runs[1].path.glob(".*part*")), "the shards are gone"


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "moment"), [("1", "training"), ("0", "encoding")])
def test_one_of_two_processes_killed_ends_the_other(few: Path, tmp_path: Path, rank: str, moment: str) -> None:
    words = (*PLAIN, "model.contrast=0", *BOTH)
    killed = fit(few, tmp_path, "two", *words, script=KILLED, first=(rank, moment))  # and does not hang
    assert killed.returncode != 0
    assert not RunFolder(tmp_path / "two").finished
    assert "one of the processes has ended" in killed.stderr
    assert "Traceback" not in killed.stderr
    (tmp_path / "two" / ".mu.part-3.npy").write_bytes(b"what a machine that failed leaves")
    again = fit(few, tmp_path, "two", *words, "--resume")
    assert again.returncode == 0, again.stderr
    assert np.isfinite(RunFolder(tmp_path / "two").mu()).all()
    assert not list((tmp_path / "two").glob(".*part*"))


@pytest.mark.slow
def test_the_contrast_and_the_batch_norm_of_two_processes_have_the_gradients_of_one() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", GRADIENT],
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": "29617",
            },
        )
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
