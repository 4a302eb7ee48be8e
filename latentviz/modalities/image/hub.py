"""Data sets on the Hugging Face hub, `hf:NAME` or `hf:NAME:CONFIG`, through `datasets` → a `Source`."""

from latentviz.modalities.image.config import ImageData
from latentviz.modalities.image.source import Source
from latentviz.modalities.image.tables import find_images, table_source
from latentviz.modalities.io.hub import ask, parts, read_splits
from latentviz.modalities.io.names import printable


def hub_has_images(path: str) -> bool:
    """Returns whether a data set on the hub has a column of images; no data is fetched.

    Raises:
        DataError: the hub cannot be reached, or has no such data set.
    """
    import datasets  # two seconds to import

    features = ask(path, lambda name, config: datasets.load_dataset_builder(name, config).info.features)
    if features is None:  # not written down: the first row shows it
        splits = ask(path, lambda name, config: datasets.load_dataset(name, config, streaming=True))
        row = ask(path, lambda *_: next(iter(next(iter(splits.values())))))
        return any(hasattr(value, "getexif") for value in row.values())
    return (
        any(isinstance(f, datasets.Image) for f in features.values()) or find_images(features.arrow_schema) is not None
    )


def read_hub(data: ImageData) -> Source:
    """Returns the images of a data set on the hub, which `datasets` keeps in its own cache.

    Raises:
        DataError: the hub cannot be reached, or has no such data set, split or column.
    """
    table, rows = read_splits(data.path, data.split)
    return table_source(
        table,
        [printable(f"{s}/{row}") for s, row in rows],
        [printable(f"{data.path}/{s}#{row}") for s, row in rows],
        data,
        parts=parts(rows),
    )
