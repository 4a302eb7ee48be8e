"""Runs with networks of the user's own: they go through every command, in Python and, as far as possible, the shell."""

import gc
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal, Poisson

import latentviz as lv
from latentviz.config import read_yaml
from latentviz.errors import ArgumentError, ConfigError, LatentvizError, RunError
from latentviz.modalities import networks
from latentviz.modalities.loading import OpenRun, load_model
from latentviz.runs.metrics import read_metrics
from latentviz.runs.run import RunFolder
from latentviz.stages.evaluate import longer
from tests.conftest import write_digits
from tests.stages.test_map import meta

CLUSTERING = {"reduce": {"method": "pca"}, "cluster": {"method": "gmm", "n_clusters": 2}}


class Encoder(nn.Module):
    """Items of any shape → mu and logvar."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(int(np.prod(shape)), 16), nn.Tanh(), nn.Linear(16, 2 * latent_dim)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.net(x.float()).chunk(2, dim=-1)


def decoder(shape: tuple[int, ...], latent_dim: int) -> nn.Module:
    """Return z → means of items of any shape."""
    return nn.Sequential(
        nn.Linear(latent_dim, 16), nn.Tanh(), nn.Linear(16, int(np.prod(shape))), nn.Unflatten(1, shape)
    )


class Tokens(nn.Module):
    """z → independent categories at each position of a text."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
        self.t, self.net = shape[0], nn.Linear(latent_dim, shape[0] * 300)

    def forward(self, z: Tensor) -> Distribution:
        return Categorical(logits=self.net(z).unflatten(1, (self.t, 300)))


def poisson(out: Tensor) -> Distribution:
    return Poisson(nn.functional.softplus(out))


def sparsity(step) -> Tensor:
    return step.posterior.mean.abs().mean()


def write_counts(folder: Path) -> Path:
    rates = np.repeat([[1.0], [8.0]], 40, axis=0) * np.ones(6)
    np.save(folder / "counts.npy", np.random.default_rng(0).poisson(rates).astype(np.float32))
    return folder / "counts.npy"


def write_texts(folder: Path) -> Path:
    (folder / "texts.txt").write_text("".join(f"{a} {i}\n" for a in ("cat", "sea") for i in range(40)))
    return folder / "texts.txt"


def images(folder: Path) -> Path:
    return write_digits(folder, 80)


KINDS: dict[str, tuple[Callable[[Path], Path], dict]] = {
    "image": (images, {"encoder": Encoder, "decoder": decoder, "objective": {"sparsity": sparsity}}),
    "vectors": (write_counts, {"encoder": Encoder, "decoder": decoder, "likelihood": poisson}),
    "likelihood": (write_counts, {"likelihood": poisson}),
    "encoder": (write_texts, {"encoder": Encoder}),
    "text": (write_texts, {"encoder": Encoder, "decoder": Tokens}),
}


def fitted(folder: Path, source: Path, name: str, epochs: int = 2, **given: object) -> lv.Run:
    return lv.fit(
        source,
        outputs=folder,
        run=name,
        model={"latent_dim": 3},
        data={"batch_size": 16},
        trainer={"max_epochs": epochs},
        **given,
    )


def forget(run: lv.Run) -> None:
    """Do as if this were another process."""
    networks._given.pop(run.path.resolve())


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[lv.Run, dict]:
    """A run of each kind of data with other parts of the user's, and the parts."""
    write, given = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    return fitted(folder, write(folder), request.param, **given), given


