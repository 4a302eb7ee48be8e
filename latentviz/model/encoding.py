"""Batches through a trained model: items → μ and log σ², streamed to disk; z → items; log p(x|z = μ)."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from latentviz.model.base import Encoder
from latentviz.model.distributed import ALONE, Team
from latentviz.model.vae import VAE, moments
from latentviz.runs.files import atomic_write, share_of

BATCH = 64  # items encoded at a time at least: smaller batches are filled up, since kernels round differently for them

Rows = Sequence[int] | np.ndarray  # row numbers
ToInput = Callable[[Tensor], Tensor]  # stored items → the encoder's input x (b, …)


class Stored(Protocol):
    """Items as a data kind stores them, row i for item i."""

    def __len__(self) -> int:
        """Return n."""

    def __getitems__(self, rows: Sequence[int], /) -> Tensor:
        """Return a batch (b, …), such as uint8 (b, c, h, w)."""


class InMemory(list[np.ndarray]):
    """Stored items, each an array of the same shape."""

    def __getitems__(self, rows: Sequence[int], /) -> Tensor:
        """Return a batch (b, …)."""
        return torch.from_numpy(np.stack([self[row] for row in rows]))


def split(rows: Rows, size: int) -> Iterator[Rows]:
    """Yield `size` rows at a time; the last part may be smaller."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def batches(
    vae: VAE, data: Stored, to_input: ToInput, parts: Iterable[Rows], *, at_least: int = 0
) -> Iterator[tuple[Rows, Tensor]]:
    """Yield the rows of each part and the encoder's input for them, (b, …) on the device of `vae`.

    Args:
        vae: the model.
        data: the stored items.
        to_input: stored items → the encoder's input.
        parts: the rows of each batch.
        at_least: items in a batch; a smaller one is filled up with its first item.
    """
    for rows in parts:
        filled = [*rows] + [*rows[:1]] * (at_least - len(rows))
        yield rows, vae.cast(to_input(data.__getitems__(filled).to(vae.device)))


def at_a_time(vae: VAE) -> int:
    """Return how many items to encode at a time: on a CPU as many as its cache holds between two layers."""
    return 256 if vae.device.type == "cpu" else 4096


