"""What a data kind must and may do. `Modality` is its light half, `DataKind` the half that needs torch.

A `Modality` has the settings of a kind, recognises its data, reads new items and shows them; it loads without torch. A
`DataKind` is one data set of that kind with the settings it is trained with.

Shapes: n items in a run, d latent dimensions, b items in a batch, (c, h, w) for channels, height and width.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from latentviz.config import FitConfig
from latentviz.modalities.networks import STANDARD, Networks
from latentviz.modalities.page import PageCaptions, PageDecoder
from latentviz.modalities.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import Callback
    from torch import Tensor
    from torch.utils.data import DataLoader

    from latentviz.clustering.keywords import Terms
    from latentviz.modalities.io.prepared import Prepared
    from latentviz.modalities.length import ItemSeconds, Length
    from latentviz.model.base import Decoder, Encoder
    from latentviz.model.encoding import Stored
    from latentviz.model.own import LikelihoodOf
    from latentviz.model.vae import VAE, Batch
    from latentviz.runs.items import Items

# An item or output as its kind shows it: an image, uint8 (c, h, w), or a text, whose attribute `image` may hold one.
Shown: TypeAlias = "np.ndarray | str"
# Several outputs of a decoder: images, uint8 (m, c, h, w), or m texts.
Outputs: TypeAlias = "np.ndarray | Sequence[str]"

C = TypeVar("C", bound=FitConfig)  # settings as the user writes them, "auto" allowed
R = TypeVar("R", bound=FitConfig)  # resolved settings: no "auto"
S = TypeVar("S", bound="Shown")
R_contra = TypeVar("R_contra", bound=FitConfig, contravariant=True)
S_co = TypeVar("S_co", bound="Shown", covariant=True)


class Show(Protocol[S]):
    """Shows items and decoded outputs as pictures or texts; a module `show` of the kind, without torch."""

    def given(self, cache: Path, items: Items, rows: Sequence[int] | np.ndarray) -> Sequence[S]:
        """Return the items in these rows, from the run's cache."""

    def lines(self, outputs: Sequence[S]) -> list[str]:
        """Return what a terminal prints, one line per output; empty for what a terminal cannot show."""

    def draw(
        self, folder: Path, outputs: Sequence[S], groups: Sequence[tuple[str, Sequence[S]]]
    ) -> tuple[list[str], list[str]]:
        """Write each output and the sheet; return the names of the sheet's files and of the outputs' files.

        Args:
            folder: where the files go.
            outputs: m outputs.
            groups: rows of the sheet, each with its caption.
        """

    def draw_sheet(self, folder: Path, groups: Sequence[tuple[str, Sequence[S]]]) -> list[str]:
        """Write the sheet alone and return the names of its files."""


class NewItem(NamedTuple, Generic[S_co]):
    """One item that is not in the run."""

    shown: S_co  # the item as its kind shows it
    stored: np.ndarray  # the item as the kind's cache would store it, such as uint8 (c, h, w) or int32 (t,)
    notes: list[str]  # lines for the user: what was converted, cut or unknown


class ReadNew(Protocol[R_contra, S_co]):
    """Reads items for a trained model; a module `new` of the kind, without torch."""

    def read_item(self, word: str, config: R_contra, trained: Path) -> NewItem[S_co] | None:
        """Return the item that `word` names or is; None if it is neither.

        Args:
            word: a file, or for texts the text itself.
            config: of the run.
            trained: the run's cache.

        Raises:
            DataError: the file cannot be read.
        """

    def read_items(
        self, path: str, config: R_contra, cache: Path, trained: Path, given: Collection[str] = ()
    ) -> tuple[Prepared, np.ndarray]:
        """Return the items at `path` and their stored form, (n, …), which is also written into `cache`.

        Args:
            path: anything that `fit` reads.
            config: of the run.
            cache: folder for the new items.
            trained: the run's cache.
            given: settings of the data, such as `label_column`, that the user gave for these items; other ones that
                describe the run's own source are found again.

        Raises:
            DataError: nothing there can be read.
        """

    def cached(self, cache: Path) -> np.ndarray:
        """Open the items of a cache in their stored form, (n, …)."""

    def join(self, trained: Path, fresh: Path, rows: np.ndarray, cache: Path) -> np.ndarray:
        """Write a cache of the items of a run, then new ones; return their stored form, (n, …).

        What the model was built from, such as the vocabulary, stays the run's.

        Args:
            trained: the run's cache.
            fresh: the cache that `read_items` wrote.
            rows: int64, the new items to take.
            cache: folder to write to.
        """


