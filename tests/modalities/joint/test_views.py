"""What is encoded of an item in training: augmented images, a second one of each, and each label it may have."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from latentviz.errors import ConfigError
from latentviz.modalities.image.data import Views
from latentviz.modalities.joint.config import ResolvedJointModel
from latentviz.modalities.joint.data import views, with_images
from latentviz.modalities.joint.guesses import MOST_LABELS, check_guesses, with_guesses
from latentviz.modalities.joint.layout import Layout
from latentviz.modalities.joint.nets import JointDecoder, JointEncoder, networks
from latentviz.model.contrast import info_nce
from latentviz.model.training import LightningVAE
from latentviz.model.vae import Batch

LAYOUT = Layout(("image", "caption", "label"), (1, 8, 8), ("red", "heart", "a"), (1.0, 1.5, 0.2), ("x", "y"))
PIXELS, LABEL = LAYOUT.slices["image"], LAYOUT.slices["label"]


def items(*marks: Sequence[int]) -> Tensor:
    """Stored items with these parts."""
    stored = np.random.default_rng(0).integers(0, 2, (len(marks), LAYOUT.size)).astype(np.uint8)
    stored[:, PIXELS] *= 200
    stored[:, :3] = marks
    stored[:, LABEL] = [[int(has[2]), 0] for has in marks]
    return torch.from_numpy(stored)


def how(strength: float) -> Views:
    return Views(strength=strength, flip=False, neighbours=np.empty((0, 0), np.int32))


def test_each_item_with_an_image_has_a_second_one_that_is_encoded_and_not_decoded() -> None:
    x = items((1, 1, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1))
    others = x.roll(1, dims=0)
    plain, batch = views(x, LAYOUT, 0.0), with_images(x, others, LAYOUT, 0.0, how(0.0))
    n = len(plain.x)
    assert torch.equal(batch.x[:n], plain.x), "a strength of 0 changes nothing"
    assert torch.equal(batch.target, plain.target)
    assert torch.equal(batch.x[n:, PIXELS], others[:, PIXELS])
    assert batch.x[n:, :3].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert batch.pairs is not None
    assert torch.equal(batch.pairs[0], plain.pairs[0])
    # The first image is alone in row 4, the third item has no other part, and its other has no image.
    assert batch.pairs[1].tolist() == [[4, -1, -1, 5], [n, -1, -1, n + 3]]
    again = with_images(x, x, LAYOUT, 0.0, how(0.0))
    assert again.pairs is not None
    assert again.pairs[1].tolist() == [[4, -1, 2, 5], [n, -1, n + 2, n + 3]], "the whole third item is its image"


def test_images_are_augmented_and_nothing_else() -> None:
    torch.manual_seed(0)
    x = items((1, 1, 1), (0, 1, 1))
    plain, batch = with_images(x, x, LAYOUT, 0.0, how(0.0)), with_images(x, x, LAYOUT, 0.0, how(1.0))
    rest = torch.ones(LAYOUT.size, dtype=torch.bool)
    rest[PIXELS] = False
    assert torch.equal(plain.x[:, rest], batch.x[:, rest])
    assert torch.equal(plain.target, batch.target)
    changed = (plain.x[:, PIXELS] != batch.x[:, PIXELS]).any(1)
    assert torch.equal(changed, batch.x[:, 0] > 0)


def model(**settings: object) -> LightningVAE:
    torch.manual_seed(0)
    given = {"c": 1.0, "net": "conv", "stop": "limit", "contrast": 2.0, "content_dim": 2, "latent_dim": 4} | settings
    resolved = ResolvedJointModel(**given, caption_weight=2.0, label_weight=3.0, width=4)  # type: ignore[arg-type]
    encoder, decoder = networks(LAYOUT, resolved)
    vae = LightningVAE(encoder, decoder, 4, contrast=resolved.contrast, content_dim=2, temperature=0.5)
    vae._trainer = SimpleNamespace(estimated_stepping_batches=100, global_step=0)
    return vae.eval()


def test_the_loss_has_the_contrast_of_each_pair() -> None:
    x = items(*[(1, 1, 1)] * 4)
    batch, vae = with_images(x, x, LAYOUT, 0.0, how(1.0)), model()
    vae.training_step(batch, 0)
    mu = vae.encoder(batch.x).mean[:, :2]
    assert batch.pairs is not None
    cost = sum(info_nce(mu[first], mu[second], 0.5) for first, second in batch.pairs)
    torch.testing.assert_close(vae.latest["contrast_cost"], 2 * cost)


def test_the_bound_without_a_label_is_the_mean_over_labels_and_an_entropy() -> None:
    vae, x = model(), items((1, 0, 1), (1, 0, 0), (1, 1, 0))
    assert isinstance(vae.encoder, JointEncoder)
    assert isinstance(vae.decoder, JointDecoder)
    plain = views(x, LAYOUT, 0.0)
    batch = with_guesses(plain, x, LAYOUT, vae.decoder.heads["label"])
    start = len(plain.target)
    assert len(batch.target) == start + 4
    assert batch.x[start:, LABEL].tolist() == [[1, 0], [0, 1]] * 2
    assert batch.x[start:, 2].tolist() == [1] * 4
    assert not batch.target[start:, 2].any(), "a guess is not decoded"
    assert torch.equal(batch.x[start::2, PIXELS], x[1:, PIXELS])
    assert batch.weigh is not None
    posterior = vae.encoder(batch.x)
    found = batch.weigh(posterior.mean)
    q = vae.decoder.heads["label"](posterior.mean[1:3]).softmax(-1)
    each = torch.arange(1.0, len(batch.target) + 1)  # any cost of the rows
    bound = (q * each[start:].view(2, 2)).sum() + (q * q.log()).sum()
    torch.testing.assert_close((found.weights * each).mean() + found.cost, (each[:start].sum() + bound) / (start + 2))


def test_guesses_lead_to_the_classifier_and_move_no_pair() -> None:
    vae, x = model(), items((1, 1, 0), (1, 1, 1), (1, 0, 0))
    plain = with_images(x, x, LAYOUT, 0.0, how(0.0))
    batch = with_guesses(plain, x, LAYOUT, vae.decoder.heads["label"])  # type: ignore[operator,union-attr]
    for before, after in zip(plain.pairs.flatten(), batch.pairs.flatten(), strict=True):
        assert (before < 0) == (after < 0)
        assert before < 0 or torch.equal(plain.x[before], batch.x[after])
    loss = vae.training_step(batch, 0)
    assert torch.isfinite(loss)
    alone = Batch(batch.x, batch.target, pairs=batch.pairs, weigh=lambda mu: batch.weigh(mu.detach()))  # type: ignore[misc]
    loss = vae.training_step(alone, 0)
    loss.backward()
    assert vae.decoder.heads["label"].bias.grad.abs().sum() > 0  # type: ignore[operator,union-attr]


def test_items_with_labels_need_no_guesses() -> None:
    x = items((1, 1, 1), (1, 0, 1))
    batch = views(x, LAYOUT, 0.0)
    assert with_guesses(batch, x, LAYOUT, torch.nn.Identity()) is batch


@pytest.mark.parametrize("labels", [(), tuple(map(str, range(MOST_LABELS + 1)))])
def test_m2_needs_labels_and_not_too_many(labels: tuple[str, ...]) -> None:
    parts = ("image", "label") if labels else ("image", "caption")
    layout = Layout(parts, (1, 8, 8), (), (), labels)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^model\.label_objective: m2 .*leave it out"):
        check_guesses(layout)


def test_m2_without_labels_is_refused_in_one_line(shell: Callable, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = ["file_name,caption"]
    for row in range(40):
        Image.fromarray(np.full((8, 8), 6 * row, np.uint8)).save(tmp_path / "data" / f"{row}.png")
        rows.append(f"{row}.png,a {'dark' if row < 20 else 'light'} square")
    (tmp_path / "data" / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    words = ("data.parts=image,caption", "model.label_objective=m2", "--outputs", tmp_path / "outputs")
    outcome = shell("fit", tmp_path / "data", *words)
    assert outcome.code == 2
    assert len(outcome.complaint.splitlines()) == 1
    assert "model.label_objective" in outcome.complaint
    assert "data.parts=image,caption,label" in outcome.complaint
    assert not [*(tmp_path / "outputs").glob("*/config.yaml")]
