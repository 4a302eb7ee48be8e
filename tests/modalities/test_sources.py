"""From what stands behind `latentviz fit` to a config and a name."""

from pathlib import Path

import pytest

from latentviz.errors import ConfigError, LatentvizError
from latentviz.modalities.sources import load_config, recipe_folder, recipes, run_name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("photos", "photos"),
        ("photos/", "photos"),
        ("/a/b/cats.npy", "cats"),
        ("hf:ylecun/mnist", "mnist"),
        ("sklearn:digits", "digits"),
        ("a b.npy", "a-b"),
        ("Fotos äöü", "Fotos-äöü"),
        ("../x", "x"),
        ("train-images.idx3-ubyte.gz", "train-images"),
        ("C:\\Users\\me\\cats", "cats"),
        ("!!!", "run"),
    ],
)
def test_a_run_is_named_after_its_source(source: str, expected: str) -> None:
    assert run_name(source) == expected


@pytest.mark.parametrize("source", [".", "..", "/", "./", "", ".hidden", "a/..", "-", "é/."])
def test_every_name_is_a_folder_name(source: str) -> None:
    name = run_name(source)
    assert name
    assert name not in {".", ".."}
    assert Path(name).name == name


def test_a_recipe_is_a_yaml_file_or_its_name() -> None:
    by_name, _ = load_config("digits", {})
    by_path, name = load_config(str(recipe_folder() / "digits.yaml"), {})
    assert by_name == by_path
    assert name == "digits"


def test_a_config_of_a_run_names_the_run(trained: Path) -> None:
    config, name = load_config(str(trained / "config.yaml"), {})
    assert name == "small"
    assert config.model.latent_dim == 4


def test_a_config_in_the_working_folder_names_the_run_after_that(trained: Path, monkeypatch) -> None:
    monkeypatch.chdir(trained)
    assert load_config("config.yaml", {})[1] == "small"


def test_bare_data_finds_its_kind(few: Path) -> None:
    config, name = load_config(str(few), {})
    assert config.data.kind == "image"
    assert config.data.path == str(few)
    assert name == "few"


def test_a_yaml_file_need_not_say_the_kind(tmp_path: Path, few: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"data: {{path: {few}}}\nmodel: {{latent_dim: 3}}\n")
    config, name = load_config(str(tmp_path / "mine.yaml"), {})
    assert (config.data.kind, config.model.latent_dim, name) == ("image", 3, "mine")


def test_a_folder_called_like_a_recipe_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LatentvizError, match="digits"):
        load_config("digits", {})


@pytest.mark.parametrize("source", ["digts", "no/such/folder", "none.yaml", "none.npy"])
def test_what_is_not_there_is_one_line(source: str) -> None:
    with pytest.raises(LatentvizError) as caught:
        load_config(source, {})
    assert source in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_recipe_gets_the_nearest() -> None:
    with pytest.raises(LatentvizError, match=r"Did you mean 'digits'\?"):
        load_config("digts", {})


@pytest.mark.parametrize("text", ["model: {latent_dim: 3}\n", "data: 5\n", "data: {}\n", "data: {kind: 3, path: x}\n"])
def test_a_config_without_data_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml: data") as caught:
        load_config(str(tmp_path / "a.yaml"), {})
    assert "\n" not in str(caught.value)


def test_recipes_are_found_in_the_checkout() -> None:
    assert recipes()["digits"][0].name == "digits.yaml"
