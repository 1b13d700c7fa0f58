"""``python -m nuwa.data check --help``: what can be done with datasets before training and evaluation."""

from __future__ import annotations

import sys

from nuwa.commands import Command, run_command
from nuwa.data.check import CheckOptions
from nuwa.data.check import run as run_check
from nuwa.errors import run_cli
from nuwa.registry import Registry

COMMANDS: Registry[Command] = Registry("command")
COMMANDS.add("check", (CheckOptions, run_check))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    run_command("python -m nuwa.data", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(run_cli(main))
