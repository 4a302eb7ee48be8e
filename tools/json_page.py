"""Writes the tables of docs/json.md from the types of the answers: `python tools/json_page.py`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latentviz.shell.schemas import schemas

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
MARK = "<!-- Below: written by tools/json_page.py. -->\n"
WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false", "null": "null"}


def page(text: str) -> str:
    """Return the page with the tables of the present types below the mark."""
    return text.partition(MARK)[0] + MARK + "\n" + "\n\n".join(tables()) + "\n"


def tables() -> Iterator[str]:
    """Yield a section a command, and one for each type that their keys have."""
    parts: dict[str, Mapping[str, Any]] = {}
    yield "## Commands"
    for command, schema in schemas().items():
        own = dict(schema.get("$defs", {}))
        yield f"### {command}"
        for branch in schema.get("anyOf", [schema]):
            yield from section(own.pop(name_of(branch)) if "$ref" in branch else branch)
        parts |= own
    yield "## Types"
    for name in sorted(parts):
        yield f"### {name}"
        yield from section(parts[name])


def section(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentence on a type, and the table of its keys."""
    yield schema.get("description", "").partition("\n\n")[0]
    if keys := schema.get("properties"):
        needed = schema.get("required", [])
        rows = [
            f"| `{key}`{'' if key in needed else ' (optional)'} | {type_of(kind)} | {meaning(kind)} |"
            for key, kind in keys.items()
        ]
        yield "\n".join(["| key | type | meaning |", "|---|---|---|", *rows])


def meaning(schema: Mapping[str, Any]) -> str:
    """Return what a key holds, as a cell."""
    return re.sub(r"\bNone\b", "null", schema.get("description", "")).replace("|", "\\|")


def name_of(schema: Mapping[str, Any]) -> str:
    """Return the name of a type."""
    return str(schema["$ref"]).rpartition("/")[2]


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the words for a type."""
    if "$ref" in schema:
        return f"[{name_of(schema)}](#{name_of(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(type_of, schema["anyOf"])))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        pair = ", ".join(map(type_of, schema.get("prefixItems", [])))
        return f"[{pair}]" if pair else f"list of {type_of(schema.get('items', {}))}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {type_of(inner)}" if isinstance(inner, Mapping) and inner else "object"
    return WORDS.get(schema.get("type", ""), "anything")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
