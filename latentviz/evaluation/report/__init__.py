"""The evaluation as one HTML file: opens by double-click, makes no network request, and runs no script."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from latentviz.evaluation.report.charts import rank_ticks, sweep_panels, value_ticks
from latentviz.evaluation.results import Evaluation

MOST_BARS = 128  # dimensions in the chart of KL
MOST_GROUPS = 30  # clusters in the list of clusters
PAGE = Path(__file__).with_name("page")
_CODE = re.compile(r"(`[^`]+`|\b(?:model|trainer|cluster|reduce)\.\w+(?:=[\w.]*\w)?)")


@dataclass(frozen=True)
class Group:
    """What the report shows of a cluster: its name, its number of items, and where they are images its medoid."""

    name: str
    size: int
    picture: str | None = None  # a data: URI


def render(
    evaluation: Evaluation,
    *,
    groups: Mapping[int, Group] | None = None,
    sweep: Sequence[Mapping[str, object]] = (),
    chosen: Mapping[str, object] | None = None,
    map_file: str | None = None,
) -> str:
    """Renders the report as HTML; autoescape covers everything that a user named.

    Args:
        evaluation: what to report.
        groups: cluster → how it is shown.
        sweep: the compared cuts, as in clusters.json.
        chosen: the settings of the chosen cut.
        map_file: name of the map in the same folder, to which the clusters link.
    """
    kl = evaluation.health.kl_per_dimension
    highest = max(*kl, 1.0)  # at least 1 nat, so that a collapsed latent looks flat
    order = sorted(range(len(kl)), key=lambda i: -kl[i])[:MOST_BARS]
    largest = sorted((groups or {}).items(), key=lambda item: (-item[1].size, item[0]))[:MOST_GROUPS]
    return (
        environment()
        .get_template("report.html")
        .render(
            evaluation=evaluation,
            style=(PAGE / "report.css").read_text(encoding="utf-8"),
            map_file=map_file,
            groups=groups or {},
            largest=largest,
            order=order,
            highest=highest,
            ticks=value_ticks(0.0, highest),
            ranks=rank_ticks(len(order)),
            panels=sweep_panels(sweep, chosen or {}),
        )
    )


def environment() -> Environment:
    """Returns the templates of this room."""
    found = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters |= {"number": _number, "code": _CODE.split}
    return found


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")
