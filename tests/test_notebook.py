"""The notebook in docs/, executed as Jupyter does."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Executes the notebook; returns its cells of code."""
    notebook = nbformat.read(NOTEBOOK, 4)
    folder = tmp_path_factory.mktemp("notebook")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        client = nbclient.NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        client.execute()
    finally:
        os.environ.pop("PYTHONPATH")
        os.environ.update({} if before is None else {"PYTHONPATH": before})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(cells: list[Any], source: str) -> list[Any]:
    """The outputs of the cell with this in its source."""
    (found,) = (cell for cell in cells if source in cell.source)
    return list(found.outputs)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, 4)
    nbformat.validate(notebook)
    assert [cell for cell in notebook.cells if cell.get("outputs")] == []


def test_a_training_is_one_bar_and_a_few_lines(cells) -> None:
    shown = outputs(cells, "lv.fit(")
    (bar,) = (each for each in shown if each.output_type == "display_data")
    assert "epoch 15/15" in bar.data["text/plain"]
    assert re.search(r'<progress max="(\d+)" value="\1">', bar.data["text/html"])
    lines = [line for each in shown if each.output_type == "stream" for line in each.text.splitlines()]
    assert {each.name for each in shown if each.output_type == "stream"} == {"stdout"}
    assert len(lines) < 15
    assert [line for line in lines if line.strip().startswith("epoch")] == []


def test_a_result_is_an_interactive_map_that_keeps_the_notebook_small(cells) -> None:
    (result,) = (each for each in outputs(cells, "run.cluster(") if each.output_type == "execute_result")
    assert "srcdoc=" in result.data["text/html"]
    sizes = [len(str(each)) for cell in cells for each in cell.outputs]
    assert max(sizes) < 1_200_000
    assert sum(sizes) < 2_000_000


def test_the_widget_and_the_pictures_are_there(cells) -> None:
    (widget,) = outputs(cells, "lv.widget(")
    assert "application/vnd.jupyter.widget-view+json" in widget.data
    for verb in ("run.recommend(", "run.generate("):
        assert "<img" in outputs(cells, verb)[-1].data["text/html"]


@pytest.mark.parametrize("head", ["head.score(", "model.score("])
def test_the_heads_have_learnt_the_digits(cells, head) -> None:
    share = float(re.findall(r"([\d.]+)%", outputs(cells, head)[-1].data["text/plain"])[0])
    assert share > 80
