"""Measure the structure of a checkout: its modules, import circles, lines, `Any` between rooms, and call depth.

    python benchmarks/structure.py                                  # this checkout
    python benchmarks/structure.py BEFORE . --out benchmarks/results/structure.md
    python benchmarks/structure.py . --json

A checkout is a folder that holds `latentviz/`; `git archive COMMIT | tar x -C BEFORE` makes one of an old commit. Its
code is imported in child processes only, so one call can compare two checkouts. Definitions:

- Root modules: the .py files directly in `latentviz/`.
- Import circles: strongly connected components of two or more modules in grimp's graph of direct imports. Imports
  inside functions and under `if TYPE_CHECKING` count; importing a name from a package is an edge to its `__init__`.
- Room: a folder directly in `latentviz/`; a root module is a room of its own.
- `Any` across rooms: annotations (of a parameter or a return) that contain `Any`, in public functions and methods of
  public classes, in modules that another room imports.
- Lines that read data: everything in `modalities/` except the files listed in `NOT_READING` (networks, training,
  drawing, keywords, settings). A new file counts as reading until it is listed there.
- Hops: a tiny run is fitted, then `latentviz cluster` runs under `sys.setprofile`. At the first call from our code into
  `fast_hdbscan` or `hdbscan`, the package's frames on the stack are counted.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
PACKAGE = "latentviz"
LONGEST = 400  # lines a file may have
# Files of modalities/ that define, train or show a model; all the others read data. `detect` was part of `config` in
# older checkouts, and `positives` was `partners`, so these are left out to compare like with like.
NOT_READING = {
    *("__init__", "augment", "base", "config", "cooccurrence", "data", "decoder", "decoding", "detect", "keywords"),
    *("kind", "likelihood", "loading", "modality", "nets", "pairs", "partners", "positives", "progress", "residual"),
    *("show", "softmax", "sources", "statistics", "tokens", "topic", "training", "views", "vocabulary"),
}

# Both scripts run in a process whose sys.path begins with the checkout, and print one JSON line.
GRAPH = """
import json, sys
import grimp
graph = grimp.build_graph("latentviz", cache_dir=None)
edges = [(a, b) for a in sorted(graph.modules) for b in sorted(graph.find_modules_directly_imported_by(a))]
print(json.dumps({"modules": sorted(graph.modules), "edges": edges}))
"""
TRACE = """
import contextlib, io, json, os, sys, threading
from importlib import import_module, util
from pathlib import Path
import latentviz
own = os.path.dirname(latentviz.__file__)
main = import_module("latentviz.shell.cli" if util.find_spec("latentviz.shell") else "latentviz.cli").main
stack = []

def profile(frame, event, argument):
    code = frame.f_code
    if stack or event != "call" or code.co_name == "<module>" or not frame.f_back:
        return
    called_by_us = frame.f_back.f_code.co_filename.startswith(own)
    if called_by_us and {"hdbscan", "fast_hdbscan"} & set(Path(code.co_filename).parts):
        stack.append(code.co_name)
        while frame := frame.f_back:
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(own):
                stack.append(".".join(file.relative_to(own).with_suffix("").parts) + "." + frame.f_code.co_name)

said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    fitted = main(["fit", sys.argv[1], "--run", "tiny", "--outputs", "outputs", "trainer.max_epochs=1"])
    threading.setprofile(profile)
    sys.setprofile(profile)
    clustered = main(["cluster", "tiny", "--outputs", "outputs"])
    sys.setprofile(None)
    threading.setprofile(None)
if fitted or clustered or not stack:
    raise SystemExit("the tiny run failed: " + said.getvalue())
print(json.dumps(stack[::-1]))
"""


def in_checkout(root: Path, script: str, *words: str, cwd: Path | None = None) -> Any:
    """Run `script` with the checkout first on sys.path, and parse the last line that it prints."""
    code = f"import sys; sys.path.insert(0, {str(root)!r})\n{script}"
    command = [sys.executable, "-c", code, *words]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=cwd or root, check=False)
    if ended.returncode:
        raise SystemExit(f"{root}: {ended.stderr.strip()[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def circles(modules: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """The strongly connected components of at least two modules, largest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    at = {name: i for i, name in enumerate(modules)}
    rows, columns = [at[a] for a, _ in edges], [at[b] for _, b in edges]
    matrix = coo_array(([1] * len(edges), (rows, columns)), shape=(len(modules), len(modules)))
    _, labels = connected_components(matrix, directed=True, connection="strong")
    members: dict[int, list[str]] = {}
    for name, label in zip(modules, labels.tolist(), strict=True):
        members.setdefault(label, []).append(name.removeprefix(f"{PACKAGE}."))
    return sorted((names for names in members.values() if len(names) > 1), key=len, reverse=True)


def room(module: str) -> str:
    """The folder or root module that `module` belongs to; the package itself is ''."""
    return module.split(".")[1] if "." in module else ""


