"""Texts in the shell: one short run, every command on it, and a one-line error for each bad input."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import latentviz as lv
from latentviz.modalities.loading import load_model
from latentviz.modalities.sources import load_config
from latentviz.runs.run import RunFolder
from latentviz.shell import commands

SETTINGS = ("model.latent_dim=4", "model.width=16", "model.memory=16", "model.samples=2", "trainer.max_epochs=2")
LINES = [
    f"{who} {what} {where} {i}"
    for i, (who, what, where) in enumerate(
        (a, b, c)
        for a in ("the cat", "a dog", "my horse", "العصفور")
        for b in ("sleeps", "eats", "runs")
        for c in ("at night", "in the garden", "with much joy")
    )
]


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a finished, clustered run on 72 lines with labels; add to it, but change nothing."""
    folder = tmp_path_factory.mktemp("animals")
    rows = [f"{line},{'even' if i % 2 else 'odd'},{i % 5}" for i, line in enumerate(LINES * 2)]
    (folder / "animals.csv").write_text("\n".join(["text,label,stars", *rows]), encoding="utf-8")
    commands.fit(str(folder / "animals.csv"), SETTINGS, outputs=str(folder), run="animals")
    settings = ["reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=2"]
    commands.cluster(str(folder / "animals"), settings, outputs=str(folder))
    return folder / "animals"


def test_the_map_has_the_texts_once(animals: Path) -> None:
    points = RunFolder.open(animals).clustering().points().to_pandas()
    assert points["text"][3] == LINES[3]
    assert points["stars"].tolist() == [i % 5 for i in range(72)]
    assert (animals / "clusters" / "default" / "map.html").exists()


def test_a_new_text_is_recommended_to(shell: Callable, animals: Path) -> None:
    outcome = shell("recommend", animals, "the cat eats with much joy", "-k", 3, "--json")
    rows = json.loads(outcome.out)["recommended"]
    assert [row["text"] in LINES for row in rows] == [True] * 3
    assert "the cat eats with much joy: a new text" in outcome.err
    known = json.loads(shell("recommend", animals, "animals/2", "-k", 1, "--json").out)["recommended"]
    assert known[0]["text"] == LINES[0], "the other of the two equal lines"


def test_a_misspelt_run_is_no_new_text(shell: Callable, animals: Path) -> None:
    """Any word is a text, unless it is the name of a run and further words follow."""
    complaint = shell("recommend", "anmals", "a dog runs", "--outputs", animals.parent).complaint
    assert complaint.startswith(f"anmals: no run in {animals.parent} has this name, and no item of animals")
    assert "runs there: animals. Did you mean 'animals'?" in complaint
    assert "`latentviz recommend animals anmals`" in complaint
    for words in (["sleeps", "a dog runs"], ["a dog runs at night", "sleeps"], ["animals", "dog", "runs"]):
        assert shell("recommend", *words, "-k", 1, "--outputs", animals.parent).code == 0


def test_long_odd_and_unknown_texts(shell: Callable, animals: Path, tmp_path: Path) -> None:
    outcome = shell("recommend", animals, "the cat " * 2_000 + "\n∆ ", "-k", 1)
    assert outcome.code == 0
    assert ", cut to the " in outcome.err
    (tmp_path / "new.txt").write_text("a dog runs ☃")
    outcome = shell("recommend", animals, tmp_path / "new.txt", "-k", 1)
    assert "the text in this file; unknown: 1 of its" in outcome.err
    assert shell("recommend", animals, "☃☃☃").complaint.startswith("☃☃☃: the model knows no token")
    assert "no item; give an id" in shell("recommend", animals, "  ").complaint


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("animals/99", "Nearest ids: animals/"),
        ("animal/12", "Nearest ids: animals/12"),
        ("animals.csv:12", "animals/12"),
        ("notes.txt", "Its ids look like 'animals/2'"),
        ("99999", "the rows of animals go from 0 to 71"),
    ],
)
def test_a_mistyped_id_is_no_new_text(shell: Callable, animals: Path, word: str, hint: str) -> None:
    complaint = shell("recommend", animals, word, "-k", 1).complaint
    assert word in complaint
    assert hint in complaint
    assert shell("recommend", animals, "horse", "-k", 1).code == 0, "a text of one word is none"


def test_generate_writes_a_file_an_output(shell: Callable, animals: Path) -> None:
    info = json.loads(shell("generate", animals, "--reconstruct", "animals/5", "my horse runs at night", "--json").out)
    folder = Path(info["folder"])
    assert [(folder / f"{i:03}.txt").read_text(encoding="utf-8").rstrip("\n") for i in (1, 2)] == [
        output["text"] for output in info["outputs"]
    ]
    sheet = (folder / "sheet.txt").read_text(encoding="utf-8")
    assert sheet.splitlines()[:3] == ["given:", f"  {LINES[3]}", "  my horse runs at night"]


