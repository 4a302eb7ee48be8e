"""The benchmarks' helpers: finished work is skipped, tables match the recorded lines, structure is counted right."""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def line(method: str, seed: int, ari: float, data: str = "digits", n: int = 500) -> dict[str, Any]:
    scores = {"ari": ari, "nmi": 0.9, "acc": 0.8}
    return {
        "data": data,
        "method": method,
        "seed": seed,
        "limit": None,
        "n": n,
        "k": 10,
        "nearest_cluster": scores,
        "cluster": scores,
        "n_clusters": 10 + seed,
        "noise_share": 0.0,
        "knn_accuracy": 0.97,
        "used": {
            "fit": {"seconds": 44.0, "cpu_seconds": 40.0, "peak_mb": 1024},
            "cluster": {"seconds": 25.0, "cpu_seconds": 20.0, "peak_mb": 512},
        },
    }


def test_finished_jobs_are_skipped_and_a_truncated_line_is_redone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from clustering import append, jobs, read

    out = tmp_path / "results.jsonl"
    append(out, line("latentviz", 0, 0.9))
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line("pixels", 0, 0.8))[:40])
    options = argparse.Namespace(
        out=out,
        data=["digits", "mnist=somewhere"],
        seeds=1,
        layout_seeds=2,
        only=None,
        limit=None,
        methods=["latentviz", "pixels"],
    )
    assert list(jobs(options)) == [
        ("digits", "digits", "latentviz", 0, 1),  # a line without a layout seed has that of the training
        ("digits", "digits", "pixels", 0, 0),
        ("mnist", "somewhere", "latentviz", 0, 0),
        ("mnist", "somewhere", "latentviz", 0, 1),
        ("mnist", "somewhere", "pixels", 0, 0),
    ]
    options.only, options.layout_seeds = "digits", 1
    assert len(list(jobs(options))) == 1
    append(out, line("pixels", 0, 0.8))
    assert [r["method"] for r in read(out)] == ["latentviz", "pixels"]
    assert not list(jobs(options))
    assert "damaged line" in capsys.readouterr().err


def test_the_table_has_medians_and_ranges_of_the_largest_set(tmp_path: Path) -> None:
    from clustering_table import write

    out = tmp_path / "results.jsonl"
    seeds = [line("latentviz", seed, ari) for seed, ari in enumerate((0.9, 0.95, 0.91))]
    lines = [line("latentviz", 0, 0.1, n=100), *seeds, line("pixels", 0, 0.8)]
    write(lines, out)
    table = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| **latentviz** | 0.910 [0.900–0.950] | 0.900 | 0.800 |" in table
    assert "| 11 [10–12] |" in table
    assert "| 60 | 1.0 | 3 |" in table
    assert "500 items" in table
    assert "0.100" not in table
    first = out.with_suffix(".svg").read_bytes()
    write([line("latentviz", 0, 0.9)], out)
    write(lines, out)
    assert out.with_suffix(".svg").read_bytes() == first


def test_the_spread_tells_trainings_from_layouts() -> None:
    from clustering_table import spread

    scores = {0: (0.9, 0.94, 0.96), 1: (0.8, 0.82, 0.95)}  # of each training, by layout seed
    results = [
        {**line("latentviz", seed, ari), "layout_seed": layout}
        for seed, of_layouts in scores.items()
        for layout, ari in enumerate(of_layouts)
    ]
    rows = [text.strip("| ").split(" | ") for text in spread(results) if text.startswith("| latentviz | ARI")]
    assert rows == [["latentviz", "ARI", "0.920", "0.800", "0.160", "0.120", "0.150", "2 × 3"]]
    assert not spread(results[:3]), "one training has no spread of trainings"


def test_writing_a_section_of_the_text_results_keeps_the_other_sections(tmp_path: Path) -> None:
    from text import write

    out = tmp_path / "text.md"
    write(out, "tang", ["one"])
    write(out, "english", ["two", "### a heading of its own", "three"])
    write(out, "tang", ["four"])
    assert out.read_text(encoding="utf-8").splitlines() == [
        "# Texts",
        "",
        "## tang",
        "",
        "four",
        "",
        "## english",
        "",
        "two",
        "### a heading of its own",
        "three",
    ]


def test_balanced_knn_weighs_classes_equally() -> None:
    import numpy as np
    from text_baselines import balanced_knn

    rng = np.random.default_rng(0)
    labels = np.repeat(["many", "few"], [900, 40])
    centres = {"many": [5.0, 0.0], "few": [0.0, 5.0]}
    apart = np.array([centres[label] for label in labels]) + rng.normal(size=(940, 2))
    assert balanced_knn(apart, labels, apart[::7], labels[::7]) == 1.0
    alike = rng.normal(size=(940, 2))
    found = balanced_knn(alike, labels, rng.normal(size=(940, 2)), labels)
    assert 0.3 < found < 0.7, "at chance, half is right, however many items a class has"


