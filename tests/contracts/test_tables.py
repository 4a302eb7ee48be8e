"""One contract per table of the package: every entry works and returns what its users rely on."""

import inspect
import re
import shlex

import numpy as np
import pytest
import torch
from torch.distributions import Independent

from latentviz.clustering.clusterers import CLUSTERERS, cluster
from latentviz.clustering.neighbors import neighbours
from latentviz.clustering.partition import Clustering
from latentviz.clustering.reducers import REDUCERS, reduce
from latentviz.config import ClusterConfig, FitConfig, read_yaml, validate
from latentviz.config.trainer import TrainerSection
from latentviz.errors import ConfigError
from latentviz.modalities import MODALITIES, modality
from latentviz.modalities.image.nets import NETS, build
from latentviz.modalities.sources import load_config, recipes
from latentviz.shell import commands
from latentviz.shell.cli import COMMANDS


@pytest.fixture(scope="module")
def latents() -> np.ndarray:
    """Three clouds and a few outliers, float32 (150, 5)."""
    random = np.random.default_rng(0)
    centres = np.repeat(8 * np.eye(3, 5), 45, axis=0)
    return np.concatenate([centres + random.normal(size=(135, 5)), random.uniform(-30, 30, (15, 5))]).astype(np.float32)


@pytest.mark.parametrize("method", REDUCERS)
class TestReducers:
    @pytest.mark.parametrize("k", [1, 2, 7])
    def test_coordinates_are_finite_float32_and_one_row_an_item(self, method, latents, k) -> None:
        if method == "tsne" and k > 2:
            with pytest.raises(ConfigError, match=r"reduce\.n_components: tsne lays out in 1 or 2 dimensions"):
                reduce(method, latents, neighbours(latents, 15), k)
            return
        coordinates = reduce(method, latents, neighbours(latents, 15), k, seed=0, min_dist=0.1, repeatable=True)
        assert coordinates.shape == (150, k)
        assert coordinates.dtype == np.float32
        assert np.isfinite(coordinates).all()

    def test_the_same_seed_gives_the_same_coordinates_byte_for_byte(self, method, latents) -> None:
        graph = neighbours(latents, 15)
        first, again = (reduce(method, latents, graph, 2, seed=3) for _ in range(2))
        assert first.tobytes() == again.tobytes()

    def test_its_input_is_not_modified(self, method, latents) -> None:
        before = latents.copy()
        reduce(method, latents, neighbours(latents, 15), 2, seed=0)
        assert np.array_equal(before, latents)

    def test_read_only_latents_work(self, method, latents) -> None:
        frozen = latents.copy()
        frozen.flags.writeable = False
        assert reduce(method, frozen, neighbours(frozen, 15), 2, seed=0).shape == (150, 2)

    def test_the_config_knows_it(self, method) -> None:
        assert validate(ClusterConfig, {"reduce": {"method": method}}, "x").reduce.method == method
        assert method in ClusterConfig.model_fields["reduce"].annotation.model_fields["method"].description


@pytest.mark.parametrize("method", CLUSTERERS)
class TestClusterers:
    SETTINGS = ClusterConfig().cluster.model_dump(exclude={"method"})

    def found(self, method: str, points: np.ndarray, seed: int = 0) -> Clustering:
        return cluster(method, points, seed=seed, **self.SETTINGS)

    def test_every_item_has_a_cluster_or_is_noise(self, method, latents) -> None:
        found = self.found(method, latents[:, :2])
        assert found.labels.shape == found.probabilities.shape == found.outlier_scores.shape == (150,)
        assert found.labels.dtype == np.int32
        assert found.probabilities.dtype == found.outlier_scores.dtype == np.float32
        assert found.labels.min() >= -1
        assert set(found.labels.tolist()) - {-1} == set(range(found.k)), "clusters are numbered without a gap"
        assert (np.diff(np.bincount(found.labels[found.labels >= 0])) <= 0).all(), "from the largest"

    def test_probabilities_and_scores_lie_in_0_to_1_and_noise_has_none(self, method, latents) -> None:
        found = self.found(method, latents[:, :2])
        for values in (found.probabilities, found.outlier_scores):
            assert np.isfinite(values).all()
            assert values.min() >= 0
            assert values.max() <= 1
        assert (found.probabilities[found.labels == -1] == 0).all()

    @pytest.mark.parametrize("k", [1, 3, 8, 60, "4..6"])
    def test_a_given_number_of_clusters_is_exact(self, method, latents, k) -> None:
        found = cluster(method, latents[:, :2], n_clusters=k)
        assert found.k == found.settings["n_clusters"]
        assert found.k in ([k] if isinstance(k, int) else [4, 5, 6])

    def test_exemplars_are_members(self, method, latents) -> None:
        found = self.found(method, latents[:, :2])
        assert set(found.exemplars) == set(range(found.k))
        for number, rows in found.exemplars.items():
            assert rows
            assert (found.labels[list(rows)] == number).all()

    def test_the_same_seed_gives_the_same_clusters(self, method, latents) -> None:
        first, again = (self.found(method, latents[:, :2]) for _ in range(2))
        assert first.labels.tobytes() == again.labels.tobytes()
        assert first.probabilities.tobytes() == again.probabilities.tobytes()

    def test_it_says_what_took_effect(self, method, latents) -> None:
        settings = self.found(method, latents[:, :2]).settings
        assert settings["method"] == method
        assert "auto" not in settings.values()
        assert set(settings) <= set(type(ClusterConfig().cluster).model_fields)

    @pytest.mark.parametrize(
        "points",
        [
            pytest.param(np.zeros((40, 2), np.float32), id="one spot"),
            pytest.param(np.repeat(np.eye(2, dtype=np.float32), 20, axis=0), id="two spots"),
            pytest.param(np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32), id="hardly any"),
        ],
    )
    def test_degenerate_data_does_not_crash(self, method, points) -> None:
        found = self.found(method, points)
        assert found.labels.shape == (len(points),)
        assert np.isfinite(found.outlier_scores).all()

    def test_the_config_knows_it(self, method) -> None:
        assert validate(ClusterConfig, {"cluster": {"method": method}}, "x").cluster.method == method
        assert method in ClusterConfig.model_fields["cluster"].annotation.model_fields["method"].description


