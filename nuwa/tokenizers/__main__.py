"""``python -m nuwa.tokenizers --help``: what can be done with tokenizers that were trained elsewhere."""

from __future__ import annotations

import sys

from nuwa.commands import Command, run_command
from nuwa.errors import run_cli
from nuwa.registry import Registry
from nuwa.tokenizers.importing.command import ImportOptions
from nuwa.tokenizers.importing.command import run as run_import

COMMANDS: Registry[Command] = Registry("command")
COMMANDS.add("import", (ImportOptions, run_import))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    run_command("python -m nuwa.tokenizers", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(run_cli(main))
