"""`lv.LatentMap`: scikit-learn's own checks, and what its users do with an estimator."""

import copy
import gc
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentviz as lv
from latentviz.errors import LatentvizError
from latentviz.modalities import networks
from tests.stages.test_networks import Encoder, decoder

QUICK: dict[str, Any] = {
    "latent_dim": 2,
    "epochs": 2,
    "reduce": {"method": "pca"},
    "cluster": {"method": "gmm", "n_clusters": 3},
}
FEW = "a training needs at least 16 rows, and this check has fewer"
EXPECTED = dict.fromkeys(("check_n_features_in_after_fitting", "check_estimators_nan_inf", "check_fit2d_1feature"), FEW)


@parametrize_with_checks([lv.LatentMap(**QUICK)], expected_failed_checks=lambda _: EXPECTED)
def test_scikit_learn_accepts_it(estimator, check) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Three groups of rows, float64 (120, 5)."""
    return make_blobs(120, 5, centers=3, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(blobs) -> lv.LatentMap:
    return lv.LatentMap(**{**QUICK, "epochs": 40}).fit(blobs)


def test_it_answers_what_a_run_answers(fitted, blobs) -> None:
    mu = fitted.transform(blobs)
    assert (mu.shape, mu.dtype) == ((120, 2), np.float32)
    assert np.array_equal(mu, fitted.run_.mu)
    assert fitted.points_.shape == (120, 2)
    assert fitted.probabilities_.shape == (120,)
    assert fitted.labels_.tolist() == fitted.result_.labels.tolist() == fitted.predict(blobs).tolist()
    assert (fitted.predict(blobs + 1e-3) == fitted.labels_).mean() > 0.95
    assert fitted.get_feature_names_out().tolist() == ["latentmap0", "latentmap1"]


def test_decoded_rows_are_in_the_units_of_the_data(fitted, blobs) -> None:
    decoded = fitted.inverse_transform(fitted.transform(blobs))
    assert decoded.shape == blobs.shape
    assert np.abs(decoded - blobs).mean() < np.abs(blobs - blobs.mean(0)).mean() / 2


def test_scores_are_bounds_of_each_row_alone(fitted, blobs) -> None:
    scores = fitted.score_samples(blobs)
    assert scores.shape == (120,)
    assert fitted.score_samples(blobs[7:8]) == pytest.approx(scores[7])
    assert fitted.score(blobs) == pytest.approx(scores.mean())
    assert fitted.score_samples(blobs * 5).mean() < scores.mean()


def test_frames_keep_their_names(blobs) -> None:
    frame = pd.DataFrame(blobs, columns=list("abcde"), index=range(1000, 1120))
    estimator = lv.LatentMap(**QUICK).set_output(transform="pandas")
    mu = estimator.fit_transform(frame)
    assert list(mu.columns) == ["latentmap0", "latentmap1"]
    assert mu.index.tolist() == frame.index.tolist()
    assert estimator.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(frame[list("edcba")])


def test_pipelines_and_searches(blobs) -> None:
    labels = np.arange(120) % 2
    pipeline = make_pipeline(StandardScaler(), lv.LatentMap(epochs=1), LogisticRegression())
    search = GridSearchCV(pipeline, {"latentmap__latent_dim": [1, 3]}, cv=2).fit(blobs, labels)
    assert {each["latentmap__latent_dim"] for each in search.cv_results_["params"]} == {1, 3}
    assert search.predict(blobs).shape == (120,)
    assert search.best_estimator_["latentmap"].transform(blobs).shape[1] == search.best_params_["latentmap__latent_dim"]
    density = GridSearchCV(lv.LatentMap(epochs=1), {"latent_dim": [1, 2]}, cv=2).fit(blobs)
    assert np.isfinite(density.best_score_)


def test_copies_and_pickles_work_alone(fitted, blobs, tmp_path) -> None:
    mu, labels = fitted.transform(blobs), fitted.labels_
    assert not hasattr(clone(fitted), "labels_")
    twin = copy.deepcopy(fitted)
    assert twin.run_.path != fitted.run_.path
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "rows.npy", blobs)
    script = (
        "import pickle, sys, numpy as np\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
        "model = pickle.loads((folder / 'model.pickle').read_bytes())\nrows = np.load(folder / 'rows.npy')\n"
        "np.save(folder / 'mu.npy', model.transform(rows))\nnp.save(folder / 'labels.npy', model.predict(rows))\n"
        "print(model.run_.path)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert np.array_equal(np.load(tmp_path / "mu.npy"), mu)
    assert np.array_equal(np.load(tmp_path / "labels.npy"), labels)
    assert not Path(ended.stdout.strip()).exists()


def test_own_networks_are_cloned_and_pickled(blobs) -> None:
    module = decoder(blobs.shape[1:], 3)
    estimator = lv.LatentMap(latent_dim=3, epochs=1, encoder=Encoder, decoder=module)
    mu = estimator.fit(blobs).transform(blobs)
    assert estimator.get_params()["decoder"] is module
    assert np.array_equal(clone(estimator).fit(blobs).transform(blobs), mu)
    content = pickle.dumps(estimator)
    del estimator
    networks._latest.clear()
    again = pickle.loads(content)
    networks._latest.clear()
    gc.collect()
    assert np.array_equal(again.transform(blobs), mu)
    assert again.inverse_transform(mu).shape == blobs.shape


def test_a_temporary_run_goes_with_its_object(blobs) -> None:
    estimator = lv.LatentMap(**QUICK).fit(blobs)
    path = estimator.run_.path
    assert path.exists()
    estimator.fit(blobs)
    assert not path.exists()
    path = estimator.run_.path
    del estimator
    assert not path.exists()


def test_a_named_run_is_kept_and_only_its_own_is_replaced(blobs, tmp_path) -> None:
    estimator = lv.LatentMap(**QUICK, run="mine", outputs=tmp_path).fit(blobs)
    assert estimator.fit(blobs).run_ == lv.open("mine", outputs=tmp_path)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.run_ == estimator.run_
    del again
    assert estimator.labels_.shape == (120,)
    with pytest.raises(LatentvizError, match="exists"):
        lv.LatentMap(**QUICK, run="mine", outputs=tmp_path).fit(blobs)


def test_images_and_texts_too() -> None:
    images = (load_digits().images[:60] * 15).astype(np.uint8)
    of_images = lv.LatentMap(**QUICK, model={"width": 8}).fit(images)
    assert of_images.transform(images[:3]).shape == (3, 2)
    assert of_images.predict(images).tolist() == of_images.labels_.tolist()
    decoded = of_images.inverse_transform(np.zeros((2, 2)))
    assert (decoded.shape, decoded.dtype) == ((2, 1, 8, 8), np.uint8)
    assert np.isfinite(of_images.score(images))
    texts = [f"a {word} on the {place}" for word in ("cat", "dog", "bird", "fish") for place in ("mat", "sea") * 4]
    of_texts = lv.LatentMap(epochs=1, latent_dim=2, data={"kind": "text"}).fit(texts)
    mu = of_texts.transform(texts[:2])
    assert np.array_equal(mu, of_texts.run_.mu[:2])
    assert np.isfinite(of_texts.score(texts))
    assert isinstance(of_texts.inverse_transform(mu)[0], str)


def test_it_is_quiet_unless_asked(blobs, capfd) -> None:
    _ = lv.LatentMap(**QUICK).fit(blobs).labels_
    assert capfd.readouterr() == ("", "")
    lv.LatentMap(**QUICK, verbose=True).fit(blobs)
    assert "epoch 2/2" in capfd.readouterr().err


def test_the_seed_decides(blobs) -> None:
    one, same, other = (lv.LatentMap(**QUICK, random_state=seed).fit_transform(blobs) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reduce": {"methd": "pca"}}, "Did you mean 'method'"),
        ({"model": {"latentdim": 3}}, "Did you mean 'latent_dim'"),
        ({"trainer": {"epochs": 3}}, "Did you mean"),
        ({"cluster": {"min_samples": 3}}, "cluster.min_samples"),
        ({"epochs": 2, "trainer": {"max_epochs": 3}}, "got 3 and 2"),
        ({"random_state": -1}, "random_state: "),
    ],
)
def test_mistakes_are_one_line_before_the_training(blobs, wrong, says) -> None:
    with pytest.raises(LatentvizError, match=says) as refused:
        lv.LatentMap(**wrong).fit(blobs)
    assert "\n" not in str(refused.value)


def test_nothing_works_before_fit(blobs) -> None:
    for verb in ("transform", "predict", "score_samples", "inverse_transform", "score"):
        with pytest.raises(NotFittedError):
            getattr(lv.LatentMap(), verb)(blobs)
    assert not hasattr(lv.LatentMap(), "run_")


def test_other_tables_of_numbers(blobs) -> None:
    torch, sparse = pytest.importorskip("torch"), pytest.importorskip("scipy.sparse")
    kinds = [torch.tensor(blobs), sparse.csr_matrix(blobs), blobs.tolist()]
    labels = [lv.LatentMap(**QUICK).fit(kind).labels_.tolist() for kind in kinds]
    assert labels[0] == labels[1] == labels[2]
