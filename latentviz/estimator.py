"""`lv.LatentMap`: a run and its clustering as one scikit-learn estimator."""

import io
import shutil
import tarfile
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import validate_data

from latentviz.api import Result, Run, cluster, fit
from latentviz.clustering.acting import check_acting
from latentviz.config import ClusterConfig, validate
from latentviz.errors import ArgumentError
from latentviz.modalities.memory import source_of
from latentviz.modalities.networks import remember
from latentviz.model.checkpoint import kept_checkpoint
from latentviz.progress import quietly
from latentviz.queries.lookup import Lookup
from latentviz.runs.files import AnyPath
from latentviz.runs.run import RunFolder
from latentviz.stages.encode import Frozen
from latentviz.stages.transform import log_bounds

if TYPE_CHECKING:
    from latentviz.model.own import LikelihoodOf, Network, Term

Settings = Mapping[str, Any]

RUN = Path("map")  # the name of a temporary run
NUMBERS = "biuf"  # NumPy's kinds of real numbers


class LatentMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A VAE with a clustering of its latent space, as a scikit-learn transformer and clusterer.

    `transform` encodes rows to mu, `predict` places them in the clusters, `inverse_transform` decodes latents, and
    `score_samples` bounds log p(x). The clustering is made when it is first asked for, so that a pipeline which only
    transforms does not wait for it.

    A table of numbers (an array or sparse matrix (n, d), or a DataFrame of numbers) is checked as scikit-learn does,
    and every column is learnt from. Anything else that `lv.fit` takes (images, texts, tables with texts) goes there as
    it is.

    Args:
        latent_dim: dimensions of z; by default the data kind's.
        epochs: passes over the data; by default as many as the data kind needs.
        data: settings of the data, as for `lv.fit`.
        model: settings of the model.
        trainer: arguments of `pytorch_lightning.Trainer`.
        reduce: settings of the layout, as for `lv.cluster`.
        cluster: settings of the clusterer.
        run: name of the run to keep; None: a temporary folder that goes with this object. Fitting again replaces a run
            that this object made, and no other.
        outputs: folder of the runs.
        encoder: as for `lv.fit`.
        decoder: as for `lv.fit`.
        likelihood: as for `lv.fit`.
        objective: as for `lv.fit`.
        random_state: seed of every draw: an int, a RandomState, or None for another one each time.
        verbose: whether to print the progress.

    Attributes:
        run_: the `lv.Run`.
        result_: the `lv.Result` of its clustering.
        labels_: the cluster of each item, int32 (n,), −1 for noise.
        probabilities_: the membership of each item in its cluster, (n,) in [0, 1].
        points_: the places of the items on the map, float32 (n, 2).
        n_features_in_: d of a table of numbers, whose names are in `feature_names_in_`.

    A pickle holds the files of a temporary run, and the path of one that is kept; networks of your own as pickle does.
    """

    def __init__(  # noqa: PLR0913 - every parameter is one of scikit-learn's
        self,
        latent_dim: int | None = None,
        *,
        epochs: int | None = None,
        data: Settings | None = None,
        model: Settings | None = None,
        trainer: Settings | None = None,
        reduce: Settings | None = None,
        cluster: Settings | None = None,
        run: str | None = None,
        outputs: AnyPath = "outputs",
        encoder: "Network | None" = None,
        decoder: "Network | None" = None,
        likelihood: "LikelihoodOf | None" = None,
        objective: "Mapping[str, Term] | None" = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.latent_dim = latent_dim
        self.epochs = epochs
        self.data = data
        self.model = model
        self.trainer = trainer
        self.reduce = reduce
        self.cluster = cluster
        self.run = run
        self.outputs = outputs
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.objective = objective
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Trains on the rows of X; `y` is not used.

        Raises:
            LatentvizError: X cannot be learnt from, or a setting is wrong; it is also a ValueError or TypeError for
                what scikit-learn expects one.
        """
        del y
        X = self._checked(X, reset=True)  # noqa: N806
        seed = self._seed()
        clustering = _Clustering(self.reduce or {}, self.cluster or {}, seed)
        check_acting(
            validate(ClusterConfig, {"reduce": clustering.reduce, "cluster": clustering.cluster}, "cluster settings")
        )
        model = _with(self.model, "model", "latent_dim", self.latent_dim)
        trainer = _with(self.trainer, "trainer", "max_epochs", self.epochs)
        own = self._replaces()
        folder = Path(tempfile.mkdtemp(prefix="latentviz-")) if self.run is None else Path(self.outputs)
        with quietly(self.verbose):
            try:
                made = fit(
                    X,
                    run=str(RUN) if self.run is None else self.run,
                    outputs=folder,
                    force=own,
                    data=self.data,
                    model=model,
                    trainer=trainer,
                    seed_everything=seed,
                    preview=0,
                    encoder=self.encoder,
                    decoder=self.decoder,
                    likelihood=self.likelihood,
                    objective=self.objective,
                )
            except BaseException:
                if self.run is None:
                    shutil.rmtree(folder, ignore_errors=True)
                raise
        self._fitted = _Fitted(made, clustering, temporary=self.run is None)
        return self

    def fit_transform(self, X: Any, y: object = None) -> np.ndarray:  # noqa: N803
        """Trains on X and returns mu of its rows, float32 (n, d)."""
        mu = self.fit(X, y).run_.mu
        return np.array(mu) if not hasattr(X, "__len__") or len(mu) == _rows(X) else self.transform(X)

    def transform(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the posterior means of rows, float32 (n, d)."""
        return self._state().run.transform(self._checked(X))

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns the clusters that rows fall into, int32 (n,), −1 for noise; a row that was fitted keeps its own."""
        state = self._state()
        mu = state.run.transform(self._checked(X))
        with quietly(self.verbose):
            return np.asarray(state.frozen.place(mu)["cluster"])

    def inverse_transform(self, X: Any) -> Any:  # noqa: N803
        """Decodes latents (n, d): to vectors in the units of the data, images uint8 (n, c, h, w), or n texts."""
        return self._state().run.decode(np.asarray(X, np.float32))

    def score_samples(self, X: Any) -> np.ndarray:  # noqa: N803
        """Returns a lower bound on log p of each row, (n,) in nats; the same row always gets the same bound."""
        state = self._state()
        opened = state.run._opened
        with source_of(self._checked(X), kind=opened.info["kind"]) as path:
            return log_bounds(opened, path, state.clustering.seed)

    def score(self, X: Any, y: object = None) -> float:  # noqa: N803
        """Returns the mean of `score_samples`; higher is better."""
        del y
        return float(self.score_samples(X).mean())

    @property
    def run_(self) -> Run:
        """The run."""
        return self._state().run

    @property
    def result_(self) -> Result:
        """The clustering, made on first use."""
        with quietly(self.verbose):
            return self._state().result

    @property
    def labels_(self) -> np.ndarray:
        """The cluster of each item."""
        return self.result_.labels

    @property
    def probabilities_(self) -> np.ndarray:
        """The membership of each item in its cluster."""
        return self.result_.points["probability"].to_numpy()

    @property
    def points_(self) -> np.ndarray:
        """The places on the map."""
        return self.result_.points[["x", "y"]].to_numpy(np.float32)

    @property
    def _n_features_out(self) -> int:
        return int(self.run_.mu.shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _state(self) -> "_Fitted":
        if "_fitted" not in self.__dict__:
            raise NotFittedError("This LatentMap instance is not fitted yet; call fit(X) first")
        return self._fitted

    def _replaces(self) -> bool:
        """Whether the run of this name is there and was made by this object; another one is never replaced."""
        if self.run is None or not (path := Path(self.outputs) / self.run).exists():
            return False
        earlier: _Fitted | None = self.__dict__.get("_fitted")
        if earlier is None or earlier.run.path != path:
            raise ArgumentError(
                f"run: {path} exists already, and this object did not make it; choose another name or outputs=, remove "
                "that folder, or leave run out: a temporary run serves clones and searches"
            )
        return True

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            if not 0 <= self.random_state < 2**32:
                raise ArgumentError(f"random_state: must be 0 to {2**32 - 1:,} (got {self.random_state}); or None")
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))

    def _checked(self, X: Any, *, reset: bool = False) -> Any:  # noqa: N803
        """Checks a table of numbers as scikit-learn does; returns anything else as it is."""
        if not reset:
            self._state()
        if hasattr(X, "detach"):  # a tensor
            X = X.numpy(force=True)  # noqa: N806
        if self._numbers(X):
            least = 2 if reset else 1
            return validate_data(self, X, reset=reset, accept_sparse="csr", dtype=np.float32, ensure_min_samples=least)
        if reset:
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
        return X

    def _numbers(self, X: Any) -> bool:  # noqa: N803
        """Whether X is meant as a table of numbers, also if it is a wrong one."""
        if (self.data or {}).get("kind", "vectors") != "vectors":
            return False
        if hasattr(X, "toarray"):
            return True
        if hasattr(X, "dtypes") and hasattr(X, "columns"):
            return all(_is_number(dtype) for dtype in X.dtypes)
        if isinstance(X, (list, tuple)):
            first = X[0] if X else 0.0
            return isinstance(first, (int, float, np.number)) or (
                not isinstance(first, str) and hasattr(first, "__len__") and np.ndim(first) <= 1
            )
        if not hasattr(X, "__array__"):
            return False
        array = np.asarray(X)
        return array.ndim == 2 or (array.ndim < 2 and array.dtype.kind in NUMBERS + "c")


