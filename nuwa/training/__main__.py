"""``python -m nuwa.training --help``: train a preset, or say what that takes before it is begun."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tyro

from nuwa.errors import run_cli
from nuwa.registry import Registry
from nuwa.training.plan_command import PlanOptions
from nuwa.training.plan_command import run as run_plan
from nuwa.training.run_command import RunOptions
from nuwa.training.run_command import run as run_training

COMMANDS: Registry[tuple[type[Any], Callable[[Any], object]]] = Registry("command")
COMMANDS.add("run", (RunOptions, run_training))
COMMANDS.add("plan", (PlanOptions, run_plan))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("python -m nuwa.training COMMAND [options]")
        for name in COMMANDS:
            print(f"  {name:10} {(COMMANDS[name][0].__doc__ or '').splitlines()[0]}")
        return
    options, run = COMMANDS[arguments[0]]
    run(tyro.cli(options, args=arguments[1:], prog=f"python -m nuwa.training {arguments[0]}"))


if __name__ == "__main__":
    sys.exit(run_cli(main))
