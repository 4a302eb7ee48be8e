"""The topic of a text: in closed form, of one length, from its rare tokens and not from those of all texts."""

import numpy as np
import pytest
import torch

from latentviz.modalities.text.cooccurrence import token_statistics
from latentviz.modalities.text.nets import TextEncoder
from latentviz.modalities.text.tokens import END
from latentviz.modalities.text.topic import LENGTH, Topic

SIZE, THEMES = 40, 3


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    """Return 600 texts, (600, 7): three tokens that all texts have, then three of the ten of one of three themes."""
    rng = np.random.default_rng(0)
    theme = np.arange(600) % THEMES
    own = 10 + 10 * theme[:, None] + rng.integers(0, 10, (600, 3))
    common = np.broadcast_to([3, 4, 5], (600, 3))
    return np.concatenate([common, own, np.full((600, 1), END)], axis=1).astype(np.int32)


@pytest.fixture(scope="module")
def topic(ids) -> Topic:
    facts = token_statistics(ids, np.arange(500), SIZE, 8, 0, topic=4)
    topic = Topic(SIZE, 4)
    topic.initialise(facts.topics)
    return topic


def test_texts_of_one_theme_are_nearest_neighbours_also_held_out_ones(ids, topic) -> None:
    mu = topic(torch.from_numpy(ids).long()).numpy()
    cosine = mu @ mu.T / LENGTH**2
    np.fill_diagonal(cosine, -1)
    assert (cosine[500:].argmax(axis=1) % THEMES == np.arange(500, 600) % THEMES).all()


def test_every_topic_has_one_length_and_an_empty_text_none(ids, topic) -> None:
    x = torch.from_numpy(ids[:5]).long()
    x[0] = torch.tensor([END, 0, 0, 0, 0, 0, 0])
    x[1] = torch.tensor([1, 1, END, 0, 0, 0, 0])
    lengths = topic(x).norm(dim=1).tolist()
    assert lengths[:2] == [0, 0]
    assert lengths[2:] == pytest.approx([LENGTH] * 3, rel=1e-5)


def test_padding_and_the_order_of_the_tokens_change_nothing(ids, topic) -> None:
    x = torch.from_numpy(ids[:8]).long()
    turned = torch.cat([x[:, :6].flip(1), x[:, 6:], torch.zeros(8, 3, dtype=torch.long)], dim=1)
    torch.testing.assert_close(topic(turned), topic(x))


def test_the_same_texts_give_the_same_topics(ids) -> None:
    first, again = (token_statistics(ids, np.arange(500), SIZE, 8, 0, topic=4).topics for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_more_dimensions_than_there_are_directions_are_zero(ids) -> None:
    facts = token_statistics(ids[:3], np.arange(3), SIZE, 8, 0, topic=256)
    assert facts.topics.table.shape == (SIZE, 256)
    assert np.isfinite(facts.topics.table).all()


def test_the_posterior_begins_as_wide_as_the_prior_in_the_topic(ids, topic) -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(torch.nn.Embedding(SIZE, 8), 7, 6, 4)
    encoder.topic.load_state_dict(topic.state_dict())
    x = torch.from_numpy(ids[:5]).long()
    posterior = encoder(x)
    assert posterior.mean.shape == (5, 10)
    torch.testing.assert_close(posterior.mean[:, :4], topic(x))
    torch.testing.assert_close(posterior.stddev[:, :4], torch.ones(5, 4))
    posterior.mean.sum().backward()
    assert encoder.topic_width.weight.grad is None or not encoder.topic_width.weight.grad.any()
