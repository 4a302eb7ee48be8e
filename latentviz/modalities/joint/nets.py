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

from latentviz.modalities.image.nets import LOGVAR_LIMIT, ImageDecoder, build, mlp
from latentviz.modalities.joint.config import Part, ResolvedJointModel, text_settings
from latentviz.modalities.joint.layout import NUMBER, Layout
from latentviz.modalities.text.decoder import TextDecoder
from latentviz.modalities.text.decoder import build as build_texts
from latentviz.modalities.vectors.nets import VectorDecoder, VectorEncoder
from latentviz.modalities.vectors.nets import build as build_vectors
from latentviz.modalities.vectors.prepare import Standard
from latentviz.model.base import Decoder, Encoder, Likelihood, NoiseAwareDecoder, distortion_and_log_likelihood
from latentviz.model.elbo import diagonal_normal

LEAST_IDF = 0.1  # of a word that all captions have
CERTAIN, UNCERTAIN = -3.0, 3.0  # log σ² at which a vector's dimensions start
DIM = 128  # units of the words before the hidden ones


def values_of(layout: Layout, part: Part, x: Tensor) -> Tensor:
    """Return one part of stored items uint8 (b, p) as its network takes it.

    Pixels in [0, 1], (b, c, h, w); vectors, float (b, m); tokens, int64 (b, t); counts of words and labels, float.
    """
    found = x[:, layout.slices[part]]
    if part == "vectors":
        return _floats(found)
    if part == "text":
        first, second, third, _ = found.long().reshape(len(x), -1, NUMBER).unbind(-1)
        return first + 256 * second + 65_536 * third
    return (found.float() / 255).view(-1, *layout.image) if part == "image" else found.float()


def _floats(stored: Tensor) -> Tensor:
    """Return the numbers, float32 (b, m), of which these are the bytes, uint8 (b, 4m).

    By arithmetic, which is exact, and which ONNX has, unlike a view of the bytes. Subnormal numbers are 0.
    """
    first, second, third, fourth = stored.float().reshape(len(stored), -1, NUMBER).unbind(-1)
    negative, low = fourth >= 128, third >= 128
    exponent = 2 * (fourth - 128 * negative) + low
    mantissa = 1 + ((third - 128 * low) * 65_536 + second * 256 + first) / (1 << 23)
    value = torch.where(exponent > 0, mantissa * torch.exp2(exponent - 127), 0.0)
    return torch.where(negative, -value, value)


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


