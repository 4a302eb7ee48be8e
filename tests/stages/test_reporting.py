"""What commands print and leave behind: the parts of the loss, captions, epoch pictures, names of clusters, sheets."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import latentviz as lv
from latentviz.clustering.description import is_landscape, label_names
from latentviz.modalities.image.show import CAPTIONS, Recorder
from latentviz.model.callbacks import MOST_SAMPLES, Samples, recorded_epochs
from latentviz.runs.info import ClustersInfo
from latentviz.stages import map as map_stage
from tests.conftest import SMALL, fit_small


def test_the_parts_of_the_loss_are_printed_and_sum_to_it(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training and validation loss have the same parts; the contrast, which needs views, is in neither."""
    fit_small(few, tmp_path)
    said = capsys.readouterr().err
    lines = re.findall(
        r"loss of training views ([\d.]+) \(reconstruction ([\d.]+) \+ KL ([\d.]+)\), contrast ([\d.]+); "
        r"validation ([\d.]+) \(reconstruction ([\d.]+) \+ KL ([\d.]+)\)",
        said,
    )
    assert len(lines) == 3, said
    for line in lines:
        loss, reconstruction, kl, contrast, validation, val_reconstruction, val_kl = map(float, line)
        assert loss == pytest.approx(reconstruction + kl, abs=0.16)
        assert contrast > 0
        assert validation == pytest.approx(val_reconstruction + val_kl, abs=0.16)
    assert f"samples of each epoch are in {tmp_path / 'small' / 'samples'}" in said


def trainer(epochs: int, done: int = 0) -> Any:
    return cast("Any", SimpleNamespace(max_epochs=epochs, current_epoch=done, is_global_zero=True))


def test_at_most_sixty_epochs_have_pictures_spread_over_the_training(tmp_path: Path) -> None:
    """So they are if a training is made longer later."""
    written: list[int] = []

    def epoch(_: object, number: int) -> None:
        written.append(number)
        (tmp_path / f"epoch-{number:04d}.png").touch()

    samples = Samples(cast("Any", SimpleNamespace(epoch=epoch, finish=lambda: None)), tmp_path)
    module = cast("Any", SimpleNamespace(eval=lambda: None, train=lambda: None))
    for first, last in ((0, 100), (100, 250)):
        samples.on_train_start(trainer(last, first), module)
        for done in range(first, last):
            if done + 1 in samples.recorded:
                epoch(module, done + 1)
        kept = sorted(int(file.stem[6:]) for file in tmp_path.iterdir())
        assert len(kept) <= MOST_SAMPLES
        assert (kept[0], kept[-1]) == (1, last)
        assert max(np.diff(kept)) <= 2 * last / MOST_SAMPLES + 1
    assert recorded_epochs(20) == set(range(1, 21))


def test_the_pictures_of_epochs_have_captions(tmp_path: Path) -> None:
    items = np.zeros((4, 1, 8, 8), np.uint8)
    recorder = Recorder(tmp_path, items)
    for number in (1, 2, 12):
        recorder.epoch(f"epoch-{number:04d}", np.zeros((4, 1, 8, 8)), np.full((10, 1, 8, 8), number / 20))
    width = 10 * 34 + 2
    with Image.open(tmp_path / "epoch-0001.png") as picture:
        captions = np.asarray(picture)[:, :-width]
        assert captions.shape[1] > 0
        thirds = np.array_split(captions, len(CAPTIONS))
        assert all((third < 200).any() for third in thirds), "each row has its caption"
    target = recorder.finish()
    assert target is not None
    with Image.open(target) as picture:
        pixels = np.asarray(picture)
    assert (pixels[:, : pixels.shape[1] - width] < 200).any()
    assert [int(pixels[34 * row + 10, -20]) for row in range(3)] == [13, 26, 153], "first on top, without captions"


def test_clusters_are_called_by_their_label_where_most_items_have_it() -> None:
    cluster = np.array([0] * 5 + [1] * 4 + [2] * 2 + [-1])
    labels = ["Flags"] * 4 + ["Maps"] + ["Maps", "Flags", None, None] + ["Flags"] * 2 + ["Flags"]
    assert label_names(cluster, labels) == {0: "mostly Flags, 80%", 2: "mostly Flags, 100%"}
    assert label_names(np.array([0, 1]), ["a", "a"]) == {0: "mostly a, 100% (0)", 1: "mostly a, 100% (1)"}
    assert label_names(np.array([0, 1]), [None, None]) == {}


def test_labels_name_the_clusters_in_the_table_and_on_the_map(
    shell: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    for name, grey in (("flags", 20), ("maps", 220)):
        (folder / name).mkdir(parents=True)
        for row in range(30):
            noise = np.random.default_rng(row).integers(0, 20, (8, 8), np.uint8)
            Image.fromarray(noise + np.uint8(grey)).save(folder / name / f"{row}.png")
    run, drawn = fit_small(folder, tmp_path, settings=SMALL), []
    monkeypatch.setattr(map_stage, "write_map", lambda file, data, **_: (drawn.append(data), file.touch()))
    outcome = shell("cluster", run, "cluster.method=gmm", "cluster.n_clusters=2", "reduce.method=pca")
    assert "mostly flags, 100%" in outcome.out
    assert "mostly maps, 100%" in outcome.out
    assert sorted(drawn[0].cluster_names.values()) == ["mostly flags, 100%", "mostly maps, 100%"]


def test_recommend_writes_only_what_is_asked_for(shell: Callable, run_folder: Path) -> None:
    assert shell("recommend", run_folder, 3, "-k", 2).code == 0
    lv.recommend(run_folder, 3, k=2)
    assert not (run_folder / "recommended").exists()
    assert "sheet" in shell("recommend", run_folder, 3, "-k", 2, "--save").err
    lv.recommend(run_folder, 3, k=2, save=True)
    assert len(list((run_folder / "recommended").iterdir())) == 2


@pytest.mark.parametrize(
    ("n_clusters", "distinct", "agreement", "expected"),
    [
        (0, None, None, True),
        (8, 0.49, 0.9, True),
        (8, 0.5, 0.49, True),
        (8, 0.5, 0.5, False),
        (8, 0.9, None, False),  # a single layout
        (8, None, None, False),  # no cut was chosen
    ],
)
def test_a_map_without_reliable_clusters_is_a_landscape(
    n_clusters: int, distinct: float | None, agreement: float | None, expected: bool
) -> None:
    info = ClustersInfo(
        lines=[],
        n_items=9,
        n_clusters=n_clusters,
        noise_share=0,
        settings={},
        clusters=[],
        distinct=distinct,
        agreement=agreement,
    )
    assert is_landscape(info) is expected
