"""Files with several images: the pages of a TIFF, the frames of an animation."""

import io
import mmap
import struct
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal, cast

from PIL import Image

from latentviz.modalities.image.pixels import ANIMATED_FORMATS, Unreadable, open_image
from latentviz.modalities.io.source import ImageSource
from latentviz.progress import plural

Frames = Literal["auto", "all", "first"] | int

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
ANIMATED_SUFFIXES = frozenset({".gif", ".webp", ".apng", ".png", ".avif", ".avifs", ".fli", ".flc", ".dcx"})
_TIFF, _ANIMATED = tuple(TIFF_SUFFIXES), tuple(ANIMATED_SUFFIXES)
_MOST_PAGES = 100_000  # of a file; a damaged one may point back to itself
_SMALL, _MASK = 1, 4  # bits of the tag NewSubfileType: a smaller copy of another page, a mask of one


def count_pages(file: Path) -> list[int]:
    """Returns the numbers of a TIFF's pages, without smaller copies and masks; [0] if it is damaged or one page.

    Reads only the directories, which is fast enough for folders of many thousand files.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
            order = {b"II": "<", b"MM": ">"}[head[:2]]
            big = struct.unpack(f"{order}H", head[2:4])[0] == 43
            place, count, entry, kind = ("Q", "Q", 20, 12) if big else ("L", "H", 12, 8)
            offset = struct.unpack_from(f"{order}{place}", head, 8 if big else 4)[0]
            pages, seen, number = [], set(), 0
            while offset and offset not in seen and number < _MOST_PAGES:
                seen.add(offset)
                stream.seek(offset)
                entries = struct.unpack(f"{order}{count}", stream.read(struct.calcsize(f"{order}{count}")))[0]
                table = stream.read(min(entries, 4_096) * entry)
                flags = 0
                for start in range(0, len(table), entry):
                    if struct.unpack_from(f"{order}H", table, start)[0] == 254:
                        flags = struct.unpack_from(f"{order}L", table, start + kind)[0]
                        break
                if not flags & (_SMALL | _MASK):
                    pages.append(number)
                stream.seek(offset + struct.calcsize(f"{order}{count}") + entries * entry)
                offset = struct.unpack(f"{order}{place}", stream.read(struct.calcsize(f"{order}{place}")))[0]
                number += 1
    except (KeyError, OSError, struct.error):
        return [0]
    return pages or [0]


def count_frames(file: Path) -> list[int]:
    """Returns the numbers of an animation's frames; [0] if it has one, or is damaged."""
    try:
        with open_image(file) as image:
            return list(range(getattr(image, "n_frames", 1))) if image.format in ANIMATED_FORMATS else [0]
    except Exception:  # noqa: BLE001 - Pillow raises nearly anything on damaged files; decoding reports it
        return [0]


def some(frames: Sequence[int], wanted: Frames) -> list[int]:
    """Returns the frames that `data.frames` asks for; a number: so many, evenly spread.

    >>> some(range(9), "all")[-1], some(range(9), 3), some([0, 1], "first")
    (8, [0, 4, 8], [0])
    """
    if wanted in {"first", 1}:
        return list(frames[:1])
    if isinstance(wanted, int) and wanted < len(frames):
        return [frames[round(i * (len(frames) - 1) / (wanted - 1))] for i in range(wanted)]
    return list(frames)


def expand(source: ImageSource, root: Path, names: Sequence[str], wanted: Frames) -> ImageSource:
    """Makes each page or frame an item, with the label and the columns of its file.

    "auto" takes the pages of TIFF files and the first frame of animations.

    Args:
        source: one item per file.
        root: the folder of the files.
        names: of the files of the items, below the folder.
        wanted: the setting `data.frames`.
    """
    pages = wanted != "first" and any(name.lower().endswith(_TIFF) for name in names)
    frames_too = wanted not in {"first", "auto"} and any(name.lower().endswith(_ANIMATED) for name in names)
    if not (pages or frames_too):
        return source
    files = [root / name for name in names]
    chosen: list[tuple[int, int]] = []  # item and frame
    several = made = 0
    for row, file in enumerate(files):
        suffix, frames = file.suffix.lower(), [0]
        if wanted != "first" and suffix in TIFF_SUFFIXES:
            frames = count_pages(file)
        elif wanted not in {"first", "auto"} and suffix in ANIMATED_SUFFIXES:
            frames = count_frames(file)
        taken = some(frames, wanted)
        several, made = several + (len(frames) > 1), made + len(taken) * (len(frames) > 1)
        chosen += [(row, frame) for frame in taken]
    if not several and all(frame == 0 for _, frame in chosen):
        return source
    multiple = {row for row, frame in chosen if frame}
    opener = _Opener(files, multiple, source)
    rows = [row for row, _ in chosen]
    marks = [f"#{frame}" if row in multiple else "" for row, frame in chosen]
    columns = {name: [values[row] for row in rows] for name, values in source.columns.items()}
    name = "frame" if "frame" not in columns else "frame of file"
    note = f"{plural(several, 'file has', 'files have')} several pages or frames, read as {plural(made, 'item')}"
    return replace(
        source,
        ids=[source.ids[row] + mark for row, mark in zip(rows, marks, strict=True)],
        origins=[source.origins[row] + mark for row, mark in zip(rows, marks, strict=True)],
        labels=[source.labels[row] for row in rows],
        columns={**columns, name: [frame for _, frame in chosen]},
        notes=[*source.notes, f"{note}; data.frames=first reads one of each"],
        open=lambda i: opener.open(*chosen[i]),
    )


class _Opener:
    """Opens frames; each thread keeps its last file open, since finding a page means passing those before it."""

    def __init__(self, files: Sequence[Path], multiple: set[int], source: ImageSource) -> None:
        self._files, self._multiple, self._source = files, multiple, source
        self._kept = threading.local()

    def open(self, row: int, frame: int) -> Image.Image:
        if row not in self._multiple:
            return self._source.open(row)
        image = self._kept.image if getattr(self._kept, "row", None) == row else None
        if image is None or image.tell() > frame:
            image = open_image(self._content(self._files[row]))
            self._kept.row, self._kept.image = row, image
        try:
            image.seek(frame)
            limit = Image.MAX_IMAGE_PIXELS
            if limit and image.width * image.height > limit:
                raise Unreadable(f"page {frame} has more pixels than Pillow's limit of {limit} against bombs")
            return image.copy()
        except BaseException:
            self._kept.row = None
            raise

    @staticmethod
    def _content(file: Path) -> IO[bytes]:
        """Returns a file without a descriptor that would have to be closed; stacks of pages can be large."""
        if file.suffix.lower() not in TIFF_SUFFIXES:
            return io.BytesIO(file.read_bytes())
        with file.open("rb") as stream:
            return cast("IO[bytes]", mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def animations(flags: Sequence[bool], n: int) -> list[str]:
    """Returns the note on the first frames of animations; `flags`: of each sampled file, out of n."""
    if not (count := sum(flags)):
        return []
    among = "" if len(flags) == n else f" of {len(flags):,} sampled"
    what = "image has" if count == 1 else "images have"
    return [f"{count:,}{among} {what} several frames, of which the first is used; data.frames=all reads all of each"]
