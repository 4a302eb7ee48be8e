"""Items with several parts: what is stored, what a missing part costs, what is refused, and what a part tells."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import latentviz as lv
from latentviz.modalities.joint.config import JointData, ResolvedJointModel
from latentviz.modalities.joint.data import views
from latentviz.modalities.joint.layout import Layout
from latentviz.modalities.joint.nets import networks
from latentviz.modalities.joint.read import caption_columns, read
from latentviz.modalities.joint.show import described
from latentviz.modalities.loading import load_model
from latentviz.modalities.sources import load_config
from latentviz.model.base import distortion_and_log_likelihood
from latentviz.runs.run import RunFolder

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 230), "yellow": (230, 220, 40)}
SHAPES = ("disc", "bar")
LAYOUT = Layout(("image", "caption", "label"), (1, 8, 8), ("red", "heart", "a"), (1.0, 1.5, 0.2), ("x", "y"))


def write(folder: Path, n: int = 64, cells: Callable[[int, list[str]], list[str]] | None = None) -> Path:
    """Write n coloured shapes, 8×8, with captions and labels; `cells` changes a row (file_name, caption, label)."""
    folder.mkdir(parents=True)
    random, rows = np.random.default_rng(0), []
    for row in range(n):
        colour, shape = list(COLOURS)[row % 4], SHAPES[row // 4 % 2]
        pixels = random.integers(0, 30, (8, 8, 3)).astype(np.uint8)
        pixels[1:7, (1 if shape == "disc" else 3) : (7 if shape == "disc" else 5)] = COLOURS[colour]
        cell = [f"{row:03d}.png", f"a {colour} {shape}", shape]
        if cells:
            cell = cells(row, cell)
        Image.fromarray(pixels).save(folder / f"{row:03d}.png")
        rows.append(cell)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "caption", "label"), *rows])
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on shapes that tells colours."""
    folder = tmp_path_factory.mktemp("shapes")
    run = lv.fit(
        write(folder / "shapes", 160),
        outputs=folder / "outputs",
        data={"parts": "image,caption,label", "batch_size": 32},
        model={"latent_dim": 8, "width": 4, "hidden": 32},
        trainer={"max_epochs": 60},
        preview=0,
    )
    return run.path


class TestStored:
    def test_a_part_is_there_if_it_is_given_and_known(self) -> None:
        stored = LAYOUT.join(
            LAYOUT.rest(
                ["A red, red heart", None, "blue", "heart"], ["x", "y", "z", None], np.array([True, True, False, False])
            ),
            np.full((4, 1, 8, 8), 7, np.uint8),
        )
        assert [LAYOUT.has(stored, part).tolist() for part in LAYOUT.parts] == [
            [True, True, False, False],
            [True, False, False, True],
            [True, True, False, False],
        ]
        assert stored[0, LAYOUT.slices["caption"]].tolist() == [2, 1, 1]
        assert stored[2].sum() == 0, "nothing of an item without a known part is stored"

    @pytest.mark.parametrize("packed", [False, True])
    def test_rows_without_an_image_are_items(self, packed: bool, tmp_path: Path) -> None:
        folder = write(tmp_path / "some", 8, lambda row, cell: ["" if row % 2 else cell[0], *cell[1:]])
        path = shutil.make_archive(str(folder), "zip", folder) if packed else str(folder)
        found = read(JointData(path=path, parts=["image", "caption"]))
        assert not found.source.bad
        assert found.drawn.tolist() == [True] * 4 + [False] * 4
        assert found.captions[4] == "a green disc"


