"""Every way to choose z, the files, and the errors."""

import json
import math
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentviz as lv
from latentviz.errors import ConfigError, RunError
from latentviz.modalities.loading import load_model
from latentviz.model.encoding import posteriors
from latentviz.queries.lookup import Lookup
from latentviz.queries.ways import spherical
from latentviz.runs.run import RunFolder
from tests.conftest import fit_small

D = 4  # latent dimensions of the small runs


def written(folder: Path) -> dict:
    """Read generated.json."""
    return json.loads((folder / "generated.json").read_text())


def test_fresh_draws_are_written_with_their_exact_z(mapped: Path) -> None:
    made = lv.generate(mapped, n=5, seed=3, name="five", sampler="prior")
    info = written(made.folder.path)
    z = np.array([output["z"] for output in info["outputs"]], np.float32)
    assert np.array_equal(z, made.z)
    assert np.array_equal(z, np.random.default_rng(3).standard_normal((5, D), np.float32))
    for output, image in zip(info["outputs"], made.outputs, strict=True):
        assert np.array_equal(np.asarray(Image.open(made.folder.path / output["file"])), image[0])
    loaded = load_model(RunFolder.open(mapped))
    vae, data = loaded.vae, loaded.kind
    import torch

    assert np.array_equal(data.decode(vae, torch.from_numpy(z), torch.ones(len(z))), made.outputs)
    assert b64encode((made.folder.path / "sheet.png").read_bytes()).decode() in made._repr_html_()


