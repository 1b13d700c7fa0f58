"""From exceptions to sentences: what a person at a command line sees when something is wrong.

A user's mistake and a full disk are one sentence on stderr and an exit code; a fault of this code keeps its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from nuwa.files import StorageError, chain, is_disk_full

USAGE, FAILED, INTERRUPTED, REQUEUE = 2, 1, 130, 75
"""Exit codes: the input is wrong (also tyro's code for a wrong option), the machine refused, Ctrl-C (128 + SIGINT), and
a signal ended the run after its state was written (EX_TEMPFAIL of sysexits.h): start the same command again."""


class Preempted(Exception):  # noqa: N818  it is no error
    """A signal asked the run to end; its state is written, and the same command goes on from there."""


class ProcessLost(Exception):  # noqa: N818  as Python names its own ProcessLookupError, by what happened
    """One of several processes ended, so the others cannot go on; the message names it."""


def run_cli(main: Callable[[list[str]], object], argv: Sequence[str] | None = None) -> int:
    """Run ``main(arguments)`` and return the exit code: ``sys.exit(run_cli(main))``.

    ``--debug`` anywhere among the arguments is taken out and makes every exception show its traceback. Without it,
    ValueError gives 2, StorageError, ProcessLost, OSError and FloatingPointError 1, Ctrl-C 130, Preempted 75, each
    with one sentence. Any other exception is a fault of the program and passes through. Wrong options are answered by
    tyro, with the nearest right one and code 2.

    Args:
        main: takes the arguments without the program's name and passes them to ``tyro.cli(..., args=arguments)``.
        argv: the arguments; those of the process where None.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = [argument for argument in given if argument != "--debug"]
    debug = len(arguments) < len(given)
    try:
        main(arguments)
    except (Exception, KeyboardInterrupt) as error:
        answer = explain(error)
        if debug or answer is None:
            raise
        sentence, code = answer
        print(sentence, file=sys.stderr)
        return code
    return 0


def explain(error: BaseException) -> tuple[str, int] | None:
    """The sentence and the exit code for ``error``, or None where it is a fault of the program.

    A full disk is recognised wherever it lies in the chain of causes, and in safetensors' own exception.
    """
    if is_disk_full(error):
        named = isinstance(error, StorageError) and str(error)
        return _error(named or f"disk full{_at(error)}; free some space and run the same command again"), FAILED
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C", INTERRUPTED
    if isinstance(error, Preempted):
        return str(error), REQUEUE
    if isinstance(error, ValueError):
        return _error(f"{error} (--debug shows where)"), USAGE
    if isinstance(
        error, StorageError | ProcessLost | FloatingPointError
    ):  # a training that diverged is a result and no fault
        return _error(str(error)), FAILED
    if isinstance(error, OSError):
        return _error(f"{error.strerror or error}{_at(error)} (--debug shows where)"), FAILED
    return None


def _error(text: str) -> str:
    return "error: " + " ".join(text.split())


def _at(error: BaseException) -> str:
    names = [link.filename for link in chain(error) if isinstance(link, OSError) and link.filename is not None]
    return f": {names[0]}" if names else ""
