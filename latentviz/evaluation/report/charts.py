"""Data of the report's charts; the template draws them with HTML and CSS."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLOURS = ("first", "second", "third")  # classes of the style sheet
# Column of the sweep → its name on the chart; columns that the rows lack are left out.
SERIES = {"clusters": "clusters", "noise": "noise", "normalised": "modularity", "validity": "validity"}
SERIES |= {"separation": "separation", "distinct": "in distinct clusters", "stability": "stability"}
CUT = ("layout", "selection", "min_samples", "min_cluster_size")  # the settings that identify a cut


@dataclass(frozen=True)
class Dot:
    """A cut on a panel: its position in [0, 1] from the left and the bottom, its colour and its tooltip."""

    x: float
    y: float
    style: str
    title: str
    chosen: bool


@dataclass(frozen=True)
class Panels:
    """The compared cuts by min_cluster_size, which ranges from `least` to `most`."""

    panels: Sequence[tuple[str, float, Sequence[Dot]]]  # a (name, highest value, dots) per series
    keys: Sequence[tuple[str, str]]  # a (style, name) per way of selection
    least: float
    most: float


def steps(most: float, count: int = 4) -> list[float]:
    """Lists about `count` round numbers from 0 to `most`.

    >>> steps(5.4)
    [0.0, 2.0, 4.0]
    >>> steps(0)
    [0.0]
    """
    if not most > 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(most / count))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most / count)
    return [round(i * step, 10) for i in range(int(most / step + 1e-9) + 1)]


def sweep_panels(sweep: Sequence[Mapping[str, object]], chosen: Mapping[str, object]) -> Panels | None:
    """Positions the compared cuts, one panel per series; None if the rows hold no series.

    Args:
        sweep: a row for each cut: `min_cluster_size`, `selection`, and what is in `SERIES`.
        chosen: the settings of the chosen cut, which gets a ring.
    """
    rows = [(row, size) for row in sweep if (size := _number(row, "min_cluster_size")) is not None and size > 0]
    least, most = min((size for _, size in rows), default=1.0), max((size for _, size in rows), default=1.0)
    selections = sorted({str(row.get("selection", "")) for row, _ in rows})
    styles = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(selections)}
    panels = []
    for key, series in SERIES.items():
        shown = [(row, size, value) for row, size in rows if (value := _number(row, key)) is not None]
        if len(shown) < 2:
            continue
        low, high = min(0.0, *(value for *_, value in shown)), max(value for *_, value in shown)
        dots = [
            Dot(
                x=math.log(size / least) / (math.log(most / least) or 1.0),
                y=(value - low) / ((high - low) or 1.0),
                style=styles[str(row.get("selection", ""))],
                title=f"{', '.join(f'{name} {row[name]}' for name in CUT if name in row)}: {series} {value:.4g}",
                chosen=_is_chosen(row, chosen),
            )
            for row, size, value in shown
        ]
        panels.append((series, high, sorted(dots, key=lambda dot: dot.chosen)))  # the ring on top
    return Panels(panels, [(style, name) for name, style in styles.items() if name], least, most) if panels else None


def _number(row: Mapping[str, object], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _is_chosen(row: Mapping[str, object], chosen: Mapping[str, object]) -> bool:
    keys = [key for key in CUT if key in row and key in chosen]
    return bool(keys) and all(row[key] == chosen[key] for key in keys)
