"""The encoder for texts, token ids → q(z|x), and the layers that it shares with the decoder."""

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn import functional as F

from latentviz.modalities.text.tokens import PAD
from latentviz.modalities.text.topic import Topic
from latentviz.model.base import Encoder
from latentviz.model.elbo import diagonal_normal

PLACES = 32  # positions with weights of their own; neighbouring positions of longer texts share them
STEP = 4  # positions by which lengths of batches differ: a CPU keeps kernels and memory for each shape of a product
LOGVAR_LEAST, LOGVAR_MOST = -8.0, 4.0  # beyond, the exponential of an untrained net overflows


def trimmed(x: Tensor, beyond: int = 0) -> Tensor:
    """Return ids (b, t) without the last positions, at which all texts have padding.

    Args:
        x: (b, t).
        beyond: positions that are kept after the last token, if there are as many.
    """
    places = torch.nonzero((x != PAD).any(0))
    longest = int(places.max()) + 1 if len(places) else 1
    return x[:, : -(-longest // STEP) * STEP + beyond]


class GatedConv(nn.Module):
    """h + a·sigmoid(g), where a and g are convolutions of h (b, t, e) over positions (Dauphin et al. 2017, equation 1).

    One matrix product over windows: on a CPU its gradient takes a third of the time of a convolution's.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm, self.kernel = nn.LayerNorm(width), kernel
        self.windows = nn.Linear(kernel * width, 2 * width)

    def forward(self, h: Tensor) -> Tensor:
        """Return (b, t, e)."""
        t, around = h.shape[1], self.kernel // 2
        normed = self.norm(h)
        if torch.is_autocast_enabled(h.device.type):  # before it is copied `kernel` times
            normed = normed.to(torch.get_autocast_dtype(h.device.type))
        padded = F.pad(normed, (0, 0, around, around))
        windows = torch.cat([padded[:, start : start + t] for start in range(self.kernel)], dim=-1)  # (b, t, kernel·e)
        return h + F.glu(self.windows(windows), dim=-1)


class Dropout(nn.Dropout):
    """Dropout with one mask for all positions of a text (Gal & Ghahramani 2016): 1/t of the random numbers to draw."""

    def forward(self, h: Tensor) -> Tensor:
        """Return h (b, t, e) with some of the e features zeroed."""
        if not (self.training and self.p):
            return h
        return h * super().forward(h.new_ones(len(h), 1, h.shape[-1]))


class TextEncoder(Encoder):
    """Token ids (b, t) → q(z|x): gated convolutions read position by position, and the mean of the token vectors.

    Args:
        tokens: vectors of the tokens (v, e), shared with the decoder.
        t: positions.
        latent_dim: learnt dimensions.
        topic_dim: dimensions before those, which hold the topic in closed form; d is the sum of both.
    """

    def __init__(self, tokens: nn.Embedding, t: int, latent_dim: int, topic_dim: int = 0) -> None:
        super().__init__()
        width = tokens.embedding_dim
        hidden = 3 * width
        self.tokens, self.places = tokens, min(t, PLACES)
        self.position = nn.Parameter(torch.zeros(t, width))
        self.convs = nn.Sequential(GatedConv(width, 3), GatedConv(width, 3))
        self.beyond = 2 * (3 // 2)  # positions after one that its convolutions see
        self.by_place = nn.Linear(self.places * width, hidden)
        self.by_mean = nn.Linear(2 * width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.posterior = nn.Linear(hidden, 2 * latent_dim)
        self.mean = nn.Linear(width, latent_dim, bias=False)
        nn.init.zeros_(self.posterior.bias)
        self.given_dim = topic_dim
        self.topic = Topic(tokens.num_embeddings, topic_dim) if topic_dim else None
        self.topic_width = nn.Linear(hidden, topic_dim) if topic_dim else None
        if self.topic_width is not None:  # as wide as the prior at first, so that the topic costs little until used
            nn.init.zeros_(self.topic_width.weight)
            nn.init.zeros_(self.topic_width.bias)

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Return the posterior."""
        t = x.shape[1]
        if self.training:  # not afterwards, when a text must have the same μ to the last bit in every batch
            x = trimmed(x, self.beyond)
        there = (x != PAD)[..., None]  # (b, t, 1)
        n = there.sum(1).clamp_min(1)  # (b, 1)
        vectors = self.tokens(x) * there  # (b, t, e)
        h = self.convs((vectors + self.position[: x.shape[1]]) * there) * there  # (b, t, e)
        by_place = F.pad(h, (0, 0, 0, t - x.shape[1]))
        if self.places < t:
            by_place = F.adaptive_avg_pool1d(by_place.transpose(1, 2), self.places)
        mean = vectors.sum(1) / n  # (b, e)
        features = self.by_place(by_place.flatten(1)) + self.by_mean(torch.cat([mean, h.sum(1) / n], dim=-1))
        features = F.gelu(self.norm(features))  # (b, 3e)
        mu, logvar = self.posterior(features).float().chunk(2, dim=-1)  # (b, latent_dim) each
        mu = mu + self.mean(mean).float()
        if self.topic is not None and self.topic_width is not None:
            mu = torch.cat([self.topic(x).float(), mu], dim=-1)  # (b, d)
            logvar = torch.cat([self.topic_width(features).float(), logvar], dim=-1)
        return diagonal_normal(mu, logvar.clamp(LOGVAR_LEAST, LOGVAR_MOST))
