"""`lv.VAE` in a Trainer of the user's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import latentviz as lv
from latentviz.errors import ArgumentError

X, Y = torch.rand(96, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(96) % 3
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, on workers and loggers


def trainer(folder: Path, *callbacks: pl.Callback, epochs: int = 2) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[*callbacks],
    )


def loader(data: object) -> DataLoader:
    return DataLoader(data, 32)


@pytest.mark.parametrize("shape", [(1, 8, 8), (64,)])
@pytest.mark.parametrize(
    "data", [lambda x: x, TensorDataset, lambda x: TensorDataset(x, Y)], ids=["x", "[x]", "(x, y)"]
)
def test_it_trains_on_plain_batches_and_logs_its_metrics(shape: tuple, data: Callable, tmp_path: Path) -> None:
    x = X.reshape(-1, *shape)
    vae, fitting = lv.VAE(shape=shape, latent_dim=4, lr=3e-3, kl_warmup=0.1), trainer(tmp_path)
    fitting.fit(vae, loader(data(x)), loader(data(x)))
    names = ("loss", "log_likelihood", "kl", "reconstruction", "kl_cost")
    metrics = fitting.callback_metrics
    assert set(metrics) == {f"{split}_{name}" for split in ("train", "val") for name in names}
    torch.testing.assert_close(metrics["val_loss"], metrics["val_reconstruction"] + metrics["val_kl_cost"])
    tested = fitting.test(vae, loader(data(x)), verbose=False)[0]
    assert tested["test_loss"] == pytest.approx(float(metrics["val_loss"]), rel=0.2)
    vae.eval()
    mu, logvar = vae.encode(x)
    assert mu.shape == logvar.shape == (96, 4)
    assert vae(x).shape == vae.decode(mu).shape == x.shape
    assert vae.sample(5).shape == (5, *shape)
    torch.testing.assert_close(torch.cat(fitting.predict(vae, loader(data(x)))), mu)


def test_callbacks_of_the_user_s_watch_its_metrics_and_its_checkpoint_opens(tmp_path: Path) -> None:
    saved = ModelCheckpoint(tmp_path, monitor="val_loss")
    fitting = trainer(tmp_path, saved, EarlyStopping("val_loss"), epochs=1)
    vae = lv.VAE(shape=(1, 8, 8), latent_dim=4)
    fitting.fit(vae, loader(X), loader(X))
    again = lv.VAE.load_from_checkpoint(saved.best_model_path)
    torch.testing.assert_close(again.eval().encode(X)[0], vae.eval().encode(X)[0])


class Encoder(nn.Module):
    """Images → mu and logvar."""

    def __init__(self, latent_dim: int = 4) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2 * latent_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.net(x).chunk(2, -1)


def decoder() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 64), nn.Unflatten(1, (1, 8, 8)))


def test_the_user_s_own_modules_are_trained(tmp_path: Path) -> None:
    encoder = Encoder()
    before = encoder.net[1].weight.detach().clone()
    vae = lv.VAE(encoder, decoder(), 4)
    trainer(tmp_path, epochs=1).fit(vae, loader(X))
    assert vae.encoder.net is encoder
    assert not torch.equal(before, encoder.net[1].weight)


@pytest.mark.parametrize(
    ("vae", "batches", "expected"),
    [
        (lambda: lv.VAE(Encoder(5), decoder(), 4), X, "encoder: mu has 5 dimensions, and latent_dim is 4"),
        (
            lambda: lv.VAE(Encoder(), nn.Linear(4, 64), 4),
            X,
            r"decoder: p\(x\|z\) must be over items of shape \(1, 8, 8\)",
        ),
        (lambda: lv.VAE(shape=(1, 8, 8)), X[:, 0], r"x: must have the shape \(b, 1, 8, 8\) .*x\[:, None\]"),
        (lambda: lv.VAE(shape=(1, 8, 8)), (X * 255).to(torch.uint8), r"x: must be floating-point .*x.float\(\) / 255"),
        (lambda: lv.VAE(shape=(1, 8, 8)), [{"x": row} for row in X], r"batch: must be a tensor x .*\(got dict\)"),
        (lambda: lv.VAE(shape=(1, 8, 8)), TensorDataset(X, Y, Y), r"batch: must be a tensor x .*\(got list\)"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_the_first_batch(
    vae: Callable, batches: object, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match=expected):
        trainer(tmp_path).fit(vae(), loader(batches))


def test_arrays_and_other_floating_point_numbers_are_taken(tmp_path: Path) -> None:
    vae = lv.VAE(shape=(1, 8, 8), latent_dim=4)
    trainer(tmp_path, epochs=1).fit(vae, loader(X.double()), loader(X.double()))
    expected = vae.eval().encode(X)[0]
    for x in (X.double(), X.numpy(), X.double().numpy()):
        torch.testing.assert_close(vae.encode(x)[0], expected)
    torch.testing.assert_close(vae.decode(expected.numpy()), vae(X.numpy()))
    for call, values in ((vae.encode, X[:, 0]), (vae, "x"), (vae.decode, X[:, 0, 0]), (vae.encode, [[1.0], []])):
        with pytest.raises(ArgumentError, match=r"^[xz]: must"):
            call(values)


def test_a_checkpoint_names_the_part_of_the_user_s_that_it_needs(tmp_path: Path) -> None:
    vae = lv.VAE(encoder=Encoder(), shape=(1, 8, 8), latent_dim=4)
    fitting = trainer(tmp_path, epochs=1)
    fitting.fit(vae, loader(X))
    fitting.save_checkpoint(tmp_path / "own.ckpt")
    with pytest.raises(ArgumentError, match="encoder"):
        lv.VAE.load_from_checkpoint(tmp_path / "own.ckpt")
    again = lv.VAE.load_from_checkpoint(tmp_path / "own.ckpt", encoder=Encoder())
    torch.testing.assert_close(again.eval().encode(X)[0], vae.eval().encode(X)[0])


@pytest.mark.parametrize(
    ("given", "name"), [({"shape": (0,)}, "shape"), ({"latent_dim": 0}, "latent_dim"), ({"lr": -1.0}, "lr")]
)
def test_settings_out_of_range_are_named(given: dict[str, Any], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}: must be "):
        lv.VAE(**{"shape": (6,), **given})
