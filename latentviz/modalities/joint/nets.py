"""Encoder, decoder and likelihood of items with several parts: a product of experts over the parts that are there.

The posterior of an item is the product of the prior and one Normal a part that is there, as in the MVAE (Wu & Goodman
2018, section 2.2): its precision is 1 + Σ 1/σ_p², its mean the sum of μ_p/σ_p² over that. A missing part has no
precision, so it changes nothing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, OneHotCategorical
from torch.nn import functional as F

from latentviz.modalities.image.nets import LOGVAR_LIMIT, ImageDecoder, ImageEncoder, build, mlp
from latentviz.modalities.joint.config import Part, ResolvedJointModel
from latentviz.modalities.joint.layout import Layout
from latentviz.model.base import Decoder, Encoder, Likelihood, distortion_and_log_likelihood
from latentviz.model.elbo import diagonal_normal

LEAST_IDF = 0.1  # of a word that all captions have
DIM = 128  # units of the words before the hidden ones


class CaptionEncoder(Encoder):
    """Counts of words (b, v) → q(z|caption), batch shape (b,), event shape (d,).

    Args:
        idf: of the words, float (v,).
        net: (b, v) → (b, 2d).
    """

    idf: Tensor

    def __init__(self, idf: Tensor, net: nn.Module) -> None:
        super().__init__()
        self.register_buffer("idf", idf)
        self.net = net

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Compute the posterior from idf-weighted counts of length 1."""
        weighted = F.normalize(x.log1p() * self.idf, dim=-1)
        mu, logvar = self.net(weighted).float().chunk(2, dim=-1)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))


class LabelEncoder(Encoder):
    """Labels, one-hot (b, k) → q(z|label), batch shape (b,), event shape (d,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Compute the posterior."""
        mu, logvar = self.net(x).float().chunk(2, dim=-1)
        return diagonal_normal(mu, logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))


class JointEncoder(Encoder):
    """Stored items uint8 (b, p) → q(z|parts), batch shape (b,), event shape (d,).

    Args:
        layout: where the parts are.
        experts: the encoder of each part.
    """

    def __init__(self, layout: Layout, experts: Mapping[Part, Encoder]) -> None:
        super().__init__()
        self.layout = layout
        self.experts = nn.ModuleDict({str(part): expert for part, expert in experts.items()})

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Compute the product of the prior and the experts of the parts that are there."""
        precision, weighted = torch.ones((), device=x.device), torch.zeros((), device=x.device)
        for mark, part in enumerate(self.layout.parts):
            there = x[:, mark].float()[:, None]  # (b, 1)
            own = there * self._precision(part, x, there[:, 0])
            precision, weighted = precision + own[0], weighted + own[1]
        mu = weighted / precision
        return diagonal_normal(mu, -precision.log().expand_as(mu))

    def _precision(self, part: Part, x: Tensor, there: Tensor) -> Tensor:
        """Return 1/σ² and μ/σ² of one expert, (2, b, d).

        In training it only sees the items that have the part, so that the others are in no batch statistics; at least
        one, since all parameters must have a gradient in each process.
        """
        rows = there.nonzero()[:, 0] if self.training else None
        if rows is not None and not len(rows):
            rows = there.new_zeros(1, dtype=torch.long)
        values = x[:, self.layout.slices[part]] if rows is None else x[rows, self.layout.slices[part]]
        values = values.to(next(self.experts.parameters()).dtype)
        if part == "image":
            values = (values / 255).view(-1, *self.layout.image)
        posterior = self.experts[part](values).base_dist
        own = posterior.scale.pow(-2)
        found = torch.stack([own, own * posterior.loc])  # (2, m, d)
        if rows is None:
            return found
        return found.new_zeros(2, len(x), found.shape[2]).index_copy(1, rows, found)

    def for_inference(self) -> "JointEncoder":
        """Return an equal encoder with the fastest form of each expert."""
        fast = {part: self.experts[part].for_inference() for part in self.layout.parts}  # type: ignore[operator]
        return JointEncoder(self.layout, fast).eval()


class JointLikelihood(Likelihood):
    """p(x|z) of items with several parts, independent given z; the parts that an item lacks cost nothing.

    Args:
        layout: where the parts are.
        image: of pixels in [0, 1], batch shape (b,), event shape (c, h, w).
        logits: of the words, (b, v), and of the labels, (b, k); those of the parts that are learnt.
        weights: of a nat of the words and the labels in the loss; that of the image is 1.
    """

    own_loss = True
    has_mean = True

    def __init__(
        self,
        layout: Layout,
        image: Distribution,
        logits: Mapping[Part, Tensor],
        weights: Mapping[Part, float],
    ) -> None:
        b = image.batch_shape
        super().__init__(b, torch.Size([layout.size]), validate_args=False)
        self.layout, self.image, self.logits, self.weights = layout, image, logits, weights

    def _pixels(self, x: Tensor) -> Tensor:
        """Return the pixels of stored items in [0, 1], (b, c, h, w)."""
        return (x[:, self.layout.slices["image"]].float() / 255).view(-1, *self.layout.image)

    def _categories(self, x: Tensor) -> dict[Part, Tensor]:
        """Return log p of the words and of the label in nats, (b,) each; 0 where they are missing."""
        found = dict[Part, Tensor]()
        for mark, part in enumerate(self.layout.parts[1:], 1):
            there, counts = x[:, mark].float(), x[:, self.layout.slices[part]].float()
            found[part] = there * (counts * self.logits[part].float().log_softmax(-1)).sum(-1)
        return found

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x|z) of stored items in nats, (b,): of the pixels, of each word of the caption, of the label."""
        total: Tensor = x[:, 0].float() * self.image.log_prob(self._pixels(x))
        return total + sum(self._categories(x).values())

    def training_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted costs of the parts, that of an image without its constant, and log p(x|z); each (b,)."""
        there = x[:, 0].float()
        cost, log_likelihood = distortion_and_log_likelihood(self.image, self._pixels(x))
        cost, log_likelihood = there * cost, there * log_likelihood
        for part, each in self._categories(x).items():
            cost, log_likelihood = cost - self.weights[part] * each, log_likelihood + each.detach()
        return cost, log_likelihood

    @property
    def mean(self) -> Tensor:
        """What is expected of each part, float (b, p): 1 for the marks, pixels in [0, 1], probabilities."""
        image = self.image.mean.flatten(1)
        probabilities = [self.logits[part].float().softmax(-1) for part in self.layout.parts[1:]]
        return torch.cat([image.new_ones(len(image), len(self.layout.parts)), image, *probabilities], dim=1)

    @property
    def mode(self) -> Tensor:
        """As `mean`: the likeliest words and label are those of the highest probability."""
        return self.mean

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw an image, one word and a label, float (*sample_shape, b, p)."""
        shape = torch.Size(sample_shape)
        image = self.image.sample(shape).flatten(-3)
        drawn = [OneHotCategorical(logits=self.logits[part].float()).sample(shape) for part in self.layout.parts[1:]]  # type: ignore[no-untyped-call]
        marks = image.new_ones(*image.shape[:-1], len(self.layout.parts))
        return torch.cat([marks, image, *drawn], dim=-1)


