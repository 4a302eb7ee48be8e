"""Whether bare data is vectors."""

from pathlib import Path

from latentviz.modalities.io import memory
from latentviz.modalities.io.roles import VECTOR_NAMES
from latentviz.modalities.io.table_kind import LONG, is_table, table_kind


def detect(path: str) -> bool:
    """Returns whether `path` is vectors: an array, a table with a column of lists of numbers, a table of numbers.

    Images are asked before; for an array that is neither, the reader of vectors says what is wrong.
    """
    if (content := memory.find(path)) is not None:
        return content.kind == "vectors" or (
            content.kind is None and (bool(content.arrays) or table_kind(path) == "vectors")
        )
    if path.startswith("hf:"):
        from latentviz.modalities.io.columns import is_text, is_vectors  # needs pyarrow
        from latentviz.modalities.io.hub import hub_schema

        schema = hub_schema(path)
        lists = [field for field in schema if is_vectors(field.type)]
        texts = any(is_text(field.type) for field in schema)
        return any(
            not texts or field.name.lower() in VECTOR_NAMES or getattr(field.type, "list_size", 0) >= LONG
            for field in lists
        )
    file = Path(path)
    if is_table(path):
        return table_kind(path) == "vectors"
    return file.is_file() and file.suffix.lower() in {".npy", ".npz"}
