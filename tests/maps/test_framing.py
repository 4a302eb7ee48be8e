"""The first view: a few far groups do not squeeze the rest."""

import numpy as np
import pytest

from latentviz.maps.framing import bulk_box

RNG = np.random.default_rng(0)
CORE = RNG.normal(0, 1, (1000, 2))


@pytest.mark.parametrize(
    ("far", "where", "left_out"),
    [
        (0, 0.0, False),  # one blob
        (20, 30.0, True),  # 2% far away
        (20, 5.0, False),  # 2% nearby: nothing to gain
        (1, 1000.0, True),  # one item
        (400, 30.0, False),  # a third of the map is not a few
    ],
)
def test_far_groups_are_left_out_where_that_pays(far: int, where: float, left_out: bool) -> None:
    points = np.concatenate([CORE, RNG.normal(where, 0.1, (far, 2))])
    x0, y0, x1, y1 = bulk_box(points)
    inside = ((points >= [x0, y0]) & (points <= [x1, y1])).all(axis=1)
    assert bool(inside.all()) is not left_out
    assert inside.mean() > 0.93
    if left_out:
        assert max(x1 - x0, y1 - y0) < 0.4 * np.ptp(points, axis=0).max()


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.ones((1, 2)), np.ones((5, 2)), np.eye(2)[[0, 0, 1]]])
def test_boxes_of_few_points_have_a_size(points: np.ndarray) -> None:
    x0, y0, x1, y1 = bulk_box(points)
    assert x1 > x0
    assert y1 > y0
    assert ((points >= [x0, y0]) & (points <= [x1, y1])).all()
