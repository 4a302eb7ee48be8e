"""argparse's parser, with mistakes in one line."""

import argparse
import re
from typing import Any, NoReturn

from latentviz.errors import did_you_mean

NUMBERS = re.compile(r"-[\d.][\d.eE+-]*(,[\d.eE+-]+)?$")  # values such as -1.5,2 that begin like an option


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse's help, with the commands listed like options instead of below a heading of their own."""

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, action._get_subactions()))
        return super()._format_action(action)


class Parser(argparse.ArgumentParser):
    """argparse's parser, except that it reports a mistake in one line, with a hint."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)
        self._negative_number_matcher = NUMBERS

    def error(self, message: str) -> NoReturn:
        """Prints the mistake, and the option or command that was probably meant, and ends with exit code 2."""
        hint = ""
        if unknown := re.match(r"unrecognized arguments: (-[^\s=]+)", message):
            message, hint = (
                f"unknown option {unknown[1]}",
                did_you_mean(unknown[1], self._option_string_actions.keys() - {"--force"}),
            )
        elif self.prog.endswith(" compare") and (words := re.match(r"unrecognized arguments: (.+)", message)):
            message = f"two runs at most (got also {words[1][:60]})"
            hint = " Two clusterings of a run: `latentviz compare RUN --clusterings A B`."
        elif unknown := re.match(r"argument COMMAND: invalid choice: '(.*)' \(choose", message):
            message, hint = f"unknown command {unknown[1]!r}", did_you_mean(unknown[1], self._commands())
        elif message.startswith("the following arguments are required: SOURCE"):
            message = "give a SOURCE: a recipe (see `latentviz recipes`), a YAML file, a folder, a file, or hf:NAME"
        self.exit(2, f"{self.prog.replace(' ', ': ', 1)}: {message}; see `{self.prog} --help`.{hint}\n")

    def _commands(self) -> list[str]:
        trees = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return [name for tree in trees for name in tree.choices]