class MapContents(NamedTuple):
    """What a map shows of n items, in item order."""

    texts: Sequence[str] | None = None  # n texts; None if the items have none
    images: np.ndarray | None = None  # uint8 (n, c, h, w), memory-mapped; None if the items have none


class Modality(ABC, Generic[C, R, S]):
    """The light half of a data kind: settings, detection, reading and showing. Loads without torch."""

    config: type[C]  # the settings as the user writes them, "auto" allowed
    resolved: type[R]  # the same settings without "auto", as `config.yaml` of a run has them
    takes_words: ClassVar[bool] = False  # whether a word of the command line can be a new item itself, as a text can
    writes_texts: ClassVar[bool] = False  # whether `DataKind.decode` returns texts; otherwise it returns images
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {}  # name of a preset → settings of this kind for it

    @abstractmethod
    def detect(self, path: str) -> bool:
        """Whether bare data at `path` is of this kind.

        Raises:
            DataError: the file is damaged or may not be read, or the Hugging Face hub cannot be asked.
        """

    @property
    @abstractmethod
    def data_kind(self) -> type[DataKind[C, R]]:
        """The half that needs torch; importing it takes seconds."""

    @property
    @abstractmethod
    def show(self) -> Show[S]:
        """Shows items and outputs."""

    @property
    @abstractmethod
    def new(self) -> ReadNew[R, S]:
        """Reads items that are not in a run."""

    @abstractmethod
    def on_map(self, cache: Path) -> MapContents:
        """Return what a map shows of the items in a cache."""

    def stored(self, path: str, config: R, trained: Path) -> np.ndarray | None:
        """Return an array in memory as the cache would store it, (n, …), where it is that already; None: read it.

        Args:
            path: of an object in memory.
            config: of the run.
            trained: the run's cache.
        """
        del path, config, trained
        return None

    def length(self, config: C) -> Length | None:
        """Return how long a training would be; None if that takes too long to find out."""
        del config
        return None

    def open_originals(self, config: R, items: Items) -> Callable[[int], np.ndarray] | None:
        """Return a reader of the image of row i at full size, uint8 (c, h, w); None: the cache has it as it is."""
        del config, items
        return None

    def terms(self, items: Items) -> Terms | None:
        """Return how often each term occurs in each item, to name clusters by; None if the items have no words."""
        del items
        return None


AnyModality: TypeAlias = Modality[FitConfig, FitConfig, "Shown"]


class Recorder(Protocol):
    """Records what the decoder can do, epoch by epoch."""

    def epoch(self, vae: VAE, number: int) -> None:
        """Write the record of epoch `number`, counted from 1."""

    def finish(self) -> None:
        """Write the summary of all epochs."""


class TrainingBatches(Protocol):
    """Training and validation batches; `LightningBatches` gives them to a Trainer."""

    trainer: Trainer | None  # knows rank, world size and stage; None outside a training

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Return shuffled batches."""

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Return held-out batches in order."""

    def on_after_batch_transfer(self, batch: Tensor, number: int, /) -> Batch:
        """Convert a batch on the device."""


class Training(NamedTuple):
    """Batches to train on, and callbacks that the kind adds to the trainer."""

    batches: TrainingBatches
    callbacks: list[Callback]


AT_A_TIME = 256  # z decoded in one batch


