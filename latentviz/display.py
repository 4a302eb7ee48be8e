"""How runs and results show themselves: small tables as text, and tables, pictures and pages in a notebook."""

import base64
import html
import os
import re
import sys
import webbrowser
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from latentviz.progress import notebook, one_line, say

Rows = Sequence[tuple[str, object]]

WIDEST = 60  # characters of a cell, so that a row with an id, a source and a text fits a wide terminal
LISTED = 10  # rows of a kind, such as clusters, in a representation
# Bytes of a page that a notebook shows by default. Each output is stored in the notebook: with ten results of this size
# it still opens quickly and fits into version control. The map of the 1,797 digits takes 0.6 MB.
INLINE = 1_000_000
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")  # variables that say where a browser may open a window
PREVIEW = 640  # pixels, the width of a preview of a picture
# Plotly is two thirds of a small map, whose points are drawn without it: app.js allows for a file without it.
_PLOTLY = re.compile(r'<script type="text/plain" data-optional id="lv-plotly">[^<]*</script>')


def table(rows: Rows) -> str:
    """Formats names and values as two aligned columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def columns(rows: Sequence[Mapping[str, object]], names: Sequence[str], right: set[str]) -> str:
    """Formats rows in aligned columns with a heading; columns without any value are left out.

    Args:
        rows: name → value.
        names: of the columns, in order.
        right: names of the columns that are aligned on the right.
    """
    names = [name for name in names if any(row.get(name) is not None for row in rows)]
    lines = [
        [one_line(str(row.get(name)), WIDEST) if row.get(name) is not None else "" for name in names] for row in rows
    ]
    widths = [max(len(cell) for cell in column) for column in zip(names, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(names, line, widths, strict=True)
        ).rstrip()
        for line in (names, *lines)
    )


class Shown:
    """An object that shows itself as a title and a small table: as text, and in a notebook as HTML."""

    @abstractmethod
    def _shown(self) -> tuple[str, Rows]:
        """Returns the title and the table."""

    def __repr__(self) -> str:
        title, rows = self._shown()
        return "\n".join([title, *(f"  {line}" for line in table(rows).splitlines())])

    def _repr_html_(self) -> str:
        title, rows = self._shown()
        return html_table(title, rows)


def html_table(title: str, rows: Rows) -> str:
    """Formats a title, names and values as HTML; everything is escaped."""
    cell = '<td style="text-align:left">{}</td>'
    lines = "".join(f"<tr>{''.join(cell.format(html.escape(str(part))) for part in row)}</tr>" for row in rows)
    return f"<div><strong>{html.escape(title)}</strong><table><tbody>{lines}</tbody></table></div>"


def link(path: Path, text: str) -> str:
    """Returns a link to a file: relative to the working folder, which Jupyter serves, where the file is below it."""
    where = os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else path.absolute().as_uri()
    return f'<a href="{html.escape(where)}" target="_blank">{html.escape(text)}</a>'


def frame(page: str, title: str, height: int = 640) -> str:
    """Embeds a page in HTML.

    In a `data:` address Chromium shows nothing above 2 MB, and no message; `srcdoc` has no limit. The sandbox keeps
    the page's scripts away from the notebook.
    """
    return (
        f'<iframe title="{html.escape(title)}" sandbox="allow-scripts allow-downloads allow-modals" '
        f'style="width:100%;height:{height}px;border:0" srcdoc="{html.escape(page)}"></iframe>'
    )


def html_map(file: Path, preview: Path | None = None) -> str:
    """Embeds a map without Plotly, or, if it is too large for that, its picture; and links to the file."""
    shown = ""
    if file.stat().st_size <= 4 * INLINE and len(page := without_plotly(file)) <= INLINE:
        shown = frame(page, "latentviz map")
    if not shown:
        shown = picture(preview, "the map") if preview is not None and preview.exists() else ""
        shown += "<div><code>.show()</code> shows the interactive map here.</div>"
    return f"{shown}<div>{link(file, f'Open {file.name}')}</div>"


def without_plotly(file: Path) -> str:
    """Reads a map without Plotly, which it can do without where there is WebGL; earlier versions' maps keep it."""
    return _PLOTLY.sub("", file.read_text(encoding="utf-8"))


def picture(file: Path, description: str) -> str:
    """Embeds a picture, made smaller if it is wider than `PREVIEW`."""
    from io import BytesIO

    from PIL import Image

    with Image.open(file) as image:
        if image.width <= PREVIEW:
            content, kind = file.read_bytes(), "png"
        else:
            small: Image.Image = image.convert("RGB").resize(
                (PREVIEW, max(1, round(image.height * PREVIEW / image.width))), Image.Resampling.LANCZOS
            )
            stream = BytesIO()
            small.save(stream, "WEBP", quality=85)
            content, kind = stream.getvalue(), "webp"
    return f'<img alt="{html.escape(description)}" src="{data_uri(content, kind)}" style="max-width:100%">'


def data_uri(image: bytes, kind: str) -> str:
    """Returns the address of an image file of this kind, such as png, inside a page."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def show_page(file: Path, title: str) -> None:
    """Shows a page of any size: in a notebook below the cell, else in the browser."""
    if (shell := notebook()) is not None:
        page = frame(file.read_text(encoding="utf-8"), title)
        shell.display_pub.publish({"text/html": page, "text/plain": str(file)})
    elif not in_browser(file):
        say(f"no browser to show it in; open {file}")


def in_browser(file: Path) -> bool:
    """Opens a page in the browser; False without a display or a browser."""
    if sys.platform not in {"darwin", "win32"} and not any(map(os.environ.get, DISPLAYS)):
        return False  # else a browser for terminals would take over the terminal
    try:
        return webbrowser.open(file.absolute().as_uri())
    except (webbrowser.Error, OSError):
        return False
