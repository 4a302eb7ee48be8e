"""The kinds of columns: what a column's values are read as, and what the page gets."""

import base64
import gzip
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from latentviz.maps.columns import COLOURED, LISTED, pack_column

N = 600
CASES = {
    "numbers": (np.arange(N) / 7, "number"),
    "numbers kept as texts": ([f"{i % 50 - 20}.5" for i in range(N)], "number"),
    "years kept as texts": ([str(1990 + i % 30) for i in range(N)], "number"),
    "numbers with gaps": ([None if i % 3 else str(i) for i in range(N)], "number"),
    "postal codes": ([f"0{i % 50:04d}" for i in range(N)], "category"),
    "long numbers are names": ([str(10**18 + i) for i in range(N)], "text"),
    "truth values": ([i % 2 == 0 for i in range(N)], "category"),
    "dates": ([date(2020, 1, 1) + timedelta(i) for i in range(N)], "date"),
    "dates as texts": ([f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(N)], "date"),
    "months": ([f"2024-{i % 12 + 1:02d}" for i in range(N)], "date"),
    "times with zones": ([f"2024-03-01T{i % 24:02d}:30:00+05:00" for i in range(N)], "date"),
    "NumPy's dates": (np.array(["2020-01-01", "NaT"] * 300, "datetime64[D]"), "date"),
    "no such date": (["2024-13-01", "2024-01-01"] * 300, "category"),
    "lists": ([["a", "b"], [], ["c"]] * 200, "tags"),
    "lists as texts": (["red; small", "red", "small; old"] * 200, "tags"),
    "lists with brackets": (['["a", "b"]', "['c']"] * 300, "tags"),
    "places are not lists": ([f"town {i % 40}, land {i % 40}" for i in range(N)], "category"),
    "few values": (["a", "b", "c"] * 200, "category"),
    "many values": ([f"town {i % 250}" for i in range(N)], "category"),
    "texts": ([f"caption {i}" for i in range(N)], "text"),
    "addresses": ([f"https://example.org/{i}" for i in range(N)], "text"),
    "nothing": ([None, " "] * 300, "text"),
}


@pytest.mark.parametrize("case", CASES)
def test_kind(case, data):
    values, kind = CASES[case]
    assert pack_column(values, data).meta["kind"] == kind


def test_labels_are_never_numbers(data):
    packed = pack_column([str(i % 10) for i in range(N)], data, named=True)
    assert (packed.meta["kind"], list(packed.names)) == ("category", list("0123456789"))


def test_categories_are_in_their_natural_order(data):
    packed = pack_column(["b", "Part 10", "Part 9", "part 1"] * 150, data)
    assert list(packed.names) == ["b", "part 1", "Part 9", "Part 10"]


@pytest.mark.parametrize("count", [COLOURED, COLOURED + 1])
def test_all_values_are_coloured_or_the_commonest(count, data):
    values = [f"{min(i, i % count):04d}x" for i in range(N)]
    packed = pack_column(values, data)
    assert len(packed.names) == count
    assert len(packed.meta["colours"]) == (count if count <= COLOURED else LISTED)
    assert ("listed" in packed.meta) == (count > COLOURED)


@pytest.mark.parametrize(
    ("step", "count", "unit"),
    [(86_400, 600, 86_400), (60, 600, 60), (1, 600, 1), (60 * 601, 600, 3600), (86_400 * 400, 600, 0)],
)
def test_dates_are_exact_in_the_unit_that_is_shown(step, count, unit, data):
    start = datetime(1900, 5, 1)
    times = [start + timedelta(seconds=step * i) for i in range(count)]
    packed = pack_column(times, data)
    meta = packed.meta
    assert meta["unit"] == unit
    raw = np.frombuffer(gzip.decompress(base64.b64decode(packed.values)), np.uint8).reshape(meta["bits"] // 8, -1)
    steps = sum(plane.astype(int) << 8 * k for k, plane in enumerate(raw))
    read = meta["low"] + (steps - 1) * meta["step"]
    true = np.array([(times[row] - datetime(1970, 1, 1)).total_seconds() for row in data.order])
    assert (np.abs(true - read) < (unit or 366 * 86_400)).all()
