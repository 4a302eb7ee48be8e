"""The decoder for texts: z → p(x|z), a categorical over the vocabulary at each position given the tokens before it."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentviz.modalities.text.config import ResolvedTextModel
from latentviz.modalities.text.nets import PLACES, Dropout, GatedConv, TextEncoder, trimmed
from latentviz.modalities.text.softmax import Negatives, bag_nats, inclusion_probabilities, token_nats
from latentviz.modalities.text.tokens import END, PAD, UNK
from latentviz.model.base import Likelihood, NoiseAwareDecoder

IMPOSSIBLE = -1e4  # logit of padding, which is no token of a text
NEVER = float("-inf")

# Position, rows that have not ended, int64 (m,), their logits (m, v) → their tokens there, int64 (m,).
Choose = Callable[[int, Tensor, Tensor], Tensor]


class Costs(NamedTuple):
    """Weights of the training distortion, c·(−log p(x|z) + position·… + bag·…).

    Attributes:
        c: C of C·distortion + KL.
        position: weight of predicting each token from z alone.
        bag: weight of predicting the tokens from z without their order.
    """

    c: float = 1.0
    position: float = 0.0
    bag: float = 0.0


PLAIN = Costs()  # the plain ELBO


class TextDecoder(NoiseAwareDecoder):
    """z (b, d) → p(x|z): a trunk predicts each position from z; a small recurrent net adds the tokens before it.

    Args:
        tokens: vectors of the tokens (v, e), which are also the output layer's weights.
        t: positions.
        latent_dim: d.
        memory: units of the recurrent net; 0: none, so that positions are independent given z.
        lag: the recurrent net also sees the token that many positions back; 0: the last one only.
        word_dropout: share of the tokens it sees that are hidden in training (Bowman et al. 2016).
        dropout: share of its features that are zeroed in training, the same ones at all positions of a text.
        costs: weights of the training distortion.
        negatives: tokens that stand for the vocabulary in a training step; 0: all of it.
    """

    chances: Tensor  # inclusion probabilities of the negatives
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
        self.negatives, self.exact = negatives if negatives < size else 0, False  # exact: −log p over all tokens
        self.start = nn.Sequential(nn.Linear(latent_dim + 1, hidden), nn.GELU())
        self.spread = nn.Linear(hidden, self.places * width)
        self.straight = nn.Linear(latent_dim + 1, self.places * width, bias=False)
        self.position = nn.Parameter(torch.zeros(t, width))
        self.convs = nn.Sequential(GatedConv(width, 5), GatedConv(width, 5), nn.LayerNorm(width))
        self.beyond = 2 * (5 // 2)  # positions after one that its convolutions see
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
    def initialise(self, counts: Tensor, unrepeated: Tensor) -> None:
        """Initialise from the training texts.

        Args:
            counts: how often each token occurs, (v,).
            unrepeated: bool (v,), tokens that hardly ever occur twice in a text.
        """
        share = counts.float().clamp_min(0.5) / counts.float().clamp_min(0.5).sum()
        self.bias.copy_(share.log())
        if self.bag_bias is not None:
            self.bag_bias.copy_(share.log())
        if self.negatives:
            self.chances.copy_(inclusion_probabilities(counts, self.negatives))
        self.unrepeated.copy_(unrepeated)

    def forward(self, z: Tensor, noise: Tensor | None = None) -> "TextLikelihood":
        """Return p(x|z).

        Args:
            z: (b, d).
            noise: share of the posterior's noise in z, (b,) in [0, 1]; None: all of it, z is a draw.
        """
        noise = z.new_ones(len(z)) if noise is None else noise
        given = torch.cat([z, noise[:, None]], dim=-1)  # (b, d + 1)
        return TextLikelihood(self, given, self.start(given))

    def trunk(self, given: Tensor, start: Tensor, t: int) -> Tensor:
        """Return the features from z of the first `t` positions, (b, t, e), which do not depend on `t`.

        Args:
            given: z and its noise, (b, d + 1).
            start: features of these, (b, 4e).
            t: at most all positions.
        """
        seen = min(t + self.beyond, self.t)
        places = seen if self.places == self.t else min(self.places, seen * self.places // self.t + 2)
        rows = places * self.position.shape[1]
        spread = F.linear(start, self.spread.weight[:rows], self.spread.bias[:rows])
        spread = (spread + F.linear(given, self.straight.weight[:rows])).view(len(given), places, -1)
        if self.places < self.t:
            per_place = self.t / self.places
            spread = F.interpolate(spread.transpose(1, 2), scale_factor=per_place, mode="linear").transpose(1, 2)
        convolved: Tensor = self.convs(spread[:, :seen] + self.position[:seen])
        return convolved[:, :t]

    def features(self, trunk: Tensor, x: Tensor) -> Tensor:
        """Return the features that predict the token of each position, (b, t, e).

        Args:
            trunk: each position's features from z, (b, t, e).
            x: ids (b, t); position i sees only those before i.
        """
        if self.recurrent is None or self.joined is None:
            return trunk
        before = [F.pad(x, (by, 0), value=END)[:, : x.shape[1]] for by in self._lags]  # an end precedes the first
        if self.training and self.word_dropout:
            before = [
                seen.masked_fill(torch.rand(x.shape, device=x.device) < self.word_dropout, UNK) for seen in before
            ]
        states, _ = self.recurrent(torch.cat([*(self.dropout(self.tokens(seen)) for seen in before), trunk], dim=-1))
        joined: Tensor = trunk + self.joined(torch.cat([states, trunk], dim=-1))
        return joined

    def step(self, trunk: Tensor, so_far: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the next position, (b, e), and the recurrent state after it.

        Args:
            trunk: the position's features from z, (b, e).
            so_far: the tokens before it, ids (b, i).
            state: as the step before returned it; None at the first.
        """
        if self.recurrent is None or self.joined is None:
            return trunk, None
        ended = so_far.new_full((len(so_far),), END)
        seen = [so_far[:, -by] if so_far.shape[1] >= by else ended for by in self._lags]
        out, state = self.recurrent(torch.cat([*(self.tokens(s) for s in seen), trunk], dim=-1)[:, None], state)
        return trunk + self.joined(torch.cat([out[:, 0], trunk], dim=-1)), state

    @property
    def _lags(self) -> tuple[int, ...]:
        return (1, self.lag) if self.lag else (1,)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Switch dropout off for a while."""
        training = self.training
        try:
            self.eval()
            yield
        finally:
            self.train(training)


class TextLikelihood(Likelihood):
    """p(x|z) of texts, batch shape (b,), event shape (t,): token ids, one end, padding.

    The end is certain at the last position, so that the probabilities of all texts of up to t tokens sum to one.

    Args:
        decoder: the network it comes from.
        given: z and its noise, (b, d + 1).
        start: features of these, (b, h).
    """

    def __init__(self, decoder: TextDecoder, given: Tensor, start: Tensor) -> None:
        super().__init__(start.shape[:1], torch.Size([decoder.t]), validate_args=False)
        self.decoder, self.given, self.start, self.weight = decoder, given, start, decoder.costs.c

    @cached_property
    def trunk(self) -> Tensor:
        """Each position's features from z, (b, t, e)."""
        return self.decoder.trunk(self.given, self.start, self.decoder.t)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x|z) in nats, (b,): exact, over each text's tokens and its end; padding does not count."""
        x = trimmed(x)
        with self.decoder.evaluating():
            features = self.decoder.features(self.decoder.trunk(self.given, self.start, x.shape[1]), x)
        return -self._nats(features, x, None)

    @property
    def mode(self) -> Tensor:
        """One text for each z, ids (b, t): the likeliest known token at each position, given those before it."""
        return self.generate(lambda _, __, logits: logits.argmax(-1))

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw texts of known tokens, ids (*sample_shape, b, t)."""
        copies = math.prod(sample_shape)
        copied = TextLikelihood(self.decoder, self.given.repeat(copies, 1), self.start.repeat(copies, 1))
        ids = copied.generate(lambda _, __, logits: torch.multinomial(logits.softmax(-1), 1)[:, 0])
        return ids.view(*sample_shape, len(self.start), self.decoder.t)

    @torch.no_grad()
    def generate(self, choose: Choose) -> Tensor:
        """Write one text for each z from left to right, ids (b, t), padded after its end.

        Args:
            choose: picks the tokens of a position; the logits exclude padding, unknown tokens and, at the last
                position, everything but the end.
        """
        b, t, _ = self.trunk.shape
        text = torch.full((b, t), PAD, device=self.trunk.device)
        rows = torch.arange(b, device=self.trunk.device)  # texts that have not ended
        state: Tensor | None = None
        with self.decoder.evaluating():
            for i in range(t):
                features, state = self.decoder.step(self.trunk[rows, i], text[rows, :i], state)
                logits = self.logits(features)  # (m, v)
                logits[:, [PAD, UNK]] = NEVER
                if i == t - 1:
                    logits[:, END + 1 :] = NEVER
                token = text[rows, i] = choose(i, rows, logits)
                goes_on = token != END
                rows = rows[goes_on]
                if not len(rows):
                    break
                state = None if state is None else state[:, goes_on]
        return text

    def training_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return C·(−log p(x|z) + weighted auxiliary terms) and log p(x|z), each (b,).

        In training, both are estimates over sampled tokens with some inputs hidden; in evaluation the distortion is
        exactly −C·log p(x|z).
        """
        decoder = self.decoder
        if not decoder.training:
            log_likelihood = self.log_prob(x)
            return -decoder.costs.c * log_likelihood, log_likelihood.detach()
        negatives = Negatives(decoder.chances, decoder.negatives) if decoder.negatives else None
        x = trimmed(x)
        trunk = decoder.trunk(self.given, self.start, x.shape[1])
        nats = self._nats(decoder.features(trunk, x), x, None if decoder.exact else negatives)
        distortion = nats
        if decoder.by_position is not None:
            alone = self._nats(decoder.by_position(trunk), x, negatives)
            distortion = distortion + decoder.costs.position * alone
        if decoder.by_bag is not None:
            distortion = distortion + decoder.costs.bag * self._bag_nats(x, negatives)
        return decoder.costs.c * distortion, -nats.detach()

    def _nats(self, features: Tensor, x: Tensor, negatives: Negatives | None) -> Tensor:
        """Return −log p summed over each text's tokens, (b,)."""
        x = x[:, : self.decoder.t - 1]  # the end at the last position is certain
        features, there = features[:, : x.shape[1]], x != PAD
        output = self.decoder.tokens.weight, self.decoder.bias + self.decoder.impossible
        if torch.is_grad_enabled():  # batches of a training have texts of similar lengths
            nats = token_nats(features.flatten(0, 1), x.flatten(), *output, negatives).view(x.shape)
            return nats.masked_fill(~there, 0).sum(-1)
        nats = token_nats(features[there], x[there], *output, negatives)
        return nats.new_zeros(x.shape).masked_scatter(there, nats).sum(-1)

    def _bag_nats(self, x: Tensor, negatives: Negatives | None) -> Tensor:
        """Return −log p summed over each text's tokens, predicted from z without their order, (b,)."""
        decoder = self.decoder
        assert decoder.by_bag is not None
        assert decoder.bag_bias is not None
        bias = decoder.bag_bias + decoder.impossible
        nats = bag_nats(decoder.by_bag(self.start), x, decoder.tokens.weight, bias, negatives)
        return nats.masked_fill(x == PAD, 0).sum(-1)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits over the vocabulary for features (…, e), float32 (…, v)."""
        return F.linear(features, self.decoder.tokens.weight, self.decoder.bias).float()


def build(size: int, t: int, model: ResolvedTextModel, topic_dim: int = 0) -> tuple[TextEncoder, TextDecoder]:
    """Build encoder and decoder for texts, which share the vectors of the tokens.

    Args:
        size: tokens of the vocabulary, v.
        t: positions.
        model: the settings.
        topic_dim: dimensions of the topic, which come before those that are learnt.
    """
    vectors = nn.Embedding(size, model.width)
    nn.init.normal_(vectors.weight, std=0.5)
    decoder = TextDecoder(
        vectors,
        t,
        topic_dim + model.latent_dim,
        memory=model.memory if model.decoder != "position" else 0,
        lag=model.lag,
        word_dropout=model.word_dropout,
        dropout=model.dropout,
        costs=Costs(model.c, model.position_weight, model.bag_weight),
        negatives=model.negatives,
    )
    return TextEncoder(vectors, t, model.latent_dim, topic_dim), decoder
