"""The plot of a search of settings, as one HTML file: the values over the trials and over each setting."""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from latentviz.evaluation.report import PAGE, environment
from latentviz.evaluation.report.charts import Dot, Tick, size_ticks, text_of
from latentviz.progress import plural

STYLES = {"complete": "first", "pruned": "second", "failed": "third"}  # classes of the style sheet
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Point:
    """A trial, as far as the plot shows it.

    Attributes:
        number: from 1.
        state: complete, pruned, or failed.
        value: of the objective; of one that was pruned, when it was.
        settings: setting → value.
    """

    number: int
    state: str
    value: float | None
    settings: Mapping[str, Value]


@dataclass(frozen=True)
class Chart:
    """The values over the trials, or over one setting: its name, dots, ticks of both axes, and a description."""

    name: str
    dots: Sequence[Dot]
    up: Sequence[Tick]
    along: Sequence[Tick]
    description: str


def render(name: str, objective: str, points: Sequence[Point], logs: Set[str]) -> str:
    """Renders the page.

    Args:
        name: of the search.
        objective: what is maximised, in words.
        points: the trials.
        logs: settings that are searched by their logarithm.
    """
    shown = [point for point in points if point.value is not None and math.isfinite(point.value)]
    complete = [point for point in shown if point.state == "complete"]
    best = max(complete, key=lambda point: (point.value or 0.0, -point.number), default=None)
    keys = list(dict.fromkeys(key for point in points for key in point.settings))
    charts = [_chart("trial", shown, best, {point.number: float(point.number) for point in shown}, log=False)]
    charts += [_over(key, shown, best, log=key in logs) for key in keys] if shown else []
    ranked = sorted(shown, key=lambda point: (point.state != "complete", -(point.value or 0.0)))
    return (
        environment()
        .get_template("search.html")
        .render(
            name=name,
            objective=objective,
            trials=plural(len(points), "trial"),
            charts_of=charts if shown else [],
            keys=keys,
            styles=[(style, state) for state, style in STYLES.items() if any(p.state == state for p in shown)],
            best=best,
            rows=[*ranked, *(point for point in points if point not in shown)],
            style=(PAGE / "report.css").read_text(encoding="utf-8"),
            text=lambda value: text_of(value) if isinstance(value, float) else str(value),
        )
    )


def _over(key: str, points: Sequence[Point], best: Point | None, *, log: bool) -> Chart:
    """Places trials along a setting: numbers by value, other values side by side."""
    given = [point for point in points if key in point.settings]
    values = [point.settings[key] for point in given]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _chart(key, given, best, {p.number: float(p.settings[key] or 0) for p in given}, log=log)
    names = sorted({str(value) for value in values})
    place = {name: float(number) for number, name in enumerate(names)}
    at = {point.number: place[str(point.settings[key])] for point in given}
    return _chart(key, given, best, at, log=False, names=names)


def _chart(
    name: str,
    points: Sequence[Point],
    best: Point | None,
    at: Mapping[int, float],
    *,
    log: bool,
    names: Sequence[str] = (),
) -> Chart:
    scale = math.log if log else float
    ends = [scale(value) for value in (min(at.values(), default=0.0), max(at.values(), default=1.0))] if at else [0, 1]
    low, high = _range(points)
    dots = [
        Dot(
            x=(scale(at[point.number]) - ends[0]) / ((ends[1] - ends[0]) or 1.0),
            y=min(1.0, max(0.0, ((point.value or 0.0) - low) / ((high - low) or 1.0))),
            style=STYLES[point.state],
            title=f"trial {point.number}, {point.state}: {text_of(point.value or 0.0)}; "
            + " ".join(f"{key}={value}" for key, value in point.settings.items()),
            chosen=best is not None and point.number == best.number,
        )
        for point in points
    ]
    if names:
        along = [Tick(number / max(1, len(names) - 1), each) for number, each in enumerate(names)]
    elif log:
        along = size_ticks(min(at.values()), max(at.values()))
    else:
        along = [Tick(end, text_of(value)) for end, value in zip((0.0, 1.0), ends, strict=True)]
    up = [Tick(end, text_of(value)) for end, value in zip((0.0, 1.0), (low, high), strict=True)]
    said = f"the objective of {plural(len(points), 'trial')} over {name}, from {text_of(low)} to {text_of(high)}"
    return Chart(name, sorted(dots, key=lambda dot: dot.chosen), up, along, said)


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """Returns the range of values to show; very low ones of pruned trials are drawn at the lower edge."""
    complete = [p.value for p in points if p.value is not None and p.state == "complete"]
    values = complete or [p.value for p in points if p.value is not None] or [0.0]
    low, high = min(values), max(values)
    return low - 0.1 * (high - low), high
