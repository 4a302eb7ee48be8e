"""The page's JavaScript as one script: its modules in the order in which they need each other."""

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent / "page"
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|let)", re.MULTILINE)


def bundle(layers: Sequence[str]) -> str:
    """Returns the script that opens a map with the named layers.

    Modules share one scope once they are joined, so top-level names are unique across them; a test checks it.
    """
    order: list[Path] = []
    for path in (PAGE / "core/app.js", *(PAGE / f"layers/{name}.js" for name in layers)):
        _collect(path.resolve(), order)
    code = "\n".join(plain(path) for path in order)
    start = f"start([{', '.join(layers)}]).catch((error) => globalThis.latentviz.fail(error));"
    return f'(() => {{\n"use strict";\n{code}\n{start}\n}})();\n'


def plain(path: Path) -> str:
    """Returns a module's code without its imports and exports."""
    return _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8")))


def _collect(path: Path, order: list[Path]) -> None:
    """Appends a module to `order`, after those that it imports."""
    if path in order:
        return
    for found in _IMPORT.finditer(path.read_text(encoding="utf-8")):
        _collect((path.parent / found.group(1)).resolve(), order)
    order.append(path)
