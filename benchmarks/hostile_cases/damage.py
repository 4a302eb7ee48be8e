"""Random damage to a run for `hostile.py`: each function changes something in the folder of a case and says what.

Checksums are CRC-32, which anybody can compute: most damage here is signed, so that readers cannot rely on them.
"""

import json
import random
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from hostile_cases.tables import Plant


def artefacts(folder: Path, *suffixes: str) -> list[Path]:
    """Return the files of the run in a case's folder, of these suffixes or of all."""
    files = sorted(path for path in (folder / "outputs" / "r").rglob("*") if path.is_file() and not path.is_symlink())
    return [path for path in files if not suffixes or path.suffix in suffixes]


def sign(folder: Path) -> None:
    """Make the checksums of a run match its files as they are now, as somebody with a purpose could."""
    from latentviz.runs.checksums import checksum, seal

    for file in artefacts(folder, ".json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict) and "crc32" in content:
            content.pop("crc32")
            sums = content.get("checksums")
            for name in sums if isinstance(sums, dict) else ():
                if (file.parent / name).is_file() and "\0" not in name:
                    sums[name] = checksum(file.parent / name)
            file.write_text(json.dumps({**content, "crc32": seal(content)}), encoding="utf-8")


def random_link(template: str) -> Plant:
    """Put a link, a pipe, a device or another file in the place of some artefact, or of a folder."""

    def plant(folder: Path, draw: random.Random) -> str:
        files = [*artefacts(folder), *(p for p in sorted((folder / "outputs" / "r").rglob("*")) if p.is_dir())]
        target = draw.choice(files)
        line = template.replace("F", f"'{target.relative_to(folder)}'")
        if not template.startswith("chmod"):
            line = f"rm -r '{target.relative_to(folder)}'; {line}"
        return run_line(line, folder)

    return plant


def run_line(line: str, folder: Path) -> str:
    """Run a shell line in a folder and return it."""
    subprocess.run(["sh", "-ec", line], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return line


def bytes_changed(folder: Path, draw: random.Random) -> str:
    """Flip, cut, zero or append bytes of an artefact, in half of the cases with matching checksums."""
    file = draw.choice([path for path in artefacts(folder) if path.suffix not in {".html", ".png", ".svg"}])
    content = bytearray(file.read_bytes())
    how = draw.choice(["flip", "flips", "cut", "zero", "append", "insert", "swap"])
    where = draw.randrange(len(content) or 1)
    if how in {"flip", "flips"} and content:
        for _ in range(1 if how == "flip" else 20):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    elif how == "cut":
        del content[where:]
    elif how == "zero":
        content[where : where + 64] = bytes(len(content[where : where + 64]))
    elif how == "append":
        content += draw.randbytes(draw.choice([1, 1000]))
    elif how == "insert":
        content[where:where] = draw.randbytes(7)
    else:
        content.reverse()
    file.write_bytes(content)
    signed = draw.random() < 0.5
    if signed:
        sign(folder)
    return f"{how} at {where} of {file.relative_to(folder)}{', signed' if signed else ''}"


VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1,
        1e308,
        10**30,
        float("nan"),
        float("inf"),
        "",
        "x",
        "\0",
        "\x1b[2J",
        "../../../outside/thesis.tex",
    ),
    *(
        "/dev/zero",
        [],
        [None],
        [[1]],
        {},
        {"a": None},
        "9" * 5000,
        [1] * 5000,
        "é\ud800",
        "<script>alert(1)</script>",
        1.5,
    ),
)


def mutated(content: Any, draw: random.Random) -> tuple[Any, str]:
    """Replace, remove or add one value somewhere in nested JSON, and say where."""
    path: list[Any] = []
    inner = content
    while isinstance(inner, (dict, list)) and inner and (not path or draw.random() < 0.75):
        path.append(draw.choice(sorted(inner)) if isinstance(inner, dict) else draw.randrange(len(inner)))
        inner = inner[path[-1]]
    value = draw.choice(VALUES)
    if not path or draw.random() < 0.03:
        return value, f"all → {value!r:.60}"
    parent = content
    for part in path[:-1]:
        parent = parent[part]
    how = draw.choice(["replace", "replace", "replace", "remove", "add", "deep"])
    if how == "remove":
        del parent[path[-1]]
    elif how == "add" and isinstance(parent, dict):
        parent["added"] = value
    elif how == "add":
        parent.append(value)
    elif how == "deep":
        for _ in range(500):
            value = [value]
        parent[path[-1]] = value
    else:
        parent[path[-1]] = value
    return content, f"{how} {'.'.join(map(str, path))} → {value!r:.60}"


def json_changed(folder: Path, draw: random.Random) -> str:
    """Change a value in one of the JSON files, with matching checksums."""
    file = draw.choice(artefacts(folder, ".json"))
    content, how = mutated(json.loads(file.read_text(encoding="utf-8")), draw)
    file.write_text(json.dumps(content), encoding="utf-8")
    sign(folder)
    return f"{file.relative_to(folder)}: {how}"


