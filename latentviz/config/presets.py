"""Named bundles of settings, for `preset=quick` and so on; settings that the user gives go before them."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from latentviz.errors import choose

PresetName = Literal["quick", "default", "best"]
Settings = Mapping[str, Any]  # nested, as in a config


class Preset(NamedTuple):
    """A bundle of settings. Data kinds have further ones, for themselves."""

    meaning: str
    fit: Settings
    cluster: Settings


PRESETS: Mapping[str, Preset] = {
    "quick": Preset(
        "a first map soon: a short training, one layout, small images, no log-likelihood of each item",
        {"model": {"stop": "still"}, "trainer": {"max_time": "00:00:00:15"}},
        {"reduce": {"layouts": 1}, "log_likelihood": False},
    ),
    "default": Preset("what each setting is without a preset", {}, {}),
    "best": Preset(
        "training to the limit, and the clusters of more layouts",
        {"model": {"stop": "limit"}},
        {"reduce": {"layouts": 7, "sample": 0}},
    ),
}


def preset(name: object) -> Preset:
    """Returns the preset of this name.

    Raises:
        ConfigError: there is none.
    """
    return choose(PRESETS, str(name), "preset")