def test_such_a_run_goes_through_every_command(made: tuple[lv.Run, dict], tmp_path: Path) -> None:
    run, given = made
    names = read_yaml(run.path / "config.yaml")["networks"]
    assert set(names) == set(given)
    assert run.mu.shape == (80, 3 if "encoder" in given else run.mu.shape[1])
    result = run.cluster(**CLUSTERING)
    assert np.isfinite(result.points["log_likelihood"]).all()
    assert "log_likelihood" in result.points
    assert len(run.generate(n=3).outputs) == 3
    assert len(run.generate(reconstruct=[run.items["id"][0]]).outputs) == 1
    assert len(run.recommend([0], k=4).rows) == 4
    assert run.evaluate().report.stat().st_size > 1_000
    source = Path(read_yaml(run.path / "config.yaml")["data"]["path"])
    assert run.encode(source).mu == pytest.approx(np.asarray(run.mu), abs=1e-4)
    assert run.export(safetensors=True)[0].stat().st_size > 100


def test_the_page_runs_an_own_decoder_of_layers_that_it_knows(images_run: lv.Run) -> None:
    html = images_run.cluster(**CLUSTERING).map.read_text(encoding="utf-8")
    decoder = meta(html)["decoder"]
    assert [layer["type"] for layer in decoder["layers"]] == ["linear", "tanh", "linear", "reshape", "reshape"]
    assert decoder["shape"] == [1, 8, 8]


def test_it_is_opened_with_its_networks_again(made: tuple[lv.Run, dict]) -> None:
    run, given = made
    z, before = np.zeros((2, run.mu.shape[1]), np.float32), load_model(RunFolder(run.path))
    expected = before.kind.decode_all(before.vae, z)
    forget(run)
    with pytest.raises(RunError, match=r"needs code that a run does not hold: .*; open it in Python, with `lv.open\("):
        run.generate(n=1)
    again = lv.open(run, **{role: part for role, part in given.items() if role != "objective"})
    after = load_model(RunFolder(again.path))
    assert list(map(str, after.kind.decode_all(after.vae, z))) == list(map(str, expected))


@pytest.fixture
def images_run(tmp_path: Path) -> lv.Run:
    return fitted(tmp_path, images(tmp_path), "own", encoder=Encoder, decoder=decoder, objective={"sparsity": sparsity})


def test_networks_are_kept_while_a_run_is_used(tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path / str(number)) for number in range(networks.LATEST + 2)]
    held = None
    for folder in folders:
        networks.remember(folder, networks.Networks(encoder=Encoder))
        held = held or lv.Run(folder)
    gc.collect()
    assert [networks.recall(folder) is networks.STANDARD for folder in folders[:3]] == [False, True, False]


def test_terms_of_the_objective_are_in_the_loss_and_in_the_metrics(images_run: lv.Run) -> None:
    for row in read_metrics(images_run.path / "metrics.csv"):
        assert float(row["train_sparsity"]) > 0
        assert float(row["val_sparsity"]) > 0


def test_the_advice_to_train_longer_is_a_call_that_works(images_run: lv.Run) -> None:
    call = re.fullmatch(r"`(lv\.fit\(.*\))`", longer(OpenRun(RunFolder(images_run.path))))
    assert call is not None
    given = {"encoder": "Encoder", "decoder": "decoder", "objective": '{"sparsity": sparsity}'}
    words = re.sub(r"(\w+)=…", lambda found: f"{found[1]}={given.pop(found[1])}", call[1])
    assert not given, "all parts of the user's own are asked for"
    epochs = images_run.summary["epochs"]
    assert eval(words).summary["epochs"] == 2 * epochs


