"""Configs: what a user may write, and what is said when it does not fit."""

from pathlib import Path

import pytest

from latentviz.config import (
    ClusterConfig,
    dump,
    dump_commented,
    merge,
    parse_overrides,
    read_yaml,
    validate,
)
from latentviz.errors import ConfigError
from latentviz.modalities import MODALITIES, modality
from latentviz.modalities.sources import load_config, recipes

CONFIG = modality("image").config
DATA = {"kind": "image", "path": "x"}


def complaint(values: dict, section: type = CONFIG) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(section, values, "my.yaml")
    return str(caught.value)


def of_image(data: dict | None = None, **sections: object) -> dict:
    return {"data": {**DATA, **(data or {})}, **sections}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            of_image(modle={}),
            "modle: unknown key; allowed here: preset, seed_everything, check_memory, preview, data, model, trainer",
        ),
        (of_image(model={"latentdim": 3}), "Did you mean 'latent_dim'?"),
        (of_image(model={"3.5": 2}), "model.3.5: unknown key; allowed here: "),
        (of_image(model={3.5: 2}), "model.3.5: unknown key; allowed here: "),
        (of_image(model={"latent_dim": "many"}), "model.latent_dim: must be a whole number (got 'many')"),
        (of_image(model={"latent_dim": 2.5}), "model.latent_dim: must be a whole number (got 2.5)"),
        (of_image(model={"latent_dim": 0}), "model.latent_dim: must be greater than or equal to 1 (got 0)"),
        (of_image(model={"c": "lots"}), "model.c: must be a number or 'auto' (got 'lots')"),
        (of_image(model={"c": -1}), "model.c: must be greater than 0 (got -1)"),
        (of_image(model={"lr": float("nan")}), "model.lr: must be a finite number (got nan)"),
        (of_image(model={"lr": float("inf")}), "model.lr: must be a finite number (got inf)"),
        (
            of_image(model={"net": "cnov"}),
            "model.net: must be 'conv' or 'conv4' or 'residual' or 'mlp' or 'auto' (got 'cnov'). Did you mean 'conv'?",
        ),
        (
            of_image({"size": "big"}),
            "data.size: must be a whole number or [a whole number, a whole number] or 'auto' or 'small' (got 'big')",
        ),
        (of_image({"size": [8, "a"]}), "(got [8, 'a'])"),
        (of_image({"channels": "auot"}), "data.channels: must be 1 or 3 or 'auto' (got 'auot'). Did you mean 'auto'?"),
        (of_image({"val_fraction": 2}), "data.val_fraction: must be less than 0.9 (got 2)"),
        (
            of_image(trainer={"max_epoch": 3}),
            "trainer.max_epoch: unknown key; Lightning's Trainer has no such argument. Did you mean 'max_epochs'?",
        ),
        (of_image(trainer={"barebones": True}), "trainer.barebones: it turns off the checkpoints"),
        (of_image(model={"latent_dim": True}), "model.latent_dim: must be a whole number (got True)"),
        (of_image({"size": [8, True]}), "data.size: must be a whole number or [a whole number, a whole number]"),
        (of_image({"channels": True}), "data.channels: must be 1 or 3 or 'auto' (got True)"),
        (of_image(model={"lr": 1e300}), "model.lr: must be 0 or from 1e-30 to 1e+30 (got 1e+300)"),
        (of_image(trainer={"max_epochs": "x"}), "trainer.max_epochs: must be a whole number from 1 on"),
        (of_image(trainer={"max_epochs": 0}), "trainer.max_epochs: must be a whole number from 1 on"),
        (of_image(trainer={"max_steps": 1.5}), "trainer.max_steps: must be a whole number from 1 on"),
        (of_image(trainer=5), "trainer: must be a section of keys (got 5)"),
        (of_image(model=7), "model: must be a section of keys (got 7)"),
        ({"data": {"kind": "image"}}, "data.path: missing"),
        (of_image(seed_everything=-1), "seed_everything: must be greater than or equal to 0 (got -1)"),
    ],
)
def test_a_mistake_is_one_line_that_names_key_value_and_what_is_allowed(values: dict, expected: str) -> None:
    said = complaint(values)
    assert expected in said
    assert said.startswith("my.yaml: ")
    assert "\n" not in said


def test_all_mistakes_are_reported_at_once_each_key_once() -> None:
    said = complaint(
        of_image(
            {"size": "big", "batch_size": 0},
            model={"latent_dim": "x", "neet": 1},
            trainer={"max_epoch": 3, "presicion": 16},
        )
    )
    first, *lines = said.splitlines()
    assert first == "my.yaml: 6 mistakes"
    assert {line.split(":")[0].strip() for line in lines} == {
        "data.size",
        "data.batch_size",
        "model.latent_dim",
        "model.neet",
        "trainer.max_epoch",
        "trainer.presicion",
    }
    assert len(lines) == 6


