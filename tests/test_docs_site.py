"""The documentation site: it builds, and every link and picture in it is there."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tool", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(docs: ModuleType, mapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the site next to a copy of its settings, with the map of a small run in the gallery."""
    pytest.importorskip("zensical")
    root = tmp_path_factory.mktemp("docs")
    shutil.copyfile(ROOT / "zensical.toml", root / "zensical.toml")
    shutil.copytree(mapped, root / "outputs" / "digits")
    docs.make_pages(root / "build" / "pages", root)
    subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], check=True, cwd=root, capture_output=True, timeout=120
    )
    return root / "build" / "site"


@pytest.mark.slow
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name not in {"map.html", "404.html"}]
    assert len(pages) > 30
    assert (site / "gallery" / "digits" / "map.html").is_file()
    missing = []
    for page in pages:
        content = page.read_text(encoding="utf-8")
        ids = set(re.findall(r'id="([^"]+)"', content))
        for kind, link in re.findall(r'\b(href|src)="([^"]+)"', content):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert kind == "href", f"{page.name}: {link} is loaded from elsewhere"
            elif (parts.path and not (page.parent / unquote(parts.path)).exists()) or (
                not parts.path and parts.fragment and unquote(parts.fragment) not in ids
            ):
                missing.append((page.name, link))
    assert missing == []


def test_the_reference_names_every_verb_and_option(docs: ModuleType) -> None:
    import latentviz as lv
    from latentviz.shell.cli import COMMANDS

    python, shell = "\n".join(docs.python_reference()), "\n".join(docs.shell_reference())
    assert all(f"lv.{name}\n" in python for name in lv.__all__ if callable(getattr(lv, name)))
    assert "- `min_cluster_size`" not in python
    assert "- `card`: write a model card" in python
    assert all(f"## latentviz {name}\n" in shell for name in COMMANDS)
