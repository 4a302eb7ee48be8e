"""Files of other libraries, converted to .npy, .npz or Parquet: PyTorch, safetensors, Excel, AnnData, Zarr, SciPy."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.errors import DataError, message_of
from latentviz.modalities.io.archives import check_growth
from latentviz.modalities.io.columns import as_column
from latentviz.modalities.io.files import check_room
from latentviz.modalities.io.formats import FOREIGN, need
from latentviz.modalities.io.header import said_twice, unique_columns
from latentviz.modalities.io.names import printable
from latentviz.progress import plural

_DENSE_ROWS = 1024  # of a sparse matrix, at a time
Made = tuple[Path, tuple[str, ...]]


def convert(file: Path, folder: Path) -> Made:
    """Convert a file; returns the new file in `folder` and notes.

    Raises:
        DataError: it is damaged, holds nothing that can be read, or a package is missing.
    """
    suffix, shown = file.suffix.lower(), printable(str(file))
    package = FOREIGN.get(suffix, "scipy")
    need(package, shown)
    try:
        return _CONVERTERS[package](file, folder)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the libraries raise many types for damaged files
        why = message_of(error, 200) or type(error).__name__
        raise DataError(f"{shown}: cannot be read as a {suffix} file ({printable(why)}); write it again") from None


# --- arrays -----------------------------------------------------------------------------------------------------------


def _save_arrays(arrays: Mapping[str, Any], file: Path, folder: Path) -> Path:
    """Write arrays as .npz, or the only one as .npy."""
    if not arrays:
        raise DataError(f"{printable(str(file))}: holds no arrays; save a tensor, or a dict of tensors")
    if len(arrays) == 1:
        target = folder / f"{file.stem}.npy"
        np.save(target, next(iter(arrays.values())), allow_pickle=False)
        return target
    target = folder / f"{file.stem}.npz"
    np.savez(target, **dict(arrays))
    return target


def _torch(file: Path, folder: Path) -> Made:
    import torch  # only for such files

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old versions of the format
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        if "Weights only" not in str(error):
            raise
        raise DataError(
            f"{printable(str(file))}: holds more than tensors, and other objects can run code, so they are never "
            "loaded; save the tensor alone with torch.save(tensor, 'data.pt')"
        ) from None
    tensors = _flat(content)
    arrays = {
        name: (t.float() if t.dtype == torch.bfloat16 else t).detach().to_dense().numpy()
        for name, t in tensors.items()
        if isinstance(t, torch.Tensor)
    }
    return _save_arrays(arrays, file, folder), ()


def _flat(content: Any) -> dict[str, Any]:
    """Return tensors by name: of a dict, of a list of equal rows, or alone."""
    if isinstance(content, Mapping):
        named = {}
        for key, value in content.items():
            inner = _flat(value) if isinstance(value, list | tuple) else {"": value}
            named.update({f"{key}{f'.{name}' if name else ''}": tensor for name, tensor in inner.items()})
        return named
    if isinstance(content, list | tuple) and content and all(hasattr(t, "shape") for t in content):
        if len({tuple(t.shape) for t in content}) == 1 and content[0].ndim >= 1:
            import torch

            return {"": torch.stack(list(content))}
        return {f"tensor{i}": tensor for i, tensor in enumerate(content)}
    return {"": content}


def _safetensors(file: Path, folder: Path) -> Made:
    from safetensors import safe_open

    arrays = {}
    with safe_open(file, framework="pt") as content:
        for name in content.keys():  # noqa: SIM118 - not a mapping
            tensor = content.get_tensor(name)
            arrays[name] = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return _save_arrays(arrays, file, folder), ()


# --- sparse matrices --------------------------------------------------------------------------------------------------


def _scipy(file: Path, folder: Path) -> Made:
    from scipy import sparse

    matrix = sparse.load_npz(file)  # does not unpickle
    return write_dense(matrix.tocsr(), folder / f"{file.stem}.npy", printable(file.name))


def write_dense(matrix: Any, target: Path, said: str) -> Made:
    """Write a CSR matrix, called `said` in the note, as .npy, block by block."""
    matrix.check_format(full_check=True)  # damaged indices would read foreign memory
    dtype = matrix.dtype if matrix.dtype.kind == "f" else np.dtype(np.float32)
    n, d = matrix.shape
    check_room(n * d * dtype.itemsize)
    array = np.lib.format.open_memmap(target, mode="w+", dtype=dtype, shape=(n, d))
    for start in range(0, n, _DENSE_ROWS):
        array[start : start + _DENSE_ROWS] = matrix[start : start + _DENSE_ROWS].toarray()
    array.flush()
    share = matrix.nnz / max(1, n * d)
    return target, (f"{said}: a sparse matrix of {n:,} × {d:,} numbers, {share:.1%} of them not zero",)


# --- tables -----------------------------------------------------------------------------------------------------------


def _save_table(columns: Mapping[str, Any], target: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = {name: v if isinstance(v, pa.Array | pa.ChunkedArray) else as_column(list(v)) for name, v in columns.items()}
    pq.write_table(pa.table(made), target)
    return target


def _openpyxl(file: Path, folder: Path) -> Made:
    import openpyxl

    check_growth(file)
    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    try:
        sheets = {sheet.title: _rows(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    finally:
        book.close()
    filled = {title: rows for title, rows in sheets.items() if len(rows) > 1}
    shown = printable(str(file))
    if not filled:
        raise DataError(f"{shown}: no sheet has a header and rows; give a table whose first row names its columns")
    if len(filled) > 1:
        raise DataError(
            f"{shown}: several sheets have rows: {', '.join(map(printable, filled))}; save the right one as a file of "
            "its own, as .xlsx or .csv"
        )
    ((title, (header, *rows)),) = filled.items()
    given = ["" if cell is None else str(cell) for cell in header]
    names = unique_columns(given)
    columns = {name: [row[i] if i < len(row) else None for row in rows] for i, name in enumerate(names)}
    columns = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
    target = _save_table(columns, folder / f"{file.stem}.parquet")
    others = f"; the other {len(sheets) - 1} have none" if len(sheets) > 1 else ""
    return target, (
        f"{printable(file.name)}: sheet {printable(title)}, {plural(len(rows), 'row')}{others}",
        *said_twice(given, names),
    )


def _rows(rows: Any) -> list[Sequence[Any]]:
    """Return the rows that are not blank, without the empty columns at their end."""
    kept = [row for row in rows if any(cell is not None and cell != "" for cell in row)]
    width = max((i + 1 for row in kept for i, cell in enumerate(row) if cell not in {None, ""}), default=0)
    return [row[:width] for row in kept]


# --- AnnData and Zarr -------------------------------------------------------------------------------------------------


def _h5py(file: Path, folder: Path) -> Made:
    import h5py

    with h5py.File(file, "r") as store:
        for name in [
            *store,
            *(f"{group}/{name}" for group in ("X", "obs") if group in store for name in _keys(store[group])),
        ]:
            link = store.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink) or getattr(store.get(name), "external", None):
                raise DataError(
                    f"{printable(str(file))}: {printable(name)} lies in another file; copy it into this one"
                )
        return _anndata(store, file, folder)


def _keys(group: Any) -> list[str]:
    return [] if hasattr(group, "shape") else list(group)


def _zarr(file: Path, folder: Path) -> Made:
    import zarr

    store: Any = zarr.open(str(file), mode="r")
    if isinstance(store, zarr.Array):
        return _save_arrays({"": store[:]}, file, folder), ()
    if "X" in store and "obs" in store:
        return _anndata(store, file, folder)
    arrays = {name: store[name][:] for name in store if isinstance(store[name], zarr.Array)}
    return _save_arrays(arrays, file, folder), ()


def _anndata(store: Any, file: Path, folder: Path) -> Made:
    """Convert the matrix X and the columns of `obs`, as `anndata` lays them out in HDF5 and Zarr."""
    import pyarrow as pa

    shown = printable(str(file))
    if "X" not in store or "obs" not in store:
        raise DataError(f"{shown}: no matrix X with observations obs, as AnnData has; save its array with numpy.save")
    x = store["X"]
    notes: tuple[str, ...] = ()
    if hasattr(x, "shape"):
        vectors = np.asarray(x[:])
    else:
        from scipy import sparse

        made = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}
        form = str(x.attrs["encoding-type"])
        parts = (x["data"][:], x["indices"][:], x["indptr"][:])
        matrix = made[form](parts, shape=tuple(x.attrs["shape"])).tocsr()
        path, notes = write_dense(matrix, folder / "x.npy", printable(file.name))
        vectors = np.load(path, mmap_mode="r")
    n, d = vectors.shape
    check_room(n * d * vectors.dtype.itemsize)
    obs = store["obs"]
    index = str(obs.attrs.get("_index", "_index"))
    columns = {"id": _values(obs[index])} if index in obs else {}
    columns |= {str(name): _values(obs[name]) for name in obs.attrs.get("column-order", ()) if name in obs}
    kept = {name: values for name, values in columns.items() if len(values) == n}
    said = ", ".join(map(printable, kept))
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    kept["embedding" if "embedding" not in kept else "X"] = pa.FixedSizeListArray.from_arrays(flat, d)
    said = f"{printable(file.name)}: matrix X, {n:,} × {d:,}; columns of obs: {said or 'none'}"
    others = {str(name): values for name, values in store["obsm"].items()} if "obsm" in store else {}
    arrays = {name: np.asarray(v[:]) for name, v in others.items() if hasattr(v, "shape") and len(v.shape) == 2}
    for name, values in arrays.items():
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        kept[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    if arrays:
        said += f"; obsm: {', '.join(map(printable, arrays))}; data.vector_column=NAME learns from one of these"
    return _save_table(kept, folder / f"{file.stem}.parquet"), (*notes, said)


def _values(column: Any) -> list[Any]:
    """Return one column of `obs`; categories are stored as numbers and names."""
    if hasattr(column, "shape"):
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in np.asarray(column[:]).tolist()]
    if "categories" in column:
        names = _values(column["categories"])
        return [names[code] if 0 <= code < len(names) else None for code in np.asarray(column["codes"][:]).tolist()]
    if "values" in column and "mask" in column:
        pairs = zip(_values(column["values"]), np.asarray(column["mask"][:]).tolist(), strict=True)
        return [None if missing else value for value, missing in pairs]
    return []


_CONVERTERS: Mapping[str, Callable[[Path, Path], Made]] = {
    "torch": _torch,
    "safetensors": _safetensors,
    "scipy": _scipy,
    "openpyxl": _openpyxl,
    "h5py": _h5py,
    "zarr": _zarr,
}
