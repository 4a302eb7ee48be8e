"""README, docs/ and CONTRIBUTING: their commands parse, their Python names, settings, links and files exist."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
SETTING = re.compile(r"(?<![\w/.])((?:data|model|reduce|cluster)\.[a-z]\w*)(?==|$)")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [block for name, block in FENCED.findall(text(page)) if name == language]


def inline(page: Path) -> list[str]:
    return [span.strip() for span in INLINE.findall(FENCED.sub("", text(page)))]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each `latentviz …` in a page, without the program's name and whatever follows a pipe."""
    lines = [line for block in blocks(page, "") for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *inline(page)]:
        for found in re.finditer(r"(?<![\w/`'-])latentviz (?=[a-z-])", line):
            if line[: found.start()].strip() in {"", "$"} or "torchrun" in line or "srun" in line or "&&" in line:
                words = shlex.shlex(line[found.end() :], posix=True, punctuation_chars="&|>")
                words.whitespace_split = True
                yield [*_until_operator(words)]


def _until_operator(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if set(word) <= set("&|>"):
            return
        yield word


def leaves(content: Any) -> Iterator[str]:
    """Every property name in a JSON schema."""
    if isinstance(content, Mapping):
        yield from content.get("properties", {})
        for value in content.values():
            yield from leaves(value)
    elif isinstance(content, list):
        for value in content:
            yield from leaves(value)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the commands that `main` has called, which do nothing."""
    from latentviz.shell import commands as module

    called: list[str] = []
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("_") and function.__module__ == module.__name__:
            monkeypatch.setattr(module, name, lambda *_, _name=name, **__: called.append(_name))
    return called


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_parses(page: Path, parsed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from latentviz.shell.cli import COMMANDS, main

    expected = []
    for words in commands(page):
        if words[:1] in (["--help"], ["COMMAND"]) or len(words) == 1:
            assert words[0].startswith("-") or words[0] in {*COMMANDS, "COMMAND"}, words
            continue
        try:
            main(words)
        except SystemExit as ended:
            pytest.fail(
                f"{page.name}: latentviz {shlex.join(words)}: exit code {ended.code}, {capsys.readouterr().err}"
            )
        expected.append(words[0])
    assert parsed == expected


def test_commands_are_found() -> None:
    found = [words for page in PAGES for words in commands(page)]
    assert ["fit", "digits", "--cluster", "--open"] in found
    assert ["fit", "photos/", "--cluster", "--open"] in found
    assert any("trainer.num_nodes=2" in words for words in found)
    assert len(found) > 50


def test_every_setting_exists(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from latentviz.config import ClusterConfig
    from latentviz.shell.cli import main

    assert main(["schema"]) == 0
    known = {*leaves(json.loads(capsys.readouterr().out)["fit"]), *leaves(ClusterConfig.model_json_schema())}
    spans = [(page, span) for page in PAGES for span in [*inline(page), *blocks(page, "")]]
    given = [(page.name, name) for page, span in spans for name in SETTING.findall(span)]
    assert len(given) > 20
    assert [(page, name) for page, name in given if name.split(".")[1] not in known] == []


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_blocks_use_names_that_exist(page: Path) -> None:
    import latentviz as lv

    owners = {"lv": lv, "run": lv.Run, "result": lv.Result}
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners:
                assert hasattr(owners[node.value.id], node.attr), f"{page.name}: {ast.unparse(node)}"
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "lv"
            ):
                known = inspect.signature(getattr(lv, node.func.attr)).parameters
                assert {keyword.arg for keyword in node.keywords} <= set(known), f"{page.name}: {ast.unparse(node)}"


def test_every_verb_of_the_shell_is_described_in_python() -> None:
    import latentviz as lv

    named = set(re.findall(r"\blv\.(\w+)", text(ROOT / "docs" / "python.md")))
    assert {name for name in lv.__all__ if name.islower()} <= named
    assert all(hasattr(lv, name) for name in named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            linked = (page.parent / file) if file else page
            assert linked.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", text(linked), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{page.name}: {target}"
    for span in inline(page):
        if re.fullmatch(r"(tests|benchmarks|docs|latentviz|configs)/[\w./-]*", span):
            assert (ROOT / span).exists(), f"{page.name}: {span}"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    lines = [line for page in PAGES for line in [*inline(page), *"".join(blocks(page, "")).splitlines()]]
    named = {name for line in lines if line.startswith("make ") for name in line.partition("#")[0].split()[1:]}
    assert {"test", "lint", "map"} <= named <= targets


def test_the_readme_is_short() -> None:
    assert len(text(ROOT / "README.md").splitlines()) <= 120
