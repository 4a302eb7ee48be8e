"""Reads YAML: numbers such as 1e-3, no duplicate keys, and no aliases or files without end."""

import re
from pathlib import Path
from typing import Any

import yaml

from latentviz.errors import ConfigError, ReadError, message_of

MOST_ALIASES = 20  # of a config; nested ones multiply what they stand for
LARGEST_YAML = 2**20  # bytes of a config, which has a few kB


class Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number, and rejects duplicate keys and aliases of aliases without end."""

    aliases = 0
    numbers: tuple[str, ...] = ()  # further types of keys that become texts

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Composes a node, unless there are too many aliases."""
        self.aliases += self.check_event(yaml.AliasEvent)
        if self.aliases > MOST_ALIASES:
            raise ConfigError(f"more than {MOST_ALIASES} aliases (*name); write the values out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Constructs a mapping whose keys are texts, or whole numbers that become texts; each is given once."""
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            whole = key_node.tag == "tag:yaml.org,2002:int" and key_node.value.isdecimal()
            if whole or key_node.tag.rpartition(":")[2] in self.numbers:
                key_node.tag = "tag:yaml.org,2002:str"
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ConfigError(f"line {line}: a key must be text (got {key!r})")
            if key in seen:
                raise ConfigError(f"line {line}: the key '{key}' is given twice (first in line {seen[key]}); keep one")
            seen[key] = line
        return super().construct_mapping(node, deep)


class ValueLoader(Loader):
    """Reads the value of one setting, which refuses unknown keys itself."""

    numbers = ("int", "float", "bool")


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> dict[str, object]:
    """Read the mapping in a YAML file.

    Raises:
        ConfigError: there is no such file, it is not YAML, is not a mapping, or has a duplicate key.
        ReadError: the system refuses to read it.
    """
    try:
        if (large := path.stat().st_size > LARGEST_YAML) or not (path.is_file() or path.is_dir()):
            raise ConfigError(f"larger than a config ({LARGEST_YAML:,} bytes)" if large else "a pipe or a device")
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a subclass of SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give the path of a config") from None
    except OSError as error:
        raise ReadError(path, error) from None
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise ConfigError(f"{path}:{line} not valid YAML ({error.problem})") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # a huge number, an impossible date, a NUL
        raise ConfigError(f"{path}: not valid YAML ({message_of(error, 80)})") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a config must be a mapping of sections (got {type(content).__name__})")
    return content