@dataclass(frozen=True)
class DataKind(ABC, Generic[C, R]):
    """A data set of one kind with the settings to train on it, and the model for it."""

    config: R  # resolved, no "auto"
    items: Items  # the row order
    gain: ClassVar[float] = 0.015  # share of the held-out loss that a training must gain from look to look to go on

    @staticmethod
    @abstractmethod
    def prepare(config: C, cache: Path) -> Prepared:
        """Read the data into the cache."""

    @staticmethod
    @abstractmethod
    def resolve(config: C, prepared: Prepared, cache: Path) -> R:
        """Replace every "auto" by the value that follows from the data."""

    @classmethod
    @abstractmethod
    def load(cls, config: R, cache: Path, items: Items) -> Self:
        """Open an existing cache."""

    @abstractmethod
    def networks(self) -> tuple[Encoder, Decoder]:
        """Return the untrained encoder and decoder."""

    def likelihood(self) -> LikelihoodOf | None:
        """Return the likelihood for a user's decoder that returns a tensor; None: there is none."""
        return None

    @property
    def latent_dim(self) -> int:
        """Dimensions d of z."""
        return self.config.model.latent_dim

    @property
    def settings(self) -> Settings:
        """The settings of the VAE, its keyword arguments."""
        model = self.config.model
        return {"lr": model.lr, "kl_warmup": model.kl_warmup, "free_bits": model.free_bits}

    def examples(self, n: int) -> Tensor:
        """Return n evenly spread items as the encoder's input, (≤ n, …)."""
        import numpy as np

        rows = np.unique(np.linspace(0, len(self.items) - 1, n).astype(int))
        return self.to_input(self.dataset().__getitems__(rows.tolist()))

    def build(self, own: Networks = STANDARD) -> VAE:
        """Return the untrained model, with copies of what the user has given in place of this kind's networks."""
        from latentviz.model.own import assembled
        from latentviz.model.vae import VAE

        own = copy.deepcopy(own)  # modules stay as they are, for another run and for loading this one
        shape = tuple(self.examples(1).shape[1:]) if own.names else ()
        encoder, decoder = assembled(own, self.networks, self.likelihood(), shape, self.latent_dim)
        return VAE(encoder, decoder, self.latent_dim, objective=own.objective, **self.settings)

    @abstractmethod
    def training(self, cache: Path) -> Training:
        """Return the batches and the callbacks of a training."""

    @abstractmethod
    def dataset(self) -> Stored:
        """Return all items in item order."""

    def lengths(self) -> np.ndarray | None:
        """Return the items' lengths, int64 (n,), if batches of alike ones are cheaper; None: all are as long."""
        return None

    @staticmethod
    @abstractmethod
    def to_input(batch: Tensor) -> Tensor:
        """Convert a batch of `dataset()` to the encoder's input."""

    @abstractmethod
    def decode(self, vae: VAE, z: Tensor, noise: Tensor) -> Outputs:
        """Decode z to m outputs.

        Args:
            vae: the model.
            z: (m, d).
            noise: how much of the posterior's noise is in each z, (m,): 0 for the mu of an item, 1 for a draw.
        """

    def outputs(self, vae: VAE, z: np.ndarray) -> np.ndarray | Sequence[str]:
        """Return what the decoder makes of the mu of items, without chance: images, uint8 (m, c, h, w), or texts.

        Args:
            vae: the model.
            z: float32 (m, d), m ≥ 1.
        """
        import numpy as np

        return self.decode_all(vae, z, np.zeros(len(z), np.float32))

    def values_of(self, outputs: Outputs) -> Outputs:
        """Return what `decode` gave as `outputs` has it; kinds whose `decode` describes it in words override this."""
        return outputs

    @abstractmethod
    def recorder(self, folder: Path) -> Recorder:
        """Return what records the decoder's progress in `folder`."""

    def page_decoder(self, vae: VAE) -> PageDecoder | None:
        """Return the network that the map's page decodes with; None if the page cannot run it."""
        del vae
        return None

    def page_captions(self, vae: VAE) -> PageCaptions | None:
        """Return the networks with which the map's page searches by meaning; None without captions."""
        del vae
        return None

    @property
    def about(self) -> Sequence[str]:
        """Lines about the data for the map and the tables."""
        return ()

    @property
    def seconds(self) -> ItemSeconds | None:
        """The cost of an item; None: estimated from its size and the model's."""
        return None

    @property
    def step_bytes(self) -> int:
        """Memory of a training step for each byte of its batch: activations and their gradients."""
        return 3_000

    @property
    def threads(self) -> int | None:
        """Threads that a training step can use; None: all."""
        return None

    def decode_all(self, vae: VAE, z: np.ndarray, noise: np.ndarray | None = None) -> Outputs:
        """Decode any number of z in batches.

        Args:
            vae: the model.
            z: float32 (m, d), m ≥ 1.
            noise: float32 (m,), as `decode` takes it; None: 1.
        """
        import numpy as np
        import torch

        given = (z, np.ones(len(z), np.float32) if noise is None else noise)

        def parts(start: int) -> list[Tensor]:
            return [torch.from_numpy(part[start : start + AT_A_TIME]).to(vae.device) for part in given]

        with torch.inference_mode():
            batches = [self.decode(vae, *parts(start)) for start in range(0, len(z), AT_A_TIME)]
        if isinstance(batches[0], np.ndarray):
            return np.concatenate(batches)
        return [text for batch in batches for text in batch]


AnyDataKind: TypeAlias = DataKind[FitConfig, FitConfig]
