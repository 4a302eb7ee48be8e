"""Each next step that a message names exists: settings, options, commands and extras."""

import ast
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import latentviz
from latentviz.config import ClusterConfig, Section
from latentviz.config.trainer import TRAINER_KEYS
from latentviz.errors import LatentvizError
from latentviz.modalities import MODALITIES, modality
from latentviz.modalities.sources import load_config
from latentviz.shell.cli import COMMANDS, Parser
from tests.conftest import SMALL

SOURCE = Path(latentviz.__file__).parent
DOTTED = re.compile(r"\b(data|model|trainer|reduce|cluster|map)\.([a-z]\w*)\b(?!\()")
FILES = {
    "csv",
    "json",
    "jsonl",
    "npy",
    "html",
    "png",
    "svg",
    "parquet",
    "arrow",
    "py",
    "yaml",
    "txt",
    "css",
    "ckpt",
    "safetensors",
    "pt",
}


def texts() -> Iterator[tuple[str, str]]:
    """Yields the texts in the package that may be shown: all but docstrings; values in an f-string become `{}`."""
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        skipped = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                skipped.add(id(node.value))
            if isinstance(node, ast.JoinedStr):
                skipped |= {id(part) for part in ast.walk(node) if part is not node}
        for node in ast.walk(tree):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.JoinedStr):
                yield file.name, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield file.name, node.value


def settings() -> set[str]:
    """Returns every dotted key that a user can set."""
    known = {f"trainer.{name}" for name in TRAINER_KEYS}
    for config in [ClusterConfig, *(modality(kind).config for kind in MODALITIES)]:
        for section, field in config.model_fields.items():
            part = field.annotation
            if isinstance(part, type) and issubclass(part, Section):
                known |= {f"{section}.{name}" for name in part.model_fields}
    return known


def test_the_settings_in_messages_exist() -> None:
    known = settings()
    wrong = {
        f"{file}: {match[0]}"
        for file, text in texts()
        if " " in text  # a sentence
        for match in DOTTED.finditer(text)
        if match[0] not in known and match[2] not in FILES and f".{match[0]}" not in text  # a module's name
    }
    assert not wrong


def options(command: str) -> set[str]:
    parser = Parser()
    COMMANDS[command].arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


def test_the_commands_and_options_in_messages_exist() -> None:
    every = {"--version", "--help", "--json", *(option for command in COMMANDS for option in options(command))}
    for file, text in texts():
        if " " not in text:
            continue
        for quoted in re.findall(r"`latentviz ([^`]+)`", text):
            command, *words = quoted.split()
            if command in {"{}", "COMMAND"}:
                continue
            assert command in COMMANDS, (file, quoted)
            used = {word for word in words if word.startswith("--")}
            assert used <= {"--json", *options(command)}, (file, quoted)
        if not text.startswith(("aws ", "gcloud ")):
            assert set(re.findall(r"(?<![\w`-])--[a-z][a-z-]*\b", text)) <= every, (file, text)


