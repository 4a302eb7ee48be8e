"""Schedules of the training on texts."""

import math
from types import SimpleNamespace

import pytest
from torch import nn

from latentviz.modalities.text.decoder import Costs, TextDecoder
from latentviz.modalities.text.training import FadeAuxiliary, FullVocabulary
from latentviz.model.training import LightningVAE

COSTS = Costs(0.67, position=0.3, bag=0.2)


def at(step: int, total: float = 100) -> tuple[SimpleNamespace, LightningVAE]:
    """Return a stand-in for a trainer at a step, and its model."""
    decoder = TextDecoder(nn.Embedding(20, 4), 6, 3, memory=4, costs=COSTS, negatives=5)
    model = LightningVAE(nn.Identity(), decoder, 3)
    model._trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=total)
    return model._trainer, model


@pytest.mark.parametrize(("step", "left"), [(0, 1.0), (35, 0.5), (63, 0.1), (99, 0.1)])
def test_auxiliary_terms_fade_to_a_tenth_and_the_likelihood_keeps_its_weight(step: int, left: float) -> None:
    trainer, model = at(step)
    FadeAuxiliary(COSTS).on_train_batch_start(trainer, model)
    assert model.decoder.costs == pytest.approx((0.67, 0.3 * left, 0.2 * left))


def test_a_training_without_end_keeps_them() -> None:
    trainer, model = at(10**6, math.inf)
    FadeAuxiliary(COSTS).on_train_batch_start(trainer, model)
    assert model.decoder.costs == COSTS


@pytest.mark.parametrize(("step", "exact"), [(94, False), (95, True)])
def test_the_last_share_is_trained_on_the_whole_vocabulary(step: int, exact: bool) -> None:
    trainer, model = at(step)
    FullVocabulary(0.05).on_train_batch_start(trainer, model)
    assert model.decoder.exact == exact
