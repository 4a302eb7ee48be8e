"""One contract for each table of generate and recommend: samplers, ways to choose z, metrics."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentviz.errors import ArgumentError, RunError
from latentviz.model.samplers import SAMPLERS, sample
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import WAYS, Options
from latentviz.runs.run import RunFolder
from latentviz.shell.cli import COMMANDS, Parser
from latentviz.stages.recommend import METRICS, Search

ASKED: dict[str, Any] = {
    "prior": True,
    "cluster": 0,
    "between": ("1", "cluster:0"),
    "at": (0.0, 0.0),
    "like": "1",
    "vector": "1 - 2",
    "reconstruct": ["1", "2"],
    "traverse": True,
    "manifold": 3,
    "parts": {"caption": "a red heart"},
}
REFUSED = {  # what this run, of images with a latent of four dimensions, cannot give
    "manifold": (RunError, "needs a latent of 2 dimensions"),
    "parts": (ArgumentError, "items of one part"),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
class TestSamplers:
    def drawn(self, sampler: str, n: int, items: int = 60, seed: int = 0) -> np.ndarray:
        mu = np.random.default_rng(1).normal(size=(items, 3)).astype(np.float32)
        return sample(sampler, mu, np.full_like(mu, -2), n, np.random.default_rng(seed))

    @pytest.mark.parametrize(("n", "items"), [(1, 60), (200, 60), (7, 2)])
    def test_z_are_finite_float32_one_row_a_draw(self, sampler: str, n: int, items: int) -> None:
        z = self.drawn(sampler, n, items)
        assert z.shape == (n, 3)
        assert z.dtype == np.float32
        assert np.isfinite(z).all()

    def test_the_same_seed_draws_the_same(self, sampler: str) -> None:
        assert np.array_equal(self.drawn(sampler, 9), self.drawn(sampler, 9))
        assert not np.array_equal(self.drawn(sampler, 9), self.drawn(sampler, 9, seed=1))


@pytest.mark.parametrize("way", WAYS)
class TestWays:
    def test_every_z_stands_in_the_sheet_once(self, way: str, mapped: Path) -> None:
        lookup = Lookup(RunFolder.open(mapped))
        options = Options(np.random.default_rng(0), n=5, steps=4, sampler="prior")
        if way in REFUSED:
            error, match = REFUSED[way]
            with pytest.raises(error, match=match):
                WAYS[way](lookup, ASKED[way], options)
            return
        plan = WAYS[way](lookup, ASKED[way], options)
        assert plan.z.dtype == np.float32
        assert plan.z.shape[1] == lookup.mu.shape[1]
        assert sorted(number for _, numbers in plan.rows for number in numbers) == list(range(len(plan.z)))
        assert len(plan.origins) in {0, len(plan.z)}
        assert plan.name

    def test_the_shell_offers_it(self, way: str) -> None:
        parser = Parser()
        COMMANDS["generate"].arguments(parser)
        shown = {"parts": "caption"}.get(way, way)
        assert way == "prior" or f"--{shown}" in parser.format_help()


@pytest.mark.parametrize("metric", METRICS)
class TestMetrics:
    def test_an_item_is_most_like_itself_and_higher_is_nearer(self, metric: str) -> None:
        vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
        for row in range(5):
            found = Search(vectors, metric)(vectors[row], 50)
            assert found.rows[0] == row
            assert sorted(found.rows.tolist()) == list(range(50))
            assert (np.diff(found.scores) <= 0).all()

    def test_a_zero_vector_has_finite_scores(self, metric: str) -> None:
        vectors = np.zeros((3, 4), np.float32)
        assert np.isfinite(Search(vectors, metric)(vectors[0], 2).scores).all()