def test_encode_places_a_file(animals: Path, tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text("\n".join(json.dumps({"body": line}) for line in (LINES[4], "a dog eats")))
    placed = lv.encode(animals, tmp_path / "more.jsonl")
    old = RunFolder.open(animals).clustering().points().to_pandas()
    assert placed.points["text"].tolist() == [LINES[4], "a dog eats"]
    assert placed.points["x"][0] == pytest.approx(old["x"][4])
    assert placed.map.exists()


def test_encode_with_the_columns_of_the_run_or_found_anew(animals: Path, tmp_path: Path) -> None:
    (tmp_path / "text.csv").write_text("text,other\na dog eats,a very long text that is something else\n")
    assert lv.encode(animals, tmp_path / "text.csv", name="a").points["text"].tolist() == ["a dog eats"]


BAD = {
    "empty.txt": (b"", "the file is empty"),
    "blank.txt": (b"\n \n\t\n", "only blank lines (3 of them)"),
    "same.txt": (b"the same\n" * 30, "all 30 texts are identical"),
    "few.txt": (b"one\ntwo\n", "holds 2 texts"),
    "dates.csv": (b"a,b\n2024-01-02,x-1\n2024-01-03,x-2\n", "it has a (a date), b (an id)"),
    "latin.txt": ("one\ncafé\n".encode("latin-1"), "line 2 is not UTF-8 (byte 0xe9 at 7)"),
    "nul.txt": (b"one\ntwo\0\n", "line 2 holds a NUL byte"),
    "picture.txt": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "ragged.csv": (b"text,label\n" + b"a b,c\nd e,f,g\n" * 20, "20 of 40 texts cannot be read"),
    "broken.json": (b"[{", "not JSON"),
    "lists.jsonl": (b"[1, 2]\n[3, 4]\n" * 10, "line 1 is neither an object nor a text"),
    "cut.txt.gz": (b"\x1f\x8b\x08\0\0\0\0\0", "not a whole gzip file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(shell: Callable, tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    complaint = shell("fit", tmp_path / name, "--outputs", tmp_path / "outputs", *SETTINGS).complaint
    assert complaint.startswith(str(tmp_path / name))
    assert words in complaint
    assert not list((tmp_path / "outputs").glob("*"))


def test_bad_settings(shell: Callable, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("\n".join(LINES))
    for setting, words in (
        ("data.encoding=utf-88", "data.encoding: unknown encoding 'utf-88'"),
        ("data.tokens=words", "data.tokens: must be 'character' or 'bpe' or 'auto'"),
        ("data.max_length=1", "data.max_length: must be greater than or equal to 2"),
        ("data.group_column=poem", "data.group_column: no column 'poem'; there are none"),
    ):
        assert words in shell("fit", tmp_path / "x.txt", setting, "--outputs", tmp_path / "outputs").complaint


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_crlf_and_long_lines_train(tmp_path: Path, encoding: str) -> None:
    content = "\r\n".join([*LINES, "word " * 100_000, "🧑‍👩‍👧 e\u0301"])
    (tmp_path / "x.txt").write_bytes(content.encode(encoding))
    run = lv.fit(
        tmp_path / "x.txt",
        outputs=tmp_path,
        trainer={"max_epochs": 1},
        model={"latent_dim": 2, "width": 16, "memory": 16, "samples": 1},
    )
    items = run.items
    assert items["text"][0] == LINES[0]
    assert items["text"].iloc[-1] == "🧑‍👩‍👧 e\u0301", "as it was written"
    assert items["id"].tolist()[:2] == ["x/1", "x/2"]


def test_ids_that_stand_twice_are_told_apart(tmp_path: Path) -> None:
    rows = [f"{i // 2},{line}" for i, line in enumerate(LINES)]
    (tmp_path / "x.csv").write_text("\n".join(["name,text", *rows]), encoding="utf-8")
    config = load_config(str(tmp_path / "x.csv"), {"data": {"id_column": "name"}})[0]
    from latentviz.modalities.text.prepare import prepare

    prepared = prepare(config.data, tmp_path / "cache", 0)
    assert prepared.items.column("id")[:4] == ["0", "0 (2)", "1", "1 (2)"]


@pytest.mark.skipif(not importlib.util.find_spec("onnxscript"), reason="needs the extra onnx")
def test_the_encoder_is_exported_and_a_decoder_that_needs_what_it_wrote_is_not(shell: Callable, animals: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    outcome = shell("export", animals, "--onnx")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{animals}/exported/encoder.onnx\n"
    assert "no decoder.onnx" in outcome.err
    loaded = load_model(RunFolder.open(animals))
    vae, data = loaded.vae, loaded.kind
    x = data.to_input(data.dataset().__getitems__(range(5)))
    found = ReferenceEvaluator(str(animals / "exported" / "encoder.onnx")).run(None, {"x": x.numpy()})
    for ours, theirs in zip(vae.encode(x), found, strict=True):
        assert theirs == pytest.approx(ours.numpy(), abs=1e-4)
