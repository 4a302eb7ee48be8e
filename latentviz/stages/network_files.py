"""Encoder and decoder for other programs: ONNX files, or the weights as safetensors; a part of `latentviz export`."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent

from latentviz.errors import RunError
from latentviz.modalities.loading import load_model
from latentviz.model.base import Likelihood
from latentviz.model.vae import VAE
from latentviz.progress import say
from latentviz.runs.files import atomic_write, write_json
from latentviz.runs.run import RunFolder

OPSET = 18  # ONNX Runtime 1.14 and later run it
EXAMPLES = 2  # items to trace the network with; the exported one takes any number


class Encoder(nn.Module):
    """x (b, …) → mu and logvar of q(z|x), (b, d) each."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (mu, logvar)."""
        posterior = self.encoder(x).base_dist
        return posterior.loc, 2 * posterior.scale.log()


class Decoder(nn.Module):
    """z (b, d) → the mean of p(x|z), or the probabilities of categories, (b, …)."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        """Return the mean or the probabilities."""
        return expected(self.decoder(z))


def expected(likelihood: Distribution) -> Tensor:
    """Returns the probabilities of a discrete likelihood, the mean of any other."""
    base = likelihood.base_dist if isinstance(likelihood, Independent) else likelihood
    return base.probs if isinstance(base, Categorical) else likelihood.mean


def write_networks(run: RunFolder, files: list[Path], *, onnx: bool, safetensors: bool) -> list[Path]:
    """Write the networks of a run and export.json; return the files, of which texts have no decoder.onnx.

    ONNX: encoder.onnx (x → mu, logvar) and decoder.onnx (z → x), for any number of items.
    safetensors: the weights by their PyTorch names, with the run's config as metadata.
    """
    loaded = load_model(run)
    vae, data = loaded.vae.cpu(), loaded.kind
    if onnx and not has_mean(vae):
        files = [file for file in files if file != run.exported.decoder_onnx]
        run.exported.decoder_onnx.unlink(missing_ok=True)
        say(
            "no decoder.onnx: this decoder predicts each token from those before it and is no function of z alone; "
            "--safetensors exports its weights"
        )
    x = data.to_input(data.dataset().__getitems__(range(EXAMPLES)))
    described: dict[str, object] = {}
    if onnx:
        networks = _write_onnx_files(
            run, vae, x, decoder=run.exported.decoder_onnx in files, own=bool(loaded.config.networks)
        )
        described["onnx"] = {"opset": OPSET, **networks}
    if safetensors:
        write_safetensors(vae, run)
        described["safetensors"] = {"tensors": len(vae.state_dict())}
    write_json(
        run.exported.networks_file,
        {"kind": loaded.config.data.kind, "files": [file.name for file in files], **described},
    )
    return files


def _write_onnx_files(run: RunFolder, vae: VAE, x: Tensor, *, decoder: bool, own: bool) -> dict[str, object]:
    """Write the ONNX files and return what export.json says of them.

    Raises:
        RunError: PyTorch cannot export a network that the user has brought.
    """
    latents = {"mu": ["batch", vae.latent_dim], "logvar": ["batch", vae.latent_dim]}
    dtype = str(x.dtype).removeprefix("torch.")
    networks: dict[str, object] = {"encoder": {"x": ["batch", *x.shape[1:]], **latents, "dtype": dtype}}
    try:
        write_onnx(Encoder(vae.encoder), x, run.exported.encoder_onnx, ["x"], ["mu", "logvar"])
        if decoder:
            write_onnx(
                Decoder(vae.decoder), torch.zeros(EXAMPLES, vae.latent_dim), run.exported.decoder_onnx, ["z"], ["x"]
            )
            networks["decoder"] = {"z": ["batch", vae.latent_dim], "x": "mean of p(x|z), or probabilities"}
    except torch.onnx.OnnxExporterError as error:
        if not own:
            raise
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise RunError(
            f"--onnx: PyTorch cannot export this network ({reason}); --safetensors exports its weights"
        ) from error
    return networks


@torch.no_grad()
def has_mean(vae: VAE) -> bool:
    """Returns whether the likelihood has an expected x, as that of a text has not."""
    likelihood = vae.likelihood(torch.zeros(1, vae.latent_dim))
    return not isinstance(likelihood, Likelihood) or likelihood.has_mean


def write_onnx(network: nn.Module, example: Tensor, path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write a network as one ONNX file; its first axis is the number of items."""
    with atomic_write(path) as temporary, _quiet():
        torch.onnx.export(
            network.eval(),
            (example,),
            str(temporary),
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )


def write_safetensors(vae: nn.Module, run: RunFolder) -> None:
    """Write the weights, and as metadata the config that the network is built from."""
    from safetensors.torch import save

    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in vae.state_dict().items()}
    metadata = {"config": run.config_file.read_text(encoding="utf-8"), "versions": json.dumps(run.info()["versions"])}
    with atomic_write(run.exported.safetensors) as temporary:
        temporary.write_bytes(save(weights, metadata))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings and log, and torch's checks of the parameters of distributions."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    validated = Distribution._validate_args  # which depends on values, and a traced network has none
    Distribution.set_default_validate_args(value=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Distribution.set_default_validate_args(validated)
        logger.setLevel(level)
