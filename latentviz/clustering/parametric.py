"""A network that lays items out like UMAP, so that a new item costs a forward pass (Sainburg et al. 2021).

It learns UMAP's layout of the graph by regression first, which needs few steps, and then minimises UMAP's own cost on
the edges: the cross-entropy of the fuzzy graph and of its counterpart in the plane (McInnes et al. 2018, section 3.2),
with negative samples. Both layouts, the one that is clustered and the map, are outputs of one network.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from latentviz.clustering.neighbors import Neighbours
from latentviz.clustering.network import Network
from latentviz.clustering.umap_layout import fuzzy_graph, import_umap, umap_reduce
from latentviz.progress import quiet

WIDTH, HIDDEN = 256, 3  # of the network; half the width keeps a fifth fewer of the neighbours of digits
ITEMS = 1_024  # in a batch; half as many edges
STEPS = (300, 5_000)  # one for each item, but at least and at most so many
REGRESSION = 0.6  # share of the steps in which the layout is learnt
NEGATIVES = 5  # for each edge, as in UMAP
LR = 3e-3  # peak of Adam's learning rate
CLOSE = 1e-3  # added to squared distances of negatives, as in UMAP's gradient

Batch = tuple[Tensor, Tensor]


class Batches(IterableDataset[Batch]):
    """Rows of items for the regression, then ends of edges that are drawn in proportion to their weights."""

    def __init__(self, graph: Neighbours, steps: int, seed: int) -> None:
        edges = fuzzy_graph(graph).tocoo()
        self.ends = np.stack([edges.row, edges.col]).astype(np.int64)
        self.cumulated = np.cumsum(edges.data, dtype=np.float64)
        self.n, self.steps, self.seed = len(graph.indices), steps, seed

    def __iter__(self) -> Iterator[Batch]:
        """Yield whether the rows are edges, and rows int64 (b,): of edges all tails after all heads."""
        random = np.random.default_rng(self.seed)
        for step in range(self.steps):
            if step < REGRESSION * self.steps:
                yield torch.tensor(False), torch.from_numpy(random.integers(0, self.n, min(ITEMS, 2 * self.n)))
                continue
            size = max(2, min(ITEMS, 2 * self.n) // 2)
            drawn = np.searchsorted(self.cumulated, random.random(size) * self.cumulated[-1])
            yield torch.tensor(True), torch.from_numpy(self.ends[:, drawn.clip(max=self.ends.shape[1] - 1)].ravel())


class Parametric(pl.LightningModule):
    """Learns a network of standardised vectors (n, d) whose outputs are layouts side by side.

    Args:
        vectors: float32 (n, d).
        layouts: float32 (n, k) each, UMAP's.
        curves: a and b of 1 / (1 + a·distance^2b), UMAP's similarity in the plane, for each layout.
        steps: of the training.
    """

    def __init__(
        self, vectors: np.ndarray, layouts: list[np.ndarray], curves: list[tuple[float, float]], steps: int
    ) -> None:
        super().__init__()
        self.curves, self.steps, self.sizes = curves, steps, [layout.shape[1] for layout in layouts]
        target = torch.from_numpy(np.concatenate(layouts, axis=1))
        given = torch.from_numpy(vectors)
        self.middle, self.scale = given.mean(0), given.std().clamp_min(1e-12)
        self.centre, self.spread = target.mean(0), target.std(0).clamp_min(1e-12)
        self.given, self.target = (given - self.middle) / self.scale, (target - self.centre) / self.spread
        widths = [vectors.shape[1], *[WIDTH] * HIDDEN]
        hidden = [part for i, o in pairwise(widths) for part in (nn.Linear(i, o), nn.ReLU())]
        self.network = nn.Sequential(*hidden, nn.Linear(WIDTH, target.shape[1]))

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """Return Adam, with one cycle of the learning rate over the steps."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=LR)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the squared distance to the layouts, or the cross-entropy of edges and negative samples."""
        edges, rows = batch
        found = self.network(self.given[rows])
        if not edges:
            squares: Tensor = (found - self.target[rows]).square().sum(-1)
            return squares.mean()
        laid = (found * self.spread + self.centre).split(self.sizes, 1)
        costs = [self._cross_entropy(each, *curve) for each, curve in zip(laid, self.curves, strict=True)]
        return torch.stack(costs).sum()

    def _cross_entropy(self, laid: Tensor, a: float, b: float) -> Tensor:
        """Return −E[log q(edge)] − Σ E[log(1 − q(negative))] with q = 1 / (1 + a·distance^2b)."""
        heads, tails = laid.chunk(2)

        def odds(others: Tensor) -> Tensor:
            return a * ((heads - others).square().sum(1) + 1e-12) ** b

        cost = torch.log1p(odds(tails)).mean()
        for shift in torch.randint(1, len(heads), (NEGATIVES,)).tolist():
            apart = odds(tails.roll(shift, 0))
            cost = cost - torch.log((apart + CLOSE) / (1 + apart)).mean()
        return cost

    def result(self, k: int) -> Network:
        """Return the network of vectors as they are; standardisation becomes a part of its first and last layer."""
        linear = [part for part in self.network if isinstance(part, nn.Linear)]
        layers = [(part.weight.detach().T.clone(), part.bias.detach().clone()) for part in linear]
        first, shift = layers[0]
        layers[0] = first / self.scale, shift - (self.middle / self.scale) @ first
        last, shift = layers[-1]
        layers[-1] = last * self.spread, shift * self.spread + self.centre
        return Network([(weights.contiguous().numpy(), biases.numpy()) for weights, biases in layers], k)


def fit_network(
    vectors: np.ndarray,
    graph: Neighbours,
    n_components: int,
    *,
    min_dist: float = 0.0,
    seed: int = 0,
    repeatable: bool = True,
) -> Network:
    """Trains a network that lays items out.

    Args:
        vectors: float32 (n, d), compared by Euclidean distance.
        graph: the neighbours of each row.
        n_components: k.
        min_dist: least distance of points on the map; coordinates to cluster have none.
        seed: of the layouts, the weights and the batches.
        repeatable: the same seed gives the same network, on one core; else all cores.
    """
    layouts = [umap_reduce(vectors, graph, n_components, seed=seed, repeatable=repeatable)]
    curves = [import_umap().umap_.find_ab_params(1.0, 0.0)]
    if n_components != 2 or min_dist > 0:
        start = layouts[0] if n_components == 2 else None
        layouts.append(umap_reduce(vectors, graph, 2, min_dist=min_dist, seed=seed, repeatable=repeatable, start=start))
        curves.append(import_umap().umap_.find_ab_params(1.0, min_dist))
    steps, threads = int(np.clip(len(vectors), *STEPS)), torch.get_num_threads()
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Parametric(vectors, layouts, [(float(a), float(b)) for a, b in curves], steps)
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=steps,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            torch.set_num_threads(1 if repeatable else threads)
            trainer.fit(model, DataLoader(Batches(graph, steps, seed), batch_size=None))
        finally:
            torch.set_num_threads(threads)
    return model.result(n_components)
