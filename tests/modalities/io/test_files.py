"""Text files in many encodings, and the one-line errors about files that are not text."""

import gzip
import random
from pathlib import Path

import pytest

from latentviz.errors import DataError
from latentviz.modalities.io.files import examine, text_of

LINES = ["Le café était déjà fermé à Noël", "été", "plain words"] * 20
HAN = ["秦川雄帝宅,函谷壮皇居", "绮殿千寻起,离宫百雉余"] * 20


def said(file: Path, content: bytes, encoding: str = "utf-8") -> str:
    """Returns the error about a file with this content, without its name."""
    file.write_bytes(content)
    with pytest.raises(DataError) as told:
        examine(file, encoding)
    message = str(told.value)
    assert "\n" not in message
    assert message.startswith(str(file))
    return message.removeprefix(f"{file}: ")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("packed", [False, True])
def test_byte_order_marks_say_the_encoding(tmp_path: Path, encoding: str, packed: bool) -> None:
    content = "\r\n".join(LINES).encode(encoding)
    (tmp_path / "x.txt").write_bytes(gzip.compress(content) if packed else content)
    with text_of(tmp_path / "x.txt", examine(tmp_path / "x.txt", "cp1252" if encoding != "utf-8" else "utf-8")) as text:
        assert [line.rstrip("\n") for line in text] == LINES, "no mark in the first line, no \\r at the ends"


@pytest.mark.parametrize(
    ("encoding", "lines", "guess"),
    [
        ("cp1252", LINES, "cp1252"),
        ("gb18030", HAN, "gb18030"),
        ("big5", ["連甍遙接漢,飛觀迥凌虛"] * 20, "big5"),
        ("cp932", ["これは日本語のテキストです。"] * 20, "cp932"),
        ("cp1251", ["Привет, как дела? Это текст."] * 20, "cp1251"),
    ],
)
def test_another_encoding_is_guessed_and_then_read(tmp_path: Path, encoding: str, lines: list[str], guess: str) -> None:
    file = tmp_path / "x.txt"
    message = said(file, "\n".join(lines).encode(encoding))
    assert "data.encoding=" in message
    assert message.endswith(guess)
    with text_of(file, examine(file, guess)) as text:
        assert text.read().split("\n") == lines


@pytest.mark.parametrize("before", [0, 3, 2**20 - 2, 2**20 - 1, 2**20, 3 * 2**20 + 1])
def test_it_names_line_and_byte_wherever_they_are(tmp_path: Path, before: int) -> None:
    content = (b"ab\n" * (before // 3 + 1))[:before] + "é".encode()[:1] + b"x\n"
    line = content[:before].count(b"\n") + 1
    assert f"line {line:,} is not UTF-8 (byte 0xc3 at {before:,})" in said(tmp_path / "x.txt", content)


def test_a_character_over_the_edge_of_a_block_is_one(tmp_path: Path) -> None:
    for before in range(4):
        (tmp_path / "x.txt").write_text("a" * (2**20 - before) + "🐈" * 3, encoding="utf-8")
        assert examine(tmp_path / "x.txt", "utf-8") == "utf-8"
    assert "is not UTF-8" in said(tmp_path / "x.txt", b"ab\n" + "🐈".encode()[:2])


def test_nul(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    assert said(file, b"ab\ncd\ne\0f\n").startswith("line 3 holds a NUL byte")
    assert said(file, "\n".join(LINES).encode("utf-16-le")).endswith("data.encoding=utf-16-le")
    assert said(file, "plain words\n".encode("utf-16-be") * 9).endswith("data.encoding=utf-16-be")


def test_what_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    assert said(file, b"").startswith("the file is empty")
    assert "a PDF" in said(file, b"%PDF-1.7 \xc4\xe5")
    assert "a ZIP archive" in said(file, b"PK\x03\x04" + b"\0" * 20)
    assert "binary data" in said(file, b"\xff" + random.Random(0).randbytes(5000))
    packed = gzip.compress("\n".join(LINES * 50).encode())
    assert "not a whole gzip file" in said(file, packed[: len(packed) // 2])


def test_it_may_not_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        examine(tmp_path / "nothing.txt", "utf-8")
