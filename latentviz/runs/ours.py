"""Which files latentviz wrote: a folder is replaced or removed only if it holds nothing else."""

import errno
import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from latentviz.errors import LatentvizError, RunError
from latentviz.progress import one_line, plural
from latentviz.runs.files import LARGEST_JSON, TEMPORARY, read_json, remove, write_json
from latentviz.runs.regular import open_regular

MARKER = ".latentviz.json"  # written first into a run and removed last from it
MARKER_VERSION = 1
HEADING = "# latentviz fit "  # first line of a run's config.yaml
FILES = (
    r"config\.yaml|run\.json|items\.parquet|bad_items\.csv|metrics\.csv|(mu|logvar)\.npy",
    r"evaluation\.(json|html)|origin\.json|preview\.(html|svg)",
    r"cache/(new/|earlier/(clusters/[^/]+/)?)?[\w.-]+\.(npy|npz|parquet|json|txt|yaml|ckpt)",
    r"checkpoints/[^/]+\.ckpt",
    r"samples/(epoch-\d+|progress|samples)\.\w+",
    r"clusters/[^/]+/(config\.yaml|clusters\.json|points\.parquet|\.points\.parquet\.next|network\.npz|(coordinates|neighbours|landmarks|tree)\.npy)",
    r"clusters/[^/]+/(map\.(html|png|svg)|evaluation\.(json|html)|outdated\.txt)",
    r"exported/(encoder\.onnx|decoder\.onnx|model\.safetensors|export\.json|README\.md|map\.png|atlas(-labels)?\.parquet)",
    r"exported/site/(index\.html|\.nojekyll|[^/]+/(map\.(html|png)|evaluation\.html))",
    r"(tensorboard|lightning_logs)/.*",
)
OURS = re.compile("|".join(FILES))
# Of the files of a run, what only the machine that trained it has a use for.
ALONE = re.compile(r"samples/|preview\.|exported/|tensorboard/|lightning_logs/|.*/\.")
# Locks and parts of latentviz, and what file managers and network file systems leave in every folder.
LITTER = re.compile(
    r"\.latentviz\.json|\.writable|\.clusters-.+\.lock|\..+\.part-\d+\.npy|\.DS_Store|Thumbs\.db|desktop\.ini|\.nfs\w+"
)
# Result folders: the JSON file that each holds, the keys that it has, and the files that are always next to it.
RESULTS: dict[str, tuple[set[str], set[str]]] = {
    "generated.json": ({"way", "seed", "sheet", "outputs"}, set()),
    "recommended.json": ({"settings", "files", "recommended"}, set()),
    "compared.json": ({"matched", "flow", "files"}, set()),
    "labelled.json": ({"clustering", "files", "asked"}, {"labels.csv"}),
    "encode.json": ({"data", "clustering", "thresholds"}, {"points.parquet", "mu.npy", "logvar.npy", "map.html"}),
}
RESULT_GROUPS = ("generated", "recommended", "encoded", "compared", "labelled")  # the folders that hold them
LARGEST_RESULT = 2**30  # bytes of a result's JSON file: 100,000 outputs with 4,096 latent dimensions do not fit


def mark(folder: Path) -> None:
    """Writes the marker of a run into a folder."""
    write_json(folder / MARKER, {"format_version": MARKER_VERSION, "made_by": "latentviz"})


def is_run(folder: Path) -> bool:
    """Whether a folder is a run, by its content: the marker, or in runs of earlier versions run.json or config.yaml."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    marker, info = _mapping(folder / MARKER), _mapping(folder / "run.json")
    if isinstance(marker.get("format_version"), int) and marker.get("made_by") == "latentviz":
        return True
    if isinstance(info.get("format_version"), int) and info.keys() >= {"kind", "fingerprint", "summary"}:
        return True
    with suppress(OSError, ValueError):
        config = folder / "config.yaml"
        with open_regular(config) as file:
            return file.read(len(HEADING)) == HEADING.encode() and (folder / "items.parquet").is_file()
    return False


def no_runs(outputs: Path) -> str:
    """Says that there are no runs in a folder, and what its user may have meant."""
    if is_run(outputs):
        command = shlex.join(["latentviz", "map", str(outputs)])
        return f"{outputs}: this is a run, not a folder of runs; write it as RUN, as in `{command}`"
    if is_run(Path()):
        return f"{outputs}: no runs here, but the present folder is one; write `.` as RUN, as in `latentviz map .`"
    return f"{outputs}: no runs here; make one with `latentviz fit SOURCE`, as in `latentviz fit digits`"


def foreign(folder: Path) -> list[str]:
    """Returns the files in a run's folder that latentviz did not write, relative to it; sorted."""
    listed: dict[Path, set[str]] = {}
    found = []
    for name in _names(folder):
        group, *rest = name.split("/", 2)
        if group in RESULT_GROUPS and len(rest) == 2:
            result = folder / group / rest[0]
            if result not in listed:
                listed[result] = _listed(result)
            ours = rest[1] in listed[result]
        else:
            ours = bool(OURS.fullmatch(name))
        if not ours:
            found.append(name)
    return sorted(found)


