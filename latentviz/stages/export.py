"""`latentviz export`: the networks for other programs, a model card, the hub, embedding-atlas, and a static site."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from latentviz.errors import ConfigError, RunError
from latentviz.progress import say
from latentviz.runs.hub import check_hub_name, publish
from latentviz.runs.run import ClusterFolder, RunFolder

# Format → the packages it needs; the extra of the same name installs them.
NEEDED = {"onnx": ("onnx", "onnxscript"), "safetensors": ("safetensors",)}


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        files: that were written.
        url: of the repository on the hub, if there is one.
    """

    files: list[Path]
    url: str | None = None


def export(
    run: RunFolder,
    *,
    onnx: bool = False,
    safetensors: bool = False,
    card: bool = False,
    embedding_atlas: bool = False,
    site: bool = False,
    hub: str | None = None,
    public: bool = False,
    clustering: str = "default",
    force: bool = False,
) -> Exported:
    """Write the wanted formats to `exported/`, and with `hub` put the run and its card into a repository there.

    Raises:
        ConfigError: no format is given, or a package is missing.
        RunError: the run or its clustering is unfinished, files or repository exist already, or the hub refuses.
    """
    files: list[Path] = []
    if onnx:
        files += [run.exported.encoder_onnx, run.exported.decoder_onnx]
    if safetensors:
        files += [run.exported.safetensors]
    if card:
        files += [run.exported.card]
    if embedding_atlas:
        files += [run.exported.atlas, run.exported.atlas_labels]
    if site:
        files += [run.exported.site_index]
    if hub is not None:
        check_hub_name("--hub", hub)
    elif public:
        raise ConfigError("--public: is for --hub; give --hub NAME too")
    elif not files:
        raise ConfigError(
            "export: no format (got none); give one or more of --onnx, --safetensors, --card, --embedding-atlas, "
            "--site, --hub NAME"
        )
    for name in (name for name, wanted in (("onnx", onnx), ("safetensors", safetensors)) if wanted):
        missing = [package for package in NEEDED[name] if importlib.util.find_spec(package) is None]
        if missing:
            raise ConfigError(
                f"--{name}: needs the package {' and '.join(missing)}; run `pip install 'latentviz[{name}]'`"
            )
    run.require(run.info_file)
    folder = run.clustered(clustering) if card or embedding_atlas or hub is not None else None
    taken = [file for file in files if file.exists()]
    if taken and not force:
        raise RunError(f"{taken[0]}: exists already; replace it with --force")
    return _write(run, folder, files, hub=hub, public=public, force=force)


def _write(
    run: RunFolder, folder: ClusterFolder | None, files: list[Path], *, hub: str | None, public: bool, force: bool
) -> Exported:
    written: list[Path] = []
    url = None
    onnx, safetensors = run.exported.encoder_onnx in files, run.exported.safetensors in files
    if onnx or safetensors:
        from latentviz.stages.network_files import write_networks

        networks = [
            file
            for file in files
            if file in {run.exported.encoder_onnx, run.exported.decoder_onnx, run.exported.safetensors}
        ]
        written += write_networks(run, networks, onnx=onnx, safetensors=safetensors)
    if folder is not None and (run.exported.card in files or hub is not None):
        from latentviz.stages.card import write_card

        written += write_card(run, folder, hub)
    if folder is not None and run.exported.atlas in files:
        from latentviz.stages.atlas import write_atlas

        say(write_atlas(run, folder))
        written += [run.exported.atlas, run.exported.atlas_labels]
    if run.exported.site_index in files:
        from latentviz.stages.site import write_site

        written += [write_site(run)]
    if hub is not None:
        card = {"README.md": run.exported.card, "map.png": run.exported.card_picture}
        url = publish(
            run.path, hub, {name: file for name, file in card.items() if file.exists()}, public=public, force=force
        )
    return Exported(written, url)
