"""``python -m nuwa.training --help``: train a preset, or say what that takes before it is begun."""

from __future__ import annotations

import sys

from nuwa.commands import Command, run_command
from nuwa.errors import run_cli
from nuwa.registry import Registry
from nuwa.training.plan_command import PlanOptions
from nuwa.training.plan_command import run as run_plan
from nuwa.training.run_command import RunOptions
from nuwa.training.run_command import run as run_training

COMMANDS: Registry[Command] = Registry("command")
COMMANDS.add("run", (RunOptions, run_training))
COMMANDS.add("plan", (PlanOptions, run_plan))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    run_command("python -m nuwa.training", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(run_cli(main))
