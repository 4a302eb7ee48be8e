"""One content gives the same plain columns in every format."""

import csv
import io
import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from latentviz.modalities.io.plain import plain_columns
from latentviz.modalities.io.tables import read_table
from latentviz.modalities.text.config import TextData
from latentviz.modalities.text.read import read as read_texts
from latentviz.modalities.vectors.config import VectorData
from latentviz.modalities.vectors.read import read as read_vectors

EXAMPLES = int(os.environ.get("LATENTVIZ_EXAMPLES", "10"))
N = 18
Rows = list[dict[str, Any]]
ROWS: Rows = [
    {
        "text": f"the text of item {row}, which is unlike the others",
        "label": "ab"[row % 2],
        "when": date(2024, 1, 1 + row),
        "at": datetime(2024, 1, 1, row, 30),
        "zone": datetime(2024, 1, 1, row, 30, tzinfo=UTC),
        "count": row % 5 or None,
        "share": row / 7 if row % 3 else None,
        "known": [True, False, None][row % 3],
        "code": f"{row:03}",
        "tags": ["sport", "news"][: row % 3],
        "meta": {"author": f"a{row % 4}", "year": 1990 + row, "place": {"city": "x" if row % 2 else None}},
        "nothing": None,
        **{f"v{i}": float(np.sin(row * (i + 1)).round(4)) for i in range(3)},
    }
    for row in range(N)
]


def as_cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def delimited(rows: Rows, file: Path, delimiter: str = ",") -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)
    file.write_bytes(out.getvalue().encode())


def categories(rows: Rows) -> pa.Table:
    """Returns the frame as pandas writes it: labels as a dictionary, times in nanoseconds."""
    table = pa.Table.from_pylist(rows)
    for i, field in enumerate(table.schema):
        if field.name == "label":
            table = table.set_column(i, "label", table.column(i).dictionary_encode())
        if field.name == "at":
            table = table.set_column(i, "at", table.column(i).cast(pa.timestamp("ns")))
    return table


WRITERS: dict[str, Callable[[Rows, Path], object]] = {
    "x.csv": delimited,
    "x.tsv": lambda rows, file: delimited(rows, file, "\t"),
    "x.jsonl": lambda rows, file: file.write_text("\n".join(json.dumps(row, default=as_json) for row in rows)),
    "x.json": lambda rows, file: file.write_text(json.dumps(rows, default=as_json)),
    "x.parquet": lambda rows, file: pq.write_table(pa.Table.from_pylist(rows), file),
    "category.parquet": lambda rows, file: pq.write_table(categories(rows), file),
    "x.arrow": lambda rows, file: feather.write_feather(pa.Table.from_pylist(rows), file),
}
PLAIN = {
    "label": ["a", "b"],
    "when": ["2024-01-01", "2024-01-02"],
    "at": ["2024-01-01 00:30:00", "2024-01-01 01:30:00"],
    "zone": ["2024-01-01 00:30:00+00:00", "2024-01-01 01:30:00+00:00"],
    "count": [None, 1],
    "share": [None, 1 / 7],
    "known": [True, False],
    "code": ["000", "001"],
    "tags": [None, "sport"],
    "meta.author": ["a0", "a1"],
    "meta.year": [1990, 1991],
    "meta.place.city": [None, "x"],
    "nothing": [None, None],
    "v0": [0.0, 0.8415],
}


def lists(columns: Any) -> dict[str, list[Any]]:
    return {
        name: pa.array(values).to_pylist() if isinstance(values, list) else values.to_pylist()
        for name, values in columns.items()
    }


@pytest.fixture(params=[*WRITERS, "hub"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns the frame in each format, and as a data set on the hub."""
    if request.param != "hub":
        WRITERS[request.param](ROWS, tmp_path / request.param)
        return str(tmp_path / request.param)
    datasets = pytest.importorskip("datasets")
    tables = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split=None: tables[split] if split else tables)
    return "hf:me/frame"


def test_every_format_as_texts(path: str) -> None:
    """As in SEL-Columbia/bamboo#483, duckdb/duckdb#13734 and seahboonsiew/pyspark-csv#8."""
    source = read_texts(TextData(path=path))
    assert source.texts.to_pylist() == [row["text"] for row in ROWS]
    assert source.labels == [row["label"] for row in ROWS]
    found = lists(source.columns)
    assert {name: values[:2] for name, values in found.items() if name in PLAIN} == {
        name: values for name, values in PLAIN.items() if name != "label"
    }
    assert found["tags"][2] == "sport, news"


def test_every_format_as_vectors(path: str) -> None:
    source = read_vectors(VectorData(path=path, columns="v*"))
    assert np.array_equal(np.concatenate(list(source.blocks())), [[row[f"v{i}"] for i in range(3)] for row in ROWS])
    assert source.about.labels == [row["label"] for row in ROWS]
    assert source.about.texts == [row["text"] for row in ROWS]
    found = lists(source.about.columns)
    assert {name: found[name][:2] for name in found if name in PLAIN} == {
        name: values for name, values in PLAIN.items() if name not in {"label", "v0"}
    }


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1, max_size=8)
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.integers(-(2**62), 2**62),
    "share": st.floats(allow_nan=False, allow_infinity=False),
    "known": st.booleans(),
    "word": WORDS,
    "digits": st.text("0123456789.-", min_size=1, max_size=5),
    "when": st.dates(date(1000, 1, 1)),
    "at": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    "tags": st.lists(WORDS, max_size=3),
}


@st.composite
def frames(draw: st.DrawFn) -> Rows:
    chosen = draw(st.lists(st.sampled_from(sorted(KINDS)), unique=True, min_size=1))
    n = draw(st.integers(2, 6))
    columns = {name: draw(st.lists(st.none() | KINDS[name], min_size=n, max_size=n)) for name in chosen}
    return [
        {
            "text": f"sentence number {row}",
            **{name: values[row] for name, values in columns.items()},
            "meta": {"word": f"w{row}", "n": row},
        }
        for row in range(n)
    ]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=frames())
def test_any_frame_is_the_same_in_every_format(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
    folder = tmp_path_factory.mktemp("frame")
    found = {}
    for name, write in WRITERS.items():
        if name != "category.parquet":
            write(rows, folder / name)
            found[name] = lists(plain_columns(read_table(str(folder / name)))[0])
    for name, columns in found.items():
        assert columns == found["x.parquet"], name
