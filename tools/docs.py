"""Makes the documentation site in build/site: `make docs`.

The pages are those of the repository, in the same places, so that links between them are the same on the site. Made
here are the reference, from docstrings and `--help`, and the gallery, from the runs in outputs/ or quick runs in
build/outputs: `make docs` trains on the digits if need be, `make gallery` on the other recipes, which takes minutes.
"""

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import latentviz as lv
from latentviz.runs.run import ClusterFolder, RunFolder
from latentviz.shell.cli import COMMANDS, parsers

ROOT = Path(__file__).parents[1]
GALLERY = {
    "digits": "1,797 handwritten digits of 8×8 pixels",
    "glyphs": "characters of a font, with their names and scripts in one latent",
    "docstrings": "the first sentences of the docstrings of installed packages",
}
SECTION = re.compile(r"^(Args|Returns|Raises|Attributes):\n((?:    .*\n?|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    (?=\S)", re.MULTILINE)


def main() -> None:
    """Make the pages and build the site; with the word gallery, train on all recipes of the gallery first."""
    for name in GALLERY if sys.argv[1:] == ["gallery"] else ():
        quick_run(name, ROOT)
    make_pages(ROOT / "build" / "pages", ROOT)
    subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict"], check=True, cwd=ROOT)
    sys.stdout.write(f"site {ROOT / 'build' / 'site' / 'index.html'}\n")


def make_pages(pages: Path, root: Path) -> None:
    """Collect the pages in a folder, and make the others; the gallery shows runs in `root`, which may be made."""
    shutil.rmtree(pages, ignore_errors=True)
    collect(pages)
    write(pages / "reference" / "python.md", python_reference())
    write(pages / "reference" / "shell.md", shell_reference())
    write(pages / "gallery" / "index.md", gallery(pages / "gallery", root))


def collect(pages: Path) -> None:
    """Copy the pages of the repository; README.md becomes the first one."""
    for folder, suffixes in (
        ("docs", {".md", ".png", ".gif", ".svg"}),
        ("benchmarks/results", {".md", ".png", ".svg"}),
    ):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in suffixes:
                copy(file, pages / file.relative_to(ROOT))
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        copy(ROOT / name, pages / name)
    copy(ROOT / "README.md", pages / "index.md")


def copy(file: Path, to: Path) -> None:
    """Copy a page; links to files that are no pages become their names, and those to README.md lead to the first."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix != ".md":
        shutil.copyfile(file, to)
        return

    def link(found: re.Match[str]) -> str:
        text, target = found[1], found[2].partition("#")[0]
        linked = (file.parent / target).resolve()
        if "://" in target or not target or linked.suffix in {".md", ".png", ".gif", ".svg"}:
            return found[0].replace("README.md", "index.md")
        return text

    to.write_text(re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, file.read_text(encoding="utf-8")), encoding="utf-8")


def write(file: Path, lines: Iterator[str]) -> None:
    """Write a page that is made here."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def python_reference() -> Iterator[str]:
    """Yield the page of all that `import latentviz as lv` has."""
    yield "# Python reference"
    yield "Made from the docstrings. [Python](../docs/python.md) shows the same by examples."
    for name in sorted(lv.__all__):
        value = getattr(lv, name)
        if inspect.isclass(value):
            yield from described(f"lv.{name}", value, "##")
            for member, of_class in sorted(vars(value).items()):
                inner = of_class.fget if isinstance(of_class, property) else getattr(of_class, "func", of_class)
                own = inspect.isfunction(inner) and inner.__module__ == value.__module__
                if own and not member.startswith("_") and not hasattr(lv, member):
                    is_property = inner is not of_class
                    yield from described(f"{name}.{member}", inner, "###", call=not is_property)
        elif callable(value):
            yield from described(f"lv.{name}", value, "##")


def described(name: str, value: Callable[..., object], level: str, *, call: bool = True) -> Iterator[str]:
    """Yield the heading, the signature and the docstring of a function, a class or a property."""
    yield f"{level} {name}"
    if inspect.isfunction(value) and call:
        signature = inspect.signature(value)
        given = [p.replace(annotation=inspect.Parameter.empty) for n, p in signature.parameters.items() if n != "self"]
        shown = str(signature.replace(parameters=given, return_annotation=inspect.Signature.empty))
        yield f"```python\n{name}{shown}\n```"
    yield from sections(inspect.getdoc(value) or "")


def sections(doc: str) -> Iterator[str]:
    """Yield a Google docstring as Markdown: its sections become lists."""
    place = 0
    for found in SECTION.finditer(f"{doc}\n"):
        yield doc[place : found.start()].strip()
        place = found.end()
        yield f"**{found[1]}**"
        entries = [" ".join(entry.split()) for entry in ENTRY.split(found[2])[1:]]
        yield "\n".join("- " + re.sub(r"^([\w*]+):", r"`\1`:", entry) for entry in entries)
    yield doc[place:].strip()


def shell_reference() -> Iterator[str]:
    """Yield the page of all commands, as `--help` prints them."""
    yield "# Shell reference"
    yield "What `latentviz COMMAND --help` prints. Exit codes: 0 done, 1 collapsed, 2 a mistake, 130 interrupted."
    _, each = parsers()
    for name in COMMANDS:
        yield f"## latentviz {name}"
        yield f"```\n{each[name].format_help().strip()}\n```"


def gallery(pages: Path, root: Path) -> Iterator[str]:
    """Yield the page of live maps, and put their files next to it."""
    yield "# Gallery"
    yield "Each picture opens its map: one file, which works offline. Click a point, or move over the gaps."
    quick_run("digits", root)
    for name, about in GALLERY.items():
        folder = existing(name, root)
        if folder is not None:
            place = pages / name
            place.mkdir(parents=True, exist_ok=True)
            for file in (folder.map_file, folder.picture_file):
                shutil.copyfile(file, place / file.name)
            yield f"## {name}"
            yield f"{about[0].upper()}{about[1:]}: `latentviz fit {name} --cluster`."
            yield f"[![the map of {name}]({name}/map.png)]({name}/map.html)"
    if missing := [name for name in GALLERY if existing(name, root) is None]:
        yield f"`make gallery` adds {' and '.join(missing)}: it trains on them, which takes minutes."


def existing(name: str, root: Path) -> ClusterFolder | None:
    """Find the clustering of a recipe in outputs/ or build/outputs; None if it has not been trained on."""
    folders = [RunFolder(root / place / name).clustering() for place in ("outputs", "build/outputs")]
    return next((folder for folder in folders if folder.finished), None)


def quick_run(name: str, root: Path) -> None:
    """Train on a recipe, with the preset quick, unless there is a run."""
    if existing(name, root) is None:
        lv.fit(name, outputs=root / "build" / "outputs", preset="quick", cluster=True, force=True)


if __name__ == "__main__":
    main()