def test_the_shell_does_what_needs_mu_alone_and_names_the_way_to_the_rest(images_run: lv.Run, shell: Callable) -> None:
    forget(images_run)
    where = ("--outputs", images_run.path.parent)
    settings = ("reduce.method=pca", "cluster.method=gmm", "cluster.n_clusters=2")
    outcome = shell("cluster", "own", *settings, *where)
    assert outcome.code == 0
    assert "lv.open(" in outcome.err + outcome.out
    points = images_run.clustering().points
    assert "kl" in points
    assert "log_likelihood" not in points
    assert shell("map", "own", "theme=dark", *where).code == 0
    assert "map.colour_by" in shell("map", "own", "colour_by=log_likelihood", *where).complaint
    assert shell("recommend", "own", "0", *where).code == 0
    needs = r'encoder tests.*Encoder, decoder .*lv.open\(".*own", encoder=…, decoder=…\)'
    new = images_run.path.parent / "few.npy"
    for words in (["generate", "own"], ["encode", "own", new], ["evaluate", "own"], ["export", "own", "--safetensors"]):
        assert re.search(needs, shell(*words, *where).complaint)
    config = images_run.path / "config.yaml"
    assert re.search(
        r"lv.fit\(.*encoder=…, decoder=…, objective=…\)", shell("fit", config, "--run", "b", *where).complaint
    )
    assert "sparsity" in shell("fit", config, "--run", "own", "--resume", *where).complaint
    assert not (images_run.path.parent / "b").exists()


def test_it_trains_on_with_the_same_parts_and_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    source, given = images(tmp_path), {"encoder": Encoder, "decoder": decoder, "objective": {"sparsity": sparsity}}
    run = fitted(tmp_path, source, "own", 1, **given)
    first = np.array(run.mu)
    for parts, expected in (
        ({}, "needs code"),
        ({"encoder": Encoder, "decoder": decoder}, "objective sparsity"),
        ({**given, "likelihood": poisson}, "likelihood: .*own likelihood"),
        ({**given, "objective": {"other": sparsity}}, "objective: .*sparsity .got other"),
    ):
        with pytest.raises(LatentvizError, match=expected):
            lv.fit(source, outputs=tmp_path, run="own", resume=True, trainer={"max_epochs": 2}, **parts)
    longer = lv.fit(source, outputs=tmp_path, run="own", resume=True, trainer={"max_epochs": 2}, **given)
    assert longer.summary["epochs"] == 2
    assert not np.array_equal(first, longer.mu)
    assert len(longer.generate(n=2).outputs) == 2


def test_a_module_stays_as_it_is_and_trains_the_same_run_twice(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, given = images(tmp_path), {"encoder": Encoder((1, 8, 8), 3), "decoder": decoder((1, 8, 8), 3)}
    before = {name: value.clone() for name, value in given["encoder"].state_dict().items()}
    runs = [fitted(tmp_path, source, name, 1, **given) for name in ("one", "two")]
    assert (runs[0].path / "mu.npy").read_bytes() == (runs[1].path / "mu.npy").read_bytes()
    assert all(torch.equal(before[name], value) for name, value in given["encoder"].state_dict().items())


def test_a_network_that_cannot_be_trained_leaves_no_run_and_the_earlier_one(tmp_path: Path) -> None:
    source = images(tmp_path)
    kept = fitted(tmp_path, source, "own", 1)
    mu = np.array(kept.mu)
    with pytest.raises(ArgumentError, match=r"latent_dim is 3"):
        fitted(tmp_path, source, "own", 1, force=True, encoder=lambda shape, d: Encoder(shape, d + 1))
    np.testing.assert_array_equal(lv.open(kept).mu, mu)
    with pytest.raises(ArgumentError, match=r"encoder: "):
        fitted(tmp_path, source, "new", 1, encoder=nn.Flatten())
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["own"]


def test_networks_that_do_not_fit_a_run_are_refused(images_run: lv.Run, trained: Path) -> None:
    def wider(shape: tuple[int, ...], d: int) -> nn.Module:
        return nn.Sequential(nn.Linear(d, 20), nn.Linear(20, int(np.prod(shape))), nn.Unflatten(1, shape))

    with pytest.raises(RunError, match=r"give the networks that it was trained with: encoder .*Encoder"):
        lv.open(images_run, encoder=Encoder, decoder=wider)
    with pytest.raises(RunError, match=r"needs code .*decoder"):
        lv.open(images_run, encoder=Encoder)
    with pytest.raises(ArgumentError, match=r"encoder: .*latentviz's own encoder"):
        lv.open(trained, encoder=Encoder)


def test_data_that_a_likelihood_does_not_allow_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32))
    with pytest.raises(ArgumentError, match=r"likelihood: Poisson does not allow values that the data has, such as -?"):
        fitted(tmp_path, tmp_path / "v.npy", "v", likelihood=poisson)


