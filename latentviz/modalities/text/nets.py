"""The networks for texts: token ids → posterior, and z → features of each position, from which tokens are told."""

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.nn import functional as F

from latentviz.modalities.text.likelihood import PLAIN, Costs, TextLikelihood
from latentviz.modalities.text.softmax import chances
from latentviz.modalities.text.tokens import END, PAD, UNK
from latentviz.modalities.text.topic import Topic
from latentviz.model.elbo import diagonal_normal

PLACES = 32  # positions that have weights of their own; longer texts share them among neighbours
IMPOSSIBLE = -1e4  # logit of padding, which is no token of a text
LOGVAR_LEAST, LOGVAR_MOST = -8.0, 4.0  # beyond, the exponential of an untrained net overflows


class GatedConv(nn.Module):
    """h + a·sigmoid(g), a and g convolutions of h over the positions (Dauphin et al. 2017), h (b, t, e).

    One matrix product over windows: on a CPU its gradient takes a third of the time of a convolution's.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm, self.kernel = nn.LayerNorm(width), kernel
        self.windows = nn.Linear(kernel * width, 2 * width)

    def forward(self, h: Tensor) -> Tensor:
        """Returns (b, t, e)."""
        t, around = h.shape[1], self.kernel // 2
        padded = F.pad(self.norm(h), (0, 0, around, around))
        windows = torch.cat([padded[:, start : start + t] for start in range(self.kernel)], dim=-1)
        return h + F.glu(self.windows(windows), dim=-1)


class Dropout(nn.Dropout):
    """Hides the same numbers at all places of a text (Gal & Ghahramani 2016): 1/t of the random numbers to draw."""

    def forward(self, h: Tensor) -> Tensor:
        """Returns h (b, t, e) with some of e hidden."""
        if not (self.training and self.p):
            return h
        return h * super().forward(h.new_ones(len(h), 1, h.shape[-1]))


class TextEncoder(nn.Module):
    """Token ids (b, t) → q(z|x): gated convolutions, read place by place, beside the mean of the tokens' vectors.

    Args:
        tokens: vectors of the tokens (v, e), the decoder's too.
        t: positions.
        latent_dim: dimensions that are learnt.
        topic_dim: dimensions before them that say what the text is about; d is the sum of both.
    """

    def __init__(self, tokens: nn.Embedding, t: int, latent_dim: int, topic_dim: int = 0) -> None:
        super().__init__()
        width = tokens.embedding_dim
        hidden = 3 * width
        self.tokens, self.places = tokens, min(t, PLACES)
        self.position = nn.Parameter(torch.zeros(t, width))
        self.convs = nn.Sequential(GatedConv(width, 3), GatedConv(width, 3))
        self.by_place = nn.Linear(self.places * width, hidden)
        self.by_mean = nn.Linear(2 * width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.posterior = nn.Linear(hidden, 2 * latent_dim)
        self.mean = nn.Linear(width, latent_dim, bias=False)
        nn.init.zeros_(self.posterior.bias)
        self.topic = Topic(tokens.num_embeddings, topic_dim) if topic_dim else None
        # As wide as the prior to begin with, so that the topic costs next to nothing until it is of use.
        self.topic_width = nn.Linear(hidden, topic_dim) if topic_dim else None
        if self.topic_width is not None:
            nn.init.zeros_(self.topic_width.weight)
            nn.init.zeros_(self.topic_width.bias)

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Returns the posterior q(z|x): batch shape (b,), event shape (d,)."""
        there = (x != PAD)[..., None]  # (b, t, 1)
        n = there.sum(1).clamp_min(1)
        vectors = self.tokens(x) * there  # (b, t, e)
        h = self.convs((vectors + self.position) * there) * there
        by_place = F.adaptive_avg_pool1d(h.transpose(1, 2), self.places) if self.places < x.shape[1] else h
        mean = vectors.sum(1) / n
        features = self.by_place(by_place.flatten(1)) + self.by_mean(torch.cat([mean, h.sum(1) / n], dim=-1))
        features = F.gelu(self.norm(features))
        mu, logvar = self.posterior(features).float().chunk(2, dim=-1)
        mu = mu + self.mean(mean).float()
        if self.topic is not None and self.topic_width is not None:
            mu = torch.cat([self.topic(x).float(), mu], dim=-1)
            logvar = torch.cat([self.topic_width(features).float(), logvar], dim=-1)
        return diagonal_normal(mu, logvar.clamp(LOGVAR_LEAST, LOGVAR_MOST))  # each (b, d)