def _is_number(dtype: Any) -> bool:
    return dtype.is_numeric() if hasattr(dtype, "is_numeric") else getattr(dtype, "kind", "O") in NUMBERS


def _rows(X: Any) -> int:  # noqa: N803
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _with(section: Settings | None, name: str, key: str, value: object) -> Settings:
    """Adds a parameter to the section of settings that it belongs to."""
    if not isinstance(section, Mapping | None):
        raise ArgumentError(f"{name}: must be a dict or None (got {section!r})")
    given = dict(section or {})
    if value is None:
        return given
    if given.get(key, value) != value:
        raise ArgumentError(f'{name}: "{key}" is given twice (got {given[key]!r} and {value!r}); keep one')
    return {**given, key: value}


@dataclass(frozen=True)
class _Clustering:
    """The settings of the clustering."""

    reduce: Settings
    cluster: Settings
    seed: int


@dataclass
class _Fitted:
    """A run, and what is made of it on first use; removes a temporary run when nobody uses it any more."""

    run: Run
    clustering: _Clustering
    temporary: bool

    def __post_init__(self) -> None:
        if self.temporary:
            weakref.finalize(self, shutil.rmtree, self.run.path.parent, ignore_errors=True)

    @cached_property
    def result(self) -> Result:
        if self.run.clusterings:
            return self.run.clustering()
        settings = self.clustering
        return cluster(self.run, reduce=settings.reduce, cluster=settings.cluster, seed_everything=settings.seed)

    @cached_property
    def frozen(self) -> Frozen:
        return Frozen(Lookup(RunFolder(self.result.run.path)))

    def __getstate__(self) -> dict[str, Any]:
        kept = {"clustering": self.clustering, "path": self.run.path, "files": None, "networks": self.run._networks}
        if self.temporary:
            stream, run = io.BytesIO(), RunFolder(self.run.path)
            loaded = kept_checkpoint(self.run._opened.config, run)  # a temporary run is not trained on from another
            others = {file for file in run.checkpoints.iterdir() if file != loaded} | {run.samples}
            unused = {str(RUN / file.relative_to(run.path)) for file in others}
            with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
                archive.add(run.path, RUN, filter=lambda file: None if file.name in unused else file)
            kept["files"] = stream.getvalue()
        return kept

    def __setstate__(self, kept: dict[str, Any]) -> None:
        path, files = kept["path"], kept["files"]
        if files is not None:
            path = Path(tempfile.mkdtemp(prefix="latentviz-")) / RUN
            with tarfile.open(fileobj=io.BytesIO(files)) as archive:
                archive.extractall(path.parent, filter="data")
        remember(RunFolder(path), kept["networks"])
        self.run, self.clustering, self.temporary = Run(RunFolder(path)), kept["clustering"], files is not None
        self.__post_init__()