class TestModel:
    def model(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        torch.manual_seed(0)
        settings = {"c": 1.0, "net": "conv", "stop": "limit", "contrast": 1.0, "content_dim": 2, "latent_dim": 4}
        model = ResolvedJointModel(**settings, caption_weight=2.0, label_weight=3.0, width=4)  # type: ignore[arg-type]
        return networks(LAYOUT, model)

    def items(self, marks: Sequence[int]) -> torch.Tensor:
        random = np.random.default_rng(0)
        stored = random.integers(0, 2, (5, LAYOUT.size)).astype(np.uint8)
        stored[:, :3] = marks
        return torch.from_numpy(stored)

    def test_the_posterior_is_the_product_of_the_parts_and_the_prior(self) -> None:
        encoder = self.model()[0].eval()
        precision, weighted = 1.0, 0.0
        for marks in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
            alone = encoder(self.items(marks)).base_dist
            own = alone.scale**-2 - 1  # without the prior
            precision, weighted = precision + own, weighted + alone.loc * alone.scale**-2
        whole = encoder(self.items((1, 1, 1))).base_dist
        assert torch.allclose(whole.scale**-2, precision, rtol=1e-4)
        assert torch.allclose(whole.loc, weighted / precision, atol=1e-5)
        nothing = encoder(self.items((0, 0, 0))).base_dist
        assert torch.equal(nothing.loc, torch.zeros(5, 4))
        assert torch.equal(nothing.scale, torch.ones(5, 4))

    @pytest.mark.parametrize("missing", range(3))
    def test_a_missing_part_changes_nothing_and_costs_nothing(self, missing: int) -> None:
        encoder, decoder = self.model()
        x = self.items([int(mark != missing) for mark in range(3)])
        other = x.clone()
        other[:, LAYOUT.slices[LAYOUT.parts[missing]]] += 1
        z = encoder(x).mean
        assert torch.equal(z, encoder(other).mean)
        cost, log_likelihood = distortion_and_log_likelihood(decoder(z), x)
        again, same = distortion_and_log_likelihood(decoder(z), other)
        assert torch.equal(cost, again)
        assert torch.equal(log_likelihood, same)
        assert torch.allclose(decoder(z).log_prob(x), log_likelihood, atol=1e-3)
        cost.sum().backward()
        head = {1: "caption", 2: "label"}.get(missing)
        assert head is None or not any(p.grad.any() for p in decoder.heads[head].parameters())

    def test_views_are_the_whole_and_each_part_alone(self) -> None:
        x = self.items((1, 1, 1))
        x[3, :3] = torch.tensor([1, 0, 1], dtype=torch.uint8)
        x[4, :3] = torch.tensor([0, 1, 0], dtype=torch.uint8)
        batch = views(x, LAYOUT, 0.0)
        marks = batch.x[:, :3].tolist()
        assert marks[:5] == x[:, :3].tolist()
        assert marks[5:] == [[1, 0, 0]] * 4 + [[0, 1, 0]] * 3 + [[0, 0, 1]] * 4
        assert batch.pairs is not None
        assert batch.pairs.tolist() == [[[5, 6, 7, 8, -1], [9, 10, 11, -1, -1]]]
        assert torch.equal(batch.target[9:12], x[:3]), "targets are whole"


REFUSED = {
    "unknown part": ("image,sound", {}, None, "data.parts"),
    "one part": ("image", {}, None, "data.parts"),
    "no captions": ("image,caption", {"caption_column": "none"}, None, "data.caption_column"),
    "no such column": ("image,caption", {"caption_column": "titel"}, None, "data.caption_column"),
    "rare words": ("image,caption", {}, lambda row, cell: [cell[0], f"w{row}", cell[2]], "data.min_items"),
    "unique labels": (
        "image,label",
        {"label_column": "caption"},
        lambda row, cell: [cell[0], f"c{row}", "x"],
        "64 labels",
    ),
    "one label": ("image,label", {}, lambda row, cell: [*cell[:2], "x"], "64 items have the label x"),
    "no labels": ("image,label", {"label_column": "none"}, None, "data.label_column"),
    "other names": ("image,caption", {}, lambda row, cell: [f"img/{row}.jpg", *cell[1:]], "0 of 64 rows .*000.png"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line(case: str, shell: Callable, tmp_path: Path) -> None:
    parts, settings, cells, expected = REFUSED[case]
    write(tmp_path / "data", cells=cells)
    words = [f"data.{key}={value}" for key, value in settings.items()]
    outcome = shell("fit", tmp_path / "data", f"data.parts={parts}", *words, "--outputs", tmp_path / "outputs")
    assert outcome.code == 2
    assert len(outcome.complaint.splitlines()) == 1
    assert re.search(expected, outcome.complaint)
    assert not [*(tmp_path / "outputs").glob("*/config.yaml")]


def test_a_kind_without_parts_learns_images_and_captions(tmp_path: Path) -> None:
    write(tmp_path / "data", 20)
    config, _ = load_config(str(tmp_path / "data"), {"data": {"kind": "joint"}})
    assert config.data.model_dump()["parts"] == ["image", "caption"]


def test_a_column_that_is_named_twice_is_read_once() -> None:
    assert caption_columns(["a", "b"], "b,a,b") == ["b", "a"]


def test_captions_are_learnt_only_when_they_are_named(shell: Callable, tmp_path: Path) -> None:
    write(tmp_path / "data", 20)
    outcome = shell("fit", tmp_path / "data", "trainer.max_epochs=1", "--outputs", tmp_path, "--run", "alone")
    assert "data.parts=image,caption" in outcome.err
    assert RunFolder.open(tmp_path / "alone").info()["kind"] == "image"


class TestTrained:
    def test_a_caption_draws_its_colour(self, trained: Path) -> None:
        for name, colour in COLOURS.items():
            made = lv.generate(trained, caption=f"a {name} disc", n=8, name=name)
            middle = made.outputs[:, :, 3:5, 3:5].mean((0, 2, 3))
            nearest = min(COLOURS, key=lambda other: float(np.square(middle - COLOURS[other]).sum()))
            assert nearest == name, (name, colour, middle)

    def test_an_image_tells_its_words(self, trained: Path, tmp_path: Path) -> None:
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[1:7, 3:5] = COLOURS["blue"]
        Image.fromarray(pixels).save(tmp_path / "new.png")
        made = lv.generate(trained, image=tmp_path / "new.png", n=4)
        assert sum("blue" in text.split()[:3] for text in made.texts) >= 3

    def test_parts_together_are_one_way(self, trained: Path, shell: Callable) -> None:
        words = ("--caption", "a red disc", "--label", "disc", "-n", 2, "--json")
        outcome = shell("generate", trained, *words)
        info = json.loads(outcome.out)
        assert info["asked"] == {"caption": "a red disc", "label": "disc"}
        assert len(info["outputs"]) == 2

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (("--caption", "zebra"), "zebra"),
            (("--label", "disk"), "'disc'"),
            (("--image", "no.png"), "no.png"),
            (("--image", "."), "a folder"),
            (("--caption", "  "), "such as"),
            (("--caption", "zebra" * 60), "zebr…"),
            (("--caption", "red", "--at", "0,0"), "one way"),
            (("--caption", "red", "--steps", "3"), "--steps"),
        ],
    )
    def test_what_it_cannot_know_is_refused(
        self, trained: Path, shell: Callable, words: Sequence[str], expected: str
    ) -> None:
        outcome = shell("generate", trained, *words)
        assert outcome.code == 2
        assert expected in outcome.complaint

    def test_a_text_finds_items_of_its_meaning(self, trained: Path) -> None:
        found = lv.recommend(trained, ["yellow bar"], k=5)
        assert all(row["text"] == "a yellow bar" for row in found.rows)

    def test_the_page_draws_the_decoder_s_images(self, trained: Path) -> None:
        loaded = load_model(RunFolder.open(trained))
        page = loaded.kind.page_decoder(loaded.vae)
        assert page is not None
        z = torch.zeros(2, 8)
        with torch.inference_mode():
            assert torch.equal(page.network(z).flatten(1), loaded.vae.decode(z)[:, page.place])


@pytest.mark.parametrize(
    ("probabilities", "said"),
    [((0.5, 0.45, 0.05), "heart red · x"), ((0.02, 0.9, 0.08), "heart · x"), ((0.3, 0.3, 0.4), "heart red a · x")],
)
def test_an_output_is_described_by_its_likely_words(probabilities: Sequence[float], said: str) -> None:
    expected = np.zeros((1, LAYOUT.size))
    expected[:, LAYOUT.slices["caption"]] = probabilities
    expected[:, LAYOUT.slices["label"]] = (0.6, 0.4)
    assert described(LAYOUT, expected) == [said]


def test_glyphs_have_captions_and_scripts() -> None:
    found = read(JointData(path="python:glyphs", parts=["image", "caption", "label"]))
    row = found.source.ids.index("U+03A9")
    assert found.captions[row] == "greek capital letter omega"
    assert found.source.labels[row] == "greek"
    assert found.source.labels[found.source.ids.index("U+2190")] is None
    pixels = np.asarray(found.source.open(row))
    assert pixels.shape == (28, 28)
    assert pixels.max() == 255