def any_annotations(tree: ast.Module) -> int:
    """How many annotations of public functions and methods contain `Any`."""
    count = 0
    bodies = [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))]
    for node in (node for body in bodies for node in body):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _private(node.name):
            continue
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        annotations = [*(a.annotation for a in every if a), node.returns]
        count += sum(a is not None and "Any" in _names(a) for a in annotations)
    return count


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _names(annotation: ast.expr) -> set[str]:
    return {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}


def lines(file: Path) -> int:
    """Lines of a file."""
    return len(file.read_text(encoding="utf-8").splitlines())


def formatted_lines(package: Path) -> dict[Path, int]:
    """Lines of each file of the package as `ruff format` lays it out, so that differently formatted commits compare."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PACKAGE
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", "--line-length", "120", str(copy)]
        subprocess.run(command, check=True)
        return {package / file.relative_to(copy): lines(file) for file in sorted(copy.rglob("*.py"))}


def hops(root: Path) -> list[str]:
    """The package's functions between the shell and HDBSCAN in one `latentviz cluster`, then the function called."""
    import numpy as np

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.repeat(np.eye(3, 8) * 9, 60, axis=0) + rng.normal(size=(180, 8))
        np.save(Path(folder) / "vectors.npy", vectors.astype(np.float32))
        return list(in_checkout(root, TRACE, "vectors.npy", cwd=Path(folder)))


def measure(root: Path, *, trace: bool = True) -> dict[str, Any]:
    """All figures of the checkout at `root`."""
    package = root / PACKAGE
    files = sorted(package.rglob("*.py"))
    graph = in_checkout(root, GRAPH)
    found = circles(graph["modules"], graph["edges"])
    shared = {imported for importer, imported in graph["edges"] if room(importer) != room(imported)}
    across = {
        module: any_annotations(ast.parse(path(package, module).read_text(encoding="utf-8")))
        for module in sorted(shared)
    }
    as_formatted = formatted_lines(package)
    reading = [file for file in files if file.is_relative_to(package / "modalities") and file.stem not in NOT_READING]
    chain = hops(root) if trace else []
    return {
        "modules in the root": len(list(package.glob("*.py"))),
        "import circles": len(found),
        "modules in import circles": sum(map(len, found)),
        "modules": len(files),
        "package lines": sum(map(lines, files)),
        "package lines, ruff format": sum(as_formatted.values()),
        f"files over {LONGEST} lines, ruff format": sum(count > LONGEST for count in as_formatted.values()),
        "`Any` in signatures across rooms": sum(across.values()),
        "lines that read data": sum(map(lines, reading)),
        "lines that read data, ruff format": sum(as_formatted[file] for file in reading),
        "own frames from the shell to HDBSCAN": len(chain[:-1]),
        "circles": found,
        "any": {module: count for module, count in across.items() if count},
        "reading": {str(file.relative_to(package)): as_formatted[file] for file in reading},
        "chain": chain,
    }


def path(package: Path, module: str) -> Path:
    """The file of a module."""
    stem = package.joinpath(*module.split(".")[1:])
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")


def markdown(names: list[str], results: list[dict[str, Any]]) -> str:
    """The table, a column a checkout, and the details that the figures are counted from."""
    figures = [key for key, value in results[0].items() if isinstance(value, int)]
    rows = [
        "# Structure of the package",
        "",
        "Written by `benchmarks/structure.py`, which defines each figure.",
        "",
        f"| | {' | '.join(names)} |",
        f"|---|{'--:|' * len(names)}",
        *(f"| {key} | {' | '.join(f'{result[key]:,}' for result in results)} |" for key in figures),
    ]
    for name, result in zip(names, results, strict=True):
        rows += ["", f"## {name}", ""]
        rows += [f"- circle: {', '.join(circle)}" for circle in result["circles"]]
        if result["any"]:
            counts = ", ".join(f"{module.removeprefix(f'{PACKAGE}.')} {n}" for module, n in result["any"].items())
            rows.append(f"- `Any` across rooms: {counts}")
        if result["chain"]:
            rows.append(f"- `latentviz cluster`: {' → '.join(result['chain'])}")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure the checkouts given, print the result, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE], help="folders that hold latentviz/")
    parser.add_argument("--names", nargs="*", help="column headings (default: the folders)")
    parser.add_argument("--no-trace", action="store_true", help="skip the hops, which fit a tiny run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.add_argument("--out", type=Path, help="also write the Markdown here")
    options = parser.parse_args()
    roots = [root.resolve() for root in options.checkouts]
    names = options.names or [root.name for root in roots]
    results = [measure(root, trace=not options.no_trace) for root in roots]
    table = markdown(names, results)
    print(json.dumps(dict(zip(names, results, strict=True)), indent=1) if options.json else table)
    if options.out:
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
