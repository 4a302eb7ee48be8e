"""How the help of `latentviz` looks."""

import argparse


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse's help, with the commands listed like options instead of below a heading of their own."""

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(self._format_action, action._get_subactions()))
        return super()._format_action(action)
