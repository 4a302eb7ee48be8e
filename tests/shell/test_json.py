"""`--json`: each command prints one object, and docs/json.md and `latentviz schema` describe all of its keys."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from latentviz.shell.cli import COMMANDS
from latentviz.shell.schemas import schemas
from tests.conftest import SMALL

ROOT = Path(__file__).parents[2]
SETTINGS = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=3")


def closed(schema: Any) -> Any:
    """The schema that allows no key that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **found} if isinstance(schema.get("properties"), dict) else found


@pytest.fixture
def answer(shell: Callable) -> Callable[..., Any]:
    """Returns a function that runs a command with --json and returns its object, which fits its schema."""

    def run(*words: object, code: int | tuple[int, ...] = 0) -> Any:
        outcome = shell(*words, "--json")
        assert outcome.code in ((code,) if isinstance(code, int) else code), outcome.err
        found = json.loads(outcome.out)
        assert isinstance(found, dict)
        jsonschema.validate(found, closed(schemas()[str(words[0])]))
        return found

    return run


@pytest.fixture(scope="module")
def run(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(mapped, tmp_path_factory.mktemp("json") / "small"))


def walk(run: Path, few: Path, tmp_path: Path) -> Iterator[tuple[object, ...]]:
    """Yields words for each command that has an answer and ends by itself."""
    (tmp_path / "tags.json").write_text(json.dumps({"tags": {"few/3": ["odd"]}, "names": {"0": "round"}}))
    (tmp_path / "labels.csv").write_text("id,label\nfew/0,a\nfew/1,b\nfew/2,a\nfew/3,b\n")
    yield "fit", few, "--dry-run"
    yield "fit", few, *SMALL, *SETTINGS, "--cluster", "--outputs", tmp_path
    if importlib.util.find_spec("optuna") is not None:
        words = [word for word in SMALL if "latent_dim" not in word]
        yield "tune", few, *words, "model.latent_dim=2,3", "--trials", 2, "--outputs", tmp_path
    yield "cluster", run, *SETTINGS, "--name", "again", "--force"
    yield "map", run, "title=Again"
    yield "evaluate", run
    for way in (("--at", "0,0"), ("--reconstruct", 1), ("--traverse", "--steps", 2), ("-n", 2)):
        yield "generate", run, *way
    yield "recommend", run, 3, "-k", 2, "--save"
    yield "encode", run, few
    yield "annotate", run, tmp_path / "tags.json"
    yield "label", run, "--ask", 3
    yield "label", run, tmp_path / "labels.csv"
    yield "compare", run, "--clusterings", "default", "again"
    yield "export", run, "--card", "--force"
    yield "verify", run
    yield "runs", "--outputs", run.parent
    yield ("recipes",)
    yield "config", few
    yield "config", "--preset", "quick"
    yield ("schema",)


@pytest.mark.slow
def test_every_command_prints_an_object_of_its_schema(answer, run: Path, few: Path, tmp_path: Path) -> None:
    seen = set()
    for words in walk(run, few, tmp_path):
        found = answer(*words, code=(0, 1) if words[0] == "evaluate" else 0)
        assert found
        seen.add(words[0])
    assert seen | {"explore", "tune"} == {*COMMANDS} - {"mcp"} == {*schemas()}


def test_the_answer_agrees_with_the_run(answer, run: Path) -> None:
    info = json.loads((run / "clusters" / "default" / "clusters.json").read_text(encoding="utf-8"))
    found = answer("map", run)
    assert (found["clusters"], found["items"]) == (info["clusters"], 200)
    assert Path(found["map"]).is_file()
    assert answer("recommend", run, 3, "-k", 2)["folder"] is None


def test_explore_prints_its_address_on_one_line(answer, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    monkeypatch.setattr("latentviz.serving.server.Server.run", lambda server: None)
    found = answer("explore", run)
    assert found["address"].startswith("http://127.0.0.1:")


def test_a_damaged_run_is_an_answer_and_a_mistake_is_a_line(answer, shell, run: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "broken"))
    (broken / "mu.npy").write_bytes(b"x")
    found = answer("verify", broken, code=2)
    assert not found["ok"]
    assert "mu.npy" in found["damage"][0]
    assert "no run of this name" in shell("map", tmp_path / "none", "--json").complaint


def test_the_page_lists_the_keys_of_the_types() -> None:
    spec = importlib.util.spec_from_file_location("json_page", ROOT / "tools" / "json_page.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text(encoding="utf-8")
    assert text == tool.page(text), "run `python tools/json_page.py`"
    assert all(f"\n### {name}\n" in text for name in {*COMMANDS} - {"mcp"})
