"""The dependencies in pyproject.toml are the imported packages; an upper bound has a reason."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "latentviz"
DISTRIBUTIONS = packages_distributions()
# Distributions that are needed and not imported by name, each with the reason.
UNIMPORTED = dict.fromkeys(("onnx", "onnxscript"), "what torch.onnx.export writes with") | dict.fromkeys(
    ("mlflow", "wandb"), "what Lightning's loggers of trainer.logger write with"
)
UNIMPORTED |= dict.fromkeys(
    ("model2vec", "open-clip-torch", "sentence-transformers", "timm"), "imported by name, in modalities/features.py"
)
# Declared without a pinned version, each with the reason.
UNPINNED = {"mlflow": "needs an older pyarrow than the pinned one"}
# Imported without being declared: they come with what is, and are its own interface.
TRANSITIVE = {
    "lightning_fabric": "pytorch-lightning",
    "scipy": "scikit-learn",
    "numba": "umap-learn",
    "threadpoolctl": "scikit-learn",
    "pynndescent": "umap-learn",
    "huggingface_hub": "datasets",
    "typing_extensions": "pydantic",
    "pydantic_core": "pydantic",
    "traitlets": "anywidget",
}


def declared() -> dict[str, str]:
    """Map each distribution to its requirement line, with the extras that the package imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(
            line
            for extra, lines in project["optional-dependencies"].items()
            if extra not in {"dev", "docs"}
            for line in lines
        ),
    ]
    return {re.split(r"[<>=!~\[; ]", line)[0].lower(): line for line in lines}


def imported() -> set[str]:
    """Find the top-level packages that the code imports, in functions too."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "find_spec":
                found |= {str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)}
    return found - set(sys.stdlib_module_names) - {"latentviz"}


def distributions(package: str) -> set[str]:
    return {name.lower().replace("_", "-") for name in DISTRIBUTIONS.get(package, [package])}


def test_what_is_imported_is_declared() -> None:
    known = set(declared())
    optional = {"tensorboard", "msvcrt", "cuml"}  # used where they are found
    missing = {
        package
        for package in imported() - optional
        if not (distributions(package) & known or TRANSITIVE.get(package) in known)
    }
    assert missing == set()


def test_what_is_declared_is_imported() -> None:
    used = {name for package in imported() for name in distributions(package)}
    assert set(declared()) - used - set(UNIMPORTED) == set()


def test_what_is_declared_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    assert set(declared()) - set(pinned) == set(UNPINNED)
    for name, line in declared().items():
        if name in pinned:
            assert Requirement(line).specifier.contains(pinned[name]), line


def test_an_upper_bound_gives_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for line in declared().values():
        assert ">=" in line, f"{line}: no lower bound"
        if re.search(r"<|==|~=|!=", line):
            written = next(row for row in text.splitlines() if line in row)
            assert re.search(r"#\s*\S+ \S+", written.split(line)[1]), f"{line}: an upper bound without a reason"
