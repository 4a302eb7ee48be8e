"""From what the user names to texts: by the scheme, by what a folder holds, by a file's name."""

from pathlib import Path

import pyarrow as pa

from latentviz.modalities.names import printable
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.docstrings import read_docstrings
from latentviz.modalities.text.source import Source


def read(data: TextData) -> Source:
    """Returns the texts that `data.path` names.

    Raises:
        DataError: there is nothing of this name, or nothing in it that is a text.
    """
    if data.path == "python:docstrings":
        return read_docstrings()
    path = Path(data.path)
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip()]
    name = printable(path.name)
    texts = pa.chunked_array([pa.array([t for _, t in rows], pa.string())])
    return Source(texts, [f"{path.stem}/{i}" for i, _ in rows], [f"{name}:{i}" for i, _ in rows], [None] * len(rows))
