"""What `latentviz config` prints: the settings, and how long `fit` would train with them."""

import re
from collections.abc import Iterator, Mapping

from latentviz.config import FitConfig, dump_commented
from latentviz.config.presets import preset
from latentviz.errors import LatentvizError
from latentviz.modalities import kinds, modality
from latentviz.modalities.io.names import printable
from latentviz.modalities.length import Length
from latentviz.progress import one_line, plural
from latentviz.resources import core_speed, duration
from latentviz.shell.schemas import PresetAnswer


def planned(config: FitConfig) -> tuple[str, FitConfig]:
    """Says how long `fit` would train, and fills in the epochs that it would choose."""
    line, filled = f"`fit` takes the epochs from the number of items in {config.data.path}", config
    if not config.data.path.startswith("hf:"):  # which would be downloaded
        try:
            length = modality(config.data.kind).length(config)
        except LatentvizError as error:
            line = f"`fit` would stop: {one_line(str(error), 500)}"
        else:
            if length is not None:
                model = config.model.model_copy(update={"stop": length.stop})
                line, filled = _line(length), config.model_copy(update={"model": model, "trainer": length.trainer})
    return line, filled


def config_text(source: str, config: FitConfig) -> str:
    """Formats a config as YAML with comments, with what `fit` would fill in."""
    line, filled = planned(config)
    text = dump_commented(filled)
    for key in {*filled.trainer} - {*config.trainer}:
        text = re.sub(rf"\n  {key}: \d+", r"\g<0>  # chosen from the number of items", text)
    return f"# latentviz fit {printable(source)}\n# {printable(line)}\n{text}"


def preset_text(name: str) -> str:
    """Formats a preset: its settings as they can be given, and what each is for.

    Raises:
        ConfigError: there is no such preset.
    """
    found = preset(name)
    bundles = [("", found.fit), *((f" ({kind})", modality(kind).presets.get(name, {})) for kind in kinds())]
    rows = [
        (f"  {key}={value}", of)
        for of, bundle in [*bundles, (" (cluster)", found.cluster)]
        for key, value in _flat(bundle)
    ]
    return "\n".join([f"preset={name}: {found.meaning}", *map("".join, rows)])


def preset_answer(name: str) -> PresetAnswer:
    """Describes a preset for `--json`.

    Raises:
        ConfigError: there is no such preset.
    """
    found = preset(name)
    own = {kind: dict(modality(kind).presets.get(name, {})) for kind in kinds()}
    further = {kind: settings for kind, settings in own.items() if settings}
    return PresetAnswer(
        preset=name, meaning=found.meaning, fit=dict(found.fit), kinds=further, cluster=dict(found.cluster)
    )


def _flat(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields each setting with its dotted key, and its value as YAML has it."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value).lower() if isinstance(value, bool) else str(value)


def _line(length: Length) -> str:
    about = "" if "max_epochs" in length.trainer else "about "
    most = "up to " if length.stop == "still" else ""
    epochs = (
        f"{most}{about}{plural(length.epochs, 'epoch')} of {plural(length.steps, 'step')}"
        if length.epochs
        else "trainer.max_steps"
    )
    return (
        f"{plural(length.items, 'item')}, {length.train:,} to learn from, batches of {length.batch_size}: {epochs}, "
        f"{'at most' if most else 'about'} {duration(length.seconds / core_speed())} on this machine"
    )
