"""`latentviz mcp`: agents read the runs of one folder; hostile arguments end in an error of the tool."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from latentviz.runs.run import RunFolder

pytest.importorskip("mcp")

TOOLS = {"list_runs", "describe_run", "query_points", "show_items", "show_cluster", "decode", "recommend"}


@pytest.fixture(scope="module")
def outputs(mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a link to one elsewhere, and a run that a link leaves."""
    folder = tmp_path_factory.mktemp("agents") / "outputs"
    shutil.copytree(mapped, folder / "small")
    (folder / "linked").symlink_to(mapped)
    shutil.copytree(mapped, folder / "leaving", ignore=shutil.ignore_patterns("generated"))
    (folder / "leaving" / "generated").symlink_to("/etc")
    return folder


def call(outputs: Path, name: str, arguments: Mapping[str, Any]) -> Any:
    """Calls a tool as a client does, and returns its result."""
    from mcp.client.client import Client

    from latentviz.stages.mcp import server

    async def asked() -> Any:
        async with Client(server(str(outputs))) as client:
            return await client.call_tool(name, dict(arguments))

    return asyncio.run(asked())


def answer(outputs: Path, name: str, **arguments: Any) -> Any:
    """Returns the object that a tool answers with; a mistake fails the test."""
    found = call(outputs, name, arguments)
    assert not found.is_error, found.content
    return found.structured_content


def mistake(outputs: Path, name: str, **arguments: Any) -> str:
    """Returns what a tool says about a mistake."""
    found = call(outputs, name, arguments)
    assert found.is_error, found
    [content] = found.content
    assert "Traceback" not in content.text
    assert "\n" not in content.text
    assert "pydantic" not in content.text
    assert "--" not in content.text
    assert content.text != f"Error executing tool {name}", "a bug, not a mistake"
    return str(content.text)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with its size and time."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {str(file): (file.lstat().st_size, file.lstat().st_mtime_ns) for file in files}


def test_the_tools_say_that_they_only_read(outputs: Path) -> None:
    from latentviz.stages.mcp import server

    tools = asyncio.run(server(str(outputs)).list_tools())
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert not tool.annotations.open_world_hint


def test_runs_are_listed_and_described(outputs: Path) -> None:
    runs = {run["run"]: run for run in answer(outputs, "list_runs")["runs"]}
    assert runs.keys() == {"small", "leaving"}, "a link to a run elsewhere is none of this folder"
    assert runs["small"]["items"] == 200
    assert "link that leaves the run" in runs["leaving"]["problem"]
    found = answer(outputs, "describe_run", run="small")
    assert sum(cluster["size"] for cluster in found["clusters"]) == 200
    assert {"id", "x", "y", "cluster"} <= {*found["columns"]}


def test_points_are_those_of_the_clustering(outputs: Path) -> None:
    points = RunFolder(outputs / "small").clustering().points().to_pylist()
    expected = sorted((p for p in points if p["cluster"] == 1), key=lambda p: -p["x"])
    found = answer(
        outputs, "query_points", run="small", where="cluster == 1", sort="x", descending=True, limit=3, columns=["id"]
    )
    assert found["total"] == len(expected)
    assert found["rows"] == [{"id": point["id"]} for point in expected[:3]]


def test_items_and_clusters_come_with_images(outputs: Path) -> None:
    found = call(outputs, "show_cluster", {"run": "small", "cluster": 2, "examples": 3}).content
    assert [content.type for content in found] == ["text", *["text", "image"] * 3]
    about = json.loads(found[0].text)
    clusters = RunFolder(outputs / "small").clustering().info()["clusters"]
    assert about["size"] == clusters[2]["size"]
    assert json.loads(found[1].text)["cluster"] == 2
    [text, image] = call(outputs, "show_items", {"run": "small", "items": ["7"]}).content
    assert json.loads(text.text)["row"] == 7
    assert image.mime_type == "image/png"


def test_positions_and_latents_are_decoded(outputs: Path) -> None:
    mu = RunFolder(outputs / "small").mu()
    place = call(outputs, "decode", {"run": "small", "x": 0.0, "y": 0.0}).content
    assert "near" in json.loads(place[0].text)
    assert place[1].type == "image"
    latents = call(outputs, "decode", {"run": "small", "z": mu[:2].tolist()}).content
    assert [content.type for content in latents] == ["text", "image"] * 2
    assert latents[1].data != latents[3].data


def test_recommendations_are_those_of_the_command(outputs: Path, shell: Callable) -> None:
    said = shell("recommend", outputs / "small", 3, "-k", 4, "--where", "cluster >= 0", "--json")
    found = answer(outputs, "recommend", run="small", items=["3"], k=4, where="cluster >= 0")
    assert found["recommended"] == json.loads(said.out)["recommended"]


def test_a_text_is_a_text_and_never_a_file(outputs: Path, tmp_path: Path) -> None:
    from latentviz.shell import commands

    lines = [f"{word} {number}" for word in ("red cat", "old sea") for number in range(60)]
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    settings = ["trainer.max_epochs=3", "model.latent_dim=4", "reduce.method=pca", "cluster.method=gmm"]
    commands.fit(str(tmp_path / "texts.txt"), settings, outputs=str(tmp_path / "outputs"), cluster=True)
    found = answer(tmp_path / "outputs", "recommend", run="texts", text="red cat 7", k=2)
    assert len(found["recommended"]) == 2
    secret = tmp_path / "secret.txt"
    secret.write_text("old sea 3")
    by_path = answer(tmp_path / "outputs", "recommend", run="texts", text=str(secret), k=2)
    assert "old sea" not in json.dumps(by_path["place"])
    assert "no item of texts" in mistake(tmp_path / "outputs", "recommend", run="texts", items=[str(secret)])


HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("describe_run", {"run": "../small"}, "none is named"),
    ("describe_run", {"run": "/etc"}, "none is named"),
    ("describe_run", {"run": "linked"}, "none is named"),
    ("describe_run", {"run": "hf:me/small"}, "none is named"),
    ("describe_run", {"run": "smal"}, "Did you mean 'small'"),
    ("describe_run", {"run": "\x00"}, "none is named"),
    ("describe_run", {"run": "x" * 10_000}, "run: must have at most 1000 characters \\(got .{,70}$"),
    ("describe_run", {"run": "leaving"}, "leaves the run"),
    ("describe_run", {"run": "small", "clustering": "../../small/clusters/default"}, "has none named"),
    ("describe_run", {}, "run: missing"),
    ("describe_run", {"run": "small", "runn": "x"}, "runn: unknown argument.*Did you mean 'run'"),
    ("query_points", {"run": "small", "limit": 10**9}, "less than or equal to 200"),
    ("query_points", {"run": "small", "start": -1}, "greater than or equal to 0"),
    ("query_points", {"run": "small", "where": "__import__('os').system('true')"}, "not understood|only comparisons"),
    ("query_points", {"run": "small", "where": "x ** 9 > 1"}, "only|must be a column"),
    ("query_points", {"run": "small", "sort": "nothing"}, "unknown value 'nothing'"),
    ("query_points", {"run": "small", "columns": ["nothing"]}, "unknown 'nothing'"),
    ("show_items", {"run": "small", "items": ["/etc/passwd"]}, "no item of small"),
    ("show_items", {"run": "small", "items": ["cluster:1"]}, "no item of small"),
    ("show_items", {"run": "small", "items": [str(10**30)]}, "rows of small go from 0"),
    ("show_items", {"run": "small", "items": ["1"] * 13}, "at most 12"),
    ("show_cluster", {"run": "small", "cluster": 77}, "has no such cluster"),
    ("show_cluster", {"run": "small", "cluster": 10**30}, "less than 1000000"),
    ("decode", {"run": "small"}, "give x and y"),
    ("decode", {"run": "small", "x": 1.0}, "give x and y"),
    ("decode", {"run": "small", "x": 1e300, "y": 0.0}, "at: must be two numbers"),
    ("decode", {"run": "small", "x": "NaN", "y": 0.0}, "finite number"),
    ("decode", {"run": "small", "z": [[1.0]]}, "must be an array of numbers"),
    ("decode", {"run": "small", "z": [[1.0], [1.0, 2.0]]}, "must be an array of numbers"),
    ("decode", {"run": "small", "z": [[1e308] * 4]}, "z: must be -1,000,000 to 1,000,000"),
    ("decode", {"run": "small", "z": [[1e38] * 4]}, "z: must be -1,000,000 to 1,000,000"),
    ("decode", {"run": "small", "z": [[0.0] * 4] * 17}, "at most 16"),
    ("recommend", {"run": "small"}, "give items"),
    ("recommend", {"run": "small", "items": ["/etc/passwd"]}, "no item of small"),
    ("recommend", {"run": "small", "items": ["1"], "disliked": ["/etc/passwd"]}, "no item of small"),
    ("recommend", {"run": "small", "items": ["1"], "k": 0}, "greater than or equal to 1"),
    ("recommend", {"run": "small", "text": "/etc/passwd"}, "are no texts"),
    ("recommend", {"run": "small", "text": "x" * 30_000}, "at most 20000"),
]


@pytest.mark.parametrize(("name", "arguments", "expected"), HOSTILE, ids=lambda value: None)
def test_hostile_arguments_are_an_error_of_the_tool(
    outputs: Path, name: str, arguments: dict[str, Any], expected: str
) -> None:
    import re

    assert re.search(expected, mistake(outputs, name, **arguments))


def test_nothing_is_written(outputs: Path) -> None:
    before = state(outputs.parent)
    for name, arguments, _ in HOSTILE:
        call(outputs, name, arguments)
    answer(outputs, "recommend", run="small", items=["3"])
    call(outputs, "decode", {"run": "small", "x": 0.0, "y": 0.0})
    assert state(outputs.parent) == before


def test_a_run_that_changes_is_read_again(outputs: Path, tmp_path: Path) -> None:
    from latentviz.stages.questions import Questions

    folder = tmp_path / "outputs"
    shutil.copytree(outputs / "small", folder / "small")
    questions = Questions(str(folder))
    assert questions.show_cluster("small", 0, examples=0)[0]["name"] == ""
    import latentviz as lv

    lv.annotate(folder / "small", {"names": {0: "round"}})
    assert questions.show_cluster("small", 0, examples=0)[0]["name"] == "round"


def test_a_missing_folder_is_refused(tmp_path: Path, shell: Callable) -> None:
    assert "no such folder" in shell("mcp", "--outputs", tmp_path / "nothing").complaint


@pytest.mark.slow
def test_input_that_ends_ends_the_server(outputs: Path) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    asked["params"] = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    words = [sys.executable, "-m", "latentviz", "mcp", "--outputs", str(outputs)]
    ended = subprocess.run(words, input=f"{json.dumps(asked)}\n", capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["id"] == 1


@pytest.mark.slow
def test_a_client_over_standard_input(outputs: Path) -> None:
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = ["-m", "latentviz", "mcp", "--outputs", str(outputs)]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))

    async def asked() -> Any:
        async with Client(stdio_client(parameters)) as client:
            return await client.call_tool("recommend", {"run": "small", "items": ["3"], "k": 2})

    assert len(asyncio.run(asked()).structured_content["recommended"]) == 2


def test_without_the_package_the_line_says_what_to_install(
    shell: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    assert "pip install 'latentviz[mcp]'" in shell("mcp", "--outputs", tmp_path).complaint
