"""Data sets on the Hugging Face hub that have a column of texts."""

from latentviz.modalities.hub import ask


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
