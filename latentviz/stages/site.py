"""The maps of a run as a folder for static pages, a part of `latentviz export`: index.html, and each clustering."""

import shutil
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from latentviz.errors import RunError, WriteError
from latentviz.progress import plural
from latentviz.runs.files import remove, temporary_name
from latentviz.runs.run import RunFolder

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
  ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1.5rem; padding: 0 }
  li { border: 1px solid #8886; border-radius: .5rem; overflow: hidden; list-style: none }
  img { display: block; width: 100% }
  li p { margin: .75rem 1rem }
</style>
<h1>{{ name }}</h1>
<p>{{ about }}</p>
<ul>
{%- for each in maps %}
  <li>
    <a href="{{ each.folder }}/map.html">
      {%- if each.pictured %}<img src="{{ each.folder }}/map.png" alt="the map of {{ each.name }}">{% endif %}
      <p><strong>{{ each.name }}</strong></p>
    </a>
    <p>{{ each.about }}
      {%- if each.evaluated %}; <a href="{{ each.folder }}/evaluation.html">evaluation</a>{% endif %}</p>
  </li>
{%- endfor %}
</ul>
</html>
"""


def write_site(run: RunFolder) -> Path:
    """Writes `exported/site/`, which needs no server and no network, and returns its index.html.

    Raises:
        RunError: no clustering of the run has a map.
    """
    summary, site = run.info()["summary"], run.exported.site
    folders = [folder for name in run.clusterings if (folder := run.clustering(name)).map_file.exists()]
    if not folders:
        raise RunError(f"{run.path}: no clustering has a map; `latentviz cluster {run.path}` makes one")
    maps = []
    temporary = temporary_name(site)
    try:
        for folder in folders:
            own, info = temporary / folder.name, folder.info()
            own.mkdir(parents=True)
            for file in (folder.map_file, folder.picture_file, folder.evaluation_report):
                if file.exists():
                    shutil.copyfile(file, own / file.name)
            maps.append(
                {
                    "name": folder.name,
                    "folder": quote(folder.name),
                    "about": f"{plural(info['n_clusters'], 'cluster')}, {info['noise_share']:.0%} noise",
                    "pictured": folder.picture_file.exists(),
                    "evaluated": folder.evaluation_report.exists(),
                }
            )
        page = Environment(autoescape=True).from_string(PAGE)
        about = f"{plural(summary['items'], 'item')}, a latent of {plural(summary['latent_dim'], 'dimension')}"
        (temporary / "index.html").write_text(page.render(name=run.name, about=about, maps=maps), encoding="utf-8")
        (temporary / ".nojekyll").touch()  # GitHub Pages serves the files as they are
        remove(site)
        temporary.rename(site)
    except OSError as error:
        raise WriteError(site, error.strerror or str(error)) from None
    finally:
        remove(temporary)
    return run.exported.site_index
