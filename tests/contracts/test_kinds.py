"""Every data kind goes through every command: those of the package, and a minimal one of five-letter words."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import latentviz as lv
from latentviz import modalities
from latentviz.errors import ConfigError, DataError, LatentvizError, RunError
from latentviz.modalities import modality
from latentviz.modalities.base import Modality
from latentviz.modalities.loading import load_model
from latentviz.runs.run import RunFolder
from tests.conftest import write_digits

WORDS = [
    "".join(letters) + end for end in ("ab", "yz") for letters in product("abc" if end == "ab" else "xyz", repeat=3)
]
MISSING = [(1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]  # parts
NUMERALS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905 - one line
# Further settings of the data.
DATA = {
    "joint": {"parts": "image,caption,label"},
    "joint-image-vectors": {"parts": "image,label,vectors"},
    "joint-text-vectors": {"parts": "text,label,vectors"},
}
CLUSTERING = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 2}}


def write_images(folder: Path) -> Path:
    """Write 60 digits."""
    return write_digits(folder, 60, "images.npy")


def write_texts(folder: Path) -> Path:
    """Write 60 short texts on two topics."""
    (folder / "texts.txt").write_text(
        "".join(f"{a} {b} {c}\n" for a, b in (("red", "cat"), ("old", "sea")) for c in map(str, range(30)))
    )
    return folder / "texts.txt"


def write_vectors(folder: Path) -> Path:
    """Write 60 vectors in two groups, float32 (60, 6)."""
    values = np.random.default_rng(0).normal(size=(60, 6)) + 9 * np.repeat([[0], [1]], 30, axis=0)
    np.save(folder / "vectors.npy", values.astype(np.float32))
    return folder / "vectors.npy"


def write_words(folder: Path) -> Path:
    """Write 54 words from two ends of the alphabet."""
    (folder / "words.words").write_text("\n".join(WORDS))
    return folder / "words.words"


def write_joint(folder: Path, chosen: Sequence[int] = range(60)) -> Path:
    """Write digits with captions and labels; items miss each part, and each two of them, in turn."""
    digits = load_digits()
    place = folder / "joint"
    place.mkdir(exist_ok=True)
    rows = []
    for place_of, row in enumerate(chosen):
        has = MISSING[place_of % len(MISSING)]
        number = int(digits.target[row])
        values = (f"{row:02d}.png", f"the digit {NUMERALS[number]}", "odd" if number % 2 else "even")
        rows.append([value if there else "" for value, there in zip(values, has, strict=True)])
        if has[0]:
            Image.fromarray((digits.images[row] * 15).astype(np.uint8)).save(place / values[0])
    with (place / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "caption", "label"), *rows])
    return place


KINDS = {
    "joint": (write_joint, {"latent_dim": 4, "width": 4, "hidden": 8}),
    "image": (write_images, {"latent_dim": 3, "width": 4, "neighbors": 2}),
    "text": (write_texts, {"latent_dim": 3, "width": 8, "memory": 8}),
    "vectors": (write_vectors, {"latent_dim": 3, "width": 8}),
    "words": (write_words, {"lr": 1e-9}),  # the model is right before any training
}


def _with_vectors(folder: Path, kind: str, values: Sequence[object]) -> Path:
    """Write a table of 60 images or texts with labels and vectors; items miss each part, and each two, in turn."""
    digits = load_digits()
    has = [MISSING[row % len(MISSING)] for row in range(60)]
    columns = {
        kind: [value if there[0] else None for value, there in zip(values, has, strict=True)],
        "label": [("even", "odd")[digits.target[row] % 2] if there[1] else None for row, there in enumerate(has)],
        "vectors": [
            digits.data[row, 10:30].astype(np.float32).tolist() if there[2] else None for row, there in enumerate(has)
        ],
    }
    pq.write_table(pa.table(columns), folder / f"{kind}.parquet")
    return folder / f"{kind}.parquet"


def write_image_vectors(folder: Path) -> Path:
    """Write digits with labels and vectors."""
    files = []
    for pixels in load_digits().images[:60]:
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file := BytesIO(), "png")
        files.append(file.getvalue())
    return _with_vectors(folder, "image", files)


def write_text_vectors(folder: Path) -> Path:
    """Write the words of digits with labels and vectors."""
    texts = [f"the digit {NUMERALS[number]} number {row}" for row, number in enumerate(load_digits().target[:60])]
    return _with_vectors(folder, "text", texts)


# What is walked through the commands: each kind, and items with other parts.
WALKED = {
    **KINDS,
    "joint-image-vectors": (write_image_vectors, {"latent_dim": 4, "width": 4, "hidden": 8}),
    "joint-text-vectors": (write_text_vectors, {"latent_dim": 4, "hidden": 8, "memory": 8}),
}


def installed(site: Path, *entries: str, package: str = "five-letters") -> Path:
    """Return a folder of installed packages with one that adds data kinds."""
    folder = site / f"{package.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("\n".join([f"[{modalities.GROUP}]", *entries]))
    return site


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the words as a data kind of another package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed(tmp_path_factory.mktemp("site"), "words = tests.words.modality:MODALITY"))
        yield


def fitted(kind: str, folder: Path, epochs: int = 1) -> Path:
    """Return a finished run, clustered, on a few items of a kind."""
    write, model = WALKED[kind]
    run = lv.fit(
        write(folder),
        outputs=folder / "outputs",
        run=kind,
        model=model,
        data={"batch_size": 32, **DATA.get(kind, {})},
        trainer={"max_epochs": epochs},
    )
    lv.cluster(run, **CLUSTERING)
    return run.path


@pytest.fixture(scope="module", params=WALKED)
def walked(request: pytest.FixtureRequest, known: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, clustered run of each kind."""
    return fitted(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def words(known: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, clustered run on the words."""
    return fitted("words", tmp_path_factory.mktemp("words"))


class TestEveryKind:
    """The contract of each command, for every kind."""

    def test_every_kind_of_the_package_is_walked(self, known: None) -> None:
        assert set(KINDS) == set(modalities.kinds())

    def test_fit(self, walked: Path) -> None:
        run = RunFolder.open(walked)
        kinds = modality(run.info()["kind"])
        assert isinstance(kinds, Modality)
        loaded = load_model(run)
        n = len(loaded.items)
        assert type(loaded.config) is kinds.resolved
        assert "auto" not in loaded.config.model.model_dump().values()
        assert {"train", "val"} == set(loaded.items.column("split"))
        assert len(set(loaded.items.column("id"))) == n == len(loaded.kind.dataset())
        x = loaded.kind.to_input(loaded.kind.dataset().__getitems__(range(5)))
        mu, logvar = loaded.vae.encode(x)
        assert mu.shape == logvar.shape == (5, run.mu().shape[1])
        assert loaded.vae.decoder(mu).log_prob(x).shape == (5,)
        on_map = kinds.on_map(run.cache)
        assert all(len(values) == n for values in on_map if values is not None)
        assert list(run.samples.iterdir()), "the recorder left something"

    def test_decode(self, walked: Path) -> None:
        loaded = load_model(RunFolder.open(walked))
        kinds = modality(loaded.config.data.kind)
        outputs = loaded.kind.decode_all(loaded.vae, np.zeros((300, loaded.vae.latent_dim), np.float32))
        assert len(outputs) == 300
        assert all(isinstance(output, str) for output in outputs) == kinds.writes_texts
        assert kinds.writes_texts or outputs.dtype == np.uint8
        page = loaded.kind.page_decoder(loaded.vae)
        assert page is None or page.shape == getattr(outputs[0], "image", outputs[0]).shape

    def test_map(self, walked: Path) -> None:
        assert lv.map(walked, title="Again").map.stat().st_size > 10_000

    def test_generate(self, walked: Path) -> None:
        ways = (
            {"n": 3},
            {"cluster": 0, "n": 3},
            {"at": (0.0, 0.0)},
            {"traverse": True, "steps": 3},
            {"reconstruct": ["0"]},
        )
        for way in ways:
            made = lv.generate(walked, **way)
            assert len(made.outputs) == len(made.z) == len(made.info["outputs"])
            assert type(made.outputs) is type(lv.open(walked).decode(made.z))
            assert all((made.folder.path / name).exists() for name in made.info["sheet"])

    def test_recommend(self, walked: Path) -> None:
        found = lv.recommend(walked, [0], k=4, where="cluster >= 0")
        assert len(found.rows) == 4
        folder, files = found.save()
        assert all((folder.path / name).exists() for name in files)

    def test_encode(self, walked: Path, tmp_path: Path) -> None:
        run = RunFolder.open(walked)
        placed = lv.encode(walked, WALKED[run.name][0](tmp_path))
        assert placed.mu == pytest.approx(np.asarray(run.mu()), abs=1e-4)
        assert placed.map.stat().st_size > 10_000

    def test_annotate(self, walked: Path, shell: Callable, tmp_path: Path) -> None:
        ids = lv.open(walked).items["id"].tolist()
        (tmp_path / "annotations.json").write_text(json.dumps({"tags": {ids[3]: ["odd"]}, "splits": {"5": ids[:2]}}))
        assert shell("annotate", walked, tmp_path / "annotations.json").code == 0
        points = lv.open(walked).clustering().points
        assert points["tags"].dropna().tolist() == [["odd"]]
        assert points["edited_cluster"].tolist()[:2] == [5, 5]
        assert lv.annotate(walked, {"tags": {}, "splits": {}}).map.stat().st_size > 10_000

    def test_label(self, walked: Path, shell: Callable) -> None:
        asked = lv.label(walked, ask=4)
        assert len({*asked.ids}) == 4
        text = asked.table.read_text(encoding="utf-8")
        for number, name in enumerate(asked.ids):
            text = text.replace(f"{name},,", f"{name},{'ab'[number % 2]},")
        asked.table.write_text(text, encoding="utf-8")
        assert shell("label", walked, asked.table).code == 0
        points = lv.open(walked).clustering().points.set_index("id")
        assert points.loc[asked.ids, "label_predicted"].tolist() == ["a", "b", "a", "b"]
        assert points["label_probability"].between(0, 1).all()
        more = lv.label(walked, asked.table, ask=3)
        assert not {*more.ids} & {*asked.ids}
        with more.table.open(encoding="utf-8") as stream:
            assert {row["id"]: row["label"] for row in csv.DictReader(stream) if row["label"]} == dict(
                zip(asked.ids, "abab", strict=True)
            )

    def test_compare(self, walked: Path) -> None:
        lv.cluster(walked, name="again", **CLUSTERING | {"seed_everything": 1})
        found = lv.compare(walked, clusterings=("default", "again"))
        assert found.items["cluster_a"].tolist() == lv.open(walked).clustering().points["cluster"].tolist()
        assert found.map.stat().st_size > 10_000

    def test_explore(self, walked: Path) -> None:
        pytest.importorskip("uvicorn")
        from latentviz.queries.lookup import Lookup
        from latentviz.stages.desk import AskOriginal, AskPlace, AskRows, AskSpot, Desk

        desk = Desk(Lookup(RunFolder.open(walked)))
        kinds, n = desk.lookup.opened.modality, len(desk.lookup)
        assert {"text", "image"} & set(desk.original(AskOriginal(row=1)))
        assert ("text" if kinds.writes_texts else "image") in desk.decode(AskSpot(x=0.0, y=0.0))
        assert desk.rows(AskRows(count=3))["total"] == n
        if kinds.takes_words and walked.name != "joint-image-vectors":  # which has no words
            word = str(desk.original(AskOriginal(row=0))["text"])
            found = desk.place(AskPlace(text=f" {word}"))
            near = desk.lookup.given([found["near"][0]["row"]])[0]
            assert near == word or desk.lookup.opened.info["kind"] == "joint"  # where the item has other parts too

    def test_export(self, walked: Path) -> None:
        pytest.importorskip("safetensors")
        assert [path.name for path in lv.export(walked, safetensors=True, force=True)] == ["model.safetensors"]

    def test_evaluate(self, walked: Path) -> None:
        found = lv.evaluate(walked)
        assert found.metrics.faithfulness is not None
        assert found.metrics.clusters is not None
        assert found.metrics.verdicts
        assert found.report.stat().st_size > 1_000


BROKEN = {
    "no module": (
        "words = no_such_module:MODALITY",
        r"words of the package five-letters cannot be loaded \(Module",
    ),
    "no object": ("words = json:MODALITY", r"words of the package five-letters cannot be loaded \(AttributeError"),
    "another object": ("words = json:loads", r"words of the package five-letters is no .*Modality \(got function\)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_named_where_its_kind_is_asked_for(
    name: str, shell: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry, expected = BROKEN[name]
    monkeypatch.syspath_prepend(installed(tmp_path, entry))
    complaint = shell("fit", write_words(tmp_path), "data.kind=words", "--outputs", tmp_path).complaint
    assert re.search(expected, complaint)
    assert "`pip uninstall five-letters`" in complaint
    assert modalities.detect(str(write_images(tmp_path))) == "image"  # which does not ask it
    with pytest.raises(DataError, match=r"say the kind with data.kind="):
        modalities.detect(str(tmp_path / "words.words"))


def test_a_kind_of_two_packages_names_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package in ("one-package", "another"):
        monkeypatch.syspath_prepend(installed(tmp_path, "words = tests.words.modality:MODALITY", package=package))
    with pytest.raises(ConfigError, match=r"words is added by (one-package and another|another and one-package)"):
        modality("words")


def test_a_kind_of_another_package_is_imported_only_when_it_is_used(tmp_path: Path) -> None:
    site = installed(tmp_path, "noisy = noisy_kind:MODALITY")
    (site / "noisy_kind.py").write_text("raise SystemExit('imported')")
    write_images(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}
    for words in (["--help"], ["config", "images.npy"], ["fit", "images.npy", "--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-m", "latentviz", *words],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, "imported" in done.stderr) == (0, False), done.stderr


def test_a_run_of_a_kind_that_is_not_installed_says_so(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modalities, "entry_points", lambda **_: entry_points(group="none"))
    with pytest.raises(LatentvizError, match="words"):
        lv.generate(words, n=1)
    with pytest.raises(RunError, match=r"data.kind: no installed package has this kind of data"):
        load_model(RunFolder.open(words))


def test_words_generate(shell: Callable, words: Path) -> None:
    outcome = shell("generate", words, "--between", "w0", "w53", "--steps", 3)
    said = outcome.out.splitlines()
    assert (said[0], said[2]) == ("aaaab", "zzzyz")
    assert said[-1] == f"6 outputs, sheet {words}/generated/between-w0-w53/sheet.txt"
    outcome = shell("generate", words, "--reconstruct", "w7", " hello", "--json")
    info = json.loads(outcome.out)
    assert [output["text"] for output in info["outputs"]] == ["acbab", "hello"]
    assert (Path(info["folder"]) / "002.txt").read_text() == "hello"
    assert "a new word" in outcome.err
    made = lv.generate(words, cluster=1, n=3)
    assert all(len(word) == 5 for word in made.outputs)
    assert "<img" not in made._repr_html_()


def test_words_recommend(shell: Callable, words: Path) -> None:
    rows = json.loads(shell("recommend", words, " xyxyz", "-k", 3, "--metric", "euclidean", "--json").out)[
        "recommended"
    ]
    assert rows[0]["text"] == "xyxyz"
    assert all(row["text"].endswith("yz") for row in rows)
    assert "no item of words has this id" in shell("recommend", words, "hello").complaint


def test_words_encode(words: Path, tmp_path: Path) -> None:
    (tmp_path / "new.words").write_text("abcab\nzzzyz")
    placed = lv.encode(words, tmp_path / "new.words")
    old = RunFolder.open(words).clustering().points().to_pandas()
    for new, text in enumerate(("abcab", "zzzyz")):
        row = int(np.flatnonzero(old["text"] == text)[0])
        assert placed.points["x"][new] == old["x"][row]
        assert placed.points["cluster"][new] == old["cluster"][row]
    assert "abcab" in placed.points["text"].tolist()
    assert placed.map.exists()


def test_keywords_name_the_clusters(shell: Callable, words: Path) -> None:
    result = lv.cluster(words, name="again", **CLUSTERING)
    found = result.clusters.set_index("cluster")
    ends = {"ab": set("abc"), "yz": set("xyz")}
    for number in range(2):
        end = result.points["text"][result.labels == number].iloc[0][-2:]
        assert set(found["keywords"][number]) <= ends[end]
        assert found["keywords"][number]
    outcome = shell(
        "cluster",
        words,
        "--name",
        "again",
        "--force",
        "reduce.method=pca",
        "cluster.method=gmm",
        "cluster.n_clusters=2",
    )
    assert f"27  {', '.join(found['keywords'][0])}" in outcome.out
