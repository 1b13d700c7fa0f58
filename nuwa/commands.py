"""Several commands of one ``python -m PACKAGE``: each is its options, which tyro reads, and the function that takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tyro

from nuwa.registry import Registry

Command = tuple[type[Any], Callable[[Any], object]]
"""The class of the options, whose docstring's first line is the help, and what runs with them."""


def run_command(program: str, commands: Registry[Command], arguments: Sequence[str], *, default: str = "") -> None:
    """Run the command that comes first among ``arguments`` with the options behind it; without any, list them all.

    Args:
        program: what was typed, ``"python -m nuwa.data"``.
        commands: by name.
        arguments: without the program's name.
        default: the command that options alone belong to, where there is one.

    Raises:
        ValueError: an unknown command; the sentence has near names.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{program} COMMAND [options]")
        width = max(10, *map(len, commands))
        for name in commands:
            print(f"  {name:{width}} {(commands[name][0].__doc__ or '').splitlines()[0]}")
        return
    name, rest = (default, arguments) if default and arguments[0].startswith("-") else (arguments[0], arguments[1:])
    options, run = commands[name]
    run(tyro.cli(options, args=list(rest), prog=f"{program} {name}"))
