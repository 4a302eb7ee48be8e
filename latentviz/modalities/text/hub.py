"""Data sets on the Hugging Face hub with a column of texts → a `Source`."""

from typing import Any

import pyarrow as pa

from latentviz.modalities.io.hub import ask, parts, read_splits
from latentviz.modalities.io.names import PART, printable
from latentviz.modalities.text.columns import table_source
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.source import Source


def hub_has_texts(path: str) -> bool:
    """Returns whether a data set on the hub has a column of text; no data is fetched.

    Raises:
        DataError: the hub cannot be reached, or has no such data set.
    """
    import datasets  # two seconds to import

    features = ask(path, lambda name, config: datasets.load_dataset_builder(name, config).info.features)
    if features is None:  # not written down: the first row shows it
        splits = ask(path, lambda name, config: datasets.load_dataset(name, config, streaming=True))
        row = ask(path, lambda *_: next(iter(next(iter(splits.values())))))
        return any(isinstance(value, str) for value in row.values())
    return any(getattr(feature, "dtype", None) in {"string", "large_string"} for feature in features.values())


def read_hub(data: TextData) -> Source:
    """Returns the texts of a data set on the hub, which `datasets` keeps in its own cache.

    Raises:
        DataError: the hub cannot be reached, or has no such data set, split or column.
    """
    loaded, rows = read_splits(data.path, data.split)
    table = _plain(loaded)
    part = parts(rows)
    if part is not None and PART not in table.column_names:
        table = table.append_column(PART, pa.array(part, pa.string()))
    return table_source(
        table,
        [printable(f"{s}/{row}") for s, row in rows],
        [printable(f"{data.path}/{s}#{row}") for s, row in rows],
        data,
    )


def _plain(loaded: Any) -> pa.Table:
    """Returns the plain columns of a `datasets.Dataset` in its own order, classes by their names."""
    import datasets  # two seconds to import

    plain = [
        name
        for name, feature in loaded.features.items()
        if isinstance(feature, datasets.ClassLabel | datasets.Value) and "binary" not in feature.dtype
    ]
    table: pa.Table = loaded.select_columns(plain).with_format("arrow")[:]
    for i, name in enumerate(table.column_names):
        feature = loaded.features[name]
        if isinstance(feature, datasets.ClassLabel):  # −1 is how unlabelled test sets say None
            named = [
                feature.names[v] if v is not None and 0 <= v < len(feature.names) else None
                for v in table.column(name).to_pylist()
            ]
            table = table.set_column(i, name, pa.array(named, pa.string()))
    return table
