"""What every model offers, whatever its items are: a likelihood to evaluate, sample and decode."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from latentviz.modalities.image import nets as image
from latentviz.modalities.text.decoder import TextDecoder
from latentviz.modalities.text.nets import TextEncoder
from latentviz.modalities.text.tokens import END, PAD, UNK
from latentviz.modalities.vectors import nets as vectors
from latentviz.model.base import NoiseAwareDecoder, distortion_and_log_likelihood
from latentviz.model.vae import VAE
from tests.words.kind import Letters, Nearest

B, D, V, T = 4, 5, 12, 6


def images(likelihood: str) -> tuple[VAE, Tensor]:
    return VAE(*image.build("conv", (1, 8, 8), latent_dim=D, width=4, likelihood=likelihood, c=10.0), D), torch.rand(
        B, 1, 8, 8
    ).round()


def texts(memory: int) -> tuple[VAE, Tensor]:
    tokens = nn.Embedding(V, 8)
    vae = VAE(TextEncoder(tokens, T, D - 2, 2), TextDecoder(tokens, T, D, memory=memory), D, noise_mix=0.2)
    return vae, torch.tensor([[3, 4, END, PAD, PAD, PAD]] * B)


def vector() -> tuple[VAE, Tensor]:
    return VAE(*vectors.build(np.zeros(7, np.float32), 1.0, latent_dim=D, width=8, c=10.0), D), torch.rand(B, 7)


MODELS: dict[str, Callable[[], tuple[VAE, Tensor]]] = {
    "image, normal": lambda: images("normal"),
    "image, bernoulli": lambda: images("bernoulli"),
    "text, autoregressive": lambda: texts(6),
    "text, position": lambda: texts(0),
    "vectors": vector,
    "words": lambda: (VAE(Letters(), Nearest(), D), torch.randint(26, (B, 5))),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> tuple[VAE, Tensor]:
    """An untrained model in evaluation mode, and a batch of its encoder's input."""
    torch.manual_seed(0)
    vae, x = MODELS[request.param]()
    return vae.eval(), x


def test_decode_gives_one_item_per_z_without_chance(model: tuple[VAE, Tensor]) -> None:
    vae, x = model
    z = torch.randn(B, D)
    decoded = vae.decode(z)
    assert (decoded.shape, decoded.dtype) == (x.shape, x.dtype)
    assert torch.equal(decoded, vae.decode(z))
    assert torch.isfinite(decoded).all()
    if not isinstance(vae.decoder, NoiseAwareDecoder):
        assert torch.equal(vae.decode(z, torch.zeros(B)), decoded), "the noise level is ignored"


def test_the_likelihood_is_a_distribution_over_items(model: tuple[VAE, Tensor]) -> None:
    vae, x = model
    likelihood = vae.likelihood(vae.encode(x)[0])
    assert isinstance(likelihood, Distribution)
    assert (likelihood.batch_shape, likelihood.event_shape) == ((B,), x.shape[1:])
    assert likelihood.log_prob(x).shape == (B,)
    for shape in ((), (3,)):
        sample = likelihood.sample(shape)
        assert sample.shape == (*shape, *x.shape)
        for drawn in sample.reshape(-1, *x.shape):
            assert torch.isfinite(likelihood.log_prob(drawn)).all()


def test_in_evaluation_the_distortion_is_minus_the_log_likelihood_and_a_constant(model: tuple[VAE, Tensor]) -> None:
    vae, x = model
    likelihood = vae.likelihood(torch.randn(B, D))
    distortion, log_likelihood = distortion_and_log_likelihood(likelihood, x)
    torch.testing.assert_close(log_likelihood, likelihood.log_prob(x).detach())
    assert not log_likelihood.requires_grad
    constant = distortion + log_likelihood
    torch.testing.assert_close(constant, constant[:1].expand(B), rtol=1e-4, atol=1e-3)


def test_the_encoder_for_inference_gives_the_same_posterior(model: tuple[VAE, Tensor]) -> None:
    vae, x = model
    with torch.inference_mode():
        plain, fast = vae.encoder(x), vae.encoder.for_inference()(x)
    torch.testing.assert_close(fast.mean, plain.mean, rtol=1e-4, atol=1e-6)
    assert 0 <= vae.given_dim <= vae.latent_dim


def test_a_noise_mix_needs_a_decoder_that_reads_the_noise_level() -> None:
    with pytest.raises(TypeError, match=r"noise_mix.*Nearest"):
        VAE(Letters(), Nearest(), D, noise_mix=0.1)


@pytest.mark.parametrize("memory", [0, 6])
def test_texts_are_sampled_as_often_as_they_are_likely(memory: int) -> None:
    torch.manual_seed(0)
    decoder = TextDecoder(nn.Embedding(V, 8), 3, D, memory=memory).eval()
    decoder.bias.data[UNK] = -50.0  # samples hold known tokens only
    decoder.bias.data[:6] += 1.0
    likelihood = decoder(torch.randn(1, D))
    drawn = likelihood.sample((4000,))[:, 0]
    for first in (3, 4, 5):
        text = torch.tensor([[first, END, PAD]])
        p = likelihood.log_prob(text).exp().item()
        assert (drawn == text).all(1).float().mean().item() == pytest.approx(p, abs=4 * (p / 4000) ** 0.5 + 1e-3)


def test_the_mode_of_texts_is_the_likeliest_token_at_each_position() -> None:
    torch.manual_seed(0)
    decoder = TextDecoder(nn.Embedding(V, 8), T, D, memory=6).eval()
    likelihood = decoder(torch.randn(20, D))
    ids = likelihood.mode
    logits = likelihood.logits(decoder.features(likelihood.trunk, ids))
    logits[..., [PAD, UNK]] = float("-inf")
    for row, best in zip(ids.tolist(), logits.argmax(-1).tolist(), strict=True):
        end = row.index(END)
        assert row[:end] == best[:end]
        assert set(row[end + 1 :]) <= {PAD}
