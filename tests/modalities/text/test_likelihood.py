"""p(x|z) of texts: normalised, exact and causal; and the distortion that training minimises."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from latentviz.modalities.text.data import Tokens, lengths, to_ids
from latentviz.modalities.text.decoder import Costs, TextDecoder
from latentviz.modalities.text.nets import PLACES, Dropout, TextEncoder
from latentviz.modalities.text.softmax import token_nats
from latentviz.modalities.text.tokens import END, PAD
from latentviz.model.base import distortion_and_log_likelihood
from latentviz.model.elbo import kl_per_dimension
from latentviz.model.encoding import log_likelihoods
from latentviz.model.training import LightningVAE
from latentviz.model.vae import VAE, Batch

D = 3


def nets(size: int = 6, t: int = 4, **settings: float) -> tuple[TextEncoder, TextDecoder]:
    """Return an encoder and a decoder with outputs far from uniform."""
    torch.manual_seed(0)
    vectors = nn.Embedding(size, 8)
    encoder, decoder = TextEncoder(vectors, t, D), TextDecoder(vectors, t, D, **settings)
    for weight in (*encoder.parameters(), *decoder.parameters()):
        weight.data.add_(0.3 * torch.randn_like(weight))
    return encoder, decoder


def trainable(vae: LightningVAE) -> LightningVAE:
    """Return the model as in the middle of a training."""
    vae._trainer = SimpleNamespace(estimated_stepping_batches=100, global_step=50)
    return vae.train()


def texts(size: int, t: int) -> Tensor:
    """Return every text of up to t tokens with its end, ids (m, t)."""
    tokens = [token for token in range(size) if token not in {PAD, END}]
    return torch.tensor(
        [[*text, END] + [PAD] * (t - 1 - n) for n in range(t) for text in itertools.product(tokens, repeat=n)]
    )


@pytest.mark.parametrize("settings", [{"memory": 5}, {"memory": 5, "lag": 2}, {"memory": 0}])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_probabilities_of_all_texts_sum_to_one(settings: dict[str, int], noise: float) -> None:
    _, decoder = nets(**settings)
    every = texts(6, 4)
    z = torch.randn(1, D).expand(len(every), D)
    likelihood = decoder.eval()(z, torch.full((len(every),), noise))
    p = likelihood.log_prob(every).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert p.std() > 0, "the texts differ in probability"


def test_a_text_depends_neither_on_its_batch_nor_on_padding() -> None:
    encoder, decoder = nets(memory=5)
    encoder.eval()
    x = torch.tensor([[3, 4, END, PAD], [5, END, PAD, PAD], [3, 3, 5, END]])
    z = torch.randn(3, D)
    together = decoder.eval()(z).log_prob(x)
    alone = torch.cat([decoder(z[i : i + 1]).log_prob(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(encoder(x).mean[1], encoder(x[1:2]).mean[0])


def test_without_gradients_padding_is_not_computed_and_the_likelihood_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, decoder = nets(9, 16, memory=5)
    x = torch.full((6, 16), PAD)
    for row, length in enumerate((0, 1, 3, 9, 15, 15)):
        x[row, :length] = torch.randint(3, 9, (length,))
        x[row, length] = END
    z = torch.randn(6, D)
    with_gradients = decoder.eval()(z).log_prob(x)
    rows: list[int] = []
    monkeypatch.setattr(
        "latentviz.modalities.text.decoder.token_nats", lambda f, *rest: rows.append(len(f)) or token_nats(f, *rest)
    )
    with torch.inference_mode():
        torch.testing.assert_close(decoder(z).log_prob(x), with_gradients.detach())
    assert rows == [1 + 2 + 4 + 10 + 15 + 15], "the tokens and ends, but the end at the last position, which is certain"


def test_likelihoods_in_batches_of_similar_lengths_are_in_item_order(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, decoder = nets(9, 16, memory=5)
    rng = np.random.default_rng(0)
    tokens = np.zeros((40, 16), np.uint16)
    for row, length in enumerate(rng.integers(1, 15, 40)):
        tokens[row, : length + 1] = [*rng.integers(3, 9, length), END]
    data, mu = Tokens(tokens, np.arange(40)), rng.standard_normal((40, D)).astype(np.float32)
    vae, computed = VAE(encoder, decoder, D), []
    features = decoder.features
    monkeypatch.setattr(decoder, "features", lambda trunk, x: computed.append(x.numel()) or features(trunk, x))
    as_they_are = log_likelihoods(vae, data, to_ids, mu, batch_size=8)
    before, computed[:] = sum(computed), []
    by_length = log_likelihoods(vae, data, to_ids, mu, lengths=lengths(tokens, np.arange(40)), batch_size=8)
    np.testing.assert_allclose(by_length, as_they_are, rtol=1e-4)
    assert sum(computed) < 0.8 * before, "fewer positions"


@pytest.mark.parametrize("t", [12, PLACES, PLACES + 25])
def test_padding_that_all_texts_of_a_batch_have_changes_nothing(t: int) -> None:
    torch.manual_seed(1)
    encoder, decoder = nets(9, t, memory=5, costs=Costs(1.0, 0.5, 0.5))
    x = torch.full((3, t), PAD)
    for row, length in enumerate((1, 4, 6)):
        x[row, :length] = torch.randint(3, 9, (length,))
        x[row, length] = END
    whole = x.clone()
    whole = torch.cat([whole, torch.randint(3, 9, (1, t))])  # nothing of this batch can be left out
    whole[-1, -1] = END
    z = torch.randn(4, D)
    found = {}
    for name, batch in (("short", x), ("whole", whole)):
        encoder.train(), decoder.train()
        terms = decoder(z[: len(batch)]).training_terms(batch)
        posterior = encoder(batch)
        found[name] = [part[:3] for part in (*terms, posterior.mean, posterior.stddev)]
        weights = [*encoder.parameters(), *decoder.parameters()]
        gradients = torch.autograd.grad(sum(part.sum() for part in found[name]), weights, allow_unused=True)
        found[name] += [gradient for gradient in gradients if gradient is not None]
    assert len(found["short"]) > 30
    for short, complete in zip(found["short"], found["whole"], strict=True):
        torch.testing.assert_close(short, complete, atol=1e-4, rtol=1e-4)


def test_the_loss_that_is_logged_leaves_out_what_only_training_adds() -> None:
    encoder, decoder = nets(costs=Costs(0.7, 0.5, 0.5))
    vae, x = trainable(LightningVAE(encoder, decoder, D)), torch.tensor([[3, 4, 5, END]])
    loss = float(vae.training_step(Batch(x, x), 0).detach())
    means = {name: float(value) for name, value in vae.epoch_means("train").items()}
    assert means["train_auxiliary_cost"] > 0
    assert means["train_loss"] == pytest.approx(-0.7 * means["train_log_likelihood"] + means["train_kl"], rel=1e-5)
    assert loss == pytest.approx(means["train_loss"] + means["train_auxiliary_cost"], rel=1e-5)


def test_a_token_is_predicted_only_from_those_before_it() -> None:
    _, decoder = nets(memory=5, lag=2)
    trunk, x = decoder.eval()(torch.randn(1, D)).trunk, torch.tensor([[3, 4, 5, END]])
    features = decoder.features(trunk, x)
    for place in range(4):
        changed = x.clone()
        changed[:, place] = 3 if x[0, place] != 3 else 5
        same = (decoder.features(trunk, changed) - features).abs().amax(-1)[0] < 1e-6
        assert same[: place + 1].all()
        assert not same[place + 1 :].any() or place == 3


def test_step_by_step_the_features_are_the_same() -> None:
    _, decoder = nets(memory=5, lag=2)
    trunk, x = decoder.eval()(torch.randn(2, D)).trunk, torch.tensor([[3, 4, 5, END], [5, 3, END, PAD]])
    whole, state = decoder.features(trunk, x), None
    for i in range(4):
        one, state = decoder.step(trunk[:, i], x[:, :i], state)
        torch.testing.assert_close(one, whole[:, i])


def test_without_auxiliary_weights_the_loss_is_the_plain_elbo() -> None:
    encoder, decoder = nets(memory=5)
    vae = trainable(LightningVAE(encoder, decoder, D))
    x = torch.tensor([[3, 4, END, PAD], [5, END, PAD, PAD], [3, 3, 5, END]])
    torch.manual_seed(7)
    loss = vae.training_step(Batch(x, x), 0)
    torch.manual_seed(7)
    posterior = encoder(x)
    z = posterior.rsample()
    logits = vae.decoder(z).logits(decoder.features(decoder(z).trunk, x))
    logits[..., PAD] = float("-inf")
    nats = -logits.log_softmax(-1).gather(-1, x[..., None])[..., 0]
    nats[x == PAD] = 0
    nats[:, -1] = 0
    expected = (nats.sum(-1) + kl_per_dimension(posterior, vae.prior).sum(-1)).mean()
    torch.testing.assert_close(loss, expected)


def test_each_term_adds_its_weight_and_c_scales_them_all() -> None:
    x = torch.tensor([[3, 4, END, PAD], [5, END, PAD, PAD]])
    z = torch.randn(2, D, generator=torch.Generator().manual_seed(1))
    found = {}
    _, decoder = nets(memory=5, costs=Costs(1.0, 1.0, 1.0))
    for name, costs in {
        "plain": Costs(),
        "both": Costs(1.0, 0.5, 0.25),
        "scaled": Costs(0.67, 0.5, 0.25),
        "position": Costs(position=0.5),
        "bag": Costs(bag=0.25),
    }.items():
        decoder.costs = costs
        found[name], log_likelihood = distortion_and_log_likelihood(decoder.train()(z), x)
        if name == "plain":
            torch.testing.assert_close(found[name], -log_likelihood)
    both = found["position"] - found["plain"] + found["bag"]
    assert (found["position"] > found["plain"]).all()
    torch.testing.assert_close(found["both"], both)
    torch.testing.assert_close(found["scaled"], 0.67 * both)
    decoder.costs = Costs(0.67, 0.5, 0.25)
    cost, log_likelihood = distortion_and_log_likelihood(decoder.eval()(z), x)
    torch.testing.assert_close(cost, -0.67 * log_likelihood)


@pytest.mark.parametrize("t", [3, 12, PLACES + 9])
@pytest.mark.parametrize("memory", [0, 4])
def test_every_weight_learns_at_any_length(t: int, memory: int) -> None:
    encoder, decoder = nets(
        40,
        t,
        memory=memory,
        costs=Costs(0.67, 0.3, 0.3),
        word_dropout=0.3,
        dropout=0.1,
        lag=1 if memory else 0,
        negatives=20,
    )
    decoder.initialise(torch.arange(40), torch.zeros(40, dtype=torch.bool))
    x = torch.randint(3, 40, (8, t))
    x[:, -1] = END
    vae = trainable(LightningVAE(encoder, decoder, D, noise_mix=0.5))
    vae.training_step(Batch(x, x), 0).backward()
    for name, weight in vae.named_parameters():
        assert weight.grad is not None, f"{name} has no gradient"
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().sum() > 0 or name == "encoder.position", f"{name} is not reached"


def test_dropout_has_one_mask_for_all_positions_of_a_text() -> None:
    torch.manual_seed(0)
    dropout, h = Dropout(0.5), torch.randn(4, 6, 50)
    hidden = dropout(h) == 0
    assert torch.equal(hidden, hidden[:, :1].expand(4, 6, 50))
    assert 0.3 < hidden.float().mean() < 0.7
    assert not torch.equal(hidden[0], hidden[1])
    kept = dropout(h)
    torch.testing.assert_close(kept[kept != 0], 2 * h[kept != 0])
    assert torch.equal(dropout.eval()(h), h)
