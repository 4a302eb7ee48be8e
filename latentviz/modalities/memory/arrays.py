"""Arrays of numbers, tensors and sparse matrices; nothing is copied that is an array already."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from latentviz.errors import ObjectError
from latentviz.modalities.io.memory import InMemory
from latentviz.modalities.memory.columns import shown


def numbers(values: np.ndarray, said: str) -> InMemory:
    """Takes an array of numbers as it is: images if it has three or four axes, else vectors."""
    if values.dtype.kind not in "buif":
        what = "Python objects" if values.dtype.hasobject else str(values.dtype)
        raise ObjectError(
            f"{said}: an array of {what}; images and vectors are integers or real numbers; "
            "convert it with x.astype('float32')"
        )
    kind = "image" if values.ndim in {3, 4} else "vectors"
    return InMemory(shown=said, n=len(values) if values.ndim else 0, kind=kind, arrays={"": values})


def numpy_of(tensor: Any) -> np.ndarray:
    """Returns the values of a torch tensor as an array, without a copy if it lies in this machine's memory."""
    import torch

    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    found: np.ndarray = (dense.float() if dense.dtype == torch.bfloat16 else dense).cpu().resolve_conj().numpy()
    return found


def tensor(x: Any, kind: str | None) -> InMemory:
    """Converts a torch tensor."""
    del kind
    return numbers(numpy_of(x), shown(x))


def sparse(x: Any, kind: str | None) -> InMemory:
    """Converts a sparse matrix block by block to a temporary file, which disappears with the array."""
    del kind
    from latentviz.modalities.io.foreign import write_dense  # reads files of many libraries

    said = shown(x)
    if len(x.shape) != 2 or x.dtype.kind not in "buif":
        raise ObjectError(f"{said}: a sparse array of {x.dtype}; a matrix (n, d) of real numbers is needed")
    with tempfile.TemporaryDirectory(prefix="latentviz-", ignore_cleanup_errors=True) as folder:
        file, notes = write_dense(x.tocsr(), Path(folder) / "x.npy", said)
        values = np.load(file, mmap_mode="r")
    return InMemory(shown=said, n=x.shape[0], kind="vectors", arrays={"": values}, notes=notes)
