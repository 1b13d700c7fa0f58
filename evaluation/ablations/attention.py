"""Attention of encoder and decoder, on one task under equal budgets (paper, Table 6): ``nox -s ablate-attention``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.ablations.ending import finish
from evaluation.ablations.grids import Choice, GridOptions, run_grid
from evaluation.ablations.pairs import TABLE_6, in_words, pair
from evaluation.ablations.record import AblationRecord
from nuwa.attention import AttentionSpec
from nuwa.tasks import TASKS, needed_for

NAME = "ablate-attention"
DEFAULT_WAY = {"s2v": "sketch alone", "s2i": "sketch alone"}
"""How models are asked, as in the paper: VSPW has no captions."""


@dataclass(frozen=True, kw_only=True)
class AttentionOptions(GridOptions):
    """Full, nearby, axial and block attention in encoder and decoder under equal budgets (Table 6), on sketch to video."""

    task: str = "s2v"  # what the models do: s2v, t2v, t2i or s2i
    pairs: tuple[str, ...] | None = None  # encoder and decoder: FF NF FN AA BB NN; N5N3x5x5 has extents of its own
    way: str | None = (
        None  # how models are asked, where there are several ways: 'sketch alone' (default), 'with caption'
    )
    out: Path = Path("runs/ablate-attention")  # folder for everything that is made


def run(options: AttentionOptions) -> AblationRecord:
    """Run the ablation; SystemExit where a cell failed, after the record of the others is written."""
    settled = options.settled()
    return finish(run_grid(NAME, settled, choices(settled)), settled.out)


def choices(options: AttentionOptions) -> list[Choice]:
    """A row for each pair. ValueError for a pair or a task that there is not, and for two pairs that are one model."""
    task = check_task(options.task)
    preset = options.setting(task).resolve()
    grid = preset.tokenizer.model.grid(preset.frames)
    seen: dict[tuple[AttentionSpec | None, AttentionSpec], str] = {}
    found = []
    for word in options.pairs or default_pairs(task):
        made = pair(word, grid)
        key = (made.encoder if TASKS[task].sketch else None, made.decoder)
        if key in seen:
            why = "" if TASKS[task].sketch else f", since the encoder of {task} reads text alone, which is seen whole"
            raise ValueError(f"{seen[key]} and {word} are the same model{why}; ask for one of them")
        seen[key] = word
        found.append(
            Choice(
                name=f"NÜWA-{word}",
                said={"encoder": in_words(made.encoder), "decoder": in_words(made.decoder)},
                setting=options.setting(task, attention=word, way=options.way or DEFAULT_WAY.get(task)),
            )
        )
    return found


def default_pairs(task: str) -> Sequence[str]:
    """Those of Table 6; without a sketch the encoder's letter changes nothing, so each decoder comes once."""
    return TABLE_6 if TASKS[task].sketch else [word for word in TABLE_6 if word[0] == word[1]]


def check_task(task: str) -> str:
    """The name of a task that an ablation can train alone and time. ValueError for another one."""
    able = [name for name in TASKS if TASKS[name].given == "nothing" and needed_for(name) == (name,)]
    if TASKS[task].name not in able:
        raise ValueError(
            f"task: expected one of {', '.join(able)}, got {task!r}; what is given changes the cost by sample"
        )
    return task