def test_the_same_seed_draws_the_same(mapped: Path) -> None:
    for sampler in ("prior", "gmm", "kde"):
        first, again, other = (lv.generate(mapped, n=6, sampler=sampler, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(first.z, again.z)
        assert np.array_equal(first.outputs, again.outputs)
        assert not np.array_equal(first.z, other.z)
        assert first.folder != again.folder, "an earlier result is kept"


@pytest.mark.parametrize(("contrast", "sampler"), [(0.0, "prior"), (1000.0, "gmm")])
def test_the_default_sampler_follows_the_training(
    mapped: Path, monkeypatch: pytest.MonkeyPatch, contrast: float, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    info = RunFolder.open(mapped).info()
    monkeypatch.setattr(RunFolder, "info", lambda _: {**info, "summary": {**info["summary"], "contrast": contrast}})
    made = lv.generate(mapped, n=3)
    assert made.info["sampler"] == sampler
    assert made.folder.path.name.startswith(sampler)
    assert ("drawn from a mixture" in capsys.readouterr().err) == (sampler == "gmm")
    assert np.array_equal(made.z, lv.generate(mapped, n=3, sampler=sampler).z)


def test_samplers_follow_the_latents(mapped: Path) -> None:
    mu = np.asarray(RunFolder.open(mapped).mu())
    for sampler in ("gmm", "kde"):
        z = _draw(mapped, sampler, 4000)
        error = z.std(axis=0) / np.sqrt(len(z))
        assert (np.abs(z.mean(axis=0) - mu.mean(axis=0)) < 5 * error + 1e-3).all(), sampler


def _draw(folder: Path, sampler: str, n: int) -> np.ndarray:
    from latentviz.model.samplers import sample

    run = RunFolder.open(folder)
    return sample(sampler, np.asarray(run.mu()), np.asarray(run.logvar()), n, np.random.default_rng(0))


def test_a_cluster_is_drawn_from_its_members(mapped: Path) -> None:
    run = RunFolder.open(mapped)
    made = lv.generate(mapped, cluster=1, n=300)
    members = np.flatnonzero(run.clustering().points().column("cluster").to_numpy() == 1)
    ids = run.items().column("id")
    origins = [output["from"] for output in written(made.folder.path)["outputs"]]
    assert set(origins) <= {ids[row] for row in members}
    rows = np.array([ids.index(origin) for origin in origins])
    noise = (made.z - run.mu()[rows]) / np.exp(0.5 * run.logvar()[rows])
    assert abs(noise.mean()) < 0.1
    assert noise.std() == pytest.approx(1, abs=0.1)


def test_between_begins_and_ends_at_the_two(mapped: Path) -> None:
    run = RunFolder.open(mapped)
    labels = run.clustering().points().column("cluster").to_numpy()
    made = lv.generate(mapped, between=("3", "cluster:1"), steps=5)
    mean = np.asarray(run.mu())[labels == 1].mean(axis=0)
    for path in (made.z[:5], made.z[5:]):
        assert path[0] == pytest.approx(run.mu()[3], abs=1e-5)
        assert path[-1] == pytest.approx(mean, abs=1e-5)
    assert made.z[2] == pytest.approx((run.mu()[3] + mean) / 2, abs=1e-5)


def test_the_arc_keeps_the_length() -> None:
    a, b = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    at = np.linspace(0, 1, 7)[:, None]
    arc = spherical(a, b, at)
    assert np.linalg.norm(arc, axis=1) == pytest.approx(np.ones(7))
    angles = np.degrees(np.arctan2(arc[:, 1], arc[:, 0]))
    assert np.diff(angles) == pytest.approx(np.full(6, 15))
    for end in (2 * a, -a, 0 * a):  # no one arc: the straight line
        assert spherical(a, end, at)[3] == pytest.approx((a + end) / 2)


def test_a_spot_blends_its_neighbours(mapped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.open(mapped)
    points = run.clustering().points()
    x, y = (float(points.column(name)[7].as_py()) for name in "xy")
    made = lv.generate(mapped, at=(x, y))
    info = written(made.folder.path)
    assert info["near_data"]
    assert info["neighbours"][0] == points.column("id")[7].as_py()
    rows = [run.items().column("id").index(name) for name in info["neighbours"]]
    assert made.z[0] == pytest.approx(np.array(info["weights"]) @ run.mu()[rows], abs=1e-4)
    assert "no data near" not in capsys.readouterr().err


def test_a_spot_without_data_is_drawn_and_flagged(shell: Callable, mapped: Path) -> None:
    outcome = shell("generate", mapped, "--at", "-1e3,1000", "--json")
    assert outcome.code == 0
    assert "warning: no data near -1000,1000" in outcome.err
    assert json.loads(outcome.out)["near_data"] is False


def test_like_an_item(mapped: Path) -> None:
    run = RunFolder.open(mapped)
    made = lv.generate(mapped, like="3", n=500, spread=2)
    noise = (made.z - run.mu()[3]) / np.exp(0.5 * run.logvar()[3])
    assert noise.std() == pytest.approx(2, abs=0.15)
    assert np.array_equal(lv.generate(mapped, like="3", n=2, spread=0).z, run.mu()[[3, 3]])


def test_a_sum(mapped: Path) -> None:
    run = RunFolder.open(mapped)
    made = lv.generate(mapped, vector="few/3 - 4 + cluster:0")
    labels = run.clustering().points().column("cluster").to_numpy()
    mean = np.asarray(run.mu())[labels == 0].mean(axis=0)
    assert made.z[-1] == pytest.approx(run.mu()[3] - run.mu()[4] + mean, abs=1e-5)


def test_reconstructions_of_items_and_of_a_file(
    mapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder.open(mapped)
    image = np.load(run.cache / "images.npy")[9, 0]
    Image.fromarray(image).resize((24, 16)).convert("RGB").save(tmp_path / "nine.png")
    made = lv.generate(mapped, reconstruct=["9", tmp_path / "nine.png"])
    assert np.array_equal(made.z[0], run.mu()[9])
    said = capsys.readouterr().err
    assert "resized from 16×24 to the run's 8×8 pixels" in said
    assert "converted from colour to grey" in said


def test_walks_along_the_active_units(mapped: Path) -> None:
    made = lv.generate(mapped, traverse=True, steps=7)
    units = written(made.folder.path)["units"]
    z = made.z.reshape(len(units), 7, D)
    for unit, walk in zip(units, z, strict=True):
        assert walk[:, unit].tolist() == [-3, -2, -1, 0, 1, 2, 3]
        assert np.count_nonzero(np.delete(walk, unit, axis=1)) == 0


def test_the_grid_of_a_flat_latent(tmp_path: Path, few: Path) -> None:
    settings = ("trainer.max_epochs=1", "model.latent_dim=2", "model.width=8")
    run = fit_small(few, tmp_path, settings=settings)
    made = lv.generate(run, manifold=4)
    assert made.z.shape == (16, 2)
    shares = [0.5 * (1 + math.erf(value / math.sqrt(2))) for value in made.z[:4, 0]]
    assert shares == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=1e-6)
    assert made.z[0, 1] > made.z[-1, 1], "the second coordinate grows upwards"


def test_a_new_item_has_the_latents_of_the_same_item(mapped: Path) -> None:
    """Alone, in a batch and after training: kernels round differently by batch size, so the size is fixed."""
    run = RunFolder.open(mapped)
    loaded = load_model(run)
    vae, data = loaded.vae, loaded.kind
    images = np.load(run.cache / "images.npy")
    together = posteriors(vae, images, data.to_input)
    for row in (0, 63, 64, 150):
        alone = posteriors(vae, images[row : row + 1], data.to_input)
        assert np.array_equal(alone.mu[0], together.mu[row])
        assert np.array_equal(alone.log_likelihood[0], together.log_likelihood[row])
    assert together.mu == pytest.approx(run.mu(), abs=1e-4)


def test_the_command_says_where_the_sheet_is(shell: Callable, mapped: Path) -> None:
    outcome = shell("generate", mapped, "--n", 3, "--name", "three")
    assert outcome.out == f"3 outputs, sheet {mapped / 'generated' / 'three' / 'sheet.png'}\n"
    assert sorted(path.name for path in (mapped / "generated" / "three").iterdir()) == [
        "001.png",
        "002.png",
        "003.png",
        "generated.json",
        "sheet.png",
    ]


def test_force_replaces(shell: Callable, mapped: Path) -> None:
    for n in (3, 1):
        assert shell("generate", mapped, "--n", n, "--name", "again", "--force").code == 0
    assert not (mapped / "generated" / "again" / "002.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "9"], "no such cluster; its clusters are 0 to 2"),
        (["--cluster", "0", "--clustering", "fine"], "has no clustering of this name; `latentviz cluster"),
        (["--at", "3"], "write two numbers"),
        (["--at", "nan,1"], "--at: must be two numbers from -1e+30 to 1e+30"),
        (["--at", "1e308,1e308"], "--at: must be two numbers from -1e+30 to 1e+30"),
        (["--like", "few/1x"], "Nearest ids: few/1"),
        *((["--like", "3", "--spread", x], "--spread: must be 0 to 1000") for x in ("-1", "nan", "inf", "1e308")),
        (["--cluster", "0", "--spread", "2"], "--spread: is for --like"),
        (["--like", "3", "--steps", "4"], "--steps: is for --between and --traverse"),
        (["--at", "0,0", "--n", "4"], "--n: is for fresh draws and --cluster and --like"),
        (["--traverse", "--steps", "100000"], "--steps: gives"),
        (["--vector", "3 +"], "not a sum"),
        (["--vector", "3 - cluster:x"], "not a cluster; write cluster: and a number"),
        (["--between", "3", "cluster:44"], "no such cluster"),
        (["--manifold", "20"], "`latentviz fit SOURCE model.latent_dim=2`"),
        (["--sampler", "gm"], "Did you mean 'gmm'?"),
        (["--sampler", "gmm", "--cluster", "1"], "leave out --cluster"),
        (["--n", "0"], "--n: must be 1 to"),
        (["--steps", "1", "--traverse"], "--steps: must be 2 to"),
        (["--seed", "-1"], "--seed: must be 0 or more"),
        (["--reconstruct", "床前明月光 疑是地上霜"], "no item of small has this id"),
    ],
)
def test_mistakes(shell: Callable, mapped: Path, words: list[str], said: str) -> None:
    assert said in shell("generate", mapped, *words).complaint


def test_one_way_at_a_time(mapped: Path) -> None:
    with pytest.raises(ConfigError, match="one way at a time"):
        lv.generate(mapped, cluster=1, like="3")
    with pytest.raises(TypeError, match="clusters"):
        lv.generate(mapped, clusters=1)


def test_a_run_without_clusters(shell: Callable, run_folder: Path) -> None:
    for words in (["--cluster", "1"], ["--at", "0,0"], ["--between", "1", "cluster:0"]):
        assert "run `latentviz cluster" in shell("generate", run_folder, *words).complaint


def test_an_error_leaves_no_partial_result(mapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentviz.modalities.image import show

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(show, "draw_sheet", full)
    with pytest.raises(RunError, match="cannot be written"):
        lv.generate(mapped, n=1, name="broken")
    assert not [path for path in (mapped / "generated").iterdir() if "broken" in path.name]


def test_the_verbs_stay_functions_after_the_modules_were_imported() -> None:

    assert all(callable(getattr(lv, name)) for name in ("fit", "cluster", "encode", "generate", "export"))


def test_ids_go_before_rows(mapped: Path) -> None:
    lookup = Lookup(RunFolder.open(mapped))
    assert lookup.item("few/12").row == lookup.item(12).row == 12