def test_mistakes_in_a_clustering_are_reported_the_same_way() -> None:
    said = complaint({"cluster": {"min_cluster_size": 1, "selection": "lef"}}, ClusterConfig)
    assert "cluster.min_cluster_size: must be greater than or equal to 2 (got 1)" in said
    assert "Did you mean 'leaf'?" in said


def test_a_config_does_not_change_after_it_was_read() -> None:
    config = validate(CONFIG, of_image(), "x")
    with pytest.raises(ValueError, match="frozen"):
        config.seed_everything = 3


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "1.0e-3", ".1e-2", "0.001"])
def test_yaml_reads_exponents_as_numbers(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(f"model:\n  lr: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"model": {"lr": 0.001}}
    assert parse_overrides([f"model.lr={text}"]) == {"model": {"lr": 0.001}}


@pytest.mark.parametrize("text", ["1e", "e3", "v1e3", "1e-3x"])
def test_yaml_leaves_text_that_is_no_number_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(f"name: {text}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"name": text}


def test_a_duplicate_key_is_an_error_with_both_lines(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("model:\n  lr: 1\n  width: 8\n  lr: 2\n")
    with pytest.raises(ConfigError, match=r"twice\.yaml: line 4: .*'lr'.*line 2"):
        read_yaml(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1\n", "a config must be a mapping of sections (got list)"),
        ("", "a config must be a mapping of sections (got NoneType)"),
        ("a: [1\n", "not valid YAML"),
        ("a: \0\n", "not valid YAML (unacceptable character #x0000: special characters are not allowed in"),
        ("a: !!python/object/apply:os.system [id]\n", "not valid YAML"),
        ("? [1]\n: 2\n", "line 1: a key must be text (got [1])"),
        ("model:\n  3.5: 2\n", "line 2: a key must be text (got 3.5)"),
    ],
)
def test_a_file_that_is_no_config_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "a.yaml")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"cannot be read|not valid YAML"):
        read_yaml(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a.b.c=1", "a.b.d=x"], {"a": {"b": {"c": 1, "d": "x"}}}),
        (["a=[1, 2]"], {"a": [1, 2]}),
        (["a="], {"a": ""}),
        (["a=null"], {"a": None}),
        (["a=b=c"], {"a": "b=c"}),
        (["a=yes"], {"a": True}),
        (["a=[oops"], {"a": "[oops"}),
        (["a.b=1", "a.b=2"], {"a": {"b": 2}}),
    ],
)
def test_overrides_are_read_as_yaml(words: list[str], expected: dict) -> None:
    assert parse_overrides(words) == expected


@pytest.mark.parametrize("words", [["latent_dim"], ["=3"], ["a=1", "a.b=2"], ["a..b=1"], [".a=1"], ["a.=1"]])
def test_what_is_no_override_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_overrides(words)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (CONFIG, of_image({"size": "auto", "channels": "auto"}, model={"c": "auto"})),
        (ClusterConfig, {"cluster": {"min_cluster_size": "auto", "min_samples": "auto", "n_clusters": "auto"}}),
    ],
)
def test_auto_may_be_written_out(section: type, values: dict) -> None:
    assert validate(section, values, "x") == validate(section, {"data": DATA} if section is CONFIG else {}, "x")


def test_merging_changes_neither_side() -> None:
    base, over = {"a": {"x": 1}}, {"a": {"y": 2}, "b": 3}
    assert merge(base, over) == {"a": {"x": 1, "y": 2}, "b": 3}
    assert (base, over) == ({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3})


@pytest.mark.parametrize("write", [dump, dump_commented])
def test_what_is_written_reads_back_to_the_same_config(tmp_path: Path, write) -> None:
    config = validate(
        CONFIG,
        of_image(
            {"path": "é: #1", "size": [8, 9]},
            model={"lr": 1e-5, "c": 3.5},
            trainer={"max_epochs": 3, "devices": [0, 1]},
        ),
        "x",
    )
    file = tmp_path / "c.yaml"
    file.write_text(write(config), encoding="utf-8")
    assert validate(CONFIG, read_yaml(file), "x") == config


@pytest.mark.parametrize("section", [ClusterConfig, *(modality(kind).config for kind in MODALITIES)])
def test_every_key_says_what_it_means(section: type) -> None:
    def look(of: type, path: str) -> None:
        for name, field in of.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                look(field.annotation, f"{path}{name}.")
            else:
                assert field.description, f"{path}{name} has no description"

    look(section, "")


def test_overrides_beat_the_recipe_and_leave_the_rest() -> None:
    plain, _ = load_config("digits", {})
    changed, name = load_config("digits", {"model": {"latent_dim": 3}})
    assert name == "digits"
    assert changed.model.latent_dim == 3
    assert changed.model_copy(update={"model": plain.model}) == plain


def test_an_unknown_data_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.kind"):
        load_config("digits", {"data": {"kind": "imagge"}})


def test_every_recipe_is_listed_with_a_line() -> None:
    assert "digits" in recipes()
    for path, line in recipes().values():
        assert line, f"{path}: the second comment says what the recipe is"
