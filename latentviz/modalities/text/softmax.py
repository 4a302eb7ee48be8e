"""Softmax cross-entropy over a vocabulary, where training on texts spends its time: exact, or over a sample of it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CHUNK = 1 << 17  # logits at a time on a CPU: half a megabyte stays in its cache, and the whole is never written out
CHUNK_ELSEWHERE = 1 << 26
FEWEST_ROWS = 16  # at a time: the weights of a large vocabulary are read from memory again for each chunk
KEPT = 1 << 24  # values of a softmax that are kept for its gradient; of more, each part is computed again for it
LEAST_LEFT = 1e-3  # least share of a sum that remains without one of its terms, against rounding


def _logits(f: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """Yield some rows at a time and their logits f·Wᵀ + b, float32 (rows, v), −∞ where left out."""
    step = max(FEWEST_ROWS, (CHUNK if f.device.type == "cpu" else CHUNK_ELSEWHERE) // len(weight))
    for start in range(0, len(f), step):
        rows = slice(start, start + step)
        logits = torch.addmm(bias, f[rows], weight.T).float()
        if left_out is not None:
            columns = left_out[rows]
            held = torch.nonzero(columns >= 0)[:, 0]
            logits[held, columns[held]] = float("-inf")
        yield rows, logits


class LogNormaliser(torch.autograd.Function):
    """log Σ_v exp(f·w_v + b_v) of each row f, in chunks of rows; keeps the softmax for the gradient, not the logits.

    Products are in f's precision, sums and exponentials in float32.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor | None) -> Tensor:
        """Return float32 (m,); see `log_normaliser`."""
        ctx.dtypes = weight.dtype, bias.dtype
        weight, bias = weight.to(f.dtype), bias.to(f.dtype)
        found = torch.empty(len(f), dtype=torch.float32, device=f.device)
        softmax = torch.empty(len(f), len(weight), dtype=f.dtype, device=f.device)
        for rows, logits in _logits(f, weight, bias, left_out):
            found[rows] = torch.logsumexp(logits, dim=-1)
            softmax[rows] = logits.sub_(found[rows, None]).exp_().to(f.dtype)
        ctx.save_for_backward(f, weight, softmax)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients for f, weight and bias."""
        f, weight, softmax = ctx.saved_tensors
        by_row = grads[0][:, None].to(f.dtype)
        for_weight, for_bias = softmax.T @ (f * by_row), (softmax.T @ by_row)[:, 0]
        return (softmax @ weight) * by_row, for_weight.to(ctx.dtypes[0]), for_bias.to(ctx.dtypes[1]), None


def log_normaliser(f: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor | None = None) -> Tensor:
    """Return log Σ_v exp(f·w_v + b_v) of each row of f, float32 (m,).

    Args:
        f: features, (m, e).
        weight: (v, e).
        bias: (v,).
        left_out: int64 (m,), the one v left out of each row's sum, −1: none; None: none in any row.
    """
    if torch.is_grad_enabled():
        found: Tensor
        if len(f) * len(weight) <= KEPT:
            found = LogNormaliser.apply(f, weight, bias, left_out)  # type: ignore[no-untyped-call]
            return found
        left = f.new_full((len(f),), -1, dtype=torch.int64) if left_out is None else left_out
        rows = zip(*(torch.split(part, max(1, KEPT // len(weight))) for part in (f, left)), strict=True)
        by_part = partial(checkpoint, LogNormaliser.apply, use_reentrant=False)
        return torch.cat([by_part(part, weight, bias, out) for part, out in rows])
    chunks = _logits(f, weight.to(f.dtype), bias.to(f.dtype), left_out)
    parts = [torch.logsumexp(logits, dim=-1) for _, logits in chunks]
    return torch.cat(parts) if parts else f.new_zeros(0, dtype=torch.float32)


class Negatives:
    """A random subset of the vocabulary that stands for all of it in one training step.

    Σ exp(logit)/π over the subset estimates the sum over the vocabulary (Horvitz & Thompson 1952), where π is a token's
    inclusion probability; the target always counts. This is sampled softmax (Jean et al. 2015) with the correction that
    is exact for a sample without replacement.

    Attributes:
        ids: int64 (s,), the sampled tokens.
        correction: log π of each, (s,).
        place: int64 (v,), index of each token in `ids`, −1: not sampled.
    """

    def __init__(self, probabilities: Tensor, size: int) -> None:
        self.ids = systematic(probabilities, size)
        self.correction = probabilities[self.ids].log()
        self.place = torch.full((len(probabilities),), -1, device=probabilities.device)
        self.place[self.ids] = torch.arange(len(self.ids), device=probabilities.device)


def token_nats(f: Tensor, y: Tensor, weight: Tensor, bias: Tensor, negatives: Negatives | None = None) -> Tensor:
    """Return −log softmax(f·Wᵀ + b)[y] of each row in nats, float32 (m,); an estimate if over a sample.

    Args:
        f: features, (m, e).
        y: int64 (m,), the target tokens.
        weight: (v, e), the vectors of all tokens.
        bias: (v,).
        negatives: the sample; None: the whole vocabulary.
    """
    target = (f.float() * F.embedding(y, weight).float()).sum(-1) + bias[y].float()
    if negatives is None:
        return log_normaliser(f, weight, bias) - target
    others = log_normaliser(f, weight[negatives.ids], bias[negatives.ids] - negatives.correction, negatives.place[y])
    return torch.logaddexp(others, target) - target


def bag_nats(f: Tensor, y: Tensor, weight: Tensor, bias: Tensor, negatives: Negatives | None = None) -> Tensor:
    """Return `token_nats` of several targets y (b, t) of each row of f (b, e), float32 (b, t), at one sum per row."""
    target = torch.einsum("be,bte->bt", f.float(), F.embedding(y, weight).float()) + bias[y].float()
    if negatives is None:
        return log_normaliser(f, weight, bias)[:, None] - target
    total = log_normaliser(f, weight[negatives.ids], bias[negatives.ids] - negatives.correction)[:, None]
    # A sampled target must count once, not 1/π times as the sample has it.
    place = negatives.place[y]
    instead = 1 - (place >= 0) * (-negatives.correction[place.clamp_min(0)]).exp()
    return total + torch.log1p((instead * (target - total).exp()).clamp_min(LEAST_LEFT - 1)) - target


def inclusion_probabilities(counts: Tensor, size: int, power: float = 0.75) -> Tensor:
    """Return each token's probability to be in a sample of `size`, (v,), proportional to counts^power but at most 1.

    Args:
        counts: how often each token occurs, (v,).
        size: of the sample, at most v.
        power: 0.75 samples rare tokens more often than they occur (Mikolov et al. 2013).
    """
    share = counts.double().clamp_min(0.5) ** power
    factor = size / share.sum()
    for _ in range(200):
        total = (factor * share).clamp_max(1).sum()
        if abs(float(total) - size) < 1e-6 * size:
            break
        factor = factor * size / total
    return (factor * share).clamp(1e-9, 1).float()


def systematic(probabilities: Tensor, size: int) -> Tensor:
    """Draw `size` different tokens, int64, with these inclusion probabilities: systematic sampling in random order."""
    order = torch.randperm(len(probabilities), device=probabilities.device)
    steps = probabilities[order].double().cumsum(0)
    steps = steps * (size / steps[-1])
    first = torch.rand((), dtype=torch.float64, device=probabilities.device)
    hit = torch.searchsorted(steps, torch.arange(size, device=probabilities.device) + first, right=True)
    return order[hit.clamp_max(len(probabilities) - 1)]
