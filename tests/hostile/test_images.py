"""Folders and files that were made to harm: bombs, pipes, links, odd names, and heads that claim what is not there."""

import gzip
import io
import os
import socket
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import SMALL, Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes pipes, devices and names that Linux knows")
ONCE = (*SMALL, "trainer.max_epochs=1", "--run", "small")
NAMES = [
    b"a\nb.png",
    b'it\'s "quoted".png',
    "🐈‍⬛.png".encode(),
    b"\xff\xfe.png",
    b"<img src=x onerror=alert(1)>.png",
    b"up\\..\\..\\up.png",
    b"$(touch x).png",
    b"-rf.png",
    b"a\tb\rc.png",
    "\u202egnp.exe.png".encode(),
    b"x" * 251 + b".png",
    b"%s%n.png",
    b" .png",
    b"=1+1.png",
]


def picture(number: int, size: int = 12) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def png_bomb(side: int) -> bytes:
    """Returns a PNG whose head claims side² pixels, all there and all zero."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(b"\0" * (side + 1)) for _ in range(side)) + packed.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a folder with 20 pictures."""
    made = tmp_path / "pictures"
    made.mkdir()
    for number in range(20):
        (made / f"{number}.png").write_bytes(picture(number))
    return made


def test_what_is_no_picture_is_passed_over_and_nothing_hangs(shell: Callable[..., Outcome], folder, tmp_path) -> None:
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "metadata.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # the names of sockets are short
        try:
            listening.bind("socket.png")
        finally:
            os.chdir(here)
        if os.geteuid() == 0:
            os.mknod(folder / "zero.png", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        (folder / "zeros.png").symlink_to("/dev/zero")
        (folder / "loop.png").symlink_to("loop.png")
        (folder / "around").symlink_to(".")
        (folder / "up").symlink_to("..")
        (tmp_path / "secret.png").write_bytes(picture(99))
        (folder / "secret.png").symlink_to(tmp_path / "secret.png")
        said = shell("fit", folder, *ONCE, "--outputs", tmp_path / "outputs")
    assert said.code == 0, said.err
    import json

    assert json.loads((tmp_path / "outputs/small/run.json").read_text())["summary"]["items"] == 20


def test_damaged_and_dangerous_pictures_are_left_out_and_listed(shell, folder, tmp_path) -> None:
    (folder / "bomb.png").write_bytes(png_bomb(16_000))  # 256 million pixels in some 250 kB
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes(picture(50)[:100])
    (folder / "empty.png").touch()
    (folder / "other.jpg").write_bytes(picture(51))  # a PNG by another name is read
    said = shell("fit", folder, *ONCE, "data.max_bad=0.5", "--outputs", tmp_path / "outputs")
    assert said.code == 0, said.err
    listed = (tmp_path / "outputs/small/bad_items.csv").read_text()
    assert sorted(Path(line.split(",")[0]).name for line in listed.splitlines()[1:]) == [
        "bomb.png",
        "cut.png",
        "empty.png",
        "text.png",
    ]
    assert "decompression bombs" in listed


def test_odd_names_go_all_the_way_to_the_map(shell, folder, tmp_path) -> None:
    for number, name in enumerate(NAMES, 100):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(picture(number))
    outputs = tmp_path / "outputs"
    said = shell("fit", folder, *ONCE, "--outputs", outputs)
    assert said.code == 0, said.err
    said = shell("cluster", "small", "reduce.method=pca", "cluster.method=gmm", "--outputs", outputs)
    assert said.code == 0, said.err
    assert "<img src=x" not in (outputs / "small/clusters/default/map.html").read_text(encoding="utf-8")
    ids = pq.read_table(outputs / "small/items.parquet").column("id").to_pylist()
    assert len(ids) == 20 + len(NAMES)
    for item in ids:
        assert "\n" not in item
        said = shell("recommend", "small", "--name", "x", "-k", "2", "--outputs", outputs, "--", item)
        assert said.code in {0, 2}, said.err
    assert shell("generate", "small", f"--like={ids[-1]}", "--n", "1", "--outputs", outputs).code == 0


@pytest.mark.soak
def test_a_hundred_thousand_files_in_one_folder(shell, folder, tmp_path) -> None:
    for number in range(100_000):
        os.link(folder / f"{number % 20}.png", folder / f"link-{number}.png")
    said = shell("fit", folder, *ONCE, "trainer.limit_train_batches=2", "--outputs", tmp_path / "outputs")
    assert said.code == 0, said.err


def npy(header: str | bytes, version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return (
        b"\x93NUMPY"
        + version
        + struct.pack("<H" if version[0] == 1 else "<I", len(text) if length is None else length)
        + text
    )


HEADS = {
    "more than there is": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 28, 28), }"),
    "more than can be": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999, 999999, 999999), }"),
    "less than nothing": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-100, 8, 8), }"),
    "nested": npy("{'descr': " + "(" * 5000 + ")" * 5000 + ", 'fortran_order': False, 'shape': (1, 8, 8), }"),
    "a call": npy("{'descr': __import__('os').mkdir('planted'), 'fortran_order': False, 'shape': (1, 8, 8), }"),
    "a head of 4 GB": npy("{}", b"\x02\x00", 0xFFFFFFFF),
    "no end": npy("{'descr': '|u1"),
    "other keys": npy("{'a': 1}"),
    "odd type": npy("{'descr': '(9,9,9,9,9,9,9,9,9)f8', 'fortran_order': False, 'shape': (9, 8, 8), }"),
    "zero bytes": npy(b"\0" * 100),
}


@pytest.mark.parametrize("how", ["npy", "npz"])
@pytest.mark.parametrize("what", HEADS)
def test_heads_of_arrays(shell, tmp_path, monkeypatch, what, how) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"x.{how}"
    if how == "npz":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("images.npy", HEADS[what])
    else:
        file.write_bytes(HEADS[what])
    assert shell("fit", file, "data.kind=image", "--outputs", tmp_path / "outputs").complaint
    assert not (tmp_path / "planted").exists()


def test_an_archive_that_unpacks_to_more_than_the_disk_has(shell, tmp_path) -> None:
    """The head claims 100 TB; unpacking until the disk is full would be the harm."""
    head = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (100000000, 1000, 1000), }")
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", head + bytes(10_000_000))
    complaint = shell("fit", tmp_path / "x.npz", "data.kind=image", "--outputs", tmp_path / "outputs").complaint
    assert "100,000,000 MB" in complaint
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**12, 2**12) + bytes(10_000_000)))
    assert "MB free" in shell("fit", file, "--outputs", tmp_path / "outputs").complaint


@pytest.mark.parametrize("sizes", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 8), (0, 0, 0), (16, 2**31, 1)])
def test_heads_of_idx_files(shell, tmp_path, sizes) -> None:
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *sizes) + bytes(1000))
    assert "train-images" in shell("fit", file, "--outputs", tmp_path / "outputs").complaint


def test_a_table_that_claims_millions_of_rows_in_some_bytes(shell, tmp_path) -> None:
    repeated = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000_000, np.int8)), pa.array([picture(0)]))
    pq.write_table(pa.table({"image": repeated}), tmp_path / "x.parquet", row_group_size=20_000_000, store_schema=False)
    assert (tmp_path / "x.parquet").stat().st_size < 1_000_000
    complaint = shell("fit", tmp_path / "x.parquet", "--outputs", tmp_path / "outputs").complaint
    assert "claims 20,000,000 rows" in complaint


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/null", "/proc/self/mem", "/proc"])
def test_what_is_no_file(shell, tmp_path, file) -> None:
    assert shell("fit", file, "--outputs", tmp_path / "outputs").complaint