def test_labelled_sentences_are_read_from_wordnet_and_debian_files() -> None:
    from text_sets import debian, wordnet

    lines = ["  1 a licence\n", '00001740 03 n 01 entity 0 000 | that which is; "an example" \n']
    assert list(wordnet(lines)) == [(" that which is", "file 03")]
    packages = [
        "Package: a\n",
        "Description: reads the news (client)\n",
        "Section: contrib/net\n",
        "\n",
        "Package: b\n",
        "Description: transitional package\n",
        "Section: net\n",
        "\n",
    ]
    assert list(debian(packages)) == [("reads the news", "net")]


def test_scores_of_a_perfect_clustering_of_sentences() -> None:
    from text_english import scores

    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 60)
    vectors = np.repeat([[9.0, 0], [0, 9.0]], 60, axis=0) + rng.normal(0, 0.1, (120, 2))
    found = np.repeat([0, 1], 60)
    knn, count, noise, *rest = scores(vectors, labels, np.where(np.arange(120) % 30 == 0, -1, found), found)
    assert (knn, count, noise) == ("1.000", "2", "3%")
    assert rest[0] == rest[2] == "1.000 / 1.000" != rest[1]


def test_circles_are_the_strongly_connected_components_of_two_or_more_modules() -> None:
    from structure import circles

    edges = [("p.a", "p.b"), ("p.b", "p.c"), ("p.c", "p.a"), ("p.c", "p.d"), ("p.d", "p.e"), ("p.e", "p.d")]
    assert circles(["p.a", "p.b", "p.c", "p.d", "p.e", "p.f"], edges) == [["p.a", "p.b", "p.c"], ["p.d", "p.e"]]


def test_any_is_counted_in_public_signatures_only() -> None:
    import ast

    from structure import any_annotations

    source = """
def public(a: dict[str, Any], b: int, *rest: Any, **others: Any) -> Any: ...
def _private(a: Any) -> Any: ...
class Thing:
    x: Any
    def __init__(self, a: Any | None) -> None: ...
    def method(self, a: Anything) -> None:
        def inner(a: Any) -> None: ...
class _Hidden:
    def method(self, a: Any) -> None: ...
"""
    assert any_annotations(ast.parse(source)) == 5


@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_from_the_package_exists(script: Path) -> None:
    import ast
    from importlib import import_module

    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "latentviz":
            module = import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    import_module(f"{node.module}.{alias.name}")


def test_a_thousand_hostile_cases_are_drawn_and_drawn_again_alike() -> None:
    from hostile_cases import GROUPS

    twice = [{name: list(make(random.Random(0))) for name, make in GROUPS.items()} for _ in range(2)]
    assert sum(map(len, twice[0].values())) >= 1000
    assert {"lines", "links", "json", "settings", "trainer", "python", "surroundings", "stopped"} <= twice[0].keys()
    for name, cases in twice[0].items():
        assert {case.kind for case in cases} == {"image", "text", "vectors"}
        assert [case.command for case in cases] == [case.command for case in twice[1][name]]


@pytest.mark.parametrize("level", [1, 3, 5])
def test_templates_read_what_was_drawn_and_refuse_what_is_no_shape(level: int) -> None:
    from joint_shapes import Templates, said, share

    from latentviz.modalities.joint.shapes import read_shapes

    source, templates = read_shapes(level), Templates(level)
    drawn = np.stack([np.asarray(source.open(row)).transpose(2, 0, 1) for row in range(30)]) / 255
    found = templates.read(drawn)
    captions = source.columns["caption"][:30]
    assert [each and each.caption for each in found] == captions
    words = sorted({word for caption in source.columns["caption"] for word in caption.split()})
    counts = np.array([[caption.split().count(word) for word in words] for caption in captions], float)
    assert share(found, said(level, words, counts)) == 1
    noise = np.random.default_rng(0).random(drawn.shape)
    assert templates.read(noise) == [None] * 30
    assert templates.read(np.zeros_like(drawn)) == [None] * 30
    blurred = drawn.mean(0, keepdims=True)
    assert share(templates.read(np.repeat(blurred, 30, 0)), found) < 0.5


def test_kid_is_zero_on_average_for_one_distribution_and_that_of_its_kernel_for_two() -> None:
    from generate import kid

    rng = np.random.default_rng(0)
    same = [kid(rng.normal(size=(60, 4)), rng.normal(size=(40, 4))) for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 300**0.5
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(5, 3)) + 1
    kernel = lambda x, y: (sum(i * j for i, j in zip(x, y, strict=True)) / 3 + 1) ** 3  # noqa: E731
    pairs = [
        np.mean([kernel(x[i], y[j]) for i in range(len(x)) for j in range(len(y)) if x is not y or i != j])
        for x, y in ((a, a), (b, b), (a, b))
    ]
    assert kid(a, b) == pytest.approx(1000 * (pairs[0] + pairs[1] - 2 * pairs[2]))


def test_halves_share_no_row() -> None:
    from generate import halves

    for one, other in halves(9, 3):
        assert len({*one, *other}) == len(one) + len(other) == 8