class VectorExpert(VectorEncoder):
    """x (b, m) → q(z|vector): the perceptron of vectors, and a linear map next to it for the mean.

    Args:
        like: the encoder of vectors.
        latent_dim: d.
    """

    def __init__(self, like: VectorEncoder, latent_dim: int) -> None:
        super().__init__(like.net, like.centre, like.deviation.numpy())
        self.mean = nn.Linear(len(like.centre), latent_dim, bias=False)
        nn.init.zeros_(self.mean.weight)

    @torch.no_grad()
    def initialise(self, axes: Tensor) -> None:
        """Start as a linear map to the first dimensions, certain of these and of no others.

        Args:
            axes: of the vectors as they are given, (k, m).
        """
        k, d = len(axes), len(self.mean.weight)
        self.mean.weight[:k] = axes * self.deviation
        last = list(self.net.children())[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        last.bias[d : d + k], last.bias[d + k :] = CERTAIN, UNCERTAIN

    def forward(self, x: Tensor) -> "Independent[Normal]":
        """Compute the posterior."""
        standardised = (x - self.centre) / self.deviation
        mu, logvar = self.net(standardised).float().chunk(2, dim=-1)
        return diagonal_normal(mu + self.mean(standardised).float(), logvar.clamp(-LOGVAR_LIMIT, LOGVAR_LIMIT))


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
        values = values_of(self.layout, part, x if rows is None else x[rows])
        if values.is_floating_point():
            values = values.to(next(self.experts.parameters()).dtype)
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
        dense: of the image, the vectors and the text, batch shape (b,); those that are learnt.
        logits: of the words, (b, v), and of the labels, (b, k); those that are learnt.
        weights: of a nat of the words and the labels in the loss; that of the others is 1.
    """

    own_loss = True

    def __init__(
        self,
        layout: Layout,
        dense: Mapping[Part, Distribution],
        logits: Mapping[Part, Tensor],
        weights: Mapping[Part, float],
    ) -> None:
        b = next(iter(dense.values())).batch_shape
        super().__init__(b, torch.Size([layout.size]), validate_args=False)
        self.layout, self.dense, self.logits, self.weights = layout, dense, logits, weights
        self.has_mean = "text" not in dense

    def _there(self, part: Part, x: Tensor) -> Tensor:
        """Return which stored items have a part, float (b,)."""
        return x[:, self.layout.parts.index(part)].float()

    def _categories(self, x: Tensor) -> dict[Part, Tensor]:
        """Return log p of the words and of the label in nats, (b,) each; 0 where they are missing."""
        found = dict[Part, Tensor]()
        for part, logits in self._numbers.items():
            counts = values_of(self.layout, part, x)
            found[part] = self._there(part, x) * (counts * logits.log_softmax(-1)).sum(-1)
        return found

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x|z) of stored items in nats, (b,): of pixels, words, label, numbers and tokens."""
        total = sum(self._categories(x).values(), torch.zeros(len(x), device=x.device))
        for part, each in self.dense.items():
            total = total + self._there(part, x) * each.log_prob(values_of(self.layout, part, x))
        return total

    def training_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted costs of the parts, those of Normals without constants, and log p(x|z); each (b,)."""
        cost = log_likelihood = torch.zeros(len(x), device=x.device)
        for part, likelihood in self.dense.items():
            there, terms = (
                self._there(part, x),
                distortion_and_log_likelihood(likelihood, values_of(self.layout, part, x)),
            )
            cost, log_likelihood = cost + there * terms[0], log_likelihood + there * terms[1]
        for part, each in self._categories(x).items():
            cost, log_likelihood = cost - self.weights[part] * each, log_likelihood + each.detach()
        return cost, log_likelihood

    @property
    def mean(self) -> Tensor:
        """What is expected of each part but a text: 1 for the marks, pixels in [0, 1], probabilities, numbers.

        Float (b, …), each part in its place of `Layout.expected`.
        """
        found: dict[Part, Tensor] = {part: each.softmax(-1) for part, each in self._numbers.items()}
        found |= {part: each.mean.flatten(1) for part, each in self._normals.items()}
        return self._joined(found)

    @property
    def mode(self) -> Tensor:
        """As `mean`: the likeliest words and label are those of the highest probability."""
        return self.mean

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw an image, one word, a label and a vector, float (*sample_shape, b, …), each in its place of `mean`."""
        shape = torch.Size(sample_shape)
        drawn: dict[Part, Tensor] = {
            part: OneHotCategorical(logits=each).sample(shape)  # type: ignore[no-untyped-call]
            for part, each in self._numbers.items()
        }
        drawn |= {part: each.sample(shape).flatten(len(shape) + 1) for part, each in self._normals.items()}
        return self._joined(drawn)

    @property
    def _normals(self) -> dict[Part, Distribution]:
        """The likelihoods of images and vectors."""
        return {part: each for part, each in self.dense.items() if part != "text"}

    @property
    def _numbers(self) -> dict[Part, Tensor]:
        """The logits in single precision."""
        return {part: each.float() for part, each in self.logits.items()}

    def _joined(self, values: Mapping[Part, Tensor]) -> Tensor:
        """Put marks of 1 and the values of the parts, (…, b, numbers), one after another."""
        ordered = [values[part] for part in self.layout.parts if part in values]
        marks = ordered[0].new_ones(*ordered[0].shape[:-1], len(self.layout.parts))
        return torch.cat([marks, *ordered], dim=-1)


class JointDecoder(NoiseAwareDecoder):
    """z (b, d) → p(x|z), batch shape (b,), event shape (p,).

    Args:
        layout: where the parts are.
        dense: the decoders of the image, the vectors and the text.
        heads: z → the logits of the words and the labels.
        weights: as those of `JointLikelihood`.
    """

    image: ImageDecoder
    vectors: VectorDecoder
    text: TextDecoder

    def __init__(
        self,
        layout: Layout,
        dense: Mapping[Part, Decoder],
        heads: Mapping[Part, nn.Module],
        weights: Mapping[Part, float],
    ) -> None:
        super().__init__()
        self.layout, self.dense, self.weights = layout, (*dense,), weights
        for part, decoder in dense.items():
            self.add_module(part, decoder)
        self.heads = nn.ModuleDict({str(part): head for part, head in heads.items()})

    def forward(self, z: Tensor, noise: Tensor | None = None) -> JointLikelihood:
        """Compute the likelihood; only the decoder of texts reads the noise."""
        dense = {part: self.text(z, noise) if part == "text" else self.get_submodule(part)(z) for part in self.dense}
        logits = {part: self.heads[part](z) for part in self.layout.parts if part in self.heads}
        return JointLikelihood(self.layout, dense, logits, self.weights)


def networks(
    layout: Layout, model: ResolvedJointModel, *, standard: Standard | None = None, vocabulary: int = 0
) -> tuple[JointEncoder, JointDecoder]:
    """Build encoder and decoder from those of the other kinds; perceptrons for captions, linear maps for labels.

    Args:
        layout: where the parts are.
        model: the settings.
        standard: the standardisation of the vectors, if they are a part.
        vocabulary: tokens of the texts, if they are a part.
    """
    d, v, k = model.latent_dim, len(layout.words), len(layout.labels)
    experts, dense, heads = dict[Part, Encoder](), dict[Part, Decoder](), dict[Part, nn.Module]()
    if "image" in layout.parts:
        experts["image"], dense["image"] = build(
            model.net, layout.image, latent_dim=d, width=model.width, likelihood="normal", c=model.c
        )
    if "caption" in layout.parts:
        idf = torch.tensor(layout.idf).clamp_min(LEAST_IDF)
        deep = model.caption_net == "mlp"
        experts["caption"] = CaptionEncoder(
            idf, nn.Sequential(*(mlp(v, DIM, model.hidden, 2 * d) if deep else [nn.Linear(v, 2 * d)]))
        )
        heads["caption"] = nn.Sequential(*mlp(d, model.hidden, v))
    if "label" in layout.parts:
        experts["label"] = LabelEncoder(nn.Linear(k, 2 * d))
        heads["label"] = nn.Linear(d, k)
    if standard is not None:
        c = model.vectors_weight / layout.vectors
        encoder, dense["vectors"] = build_vectors(
            standard.centre, standard.deviation, latent_dim=d, width=2 * model.hidden, c=c
        )
        experts["vectors"] = VectorExpert(encoder, d)
    if vocabulary:
        experts["text"], dense["text"] = build_texts(vocabulary, layout.text, text_settings(model))
    weights: dict[Part, float] = {"caption": model.caption_weight, "label": model.label_weight}
    return JointEncoder(layout, experts), JointDecoder(layout, dense, heads, weights)
