"""From p(x|z) to texts: likeliest, drawn, and without repeats."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentviz.modalities.text.decoder import TextDecoder
from latentviz.modalities.text.decoding import NO_REPEATS, _draw, decode
from latentviz.modalities.text.tokens import END, PAD, UNK

SIZE, T, D = 8, 5, 4


def decoder(memory: int = 6) -> TextDecoder:
    torch.manual_seed(3)
    made = TextDecoder(nn.Embedding(SIZE, 8), T, D, memory=memory)
    for weight in made.parameters():
        weight.data.mul_(2)
    return made.eval()


def z(m: int = 40) -> Tensor:
    return torch.randn(m, D, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("memory", [0, 6])
@pytest.mark.parametrize("how", [{}, {"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.8, "candidates": 3}])
@pytest.mark.parametrize("repeats", [0.0, NO_REPEATS])
def test_the_result_is_a_text(memory: int, how: dict[str, float], repeats: float) -> None:
    net = decoder(memory)
    net.unrepeated[3:] = True
    with torch.no_grad():
        ids = decode(net(z()), z(), repeats=repeats, **how)
    assert ids.shape == (40, T)
    for row in ids.tolist():
        end = row.index(END)
        assert not {PAD, UNK} & set(row[:end])
        assert set(row[end + 1 :]) <= {PAD}
        if repeats:
            assert len(set(row[:end])) == end, "no token twice"


def test_greedy_is_the_likeliest_token_at_each_step() -> None:
    net = decoder()
    with torch.no_grad():
        likelihood = net(z())
        ids = decode(likelihood, z())
        logits = likelihood.logits(net.features(likelihood.trunk, ids))
    logits[..., [PAD, UNK]] = float("-inf")
    for row, best in zip(ids.tolist(), logits.argmax(-1).tolist(), strict=True):
        end = row.index(END)
        assert row[:end] == best[:end]
        assert end == T - 1 or best[end] == END


def test_texts_are_drawn_as_often_as_they_are_likely() -> None:
    """Draws for one p(x|z) from many z come in its proportions."""
    net = decoder()
    one, many = z(1), z(6000)
    with torch.no_grad():
        likelihood = net(one.expand(6000, D))
        ids = decode(likelihood, many, temperature=1.0)
        tokens = [token for token in range(SIZE) if token > END]
        for first, second in itertools.product(tokens[:3], tokens[:2]):
            text = torch.tensor([[first, second, END] + [PAD] * (T - 3)])
            p = net(one).log_prob(text).exp().item()
            share = (ids == text).all(1).float().mean().item()
            assert share == pytest.approx(p, abs=4 * (p / 6000) ** 0.5 + 0.01)


def test_a_z_gives_the_same_text_in_any_batch() -> None:
    net, points = decoder(), z()
    with torch.no_grad():
        together = decode(net(points), points, temperature=1.0, candidates=2)
        for i in (0, 7, 39):
            alone = decode(net(points[i : i + 1]), points[i : i + 1], temperature=1.0, candidates=2)
            assert torch.equal(alone[0], together[i])


def test_of_several_candidates_the_likeliest_is_kept() -> None:
    net, points = decoder(), z(200)
    with torch.no_grad():
        nats = [
            (net(points).log_prob(ids) / (ids != PAD).sum(1)).mean()
            for ids in (decode(net(points), points, temperature=1.0, candidates=k) for k in (1, 8))
        ]
    assert nats[1] > nats[0]


def test_only_the_top_of_the_distribution_is_drawn_from() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(1000, 4)
    draws = torch.linspace(0, 0.9999, 1000)
    shares = torch.bincount(_draw(logits, draws, 0.75), minlength=4) / 1000
    torch.testing.assert_close(shares, torch.tensor([0.625, 0.375, 0.0, 0.0]), atol=0.01, rtol=0)
    everything = torch.bincount(_draw(logits, draws, 1.0), minlength=4) / 1000
    torch.testing.assert_close(everything, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.01, rtol=0)


def test_the_most_certain_position_is_filled_first() -> None:
    """Two positions prefer the same token: the more certain one gets it, the other its second choice."""
    net = decoder(memory=0)
    net.unrepeated[3:] = True
    wanted = torch.full((1, T, SIZE), -9.0)
    wanted[0, 0, 4], wanted[0, 0, 5], wanted[0, 1, 4], wanted[0, 2, END] = 2.0, 1.0, 5.0, 9.0

    class Fixed:
        decoder, trunk = net, torch.zeros(1, T, 8)

        def logits(self, _: Tensor) -> Tensor:
            return wanted.clone()

    assert decode(Fixed(), z(1), repeats=NO_REPEATS).tolist() == [[5, 4, END, PAD, PAD]]
    assert decode(Fixed(), z(1), repeats=0.0).tolist() == [[4, 4, END, PAD, PAD]]
    assert decode(Fixed(), z(1), repeats=0.5).tolist() == [[4, 4, END, PAD, PAD]], "it is certain enough"
    assert decode(Fixed(), z(1), repeats=0.95).tolist() == [[5, 4, END, PAD, PAD]]


def test_a_token_is_repeated_where_the_decoder_is_certain_of_it() -> None:
    net, points = decoder(), z(200)
    net.unrepeated[3:] = True
    with torch.no_grad():
        likelihood = net(points)
        never, sure, always = (decode(likelihood, points, repeats=p) for p in (NO_REPEATS, 0.6, 0.0))
        logits = likelihood.logits(net.features(likelihood.trunk, sure))
    logits[..., [PAD, UNK]] = float("-inf")
    certain = logits.softmax(-1).gather(2, sure[..., None])[..., 0]

    def again(ids: Tensor) -> Tensor:
        return torch.stack([((ids[:, :i] == ids[:, i : i + 1]).any(1) & (ids[:, i] > END)) for i in range(T)], dim=1)

    assert not again(never).any()
    assert 0 < again(sure).sum() < again(always).sum()
    assert max(torch.bincount(row[row > END], minlength=SIZE).max() for row in sure) <= 2, "never a third time"
    assert max(torch.bincount(row[row > END], minlength=SIZE).max() for row in always) > 2
    assert (certain[again(sure)] >= 0.6).all()


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3])
@pytest.mark.parametrize("scale", [0.1, 3.0, 12.0])  # nearly uniform, so that a draw is beyond the likeliest; to peaked
def test_a_draw_is_that_of_the_whole_vocabulary_in_order(top_p: float, scale: float) -> None:
    random = np.random.default_rng(0)
    logits = torch.tensor(random.normal(size=(200, 3_000)) * scale, dtype=torch.float32)
    draws = torch.tensor(random.random(200), dtype=torch.float32)
    tokens = _draw(logits, draws, top_p).numpy()
    for row, draw, token in zip(logits.double().softmax(-1).numpy(), draws.numpy(), tokens, strict=True):
        order = np.argsort(-row)
        below = np.cumsum(row[order])
        kept = below - row[order] < top_p
        expected = np.searchsorted(below[kept], draw * below[kept][-1], side="right")
        place = int(np.flatnonzero(order == token)[0])
        # float32: the neighbour where the draw falls on the edge
        assert place == expected or abs(below[min(place, expected)] - draw * below[kept][-1]) < 1e-6
