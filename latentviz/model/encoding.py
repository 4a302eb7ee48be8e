"""From items to latents: μ and log σ² of every item, in item order, streamed to disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from latentviz.model.distributed import ALONE, Team
from latentviz.model.vae import VAE, moments
from latentviz.runs.files import atomic_write, share_of

BATCH = 64  # items encoded at a time at least: fewer are filled up, since kernels round differently for one alone


def at_a_time(vae: VAE) -> int:
    """Returns how many items to encode at a time: on a processor, as many as its cache holds between two layers."""
    return 256 if vae.device.type == "cpu" else 4096


def at_rest(vae: VAE) -> Callable[[Tensor], Any]:
    """Returns the trained encoder, x (b, …) → q(z|x), in evaluation mode, and as it is quickest where it lies.

    All that later commands compare comes from here, so that the same item has the same μ to the last bit.
    """
    vae.eval()
    quick = getattr(vae.encoder, "at_rest", None)
    found: Callable[[Tensor], Any] = quick() if quick and vae.device.type == "cpu" else vae.encoder
    return found


def encode(
    vae: VAE,
    data: Any,
    prepare: Callable[[Tensor], Tensor],
    mu_file: Path,
    logvar_file: Path,
    *,
    batch_size: int | None = None,
    processes: Team = ALONE,
) -> None:
    """Writes μ and log σ², float32 (n, d) each, row i for item i.

    Args:
        vae: the trained model; it is put into evaluation mode.
        data: a Dataset whose `__getitems__` takes row numbers and whose length is n.
        prepare: what turns such a batch into the encoder's input.
        mu_file: where μ goes.
        logvar_file: where log σ² goes.
        batch_size: items encoded at a time, `at_a_time` by default; memory grows with it and not with n.
        processes: who share the work: each writes its rows to files of its own, and the first joins them.
    """
    rows, batch_size = processes.part(len(data)), batch_size or at_a_time(vae)
    if processes.size == 1:
        _encode(vae, data, prepare, rows, (mu_file, logvar_file), batch_size)
        return
    parts = [tuple(share_of(file, rank) for file in (mu_file, logvar_file)) for rank in range(processes.size)]
    try:
        _encode(vae, data, prepare, rows, parts[processes.rank], batch_size)
        processes.wait()
        if processes.first:
            for number, file in enumerate((mu_file, logvar_file)):
                _join([part[number] for part in parts], file, (len(data), vae.latent_dim))
        processes.wait()
    finally:  # what a killed process leaves, `RunFolder.sweep` removes
        for file in parts[processes.rank]:
            file.unlink(missing_ok=True)


@torch.inference_mode()
def _encode(
    vae: VAE, data: Any, prepare: Callable[[Tensor], Tensor], rows: range, files: tuple[Path, ...], batch_size: int
) -> None:
    """Writes μ and log σ² of these rows of the data."""
    encoder = at_rest(vae)
    # Rows are appended rather than mapped: a full disk is then an error that can be told, not a killed process.
    with (
        atomic_write(files[0]) as mu_temporary,
        atomic_write(files[1]) as logvar_temporary,
        mu_temporary.open("wb") as mu,
        logvar_temporary.open("wb") as logvar,
    ):
        for file in (mu, logvar):
            _write_header(file, (len(rows), vae.latent_dim))
        for start in range(0, len(rows), batch_size):
            some = list(rows[start : start + batch_size])
            stored = data.__getitems__(some + some[:1] * (BATCH - len(some)))
            for file, values in zip((mu, logvar), moments(encoder(prepare(stored.to(vae.device)))), strict=True):
                file.write(values[: len(some)].float().cpu().numpy().astype("<f4", copy=False).tobytes())


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _join(parts: Sequence[Path], file: Path, shape: tuple[int, int]) -> None:
    """Writes the rows of the parts, one after another."""
    with atomic_write(file) as temporary, temporary.open("wb") as whole:
        _write_header(whole, shape)
        for part in parts:
            whole.write(np.ascontiguousarray(np.load(part, mmap_mode="r", allow_pickle=False), "<f4").data)


class Latents(NamedTuple):
    """Where items lie in the latent space, row i for item i.

    Attributes:
        mu: float32 (n, d), the posterior means.
        logvar: float32 (n, d), the posterior log-variances.
        log_likelihood: float32 (n,), log p(x|z = μ) in nats; higher is better.
    """

    mu: np.ndarray
    logvar: np.ndarray
    log_likelihood: np.ndarray


@torch.inference_mode()
def posteriors(vae: VAE, stored: Sequence[Any] | np.ndarray, prepare: Callable[[Tensor], Tensor]) -> Latents:
    """Returns the latents of items in memory; an item's do not depend on what else is in `stored`.

    Args:
        vae: the trained model; it is put into evaluation mode.
        stored: n items as the data kind stores them, such as uint8 (c, h, w).
        prepare: what turns a batch of them into the encoder's input.
    """
    encoder = at_rest(vae)
    parts: list[list[np.ndarray]] = []
    for start in range(0, len(stored), BATCH):
        rows = np.asarray(stored[start : start + BATCH])
        padded = np.concatenate([rows, np.repeat(rows[:1], BATCH - len(rows), axis=0)])
        x = prepare(torch.from_numpy(padded).to(vae.device))
        mu, logvar = moments(encoder(x))
        likelihood = vae.decoder(mu).log_prob(x)
        parts.append([part[: len(rows)].float().cpu().numpy() for part in (mu, logvar, likelihood)])
    return Latents(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def active_units(mu: np.ndarray, threshold: float = 0.01) -> int:
    """Returns how many latent dimensions carry information: variance of μ over the items above `threshold`.

    Burda et al. 2016 (importance weighted autoencoders), section 3.3; 0.01 is their threshold.
    """
    return int((np.asarray(mu).var(axis=0) > threshold).sum())


@torch.inference_mode()
def decode_batches(vae: VAE, z: np.ndarray, *, batch_size: int | None = None) -> np.ndarray:
    """Returns the mean of p(x|z) for each row of z (m, d), float32 (m, …)."""
    batch_size = batch_size or at_a_time(vae)
    parts = [
        vae.decode(torch.from_numpy(np.array(z[start : start + batch_size], np.float32)).to(vae.device))
        for start in range(0, len(z), batch_size)
    ]
    means: np.ndarray = torch.cat(parts).float().cpu().numpy()
    return means


@torch.inference_mode()
def log_likelihoods(
    vae: VAE, data: Any, prepare: Callable[[Tensor], Tensor], mu: np.ndarray, *, batch_size: int | None = None
) -> np.ndarray:
    """Returns log p(x|z = μ) of each item in nats, float32 (n,): how well the decoder can say what it is.

    Args:
        vae: the trained model; it is put into evaluation mode.
        data: a Dataset whose `__getitems__` takes row numbers.
        prepare: what turns such a batch into the encoder's input.
        mu: float32 (n, d), the posterior means in item order.
        batch_size: items decoded at a time, `at_a_time` by default.
    """
    vae.eval()
    batch_size = batch_size or at_a_time(vae)
    found = np.empty(len(mu), np.float32)
    for start in range(0, len(mu), batch_size):
        rows = range(start, min(start + batch_size, len(mu)))
        x = prepare(data.__getitems__(rows).to(vae.device))
        z = torch.from_numpy(np.array(mu[rows.start : rows.stop])).to(vae.device)
        found[rows.start : rows.stop] = vae.decoder(z).log_prob(x).float().cpu().numpy()
    return found


def kl_of_posteriors(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """Returns KL[N(μ, σ²) ‖ N(0, I)] of each item in nats, float32 (n,) (Kingma & Welling 2013, appendix B)."""
    divergence: np.ndarray = 0.5 * (np.exp(logvar) + np.square(mu) - 1 - logvar).sum(axis=1)
    return divergence.astype(np.float32)
