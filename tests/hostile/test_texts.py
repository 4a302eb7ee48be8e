"""Texts that were made to harm: NUL, lone surrogates, lines without an end, writing that turns round, pipes, bombs."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome

ONCE = (
    "data.kind=text",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "model.latent_dim=4",
    "--run",
    "small",
)
PLAIN = [f"line {number} of a text about {['cats', 'dogs', 'birds'][number % 3]}" for number in range(60)]


def fitted(shell: Callable[..., Outcome], tmp_path: Path, content: bytes, name: str = "x.txt") -> Outcome:
    """Returns how a fit ended, which was one line and exit code 2, or a run."""
    (tmp_path / name).write_bytes(content)
    said = shell("fit", tmp_path / name, *ONCE, "--outputs", tmp_path / "outputs")
    assert "Traceback" not in said.err
    assert said.code == 0 or said.complaint
    return said


LINES = {
    "NUL": "a\0b",
    "a lone surrogate": "\ud800 alone",
    "turned round": "\u202etxt.exe\u202c",
    "a joiner": "\u200d" * 50,
    "a private sign": "\U0010fffd",
    "marks upon marks": "Z" + "\u0301" * 5000,
    "a page's code": "</script><script>alert(1)",
    "other ends of lines": "a\u2028b\u2029c\x0b\x0c\x1c\x85d",
    "a byte order mark": "\ufeffa",
    "bells": "\a\b\x1b[2J",
    "long": "word " * 200_000,
}


def test_odd_lines_go_all_the_way_to_the_map(shell, tmp_path) -> None:
    lines = [*PLAIN, *LINES.values()]
    said = fitted(shell, tmp_path, "\n".join(lines).encode("utf-8", "surrogatepass"))
    if said.code == 0:
        outputs = tmp_path / "outputs"
        said = shell("cluster", "small", "reduce.method=pca", "cluster.method=gmm", "--outputs", outputs)
        assert said.code == 0, said.err
        page = (outputs / "small/clusters/default/map.html").read_text(encoding="utf-8")
        assert "</script><script>alert(1)" not in page


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n" * 100,
        b"\0" * 1000,
        b"\xff\xfe" * 500,
        b"a" * 10_000_000,
        b"a\n" * 100,
        bytes(range(256)) * 50,
        "\n".join(PLAIN).encode("utf-16"),
        b"PAR1",
        b"\x1f\x8b broken",
    ],
    ids=["empty", "blank", "NUL", "no UTF-8", "one line of 10 MB", "all alike", "every byte", "UTF-16", "PAR1", "gzip"],
)
@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.jsonl"])
def test_files_that_are_no_texts(shell, tmp_path, content, name) -> None:
    fitted(shell, tmp_path, content, name)


@pytest.mark.parametrize("name", ["x.parquet", "x.txt.gz", "x.json", "x.tsv"])
@pytest.mark.parametrize("content", [b"", b"{", b"PAR1" * 10, b"\x1f\x8b\x08\0\0", b"[[[[" * 5000], ids=range(5))
def test_files_that_are_not_what_their_names_say(shell, tmp_path, content, name) -> None:
    assert fitted(shell, tmp_path, content, name).complaint


def test_a_packed_file_of_one_line(shell, tmp_path) -> None:
    fitted(shell, tmp_path, gzip.compress(b"a" * 50_000_000), "x.txt.gz")


def test_a_folder_with_a_pipe_and_links_around(shell, tmp_path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number, line in enumerate(PLAIN):
        (folder / f"{number}.txt").write_text(line)
    os.mkfifo(folder / "pipe.txt")
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "around").symlink_to(".")
    (folder / "zero.txt").symlink_to("/dev/zero")
    said = shell("fit", folder, *ONCE, "--outputs", tmp_path / "outputs")
    assert said.code == 0, said.err
