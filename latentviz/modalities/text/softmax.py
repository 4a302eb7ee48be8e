"""The softmax over a vocabulary, which is what training on texts spends its time on: exact, and over a sample of it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 17  # logits at a time on a CPU: half a megabyte stays in its cache, and the whole is never written out
CHUNK_ELSEWHERE = 1 << 26
LEAST_LEFT = 1e-3  # share of a sum that is taken to be left without one of its terms, at least: rounding


class LogNormaliser(torch.autograd.Function):
    """log Σ_v exp(f·w_v + b_v) of each row f, in chunks of rows; keeps the softmax for the gradient, not the logits.

    The products are in f's precision, sums and exponentials in float32.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor | None) -> Tensor:
        """Returns the log-normalisers, float32 (m,).

        Args:
            ctx: keeps what the gradient needs.
            f: features, (m, e).
            weight: (v, e).
            bias: (v,).
            left_out: int64 (m,), in each row the one v that is not summed over, −1: none; None: none anywhere.
        """
        ctx.dtypes = weight.dtype, bias.dtype
        weight, bias = weight.to(f.dtype), bias.to(f.dtype)
        found = torch.empty(len(f), dtype=torch.float32, device=f.device)
        softmax = torch.empty(len(f), len(weight), dtype=f.dtype, device=f.device)
        for rows in _chunks(len(f), len(weight), f.device):
            logits = torch.addmm(bias, f[rows], weight.T).float()
            _leave_out(logits, left_out, rows)
            found[rows] = torch.logsumexp(logits, dim=-1)
            softmax[rows] = logits.sub_(found[rows, None]).exp_().to(f.dtype)
        ctx.save_for_backward(f, weight, softmax)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Returns the gradients for f, weight and bias."""
        f, weight, softmax = ctx.saved_tensors
        by_row = grads[0][:, None].to(f.dtype)
        for_weight, for_bias = softmax.T @ (f * by_row), (softmax.T @ by_row)[:, 0]
        return (softmax @ weight) * by_row, for_weight.to(ctx.dtypes[0]), for_bias.to(ctx.dtypes[1]), None


def _chunks(rows: int, columns: int, device: torch.device) -> list[slice]:
    step = max(1, (CHUNK if device.type == "cpu" else CHUNK_ELSEWHERE) // columns)
    return [slice(start, start + step) for start in range(0, rows, step)]


def _leave_out(logits: Tensor, left_out: Tensor | None, rows: slice) -> None:
    if left_out is not None:
        columns = left_out[rows]
        held = torch.nonzero(columns >= 0)[:, 0]
        logits[held, columns[held]] = float("-inf")


def log_normaliser(f: Tensor, weight: Tensor, bias: Tensor, left_out: Tensor | None = None) -> Tensor:
    """Returns log Σ_v exp(f·w_v + b_v) of each row of f (m, e), float32 (m,); see `LogNormaliser`."""
    if torch.is_grad_enabled():
        found: Tensor = LogNormaliser.apply(f, weight, bias, left_out)  # type: ignore[no-untyped-call]
        return found
    parts = []
    for rows in _chunks(len(f), len(weight), f.device):
        logits = torch.addmm(bias.to(f.dtype), f[rows], weight.to(f.dtype).T).float()
        _leave_out(logits, left_out, rows)
        parts.append(torch.logsumexp(logits, dim=-1))
    return torch.cat(parts) if parts else f.new_zeros(0, dtype=torch.float32)


class Negatives:
    """A sample of the vocabulary that stands for all of it in one training step.

    The sum over the vocabulary is estimated by Σ exp(logit)/π over the sample (Horvitz & Thompson 1952), π being the
    chance of being in it, with the right token always counted: sampled softmax (Jean et al. 2015) whose correction is
    exact for a sample without repetition.

    Attributes:
        ids: int64 (s,), the sampled tokens.
        correction: log π of each, (s,).
        place: int64 (v,), where in `ids` a token stands, −1: nowhere.
    """

    def __init__(self, chances: Tensor, size: int) -> None:
        self.ids = systematic(chances, size)
        self.correction = chances[self.ids].log()
        self.place = torch.full((len(chances),), -1, device=chances.device)
        self.place[self.ids] = torch.arange(len(self.ids), device=chances.device)


def token_nats(f: Tensor, y: Tensor, weight: Tensor, bias: Tensor, negatives: Negatives | None = None) -> Tensor:
    """Returns −log softmax(f·Wᵀ + b)[y] of each row in nats, float32 (m,); over a sample: an estimate.

    Args:
        f: features, (m, e).
        y: int64 (m,), the tokens that were there.
        weight: (v, e), the vectors of all tokens.
        bias: (v,).
        negatives: the sample; None: the whole vocabulary.
    """
    right = (f.float() * F.embedding(y, weight).float()).sum(-1) + bias[y].float()
    if negatives is None:
        return log_normaliser(f, weight, bias) - right
    others = log_normaliser(f, weight[negatives.ids], bias[negatives.ids] - negatives.correction, negatives.place[y])
    return torch.logaddexp(others, right) - right


def bag_nats(f: Tensor, y: Tensor, weight: Tensor, bias: Tensor, negatives: Negatives | None = None) -> Tensor:
    """Returns −log softmax(f·Wᵀ + b)[y] in nats, float32 (b, t), for several tokens y of each row f.

    The same as `token_nats` of each, for the price of one sum over the vocabulary a row.

    Args:
        f: features, (b, e).
        y: int64 (b, t).
        weight: (v, e), the vectors of all tokens.
        bias: (v,).
        negatives: the sample; None: the whole vocabulary.
    """
    right = torch.einsum("be,bte->bt", f.float(), F.embedding(y, weight).float()) + bias[y].float()
    if negatives is None:
        return log_normaliser(f, weight, bias)[:, None] - right
    total = log_normaliser(f, weight[negatives.ids], bias[negatives.ids] - negatives.correction)[:, None]
    # The right token counts as itself, and no longer as one of the sample, where it stands for 1/π tokens.
    place = negatives.place[y]
    instead = 1 - (place >= 0) * (-negatives.correction[place.clamp_min(0)]).exp()
    return total + torch.log1p((instead * (right - total).exp()).clamp_min(LEAST_LEFT - 1)) - right


def chances(counts: Tensor, size: int, power: float = 0.75) -> Tensor:
    """Returns for each token the chance of being among `size` sampled ones, (v,), proportional to counts^power up to 1.

    Args:
        counts: how often each token occurs, (v,).
        size: of the sample; no more than v.
        power: .75 samples rare tokens more than they occur (Mikolov et al. 2013).
    """
    share = counts.double().clamp_min(0.5) ** power
    factor = size / share.sum()
    for _ in range(200):
        total = (factor * share).clamp_max(1).sum()
        if abs(float(total) - size) < 1e-6 * size:
            break
        factor = factor * size / total
    return (factor * share).clamp(1e-9, 1).float()


def systematic(chances: Tensor, size: int) -> Tensor:
    """Returns `size` different tokens, int64, each drawn with its own chance: systematic sampling in a random order."""
    order = torch.randperm(len(chances), device=chances.device)
    steps = chances[order].double().cumsum(0)
    steps = steps * (size / steps[-1])
    first = torch.rand((), dtype=torch.float64, device=chances.device)
    hit = torch.searchsorted(steps, torch.arange(size, device=chances.device) + first, right=True)
    return order[hit.clamp_max(len(chances) - 1)]
