"""Import layers: a command loads only the libraries that it needs."""

import json
import subprocess
import sys

import pytest

# Third-party packages that take a tenth of a second or more to import.
HEAVY = {
    "torch",
    "pytorch_lightning",
    "umap",
    "hdbscan",
    "plotly",
    "sklearn",
    "datasets",
    "matplotlib",
    "pandas",
    "scipy",
    "numba",
    "PIL",
    "numpy",
    "pyarrow",
    "tqdm",
}
L1 = {"pydantic", "yaml"}


def loaded(code: str) -> set[str]:
    """Return the top-level packages that a new Python process has loaded after `code`."""
    script = f"import sys, json\n{code}\nsys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(ended.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["fit", "--help"],
        ["cluster", "--help"],
        ["--version"],
        *([name, "--help"] for name in ("generate", "recommend", "encode", "annotate", "export")),
    ],
)
def test_help_loads_nothing_but_the_standard_library(words: list[str]) -> None:
    code = f"from latentviz.shell.cli import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass"
    assert not loaded(code) & (HEAVY | L1)


def test_the_package_itself_loads_nothing() -> None:
    assert not loaded("import latentviz") & (HEAVY | L1)


@pytest.mark.parametrize(
    "module",
    [
        "config",
        "modalities.sources",
        "modalities",
        "modalities.base",
        "modalities.image.modality",
        "errors",
        "progress",
        "shell.commands",
    ],
)
def test_what_reads_configs_stays_light(module: str) -> None:
    assert not loaded(f"import latentviz.{module}") & HEAVY


def test_a_misspelt_setting_is_reported_without_loading_torch() -> None:
    code = "from latentviz.shell.cli import main\nassert main(['fit', 'digits', 'model.latentdim=3']) == 2"
    assert not loaded(code) & {"torch", "pytorch_lightning", "umap", "hdbscan", "sklearn", "plotly", "matplotlib"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("runs.run", {"torch", "umap", "hdbscan", "plotly", "sklearn"}),
        ("clustering.reducers", {"torch", "hdbscan", "plotly", "umap"}),
        ("clustering.clusterers", {"torch", "umap", "plotly", "hdbscan"}),
        ("clustering.neighbors", {"torch", "umap", "plotly", "hdbscan"}),
        ("stages.fit", {"umap", "hdbscan", "plotly", "datasets"}),  # includes elbo, vae and encoding
        ("maps", {"torch", "umap", "hdbscan"}),
        (
            "stages.recommend, latentviz.queries.ways, latentviz.clustering.placement, latentviz.clustering.prediction",
            {"torch", "umap", "hdbscan", "sklearn"},
        ),
        (
            "modalities.image.show, latentviz.modalities.image.new",
            {"torch", "umap", "hdbscan", "plotly", "sklearn", "pandas"},
        ),
        (
            "stages.generate, latentviz.stages.encode, latentviz.stages.export",
            {"umap", "hdbscan", "plotly", "datasets", "onnx"},
        ),
    ],
)
def test_each_layer_loads_no_other_s_heavy_library(module: str, unwanted: set[str]) -> None:
    assert not loaded(f"import latentviz.{module}") & unwanted
