"""`write_report`: the figures of an evaluation as one HTML file, its template and style read from `page/`."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from latentviz.evaluation.report import charts
from latentviz.evaluation.report.tables import TABLES, Row
from latentviz.runs.files import atomic_write

PAGE = Path(__file__).with_name("page")
NAMES = {"health": "The model", "faithfulness": "The picture", "clusters": "The clusters", "labels": "The labels"}
WORDS = {"good": "good", "fair": "fair", "poor": "poor"}
ORDER = ("good", "fair", "poor")


def write_report(
    path: Path, content: Mapping[str, Any], *, clusters: Mapping[str, Any] | None = None, map: str | None = None
) -> None:
    """Writes the report in one step.

    Args:
        path: the HTML file.
        content: what evaluation.json holds.
        clusters: what clusters.json holds; its `sweep` is drawn, if there is one.
        map: the map's file name, beside the report.
    """
    page = render(content, clusters=clusters, map=map)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(content: Mapping[str, Any], *, clusters: Mapping[str, Any] | None = None, map: str | None = None) -> str:  # noqa: A002
    """Returns the report as one HTML text; everything that a user named is escaped."""
    verdicts = content["verdicts"]
    sections = "\n".join(_section(verdict, content, clusters or {}) for verdict in verdicts)
    summary = "".join(
        f'<li class="{verdict["level"]}"><a href="#{verdict["section"]}">{NAMES[verdict["section"]]}</a>'
        f'<span class="words">{escape(verdict["headline"])}</span>{_badge(verdict)}</li>'
        for verdict in verdicts
    )
    name = content["clustering"]
    about = f"{content['n_items']:,} items"
    about += " · no clustering yet: the model alone" if name is None else f" · clustering “{escape(name)}”"
    if map is not None:
        about += f' · <a href="{quote(map)}">open the map</a>'
    model = verdicts[0]["level"]
    return _fill(
        "report.html",
        {
            "title": escape(content["run"]),
            "style": (PAGE / "report.css").read_text(encoding="utf-8"),
            "level": model,
            "about": about,
            "summary": summary,
            "sections": sections,
            "footer": _footer(content),
        },
    )


def _section(verdict: Mapping[str, Any], content: Mapping[str, Any], clusters: Mapping[str, Any]) -> str:
    name = verdict["section"]
    advice = "".join(f"<li>{_code(line)}</li>" for line in verdict["advice"])
    lines = "".join(f"<li>{escape(line)}</li>" for line in verdict["lines"])
    drawn: list[str] = []
    if name == "health":
        drawn.append(charts.kl_bars(content["health"]))
    elif name == "clusters" and clusters.get("sweep"):
        drawn.append(charts.sweep_points(clusters["sweep"], clusters.get("settings", {})))
    elif name == "labels":
        drawn.append(charts.confusion_picture(content["labels"]["confusion"]))
    return _fill(
        "section.html",
        {
            "id": name,
            "level": verdict["level"],
            "name": NAMES[name],
            "word": "collapsed" if verdict["collapsed"] else WORDS[verdict["level"]],
            "headline": escape(verdict["headline"]),
            "lines": f'<ul class="lines">{lines}</ul>' if lines else "",
            "advice": f'<div class="advice"><p>What to change</p><ul>{advice}</ul></div>' if advice else "",
            "charts": "".join(drawn),
            "table": _table(TABLES[name](content[name])),
        },
    )


def _badge(verdict: Mapping[str, Any]) -> str:
    word = "collapsed" if verdict["collapsed"] else WORDS[verdict["level"]]
    return f'<span class="badge">{word}</span>'


def _table(rows: Sequence[Row]) -> str:
    body = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th><td class="number">{escape(row.value)}</td>'
        f'<td class="meaning">{escape(row.meaning)}</td></tr>'
        for row in rows
    )
    return (
        '<table><thead><tr><th scope="col">Figure</th><th scope="col">Value</th><th scope="col">What it says</th>'
        f"</tr></thead><tbody>{body}</tbody></table>"
    )


def _code(line: str) -> str:
    """Returns the line escaped, with settings such as model.c=auto set as code."""
    return re.sub(r"\b(?:model|trainer|cluster|reduce)\.\w+(?:=[\w.]*\w)?", r"<code>\g<0></code>", escape(line))


def _footer(content: Mapping[str, Any]) -> str:
    health = content["health"]
    where = (
        "the held-out items"
        if health["split"] == "val"
        else "all items, since few are held out, training items among them"
    )
    return (
        f"The model was measured on {where}. Where figures rest on a sample, it is drawn with seed "
        f"{content['seed']} and each sampled item is compared with all others; the tables say how many."
    )


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Returns a template with its {{names}} replaced, in one pass: what is put in is never searched again."""
    text = (PAGE / template).read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found.group(1)], text)