def test_the_extras_in_messages_exist() -> None:
    project = SOURCE.parent / "pyproject.toml"
    if not project.exists():
        pytest.skip("an installed package has no pyproject.toml")
    extras = set(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"])
    named = {name for _, text in texts() for name in re.findall(r"latentviz\[([\w-]+)\]", text)}
    assert named <= extras


QUICK = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


@pytest.mark.parametrize("remedy", ["--resume trainer.max_epochs=4", "--force", "--run other"])
def test_what_to_do_about_a_run_that_exists(shell: Callable, few: Path, run_folder: Path, remedy: str) -> None:
    words = ("fit", few, *SMALL[1:], "--outputs", run_folder.parent, "--run", "small")
    complaint = shell(*words, "trainer.max_epochs=3").complaint
    assert all(word in complaint for word in ("--resume trainer.max_epochs=N", "--force", "--run NAME"))
    more = remedy.split() if "max_epochs" in remedy else [*remedy.split(), "trainer.max_epochs=3"]
    outcome = shell(*words, *more)
    assert outcome.code == 0, outcome.err
    assert (run_folder / "run.json").exists()


def test_what_to_do_about_a_clustering_that_exists_or_does_not(shell: Callable, run_folder: Path) -> None:
    complaint = shell("recommend", run_folder, 3, "-k", 2, "--where", "cluster == 0").complaint
    command = re.search(r"`latentviz (cluster [^`]+)`", complaint)
    assert command is not None
    assert shell(*shlex.split(command[1]), *QUICK).code == 0
    assert shell("recommend", run_folder, 3, "-k", 2, "--where", "cluster == 0").code == 0
    complaint = shell("cluster", run_folder, *QUICK).complaint
    for option in ("--force", "--name NAME"):
        assert option in complaint
        assert shell("cluster", run_folder, *QUICK, *option.split()).code == 0


@pytest.mark.parametrize("command", [("recommend", 3, "-k", 2), ("generate", "--n", 2)])
def test_what_to_do_about_a_name_that_is_taken(shell: Callable, run_folder: Path, command: tuple[object, ...]) -> None:
    verb, *rest = command
    words = (verb, run_folder, *rest)
    assert shell(*words, "--name", "mine").code == 0
    complaint = shell(*words, "--name", "mine").complaint
    assert "--force" in complaint
    assert shell(*words, "--name", "mine", "--force").code == 0
    assert shell(*words, "--name", "other").code == 0


def test_what_to_do_about_a_run_that_has_not_finished(shell: Callable, run_folder: Path) -> None:
    for name in ("run.json", "mu.npy", "logvar.npy"):
        (run_folder / name).unlink()
    complaint = shell("cluster", run_folder).complaint
    command = re.search(r"`latentviz (fit [^`]+)`", complaint)
    assert command is not None
    assert shell(*shlex.split(command[1])).code == 0
    assert (run_folder / "run.json").exists()


def test_what_to_do_about_a_damaged_run(shell: Callable, run_folder: Path) -> None:
    (run_folder / "mu.npy").write_bytes(b"x")
    complaint = shell("recommend", run_folder, 3).complaint
    command = re.search(r"`latentviz (fit [^`]+)`", complaint)
    assert command is not None
    assert shell(*shlex.split(command[1])).code == 0
    assert shell("recommend", run_folder, 3, "-k", 2).code == 0


@pytest.mark.parametrize("case", ["encoding", "array", "max_bad", "nothing readable as UTF-16"])
def test_the_setting_that_a_refusal_of_data_names_reads_it(tmp_path: Path, case: str) -> None:
    """The message has the setting, if it can with its value; what it leaves open is filled in here."""
    if case == "encoding":
        path = tmp_path / "t.txt"
        path.write_bytes("\n".join(f"caf\xe9 number {row} is open" for row in range(40)).encode("cp1252"))
    elif case == "array":
        path = tmp_path / "v.npz"
        random = np.random.default_rng(0)
        np.savez(path, one=random.normal(size=(40, 5)), two=random.normal(size=(40, 4)))
    elif case == "max_bad":
        path = tmp_path / "photos"
        path.mkdir()
        from PIL import Image

        for row in range(40):
            Image.fromarray(np.random.default_rng(row).integers(0, 255, (9, 9), np.uint8)).save(path / f"{row}.png")
        for row in range(10):
            (path / f"{row}.png").write_bytes(b"\x89PNG damaged")
    else:
        path = tmp_path / "t.txt"
        path.write_bytes("\n".join(f"line {row} of a text" for row in range(40)).encode("utf-16-le"))
    kind = {"array": "vectors", "max_bad": "image"}.get(case, "text")
    with pytest.raises(LatentvizError) as caught:
        read(kind, path, tmp_path / "cache", {})
    named = re.search(r"data\.(\w+)(?:=([\w.-]+))?", str(caught.value))
    assert named is not None
    assert len(str(caught.value).splitlines()) == 1
    value = {"array": "two", "max_bad": 0.5, "encoding": "cp1252"}.get(case, named[2])
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    read(kind, path, tmp_path / "cache", {named[1]: value})


def read(kind: str, path: Path, cache: Path, data: dict[str, object]) -> None:
    """Reads data as `fit` does."""
    config, _ = load_config(str(path), {"data": {"kind": kind, **data}})
    cache.mkdir()
    modality(kind).data_kind.prepare(config, cache)
