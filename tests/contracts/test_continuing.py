"""A finished run of every kind goes on with new items; what it was stays, and so do ids, splits and cluster numbers."""

import zlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz import modalities
from latentviz.errors import LatentvizError
from latentviz.modalities import modality
from latentviz.modalities.loading import load_model
from latentviz.runs.run import RunFolder
from tests.contracts.test_kinds import KINDS, fitted, write_joint

SAME = 3  # new items that the run has: the first ones, at the same rows of a file of the same name


@pytest.fixture(scope="module")
def known() -> Iterator[None]:
    """Register the words as a data kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(modalities.MODALITIES, "words", "tests.words")
        yield


@pytest.fixture(scope="module", params=KINDS)
def begun(request: pytest.FixtureRequest, known: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, clustered run of each kind; nobody may change it."""
    epochs = 60 if request.param in {"image", "joint"} else 1  # for groups that stay
    return fitted(request.param, tmp_path_factory.mktemp(request.param), epochs)


def write_new(kind: str, folder: Path) -> Path:
    """Write 20 items like those of `KINDS`, of which all but the words begin with the same three."""
    if kind == "image":
        from sklearn.datasets import load_digits

        np.save(folder / "images.npy", (load_digits().images[[*range(SAME), *range(100, 117)]] * 15).astype(np.uint8))
        return folder / "images.npy"
    if kind == "text":
        words = ["0", "1", "2", *map(chr, range(97, 114))]
        (folder / "texts.txt").write_text("".join(f"red cat {word}\n" for word in words))
        return folder / "texts.txt"
    if kind == "vectors":
        values = np.random.default_rng(0).normal(size=(60, 6))[:20]
        values[SAME:] += 0.5
        np.save(folder / "vectors.npy", values.astype(np.float32))
        return folder / "vectors.npy"
    if kind == "joint":
        return write_joint(folder, [*range(SAME), *range(100, 117)])
    (folder / "more.words").write_text("\n".join("".join(word) + "ba" for word in product("abc", "abc", "xy")))
    return folder / "more.words"


def contents(folder: Path) -> dict[str, int]:
    """The checksum of every file in a folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix != ".lock"]
    return {str(file.relative_to(folder)): zlib.crc32(file.read_bytes()) for file in files}


def test_it_goes_on_with_old_and_new_items(begun: Path, shell: Callable, tmp_path: Path) -> None:
    kind, before = begun.name, contents(begun)
    words = ["--outputs", begun.parent, "trainer.max_epochs=1", "model.lr=1e-9"]
    outcome = shell("fit", "--continue", kind, write_new(kind, tmp_path), *words)
    assert outcome.code == 0, outcome.err
    assert contents(begun) == before
    old, new = RunFolder(begun), RunFolder(begun.with_name(f"{kind}-2"))
    new.verify(all_of_it=True)
    m, doubled = len(old.items()), {"words": 0, "joint": SAME + 2}.get(kind, SAME)  # two have the same label alone
    table, was = new.items().table.to_pylist(), old.items().table.to_pylist()
    assert table[:m] == was
    assert len(table) == m + (18 if kind == "words" else 20) - doubled
    assert (f"{doubled} of 20 items" in outcome.err) == bool(doubled)
    assert {row["split"] for row in table[m:]} == {"train", "val"}
    shown = modality(new.info()["kind"]).on_map(new.cache)
    assert all(len(values) == len(table) for values in shown if values is not None)
    # The training began with the weights of the run.
    start, end = (torch.load(run.last_checkpoint, weights_only=True)["state_dict"] for run in (old, new))
    trained = [name for name, _ in load_model(new).vae.named_parameters()]
    assert all(torch.allclose(start[name], end[name], atol=1e-5) for name in trained)
    assert new.info()["summary"]["epochs"] == 1

    outcome = shell("cluster", new.path)
    assert outcome.code == 0, outcome.err
    clustering, earlier = new.clustering(), old.clustering()
    assert clustering.config().cluster == earlier.config().cluster
    labels, then = (np.asarray(folder.points().column("cluster")) for folder in (clustering, earlier))
    same = float((labels[:m] == then).mean())
    assert same > 0.7  # so few items have clusters that depend on rounding, and so have joint items of one part
    info = clustering.info()
    assert info["continued"]["kept"] == pytest.approx(same)
    assert info["continued"]["run"] == kind
    result = lv.open(new.path).clustering()
    assert result.changes["change"].tolist() == [change["change"] for change in info["continued"]["changes"]]
    for command in (
        ("recommend", new.path, m),
        ("generate", new.path, "--cluster", 0, "--n", 2),
        ("map", new.path, "theme=dark"),
        ("encode", new.path, write_new(kind, tmp_path)),
    ):
        assert shell(*command).code == 0


def test_the_same_data_again_add_nothing(begun: Path, tmp_path: Path) -> None:
    new, settings = write_new(begun.name, tmp_path), {"trainer": {"max_epochs": 1}, "data": {"val_fraction": 0.5}}
    second = lv.fit(new, start=begun, run="second", **settings)
    assert second.path == begun.with_name("second")
    added = second.items[len(lv.open(begun).items) :]
    assert abs((added["split"] == "val").mean() - 0.5) < 0.1
    before = contents(second.path)
    if begun.name == "words":  # the words' cache counts from its own start: all ids are used again
        return
    with pytest.raises(LatentvizError, match="all of these items already"):
        lv.fit(new, start=second, **settings)
    assert contents(second.path) == before
    assert not second.path.with_name("second-2").exists()
