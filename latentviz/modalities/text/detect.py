"""Whether bare data is texts."""

from pathlib import Path

from latentviz.modalities.io import memory
from latentviz.modalities.io.files import TABLE_SUFFIXES, names_below, suffix_of
from latentviz.modalities.io.table_kind import is_table, table_kind

LINE_SUFFIXES = frozenset({".txt", ".text"})
# Files with these suffixes are items where there are many; a few describe the data.
NOTE_SUFFIXES = frozenset({".md", ".markdown", ".rst"})
MANY_NOTES = 16
_ABOUT = frozenset({"readme", "license", "licence", "changelog", "contributing", "code_of_conduct", "notice"})


def is_note(file: str) -> bool:
    """Returns whether a file is a text in Markdown or reStructuredText that is not about the folder."""
    return suffix_of(file) in NOTE_SUFFIXES and Path(file).name.split(".")[0].lower() not in _ABOUT


def detect(path: str) -> bool:
    """Returns whether `path` looks like texts: a text file, a table, a folder of these."""
    if (content := memory.find(path)) is not None:
        return content.kind == "text" or (content.kind is None and is_table(path) and table_kind(path) == "text")
    if path.startswith("hf:"):
        from latentviz.modalities.io.columns import is_text  # needs pyarrow
        from latentviz.modalities.io.hub import hub_schema

        return any(is_text(field.type) for field in hub_schema(path))
    if is_table(path):
        return table_kind(path) == "text"
    place = Path(path)
    names = list(names_below(place)) if place.is_dir() else [place.name] if place.is_file() else []
    texts = any(suffix_of(name) in LINE_SUFFIXES | TABLE_SUFFIXES for name in names)
    return path.startswith("python:") or texts or sum(map(is_note, names)) >= MANY_NOTES
