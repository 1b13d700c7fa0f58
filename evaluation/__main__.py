"""``python -m evaluation t2i --help``: the only place of this package that reads the command line."""

from __future__ import annotations

import sys
from functools import partial

from evaluation import all_tasks, compare, score, weights_command
from evaluation.ablations import attention, design, tasks, tokenizers
from evaluation.sessions import SESSIONS, run_session
from nuwa.commands import Command, run_command
from nuwa.errors import run_cli
from nuwa.registry import Registry

COMMANDS: Registry[Command] = Registry("command")
for _task in SESSIONS:
    COMMANDS.add(_task, (SESSIONS[_task].options, partial(run_session, SESSIONS[_task])))
COMMANDS.add("all", (all_tasks.AllOptions, all_tasks.run))
COMMANDS.add(attention.NAME, (attention.AttentionOptions, attention.run))
COMMANDS.add(tasks.NAME, (tasks.TasksOptions, tasks.run))
COMMANDS.add(tokenizers.NAME, (tokenizers.TokenizerOptions, tokenizers.run))
COMMANDS.add(design.NAME, (design.DesignOptions, design.run))
COMMANDS.add("score", (score.ScoreOptions, score.run))
COMMANDS.add("compare", (compare.CompareOptions, compare.run))
COMMANDS.add("weights", (weights_command.WeightsOptions, weights_command.run))


def main(arguments: list[str]) -> None:
    """Run the command that comes first among ``arguments`` with the options behind it."""
    run_command("python -m evaluation", COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(run_cli(main))
