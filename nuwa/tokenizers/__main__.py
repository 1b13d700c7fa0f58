"""``python -m nuwa.tokenizers --help``: what can be done with tokenizers that were trained elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import tyro

from nuwa.errors import run_cli
from nuwa.registry import Registry
from nuwa.tokenizers.importing.command import ImportOptions
from nuwa.tokenizers.importing.command import run as run_import

COMMANDS: Registry[tuple[type[Any], Callable[[Any], object]]] = Registry("command")
COMMANDS.add("import", (ImportOptions, run_import))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("python -m nuwa.tokenizers COMMAND [options]")
        for name in COMMANDS:
            print(f"  {name:10} {(COMMANDS[name][0].__doc__ or '').splitlines()[0]}")
        return
    options, run = COMMANDS[arguments[0]]
    run(tyro.cli(options, args=arguments[1:], prog=f"python -m nuwa.tokenizers {arguments[0]}"))


if __name__ == "__main__":
    sys.exit(run_cli(main))
