"""Data of the report's charts; the template draws them with HTML and CSS."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from latentviz.progress import plural

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
class Tick:
    """A mark of an axis: its position in [0, 1] and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Panel:
    """A chart of one series: its name, its dots, the ticks of its vertical axis, and what a screen reader says."""

    name: str
    dots: Sequence[Dot]
    ticks: Sequence[Tick]
    description: str


@dataclass(frozen=True)
class Panels:
    """The compared cuts by min_cluster_size."""

    panels: Sequence[Panel]
    keys: Sequence[tuple[str, str]]  # a (style, name) per way of selection
    ticks: Sequence[Tick]  # of min_cluster_size


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


def value_ticks(low: float, high: float) -> list[Tick]:
    """Returns the ticks of a linear axis from `low`, which is 0 or below, to `high`."""
    values = [*([low] if low < 0 else []), *steps(high)]
    return [Tick((value - low) / ((high - low) or 1.0), text_of(value)) for value in values]


def rank_ticks(count: int) -> list[Tick]:
    """Returns the ticks below `count` bars of equal width.

    >>> [tick.text for tick in rank_ticks(16)]
    ['1', '5', '10', '15']
    """
    return [Tick((rank - 0.5) / count, f"{rank}") for rank in sorted({max(1, round(rank)) for rank in steps(count)})]


def size_ticks(least: float, most: float) -> list[Tick]:
    """Returns the ticks of a logarithmic axis: the ends of the range and the powers of ten well between them.

    >>> [tick.text for tick in size_ticks(8, 1200)]
    ['8', '100', '1,200']
    """
    span = math.log(most / least) or 1.0
    powers = (10.0**power for power in range(math.ceil(math.log10(least)), math.ceil(math.log10(most))))
    ticks = [Tick(math.log(size / least) / span, text_of(size)) for size in (least, *powers, most)]
    ends = ticks[:1] if most == least else [ticks[0], ticks[-1]]
    return sorted([*ends, *(tick for tick in ticks[1:-1] if 0.25 < tick.at < 0.75)], key=lambda tick: tick.at)


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
        ringed = [text_of(value) for row, _, value in shown if _is_chosen(row, chosen)][:1]
        described = f"{series} of {plural(len(dots), 'cut')}, from {text_of(min(value for *_, value in shown))} to"
        described += f" {text_of(high)}" + "".join(f"; the chosen one has {value}" for value in ringed)
        dots = sorted(dots, key=lambda dot: dot.chosen)  # the ring on top
        panels.append(Panel(series, dots, value_ticks(low, high), described))
    keys = [(style, name) for name, style in styles.items() if name]
    return Panels(panels, keys, size_ticks(least, most)) if panels else None


def text_of(value: float) -> str:
    """Formats a number for a chart."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def _number(row: Mapping[str, object], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _is_chosen(row: Mapping[str, object], chosen: Mapping[str, object]) -> bool:
    keys = [key for key in CUT if key in row and key in chosen]
    return bool(keys) and all(row[key] == chosen[key] for key in keys)