def yaml_changed(folder: Path, draw: random.Random) -> str:
    """Change a value in one of the YAML files, with matching checksums."""
    file = draw.choice(artefacts(folder, ".yaml"))
    content, how = mutated(yaml.safe_load(file.read_text(encoding="utf-8")), draw)
    with suppress(RecursionError):  # "deep": the library cannot write what it must be able to read
        file.write_text(yaml.safe_dump(content), encoding="utf-8", errors="replace")
    if draw.random() < 0.7:
        sign(folder)
    return f"{file.relative_to(folder)}: {how}"


ARRAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "NaN": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 3, np.nan, a).astype(a.dtype, copy=False),
    "all NaN": lambda a: np.full(a.shape, np.nan, np.float32),
    "inf": lambda a: np.full(a.shape, np.inf, np.float32),
    "1e38": lambda a: np.full(a.shape, 3e38, np.float32),
    "equal": np.zeros_like,
    "-1": lambda a: np.full(a.shape, -1).astype(a.dtype),
    "2³¹": lambda a: np.full(a.shape, 2**31 - 1).astype(a.dtype),
    "float64": lambda a: a.astype(np.float64),
    "int8": lambda a: a.astype(np.int8),
    "complex": lambda a: a.astype(np.complex64),
    "text": lambda a: a.astype("U8"),
    "objects": lambda a: a.astype(object),
    "transposed": lambda a: a.T,
    "one row": lambda a: a[:1],
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[..., :0],
    "more rows": lambda a: np.concatenate([a, a]),
    "more columns": lambda a: np.concatenate([a, a], axis=-1),
    "flat": lambda a: a.ravel(),
    "scalar": lambda _: np.float32(3),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "Fortran": np.asfortranarray,
}
TABLES: dict[str, Callable[[pa.Table, int], pa.Table]] = {
    "no column": lambda t, i: t.remove_column(i),
    "other name": lambda t, i: t.rename_columns(["x y" if j == i else n for j, n in enumerate(t.column_names)]),
    "two of one name": lambda t, i: t.append_column(t.column_names[i], t.column(i)),
    "nulls": lambda t, i: t.set_column(i, t.column_names[i], pa.nulls(t.num_rows)),
    "some nulls": lambda t, i: t.set_column(i, t.column_names[i], pa.array([None, *t.column(i).to_pylist()[1:]])),
    "text": lambda t, i: t.set_column(i, t.column_names[i], pa.array(["x\x1b[31m\n"] * t.num_rows)),
    "numbers": lambda t, i: t.set_column(i, t.column_names[i], pa.array([-7] * t.num_rows)),
    "huge": lambda t, i: t.set_column(i, t.column_names[i], pa.array([2**62] * t.num_rows)),
    "NaN": lambda t, i: t.set_column(i, t.column_names[i], pa.array([float("nan")] * t.num_rows)),
    "lists": lambda t, i: t.set_column(i, t.column_names[i], pa.array([[1]] * t.num_rows)),
    "bytes": lambda t, i: t.set_column(i, t.column_names[i], pa.array([b"\xff"] * t.num_rows)),
    "times": lambda t, i: t.set_column(i, t.column_names[i], pa.array([10**15] * t.num_rows, pa.timestamp("ns"))),
    "half": lambda t, _: t.slice(0, t.num_rows // 2),
    "none": lambda t, _: t.slice(0, 0),
    "twice": lambda t, _: pa.concat_tables([t, t]),
    "reversed": lambda t, _: t.take(list(range(t.num_rows))[::-1]),
}


def array_changed(folder: Path, draw: random.Random) -> str:
    """Replace an array or a table by another, with matching checksums."""
    file = draw.choice(artefacts(folder, ".npy", ".parquet"))
    if file.suffix == ".npy":
        how = draw.choice(sorted(ARRAYS))
        with np.errstate(all="ignore"), suppress(TypeError):  # the tree's records are no numbers
            np.save(file, ARRAYS[how](np.load(file)), allow_pickle=True)
    else:
        how = draw.choice(sorted(TABLES))
        table = pq.ParquetFile(file).read()
        with suppress(pa.ArrowException):
            pq.write_table(TABLES[how](table, draw.randrange(table.num_columns)), file)
    sign(folder)
    return f"{file.relative_to(folder)}: {how}"


def weights_changed(folder: Path, draw: random.Random) -> str:
    """Change a tensor or a value in a checkpoint, with matching checksums."""
    import torch

    file = draw.choice(artefacts(folder, ".ckpt"))
    content = torch.load(file, weights_only=True)
    how = draw.choice(["NaN", "shape", "missing", "value", "list"])
    weights = content["state_dict"]
    name = draw.choice(sorted(weights))
    if how == "NaN":
        weights[name] = torch.full_like(weights[name], float("nan"), dtype=torch.float32)
    elif how == "shape":
        weights[name] = torch.zeros(3, 3, 3)
    elif how == "missing":
        del weights[name]
    elif how == "value":
        name = draw.choice(sorted(content))
        content[name] = draw.choice(VALUES)
    else:
        content = [1]
    torch.save(content, file)
    sign(folder)
    return f"{file.relative_to(folder)}: {how} {name}"