@torch.no_grad()
def encode_rows(
    vae: VAE, data: Stored, to_input: ToInput, rows: Rows | None = None, *, batch_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return μ and log σ² of these items by the encoder as it is now, float32 (m, d) on the CPU; for use in training.

    Args:
        vae: the model, whose mode does not change.
        data: the stored items.
        to_input: stored items → the encoder's input.
        rows: the m items; None: all.
        batch_size: items encoded at a time, `at_a_time` by default.
    """
    parts = split(range(len(data)) if rows is None else rows, batch_size or at_a_time(vae))
    encoded = [vae.encode(x) for _, x in batches(vae, data, to_input, parts)]
    mu, logvar = (torch.cat(column).float().cpu() for column in zip(*encoded, strict=True))
    return mu, logvar


def at_rest(vae: VAE) -> Encoder:
    """Return the trained encoder in evaluation mode, in its fastest form for this device.

    All μ that commands compare come from here, so that an item has the same μ to the last bit everywhere.
    """
    vae.eval()
    return vae.encoder.for_inference() if vae.device.type == "cpu" else vae.encoder


def encode(
    vae: VAE,
    data: Stored,
    to_input: ToInput,
    mu_file: Path,
    logvar_file: Path,
    *,
    batch_size: int | None = None,
    processes: Team = ALONE,
) -> None:
    """Write μ and log σ², float32 (n, d) each, row i for item i.

    Args:
        vae: the trained model; it is put into evaluation mode.
        data: the stored items.
        to_input: stored items → the encoder's input.
        mu_file: file for μ.
        logvar_file: file for log σ².
        batch_size: items encoded at a time, `at_a_time` by default; memory grows with it and not with n.
        processes: the processes that share the work: each writes its rows to its own files, the first joins them.
    """
    rows, batch_size = processes.part(len(data)), batch_size or at_a_time(vae)
    if processes.size == 1:
        _encode(vae, data, to_input, rows, (mu_file, logvar_file), batch_size)
        return
    shares = [(share_of(mu_file, rank), share_of(logvar_file, rank)) for rank in range(processes.size)]
    try:
        _encode(vae, data, to_input, rows, shares[processes.rank], batch_size)
        processes.wait()
        if processes.first:
            for file, parts in zip((mu_file, logvar_file), zip(*shares, strict=True), strict=True):
                _join(parts, file, (len(data), vae.latent_dim))
        processes.wait()
    finally:  # what a killed process leaves, `RunFolder.sweep` removes
        for file in shares[processes.rank]:
            file.unlink(missing_ok=True)


@torch.inference_mode()
def _encode(vae: VAE, data: Stored, to_input: ToInput, rows: range, files: tuple[Path, Path], batch_size: int) -> None:
    """Write μ and log σ² of these rows of the data."""
    encoder = at_rest(vae)
    # Rows are appended rather than memory-mapped: a full disk is then an error that can be reported, not a SIGBUS.
    with (
        atomic_write(files[0]) as mu_temporary,
        atomic_write(files[1]) as logvar_temporary,
        mu_temporary.open("wb") as mu,
        logvar_temporary.open("wb") as logvar,
    ):
        for file in (mu, logvar):
            _write_header(file, (len(rows), vae.latent_dim))
        for part, x in batches(vae, data, to_input, split(rows, batch_size), at_least=BATCH):
            for file, values in zip((mu, logvar), moments(encoder(x)), strict=True):
                file.write(_float32(values[: len(part)]).tobytes())


def _float32(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy().astype("<f4", copy=False)  # little-endian, as the files are


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _join(parts: Sequence[Path], file: Path, shape: tuple[int, int]) -> None:
    with atomic_write(file) as temporary, temporary.open("wb") as whole:
        _write_header(whole, shape)
        for part in parts:
            whole.write(np.ascontiguousarray(np.load(part, mmap_mode="r", allow_pickle=False), "<f4").data)


@torch.inference_mode()
def means(vae: VAE, encoder: Encoder, stored: np.ndarray, to_input: ToInput) -> np.ndarray:
    """Return μ of n items as `encode` writes it, float32 (n, d), without the time that decoding takes.

    Args:
        vae: the trained model.
        encoder: of the model, from `at_rest`.
        stored: n items as the data kind stores them, such as uint8 (n, c, h, w).
        to_input: stored items → the encoder's input.
    """
    found = np.empty((len(stored), vae.latent_dim), np.float32)
    for rows in split(range(len(stored)), at_a_time(vae)):
        part = stored[rows[0] : rows[-1] + 1]
        filled = part if len(part) >= BATCH else part[np.minimum(np.arange(BATCH), len(part) - 1)]
        mu = encoder(to_input(torch.from_numpy(np.require(filled, requirements="W")).to(vae.device))).mean
        found[rows[0] : rows[-1] + 1] = _float32(mu[: len(part)])
    return found


class Latents(NamedTuple):
    """The posteriors of n items, row i for item i.

    Attributes:
        mu: float32 (n, d), the posterior means.
        logvar: float32 (n, d), the posterior log-variances.
        log_likelihood: float32 (n,), log p(x|z = μ) in nats; higher is better.
    """

    mu: np.ndarray
    logvar: np.ndarray
    log_likelihood: np.ndarray


@torch.inference_mode()
def posteriors(vae: VAE, stored: Sequence[np.ndarray] | np.ndarray, to_input: ToInput) -> Latents:
    """Return the latents of items in memory; those of an item do not depend on the other items.

    Args:
        vae: the trained model; it is put into evaluation mode.
        stored: n items as the data kind stores them, such as uint8 (n, c, h, w).
        to_input: stored items → the encoder's input.
    """
    encoder, parts = at_rest(vae), []
    for rows, x in batches(vae, InMemory(stored), to_input, split(range(len(stored)), BATCH), at_least=BATCH):
        mu, logvar = moments(encoder(x))
        log_likelihood = vae.likelihood(mu).log_prob(x)
        parts.append([_float32(values[: len(rows)]) for values in (mu, logvar, log_likelihood)])
    return Latents(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@torch.inference_mode()
def bounds(
    vae: VAE, stored: Sequence[np.ndarray] | np.ndarray, to_input: ToInput, *, draws: int, seed: int
) -> np.ndarray:
    """Return the importance-weighted bound on log p(x) of items in memory, float64 (n,) in nats.

    Burda et al. 2016, equation 8: log mean p(x|z)·p(z)/q(z|x) over draws z of the posterior. All items share the noise
    of the draws, so that the bound of an item does not depend on the other items.

    Args:
        vae: the trained model; it is put into evaluation mode.
        stored: n items as the data kind stores them.
        to_input: stored items → the encoder's input.
        draws: z per item.
        seed: of the noise.
    """
    encoder, parts = at_rest(vae), []
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((draws, vae.latent_dim), np.float32))
    noise, prior = noise.to(vae.device), cast("Distribution", vae.prior)
    for rows, x in batches(vae, InMemory(stored), to_input, split(range(len(stored)), BATCH), at_least=BATCH):
        posterior = encoder(x)
        mu, logvar = moments(posterior)
        log_q = cast("Distribution", posterior).log_prob
        zs = (mu + (logvar / 2).exp() * each for each in noise)
        weights = [vae.likelihood(z).log_prob(x) + prior.log_prob(z) - log_q(z) for z in zs]
        bound = torch.stack(weights).double().logsumexp(0) - math.log(draws)
        parts.append(bound[: len(rows)].cpu().numpy())
    return np.concatenate(parts)


def active_units(mu: np.ndarray, threshold: float = 0.01) -> int:
    """Return how many latent dimensions carry information: variance of μ over the items above `threshold`.

    Burda et al. 2016 (importance weighted autoencoders), section 3.3; 0.01 is their threshold.
    """
    return int((np.asarray(mu).var(axis=0) > threshold).sum())


@torch.inference_mode()
def decode_batches(vae: VAE, z: np.ndarray, *, batch_size: int | None = None) -> np.ndarray:
    """Return `vae.decode` of each row of z (m, d) as an array, floats as float32 (m, …)."""
    parts = [vae.decode(_to_device(vae, z[rows])) for rows in split(range(len(z)), batch_size or at_a_time(vae))]
    found: np.ndarray = torch.cat(parts).float().cpu().numpy()
    return found


@torch.inference_mode()
def log_likelihoods(
    vae: VAE,
    data: Stored,
    to_input: ToInput,
    mu: np.ndarray,
    *,
    lengths: np.ndarray | None = None,
    batch_size: int | None = None,
) -> np.ndarray:
    """Return log p(x|z = μ) of each item in nats, float32 (n,): how well the decoder reconstructs it.

    Args:
        vae: the trained model; it is put into evaluation mode.
        data: the stored items.
        to_input: stored items → the encoder's input.
        mu: float32 (n, d), the posterior means in item order.
        lengths: int (n,), by which items are sorted, since a batch costs as much as its longest; None: as they are.
        batch_size: items decoded at a time, `at_a_time` by default.
    """
    vae.eval()
    order = np.arange(len(mu)) if lengths is None else np.argsort(lengths, kind="stable")
    found = np.empty(len(mu), np.float32)
    for rows, x in batches(vae, data, to_input, split(order, batch_size or at_a_time(vae))):
        found[rows] = _float32(vae.likelihood(_to_device(vae, mu[rows])).log_prob(x))
    return found


def _to_device(vae: VAE, z: np.ndarray) -> Tensor:
    return vae.cast(torch.from_numpy(np.array(z, np.float32)).to(vae.device))


def kl_of_posteriors(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """Return KL[N(μ, σ²) ‖ N(0, I)] of each item in nats, float32 (n,) (Kingma & Welling 2013, appendix B)."""
    divergence: np.ndarray = 0.5 * (np.exp(logvar) + np.square(mu) - 1 - logvar).sum(axis=1)
    return divergence.astype(np.float32)
