"""A short training on texts: its messages, its files, and the decoding of a mean and of a draw."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import latentviz as lv
from latentviz.modalities.loading import load_model
from latentviz.runs.run import RunFolder

SETTINGS = {
    "model": {"latent_dim": 4, "width": 16, "memory": 16, "samples": 2, "contrast": 1.0},
    "trainer": {"max_epochs": 3},
}


@pytest.fixture(scope="module")
def verses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of couplets of two invented languages."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("verses") / "verses.txt"
    lines = [
        "".join(rng.permutation(list(words))[:3]) + "," + "".join(rng.permutation(list(words))[:3])
        for words in rng.choice(["天地玄黄宇", "宙洪荒日月"], 240)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(verses: Path) -> RunFolder:
    return RunFolder.open(lv.fit(str(verses), outputs=str(verses.parent / "outputs"), **SETTINGS))


def test_it_keeps_the_samples_of_each_epoch(run: RunFolder) -> None:
    for number in (1, 2, 3):
        lines = (run.samples / f"epoch-{number:04d}.txt").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "sampled:"
        assert lines[3] == ""
        assert sum(line.startswith("→") for line in lines) == 10
    table = (run.samples / "samples.md").read_text(encoding="utf-8")
    assert table.count("| epoch | text |") == 2
    first = (run.samples / "epoch-0001.txt").read_text(encoding="utf-8").splitlines()[1].strip()
    assert f"| 1 | {first} |" in table


def test_it_reports_its_samples(verses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = lv.fit(
        str(verses),
        outputs=str(verses.parent / "other"),
        model={**SETTINGS["model"], "samples": 1},
        trainer={"max_epochs": 1},
    )
    reported = capsys.readouterr().err.splitlines()
    place = reported.index("epoch 1, sampled:")
    kept = (run.path / "samples" / "epoch-0001.txt").read_text(encoding="utf-8").splitlines()
    assert reported[place + 1].strip() == kept[1].strip()


def test_the_epochs_table_has_the_latent_s_health(run: RunFolder) -> None:
    with run.metrics_file.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    for row in rows:
        assert 0 <= float(row["val_mutual_information"]) <= np.log(24) + 1e-4
        assert 0 <= float(row["val_active_units"]) <= 4


def test_a_mean_is_decoded_without_noise_and_a_draw_with_it(run: RunFolder) -> None:
    loaded = load_model(run)
    vae, kind = loaded.vae, loaded.kind
    z = torch.from_numpy(np.array(run.mu()[:40]))
    with torch.no_grad():
        means, draws = kind.decode(vae, z, torch.zeros(40)), kind.decode(vae, z, torch.ones(40))
        mixed = kind.decode(vae, z, torch.arange(40).remainder(2).float())
    assert mixed == [(draws if i % 2 else means)[i] for i in range(40)]
    assert means != draws


def test_plans_know_means_from_draws(run: RunFolder) -> None:
    from latentviz.queries.lookup import Lookup
    from latentviz.queries.ways import WAYS, Options

    lookup, options = Lookup(run), Options(np.random.default_rng(0), n=3, steps=5, sampler="prior")
    noise = {
        name: WAYS[name](lookup, asked, options).noise
        for name, asked in (
            ("prior", True),
            ("reconstruct", ["0", "1"]),
            ("between", ("0", "1")),
            ("like", "0"),
            ("vector", "0 - 1"),
        )
    }
    assert noise.pop("prior") is None
    assert {name: part.tolist() for name, part in noise.items()} == {
        "reconstruct": [0, 0],
        "between": [0, 1, 1, 1, 0] * 2,
        "like": [1, 1, 1],
        "vector": [0, 0, 1],
    }
    near = WAYS["like"](lookup, "0", options._replace(spread=0.25))
    assert near.noise.tolist() == [0.25] * 3


def test_collapse_is_called_by_its_name(verses: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lv.fit(
        str(verses),
        outputs=str(verses.parent / "collapsed"),
        trainer={"max_epochs": 2},
        model={**SETTINGS["model"], "c": 1e-6, "free_bits": 0.0, "kl_warmup": 0.0, "lr": 0.01},
    )
    assert "warning: posterior collapse" in capsys.readouterr().err