@pytest.mark.parametrize("net", NETS)
def test_nets_make_an_encoder_and_a_decoder_that_fit(net) -> None:
    encoder, decoder = build(net, (1, 12, 9), latent_dim=3, width=4, likelihood="normal", c=1.0)
    posterior = encoder(torch.rand(2, 1, 12, 9))
    likelihood = decoder(posterior.rsample())
    for distribution, event in ((posterior, (3,)), (likelihood, (1, 12, 9))):
        assert isinstance(distribution, Independent)
        assert (distribution.batch_shape, distribution.event_shape) == ((2,), event)
    assert net in modality("image").config.model_fields["model"].annotation.model_fields["net"].description


@pytest.mark.parametrize("kind", MODALITIES)
class TestModalities:
    def test_its_config_is_a_fit_config_of_its_kind(self, kind) -> None:
        config = modality(kind).config
        assert issubclass(config, FitConfig)
        assert validate(config, {"data": {"kind": kind, "path": "x"}}, "x").data.kind == kind

    def test_it_does_not_claim_unknown_files(self, kind, tmp_path) -> None:
        (tmp_path / "notes.xyz").write_text("?")
        assert not modality(kind).detect(str(tmp_path / "notes.xyz"))

    def test_a_resolved_config_has_no_auto(self, kind) -> None:
        resolved = modality(kind).resolved
        assert issubclass(resolved, modality(kind).config)
        for name in ("data", "model"):
            fields = resolved.model_fields[name].annotation.model_fields
            left = [key for key, field in fields.items() if "'auto'" in str(field.annotation)]
            of_parts = {"tokens", "min_count", "max_length", "metric"} if kind == "joint" else set()  # may be missing
            assert set(left) <= {"frames", *of_parts}  # frames: of each file, also of those that `encode` reads later


@pytest.mark.parametrize("name", COMMANDS)
class TestCommands:
    def test_help_shows_examples_that_parse(self, name, shell, monkeypatch) -> None:
        said = shell(name, "--help")
        assert said.code == 0
        assert COMMANDS[name].summary in said.out
        assert COMMANDS[name].examples
        for line in COMMANDS[name].examples.splitlines():
            words = shlex.split(re.split(r" {2,}|[|>]", line.strip())[0])
            assert words[:2] == ["latentviz", name], line
            asked = {}
            monkeypatch.setattr(commands, name.replace("-", "_"), lambda asked=asked, **options: asked.update(options))
            assert shell(*words[1:]).code == 0, line

    def test_it_is_one_function_that_takes_its_options(self, name) -> None:
        function = getattr(commands, name.replace("-", "_"))
        assert inspect.getdoc(function)
        assert len(inspect.getsource(function).splitlines()) <= 25, "wiring, no logic"

    def test_every_option_says_what_it_does(self, name, shell) -> None:
        from argparse import SUPPRESS, ArgumentParser

        parser = ArgumentParser()
        COMMANDS[name].arguments(parser)
        undocumented = [action.dest for action in parser._actions if not action.help or action.help == SUPPRESS]
        assert undocumented == []


@pytest.mark.parametrize("name", recipes())
class TestRecipes:
    def test_its_first_comment_is_the_command_that_runs_it(self, name) -> None:
        first, second, *_ = recipes()[name][0].read_text(encoding="utf-8").splitlines()
        assert first == f"# latentviz fit {name}"
        assert second.startswith("# ")
        assert len(second) <= 122

    def test_it_is_a_valid_config_and_every_trainer_argument_is_known(self, name) -> None:
        config, run = load_config(name, {})
        assert run == name
        assert set(config.trainer) <= set(TrainerSection.model_fields)

    def test_it_repeats_no_default(self, name) -> None:
        """A default is defined in one place."""
        values = read_yaml(recipes()[name][0])
        section = type(load_config(name, {})[0])
        for group in ("model", "data"):
            fields = section.model_fields[group].annotation.model_fields
            given = {key: value for key, value in values.get(group, {}).items() if key != "kind"}
            assert [key for key, value in given.items() if fields[key].default == value] == []