class TextDecoder(nn.Module):
    """z (b, d) → p(x|z): a trunk tells each position from z alone; a light recurrent net adds what came before.

    Args:
        tokens: vectors of the tokens (v, e), which also tell one token from another.
        t: positions.
        latent_dim: d.
        memory: units of the recurrent net; 0: every position on its own.
        lag: a second token that it sees, so many back; 0: the last one alone.
        word_dropout: share of the seen tokens that are hidden in training (Bowman et al. 2016).
        dropout: share of the numbers that are, inside the recurrent part, the same ones at all places of a text.
        costs: what training asks for.
        negatives: tokens that stand for the vocabulary in a training step; 0: all of it.
    """

    chances: Tensor
    impossible: Tensor
    unrepeated: Tensor

    def __init__(
        self,
        tokens: nn.Embedding,
        t: int,
        latent_dim: int,
        *,
        memory: int = 256,
        lag: int = 0,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        costs: Costs = PLAIN,
        negatives: int = 0,
    ) -> None:
        super().__init__()
        size, width = tokens.weight.shape
        hidden, joined = 4 * width, 2 * width
        self.tokens, self.t, self.places, self.lag = tokens, t, min(t, PLACES), lag
        self.word_dropout, self.dropout, self.costs = word_dropout, Dropout(dropout), costs
        self.negatives = negatives if negatives < size else 0
        self.start = nn.Sequential(nn.Linear(latent_dim + 1, hidden), nn.GELU())
        self.spread = nn.Linear(hidden, self.places * width)
        self.straight = nn.Linear(latent_dim + 1, self.places * width, bias=False)
        self.position = nn.Parameter(torch.zeros(t, width))
        self.convs = nn.Sequential(GatedConv(width, 5), GatedConv(width, 5), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(size))
        self.recurrent = nn.GRU((3 if lag else 2) * width, memory, batch_first=True) if memory else None
        self.joined = (
            nn.Sequential(nn.Linear(memory + width, joined), nn.GELU(), self.dropout, nn.Linear(joined, width))
            if memory
            else None
        )
        self.by_position = nn.Linear(width, width) if costs.position and memory else None
        self.by_bag = nn.Linear(hidden, width) if costs.bag else None
        self.bag_bias = nn.Parameter(torch.zeros(size)) if costs.bag else None
        self.register_buffer("chances", torch.ones(size))
        self.register_buffer("impossible", torch.where(torch.arange(size) == PAD, IMPOSSIBLE, 0.0))
        self.register_buffer("unrepeated", torch.zeros(size, dtype=torch.bool))

    @torch.no_grad()
    def know(self, counts: Tensor, unrepeated: Tensor) -> None:
        """Takes in how often each token occurs, (v,), and which ones do not come twice in a text, bool (v,)."""
        share = counts.float().clamp_min(0.5) / counts.float().clamp_min(0.5).sum()
        self.bias.copy_(share.log())
        if self.bag_bias is not None:
            self.bag_bias.copy_(share.log())
        if self.negatives:
            self.chances.copy_(chances(counts, self.negatives))
        self.unrepeated.copy_(unrepeated)

    def forward(self, z: Tensor, noise: Tensor | None = None) -> TextLikelihood:
        """Returns the likelihood p(x|z): batch shape (b,).

        Args:
            z: (b, d).
            noise: how much of the posterior's noise is in z, in [0, 1], (b,); None: all of it, z is a draw.
        """
        noise = z.new_ones(len(z)) if noise is None else noise
        asked = torch.cat([z, noise[:, None]], dim=-1)
        start = self.start(asked)  # (b, h)
        trunk = (self.spread(start) + self.straight(asked)).view(len(z), self.places, -1)
        if self.places < self.t:
            trunk = F.interpolate(trunk.transpose(1, 2), self.t, mode="linear").transpose(1, 2)
        return TextLikelihood(self, start, self.convs(trunk + self.position))

    def features(self, trunk: Tensor, x: Tensor) -> Tensor:
        """Returns what tells the token of each position, (b, t, e), given the tokens before it.

        Args:
            trunk: what z says of the positions, (b, t, e).
            x: ids (b, t); position i sees those before i alone.
        """
        if self.recurrent is None or self.joined is None:
            return trunk
        before = [_later(x, by) for by in ((1, self.lag) if self.lag else (1,))]
        if self.training and self.word_dropout:
            before = [
                seen.masked_fill(torch.rand(x.shape, device=x.device) < self.word_dropout, UNK) for seen in before
            ]
        states, _ = self.recurrent(torch.cat([*(self.dropout(self.tokens(seen)) for seen in before), trunk], dim=-1))
        joined: Tensor = trunk + self.joined(torch.cat([states, trunk], dim=-1))
        return joined

    def step(self, trunk: Tensor, so_far: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Returns the features of the next position (b, e), and the recurrent state to go on with.

        Args:
            trunk: what z says of this position, (b, e).
            so_far: the tokens before it, ids (b, i).
            state: what the step before returned; None at the first.
        """
        if self.recurrent is None or self.joined is None:
            return trunk, None
        ended = so_far.new_full((len(so_far),), END)
        seen = [so_far[:, -by] if so_far.shape[1] >= by else ended for by in ((1, self.lag) if self.lag else (1,))]
        out, state = self.recurrent(torch.cat([*(self.tokens(s) for s in seen), trunk], dim=-1)[:, None], state)
        return trunk + self.joined(torch.cat([out[:, 0], trunk], dim=-1)), state


def _later(x: Tensor, by: int) -> Tensor:
    """Returns ids moved `by` positions later, (b, t); before the first stands an end."""
    return F.pad(x, (by, 0), value=END)[:, : x.shape[1]]
