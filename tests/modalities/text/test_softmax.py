"""The softmax over a vocabulary: the chunked one against torch's own, the sampled one against the exact one."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from latentviz.modalities.text import softmax
from latentviz.modalities.text.softmax import (
    Negatives,
    bag_nats,
    inclusion_probabilities,
    log_normaliser,
    systematic,
    token_nats,
)

M, E, V = 37, 8, 50


def parts(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    f, weight = (torch.randn(n, E, generator=generator).requires_grad_() for n in (M, V))
    bias = torch.randn(V, generator=generator).requires_grad_()
    return f, weight, bias, torch.randint(V, (M,), generator=generator)


@pytest.mark.parametrize(("chunk", "kept"), [(1, M * V), (7 * V, M * V), (10_000 * V, M * V), (7 * V, 10 * V), (1, 1)])
def test_value_and_gradients_are_those_of_torch(chunk: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "CHUNK", chunk)
    monkeypatch.setattr(softmax, "KEPT", kept)
    f, weight, bias, y = parts()
    own = token_nats(f, y, weight, bias)
    theirs = F.cross_entropy(f @ weight.T + bias, y, reduction="none")
    torch.testing.assert_close(own, theirs)
    share = torch.rand(M)
    found = torch.autograd.grad((own * share).sum(), (f, weight, bias))
    expected = torch.autograd.grad((theirs * share).sum(), (f, weight, bias))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_without_gradients_it_is_the_same() -> None:
    f, weight, bias, y = parts()
    with torch.no_grad():
        torch.testing.assert_close(
            log_normaliser(f, weight, bias, y), log_normaliser(f.detach().requires_grad_(), weight, bias, y)
        )


@pytest.mark.parametrize("kept", [M * V, 10 * V])
def test_a_column_can_be_left_out_of_a_row(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax, "KEPT", kept)
    f, weight, bias, y = parts()
    logits = (f @ weight.T + bias).scatter(1, y[:, None], float("-inf"))
    torch.testing.assert_close(log_normaliser(f, weight, bias, y), logits.logsumexp(-1))


def test_each_token_is_sampled_with_its_own_chance() -> None:
    torch.manual_seed(0)
    expected = inclusion_probabilities(1000 / torch.arange(1.0, V + 1), 20)
    assert expected.sum() == pytest.approx(20, abs=1e-3)
    assert expected.max() == 1.0, "the most frequent ones are always there"
    draws, hit = 4000, torch.zeros(V)
    for _ in range(draws):
        ids = systematic(expected, 20)
        assert len(ids.unique()) == 20
        hit[ids] += 1
    assert ((hit / draws - expected).abs() < 4 * (expected * (1 - expected) / draws).sqrt() + 1e-3).all()


def test_the_sampled_sum_is_unbiased() -> None:
    torch.manual_seed(0)
    f, weight, bias, y = (part.detach() for part in parts())
    share, exact = inclusion_probabilities(torch.arange(1.0, V + 1), 25), token_nats(f, y, weight, bias)
    right = (f * weight[y]).sum(-1) + bias[y]
    sums = torch.stack([(token_nats(f, y, weight, bias, Negatives(share, 25)) + right).exp() for _ in range(3000)])
    error = sums.std(0) / math.sqrt(3000)
    assert ((sums.mean(0) - (exact + right).exp()).abs() < 5 * error).all()
    assert (error < 0.05 * sums.mean(0)).all(), "precise enough to detect a wrong correction"


def test_a_sample_of_everything_is_exact() -> None:
    f, weight, bias, y = parts()
    whole = Negatives(torch.ones(V), V)
    torch.testing.assert_close(token_nats(f, y, weight, bias, whole), token_nats(f, y, weight, bias))


@pytest.mark.parametrize("sampled", [False, True])
def test_several_tokens_of_a_row_cost_what_each_costs_alone(sampled: bool) -> None:
    torch.manual_seed(0)
    f, weight, bias, _ = parts()
    y = torch.randint(V, (M, 6))
    negatives = Negatives(inclusion_probabilities(torch.arange(1.0, V + 1), 25), 25) if sampled else None
    own = bag_nats(f, y, weight, bias, negatives)
    rows = torch.arange(M).repeat_interleave(6)
    alone = token_nats(f[rows], y.flatten(), weight, bias, negatives).view(M, 6)
    torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-4)
    share = torch.rand(M, 6)
    found = torch.autograd.grad((own * share).sum(), (f, weight, bias))
    expected = torch.autograd.grad((alone * share).sum(), (f, weight, bias))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_token_that_is_all_there_is_costs_nothing_and_no_nan() -> None:
    f, weight = torch.ones(1, 1), torch.cat([torch.full((1, 1), 80.0), torch.zeros(V - 1, 1)])
    nats = bag_nats(f, torch.zeros(1, 1, dtype=torch.int64), weight, torch.zeros(V), Negatives(torch.ones(V), V))
    assert nats.item() == pytest.approx(0.0, abs=1e-5)
