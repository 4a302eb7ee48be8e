"""Which converter an object needs, by the library of its type; and what the user gave along with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from latentviz.errors import ObjectError
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.io.names import as_label, index_name, printable
from latentviz.progress import plural

KNOWN = (
    "an array, a tensor, a sparse matrix, a DataFrame or Series, an Arrow table, a list of strings, images or paths, a "
    "dict of arrays, an AnnData, or a Dataset of torch or Hugging Face"
)
_INSTEAD = {
    "torch.DataLoader": "give its Dataset, loader.dataset",
    "builtins.generator": "give its items as a list, list(x)",
    "builtins.set": "give its items in an order, sorted(x)",
}


def is_path(x: object) -> bool:
    """Returns whether `x` names data instead of being it."""
    return isinstance(x, (str, os.PathLike))


def is_object(x: object) -> bool:
    """Returns whether `x` is data, not a name, a row number, or a list of these."""
    names = (str, int, os.PathLike, np.integer)
    if isinstance(x, (list, tuple, set, range)):
        return not all(isinstance(item, names) for item in x)
    return not isinstance(x, names)


def as_items(x: Any, kind: str) -> Any:
    """Returns items of a kind, of which `x` may be one alone: an image, an array (h, w) or (h, w, c), a vector (d,)."""
    if hasattr(x, "getexif"):
        return [x]
    if not types_of(x) & {"numpy.ndarray", "torch.Tensor"}:
        return x
    alone = x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in {1, 3, 4}) if kind == "image" else x.ndim == 1
    return x[None] if alone and kind != "text" else x


def types_of(x: object) -> set[str]:
    """Returns the classes of an object with the packages that define them, such as {"pandas.DataFrame"}."""
    return {f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(x).__mro__}


def convert(x: Any, kind: str | None, **extra: Any) -> InMemory:
    """Returns the content of an object with what belongs to it; see `source_of`.

    Raises:
        ObjectError: it cannot be read.
    """
    types = types_of(x)
    found = next((make for name, make in _converters().items() if name in types), None)
    if found is None and hasattr(x, "__array__"):
        found = _converters()["numpy.ndarray"]
    if found is None:
        hint = next((hint for name, hint in _INSTEAD.items() if name in types), f"give {KNOWN}")
        raise ObjectError(f"an object of type {type(x).__name__}: cannot be learnt from; {hint}")
    return _with_extra(found(x, kind), **extra)


def _converters() -> Mapping[str, Callable[[Any, str | None], InMemory]]:
    from latentviz.modalities.memory import arrays, datasets, lists, numpy_objects, tables

    return {
        "pandas.DataFrame": tables.pandas_frame,
        "pandas.Series": tables.pandas_series,
        "pandas.Index": tables.pandas_series,
        "polars.DataFrame": tables.polars_frame,
        "polars.LazyFrame": tables.polars_frame,
        "polars.Series": tables.polars_series,
        "pyarrow.Table": tables.arrow_table,
        "pyarrow.RecordBatch": tables.arrow_table,
        "pyarrow.ChunkedArray": tables.arrow_column,
        "pyarrow.Array": tables.arrow_column,
        "anndata.AnnData": tables.anndata,
        "datasets.Dataset": datasets.hugging_face,
        "datasets.DatasetDict": datasets.hugging_face,
        "datasets.IterableDataset": datasets.hugging_face_stream,
        "torch.Dataset": datasets.torch_dataset,
        "torch.Tensor": arrays.tensor,
        "scipy._spbase": arrays.sparse,
        "scipy.spmatrix": arrays.sparse,
        "numpy.ndarray": numpy_objects.array,
        "builtins.dict": numpy_objects.mapping,
        "builtins.list": lists.sequence,
        "builtins.tuple": lists.sequence,
    }


def _with_extra(
    content: InMemory,
    *,
    ids: Sequence[object] | None,
    labels: Sequence[object] | None,
    captions: Sequence[object] | None,
    columns: Mapping[str, Sequence[object]] | None,
) -> InMemory:
    given: dict[str, Any] = {}
    if ids is not None:
        listed = _listed("ids", ids, content)
        if (row := next((row for row, value in enumerate(listed) if as_label(value) is None), None)) is not None:
            raise ObjectError(f"ids: row {row} has none (got {listed[row]!r}); give every item an id, or no ids")
        given["ids"] = [printable(str(value)) for value in listed]
        if len(set(given["ids"])) < content.n:
            again = Counter(given["ids"]).most_common(1)[0][0]
            raise ObjectError(f"ids: {again!r} is there more than once; give every item an id of its own, or no ids")
    if labels is not None:
        given["labels"] = [as_label(value) for value in _single("labels", labels, content)]
    if captions is not None:
        given["captions"] = ["" if value is None else str(value) for value in _single("captions", captions, content)]
    if columns is not None:
        if not hasattr(columns, "items"):
            raise ObjectError(f"columns: a dict of names and values is needed (got {type(columns).__name__})")
        given["columns"] = {str(name): _listed(f"columns: {name}", values, content) for name, values in columns.items()}
    return replace(content, **given)


def _listed(name: str, values: Any, content: InMemory) -> list[Any]:
    """Returns n values as Python objects; from a list, an array, a tensor, or a Series."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise ObjectError(f"{name}: a list or an array of values is needed (got {type(values).__name__})")
    if len(values) != content.n:
        raise ObjectError(
            f"{name}: {plural(len(values), 'value')} for {plural(content.n, 'item')} of {content.shown}; "
            "every item needs one"
        )
    _check_order(name, values, content)
    to_list = getattr(values, "tolist", None) or getattr(values, "to_list", None) or getattr(values, "to_pylist", None)
    listed: list[Any] = to_list() if to_list else list(values)
    return [value.item() if hasattr(value, "detach") and value.ndim == 0 else value for value in listed]


def _single(name: str, values: Any, content: InMemory) -> list[Any]:
    """Returns n values, none of which is a list."""
    listed = _listed(name, values, content)
    for row, value in enumerate(listed):
        if isinstance(value, (list, tuple, dict, set, np.ndarray)):
            raise ObjectError(
                f"{name}: row {row} is of type {type(value).__name__}; give one value per item, a number or a text"
            )
    return listed


def _check_order(name: str, values: Any, content: InMemory) -> None:
    """Raises an ObjectError if a Series has the index of the frame that it goes with in another order."""
    if content.index is None or not (hasattr(values, "iloc") and hasattr(values, "index")):
        return
    rows = content.index_ids or [str(row) for row in range(content.n)]
    index = [printable(index_name(value)) for value in values.index]
    if index != list(rows) and sorted(index) == sorted(rows):
        raise ObjectError(
            f"{name}: the Series has the index of {content.shown} in another order, and values are taken row by row; "
            "reorder it as series.loc[frame.index]"
        )
