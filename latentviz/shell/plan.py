"""What `latentviz config` prints: the settings, and how long `fit` would train with them."""

import re

from latentviz.config import FitConfig, dump_commented
from latentviz.errors import LatentvizError
from latentviz.modalities import modality
from latentviz.modalities.io.names import printable
from latentviz.modalities.length import Length
from latentviz.progress import one_line, plural
from latentviz.resources import core_speed, duration


def config_text(source: str, config: FitConfig) -> str:
    """Formats a config as YAML with comments; the epochs that `fit` would choose are filled in."""
    line, trainer = f"`fit` takes the epochs from the number of items in {config.data.path}", config.trainer
    if not config.data.path.startswith("hf:"):  # which would be downloaded
        try:
            length = modality(config.data.kind).length(config)
        except LatentvizError as error:
            line = f"`fit` would stop: {one_line(str(error), 500)}"
        else:
            if length is not None:
                line, trainer = _line(length), length.trainer
    text = dump_commented(config.model_copy(update={"trainer": trainer}))
    if trainer != config.trainer:
        text = re.sub(r"\n  max_epochs: \d+", r"\g<0>  # chosen from the number of items", text)
    return f"# latentviz fit {printable(source)}\n# {printable(line)}\n{text}"


def _line(length: Length) -> str:
    about = "" if "max_epochs" in length.trainer else "about "
    epochs = (
        f"{about}{plural(length.epochs, 'epoch')} of {plural(length.steps, 'step')}"
        if length.epochs
        else "trainer.max_steps"
    )
    return (
        f"{plural(length.items, 'item')}, {length.train:,} to learn from, batches of {length.batch_size}: {epochs}, "
        f"about {duration(length.seconds / core_speed())} on this machine"
    )
