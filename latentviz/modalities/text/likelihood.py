"""p(x|z) of texts: exact log-probabilities, and the distortion that training asks for instead."""

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from latentviz.modalities.text.softmax import Negatives, bag_nats, token_nats
from latentviz.modalities.text.tokens import PAD

if TYPE_CHECKING:
    from latentviz.modalities.text.nets import TextDecoder


class Costs(NamedTuple):
    """What the distortion is made of: c·(−log p(x|z) + position·… + bag·…).

    Attributes:
        c: C of C·distortion + KL.
        position: weight of telling each token from z alone.
        bag: weight of telling the tokens from z without their order.
    """

    c: float = 1.0
    position: float = 0.0
    bag: float = 0.0


PLAIN = Costs()  # the seed's loss


class TextLikelihood:
    """p(x|z) for a batch of z: a categorical over the vocabulary at each position, given those before it.

    Args:
        decoder: the network that this came from.
        start: features of z, (b, h).
        trunk: what z says of each position, (b, t, e).
    """

    def __init__(self, decoder: "TextDecoder", start: Tensor, trunk: Tensor) -> None:
        self.decoder, self.start, self.trunk = decoder, start, trunk

    def log_prob(self, x: Tensor) -> Tensor:
        """Returns log p(x|z) in nats, (b,): exact, over each text's tokens and its end; padding does not count.

        An end at the last place is certain, so that the probabilities of all texts of up to t tokens sum to one.
        """
        training = self.decoder.training
        try:
            self.decoder.eval()  # nothing is hidden from the net
            features = self.decoder.features(self.trunk, x)
        finally:
            self.decoder.train(training)
        return -self._nats(features, x, None)

    def distortion(self, x: Tensor) -> Tensor:
        """Returns C·(−log p(x|z) + weighted auxiliary terms), (b,); in evaluation C·−log p(x|z), exactly."""
        return self.trained(x)[0]

    def trained(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the distortion and log p(x|z), each (b,), as a training step sees them.

        Over sampled tokens and with hidden ones where the decoder is told to: the log-likelihood is an estimate then.
        """
        decoder = self.decoder
        if not decoder.training:
            log_likelihood = self.log_prob(x)
            return -decoder.costs.c * log_likelihood, log_likelihood
        negatives = Negatives(decoder.chances, decoder.negatives) if decoder.negatives else None
        nats = self._nats(decoder.features(self.trunk, x), x, negatives)
        distortion = nats
        if decoder.by_position is not None:
            alone = self._nats(decoder.by_position(self.trunk), x, negatives)
            distortion = distortion + decoder.costs.position * alone
        if decoder.by_bag is not None:
            distortion = distortion + decoder.costs.bag * self._bag_nats(x, negatives)
        return decoder.costs.c * distortion, -nats.detach()

    def _nats(self, features: Tensor, x: Tensor, negatives: Negatives | None) -> Tensor:
        """Returns the sum of −log p over each text's tokens, (b,)."""
        there = x != PAD
        there[:, -1] = False
        bias = self.decoder.bias + self.decoder.impossible
        nats = token_nats(features[there], x[there], self.decoder.tokens.weight, bias, negatives)
        return nats.new_zeros(x.shape).masked_scatter(there, nats).sum(-1)

    def _bag_nats(self, x: Tensor, negatives: Negatives | None) -> Tensor:
        """Returns the sum of −log p over each text's tokens, told without their order from z, (b,)."""
        decoder = self.decoder
        assert decoder.by_bag is not None
        assert decoder.bag_bias is not None
        bias = decoder.bag_bias + decoder.impossible
        nats = bag_nats(decoder.by_bag(self.start), x, decoder.tokens.weight, bias, negatives)
        return nats.masked_fill(x == PAD, 0).sum(-1)

    def logits(self, features: Tensor) -> Tensor:
        """Returns the logits over the vocabulary for features (…, e), float32 (…, v)."""
        return F.linear(features, self.decoder.tokens.weight, self.decoder.bias).float()