def is_ours(name: str) -> bool:
    """Whether a file of this name, relative to its run, is one that latentviz writes."""
    return OURS.fullmatch(name) is not None


def shared_files(folder: Path) -> list[str]:
    """Returns the files of a run that another machine needs to use it: the run and its clusterings; sorted."""
    needed = [name for name in _names(folder) if OURS.fullmatch(name) and not ALONE.match(name)]
    return sorted([MARKER, *needed])


def is_empty(folder: Path) -> bool:
    """Whether a folder holds no files but temporary ones and litter."""
    return next(_names(folder), None) is None


def foreign_to_result(folder: Path) -> list[str]:
    """Returns the files in a folder of `generated/` and similar that latentviz did not write; sorted."""
    if folder.is_symlink() or not folder.is_dir():
        return [folder.name]
    listed = _listed(folder)
    return sorted(name for name in _names(folder) if name not in listed)


def holds(names: list[str]) -> str:
    """Describes files that latentviz did not write.

    >>> holds(["thesis.tex", "a", "b"])
    'holds thesis.tex and 2 other files, which latentviz did not write'
    """
    others = f" and {plural(len(names) - 1, 'other file')}" if len(names) > 1 else ""
    return f"holds {one_line(names[0], 80)}{others}, which latentviz did not write"


def remove_run(folder: Path) -> None:
    """Removes a run, its marker last: what a kill leaves of it is still known as a run.

    Folders that are neither a run nor empty stay.

    Raises:
        OSError: something cannot be removed; the marker stays.
    """
    if not is_run(folder) and not (folder.is_dir() and not folder.is_symlink() and is_empty(folder)):
        return
    mark(folder)
    for path in folder.iterdir():
        if path.name != MARKER:
            remove(path)
    if left := [path for path in folder.iterdir() if path.name != MARKER]:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), os.fspath(left[0]))
    (folder / MARKER).unlink()
    folder.rmdir()


def check_links(folder: Path) -> None:
    """Checks that nothing in a run leads out of it, and that it holds files and folders only.

    Raises:
        RunError: a link leaves the folder, or there is a pipe, a socket or a device.
    """
    for problem in leaving(folder):
        raise RunError(problem)


def leaving(folder: Path) -> Iterator[str]:
    """Yields a line for each link in a run that leads out of it, and for each pipe, socket or device."""
    root = os.path.realpath(folder)
    for entry in _entries(folder):
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if os.path.commonpath([root, target]) != root:
                yield (
                    f"{entry.path}: a link that leaves the run (to {target}); put the file itself there, or remove "
                    "the link"
                )
        elif not entry.is_dir() and not entry.is_file():
            kind = stat.filemode(entry.stat(follow_symlinks=False).st_mode)[0]
            what = {"p": "a pipe", "s": "a socket"}.get(kind, "a device")
            yield f"{entry.path}: {what}, and a run holds files and folders only; remove it"


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yields everything below a folder, without following links; what may not be read is left out."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _names(folder: Path) -> Iterator[str]:
    """Yields the files and links below a folder, relative to it, without temporary ones and litter."""
    for entry in _entries(folder):
        name = os.path.relpath(entry.path, folder).replace(os.sep, "/")
        if any(TEMPORARY.fullmatch(part) for part in name.split("/")) or LITTER.fullmatch(entry.name):
            continue
        if entry.is_symlink() or not entry.is_dir():
            yield name


def _listed(folder: Path) -> set[str]:
    """Returns the names of the files that a result's JSON file lists; none if latentviz did not write it."""
    for name, (keys, always) in RESULTS.items():
        content = _mapping(folder / name, LARGEST_RESULT)
        if content.keys() >= keys:
            lists = [content.get(key) for key in ("sheet", "files", "outputs")]
            named = [each.get("file") if isinstance(each, dict) else each for each in _flat(lists)]
            return {name, *always, *(each.partition("#")[0] for each in named if isinstance(each, str))}
    return set()


def _flat(lists: list[object]) -> Iterator[object]:
    for each in lists:
        if isinstance(each, list):
            yield from each


def _mapping(file: Path, limit: int = LARGEST_JSON) -> dict[str, object]:
    """Returns the mapping in a JSON file; an empty one if there is none."""
    try:
        return read_json(file, limit=limit)
    except LatentvizError:
        return {}
