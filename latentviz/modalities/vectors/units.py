"""Vectors that single precision cannot hold as they are: numbers too small, or far from 0 and close together."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentviz.modalities.io import prepared
from latentviz.modalities.io.names import printable
from latentviz.modalities.vectors.source import Source
from latentviz.runs.files import read_npz

UNITS = "units.npz"
SMALLEST = 1e-15  # single precision holds the squares of numbers down to this, and sums over many of them
COARSE = 4e-6  # deviation over size of a column below which single precision has hardly 30 steps for it
NAMED = 5  # columns named in a note


class Units(NamedTuple):
    """Vectors are stored as (x − shift) · unit."""

    shift: np.ndarray  # float64 (d,)
    unit: float  # a power of 2

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Converts vectors, float64 (b, d)."""
        return np.asarray((values - self.shift) * self.unit)


def load_units(cache: Path) -> Units | None:
    """Loads the units of a run's vectors; None: they are stored as they are. A RunError if they are damaged."""
    if not (cache / UNITS).exists():
        return None
    with read_npz(cache / UNITS, prepared.again(cache)) as content:
        return Units(content["shift"], float(content["unit"]))


def find_units(source: Source, lost: np.ndarray) -> Units | None:
    """Finds units in which single precision holds the differences that it lost; None if there are none.

    Of the columns `lost`, bool (d,), those far from 0 are shifted; tiny numbers are multiplied by a power of 2.
    """
    low, high = np.full(source.shape[1], np.inf), np.full(source.shape[1], -np.inf)
    for block in source.blocks():
        if len(block):
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    spread = high - low
    if not spread.max() > 0:
        return None
    size = np.maximum(np.abs(low), np.abs(high))
    shift = np.where(lost & (spread <= 100 * COARSE * size), low, 0.0)
    tiny = float(np.where(shift != 0, spread, size).max())
    unit = float(2.0 ** min(1023, -int(np.floor(np.log2(tiny))))) if tiny < SMALLEST * 1e3 else 1.0
    return Units(shift, unit) if unit != 1.0 or shift.any() else None


def unit_notes(units: Units, names: Sequence[str]) -> list[str]:
    """Lines for the user on what was done to numbers that single precision cannot hold."""
    notes = []
    shifted = np.flatnonzero(units.shift)
    if len(shifted):
        what = "columns of large numbers that differ by little are stored as the distance to their least"
        notes.append(f"{what}: {named(shifted, names)}")
    if units.unit != 1.0:
        notes.append(
            f"numbers too small for single precision are multiplied by {units.unit:.3g}, and so are new vectors; "
            "generated vectors are in this unit"
        )
    return notes


def named(columns: np.ndarray, names: Sequence[str]) -> str:
    """Returns the first columns by their names, or by their numbers from 0 if they have none."""
    shown = [printable(names[i]) if names else str(i) for i in columns[:NAMED]]
    return ", ".join(shown) + ", …" * (len(columns) > NAMED)
