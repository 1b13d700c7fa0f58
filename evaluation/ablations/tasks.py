"""Which tasks are learnt together, scored on text to video under equal budgets (paper, Table 5): ``nox -s ablate-tasks``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.ablations.ending import finish
from evaluation.ablations.grids import Choice, GridOptions, run_grid
from evaluation.ablations.record import AblationRecord
from evaluation.records import Scalar
from nuwa.training.mixture import Mixture

NAME = "ablate-tasks"
MIXTURES = {
    "NÜWA-TV": ("t2v",),
    "NÜWA-TV-TI": ("t2v", "t2i"),
    "NÜWA-TV-VV": ("t2v", "v2v"),
    "NÜWA": ("t2v", "t2i", "v2v"),
}
"""The rows of the paper's table and the tasks that each learns."""


@dataclass(frozen=True, kw_only=True)
class TasksOptions(GridOptions):
    """Text to video learnt alone, with text to image, with video prediction, and with both (Table 5)."""

    costs: bool = False  # measure tokens a second, decode time and memory; the model is the same in every row
    out: Path = Path("runs/ablate-tasks")  # folder for everything that is made


def run(options: TasksOptions) -> AblationRecord:
    """Run the ablation; SystemExit where a cell failed, after the record of the others is written."""
    settled = options.settled()
    return finish(run_grid(NAME, settled, choices(settled)), settled.out)


def choices(options: TasksOptions) -> list[Choice]:
    """A row for each mixture, with equal steps in all: other tasks take steps from text to video, and the row says how many."""
    found = []
    for name, tasks in MIXTURES.items():
        setting = options.setting("t2v", *tasks)
        training = setting.resolve().transformer
        mixture = Mixture(training.tasks, training.steps, lead=training.lead)
        taken = sum(mixture[step].task.name == "t2v" for step in range(training.steps))
        said: dict[str, Scalar] = {"tasks": " + ".join(task.upper() for task in tasks), "T2V steps": taken}
        found.append(Choice(name=name, said=said, setting=setting))
    return found