@pytest.mark.parametrize(
    ("write", "setting", "roles"),
    [
        (images, "width", "encoder decoder"),
        (images, "likelihood", "likelihood"),
        (write_counts, "c", "likelihood"),
        (write_texts, "memory", "decoder"),
        (write_texts, "topic_dim", "encoder"),
    ],
)
def test_a_setting_of_networks_that_are_replaced_is_refused(
    write: Callable[[Path], Path], setting: str, roles: str, tmp_path: Path
) -> None:
    parts = {"encoder": Encoder, "decoder": decoder, "likelihood": poisson}
    given = {"likelihood": "bernoulli"}.get(setting, 8)
    expected = (
        rf"model\.{setting}: has no effect with {' and '.join(f'{role}=' for role in roles.split())} \(got {given}\)"
    )
    with pytest.raises(ConfigError, match=expected):
        lv.fit(
            write(tmp_path),
            outputs=tmp_path / "outputs",
            model={setting: given},
            **{role: parts[role] for role in roles.split()},
        )
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("networks.encoder=a.B", r"encoder a\.B; train it in Python"), ("networks.foo=1", r"networks\.foo: unknown key")],
)
def test_a_network_cannot_be_named_in_a_config(shell: Callable, tmp_path: Path, setting: str, expected: str) -> None:
    assert re.search(expected, shell("fit", images(tmp_path), setting, "--outputs", tmp_path).complaint)


def test_a_network_that_pytorch_cannot_export_is_one_line(tmp_path: Path) -> None:
    class Branching(Encoder):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return super().forward(x + 1 if x.sum() > 1e9 else x)

    pytest.importorskip("onnxscript")
    run = fitted(tmp_path, images(tmp_path), "own", 1, encoder=Branching)
    with pytest.raises(RunError, match=r"onnx=True: PyTorch cannot export this network"):
        run.export(onnx=True)


def test_no_code_is_loaded_from_a_run(images_run: lv.Run, tmp_path: Path) -> None:
    """A fresh process that opens the run imports no module that the run names."""
    text = (images_run.path / "config.yaml").read_text()
    assert "Encoder" in text
    script = (
        "import sys, latentviz as lv\n"
        f"lv.cluster({str(images_run.path)!r}, name='fresh', **{CLUSTERING!r})\n"
        "assert not [name for name in sys.modules if name.startswith('tests')], sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    info = json.loads((images_run.path / "clusters" / "fresh" / "clusters.json").read_text())
    assert info["n_items"] == 80


def test_a_normal_of_the_user_s_is_as_good_as_means(tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self, shape: tuple[int, ...], d: int) -> None:
            super().__init__()
            self.net = decoder(shape, d)

        def forward(self, z: Tensor) -> Distribution:
            return Normal(self.net(z), 0.3)

    run = fitted(tmp_path, images(tmp_path), "own", 1, decoder=Own)
    outputs = run.generate(n=2).outputs
    assert (outputs.dtype, outputs.shape) == (np.uint8, (2, 1, 8, 8))


def test_every_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2] / "docs" / "networks.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Lightning, on the number of workers
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            exec(compile(block, page.name, "exec"), names)
    assert {path.name for path in (tmp_path / "outputs").iterdir() if path.is_dir()} == {
        "own",
        "poisson",
        "negative-binomial",
        "sparse",
    }
    metrics = names["trainer"].callback_metrics
    assert {
        f"{split}_{name}" for split in ("train", "val") for name in ("loss", "log_likelihood", "kl", "head")
    } <= set(metrics)
    assert names["mu"].shape == (1797, 8)