class JointDecoder(Decoder):
    """z (b, d) → p(x|z), batch shape (b,), event shape (p,).

    Args:
        layout: where the parts are.
        image: the decoder of images.
        heads: z → the logits of the words and the labels.
        weights: as those of `JointLikelihood`.
    """

    def __init__(
        self, layout: Layout, image: ImageDecoder, heads: Mapping[Part, nn.Module], weights: Mapping[Part, float]
    ) -> None:
        super().__init__()
        self.layout, self.image, self.weights = layout, image, weights
        self.heads = nn.ModuleDict({str(part): head for part, head in heads.items()})

    def forward(self, z: Tensor) -> JointLikelihood:
        """Compute the likelihood."""
        logits: dict[Part, Tensor] = {part: self.heads[part](z) for part in self.layout.parts[1:]}
        return JointLikelihood(self.layout, self.image(z), logits, self.weights)


def networks(layout: Layout, model: ResolvedJointModel) -> tuple[JointEncoder, JointDecoder]:
    """Build encoder and decoder: those of images as they are, perceptrons for captions, linear maps for labels."""
    d, v, k = model.latent_dim, len(layout.words), len(layout.labels)
    image: tuple[ImageEncoder, ImageDecoder] = build(
        model.net, layout.image, latent_dim=d, width=model.width, likelihood="normal", c=model.c
    )
    experts: dict[Part, Encoder] = {"image": image[0]}
    heads: dict[Part, nn.Module] = {}
    if "caption" in layout.parts:
        idf = torch.tensor(layout.idf).clamp_min(LEAST_IDF)
        experts["caption"] = CaptionEncoder(idf, nn.Sequential(*mlp(v, DIM, model.hidden, 2 * d)))
        heads["caption"] = nn.Sequential(*mlp(d, model.hidden, v))
    if "label" in layout.parts:
        experts["label"] = LabelEncoder(nn.Linear(k, 2 * d))
        heads["label"] = nn.Linear(d, k)
    weights: dict[Part, float] = {"caption": model.caption_weight, "label": model.label_weight}
    return JointEncoder(layout, experts), JointDecoder(layout, image[1], heads, weights)
