"""The command ``plan``: one preset in full, or all of them side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nuwa import files
from nuwa.presets import PRESETS
from nuwa.training.plan import Machine, plan
from nuwa.training.plan_pages import page_of_all, page_of_one

VOCABULARY = 49_408
"""Pieces of CLIP's whole vocabulary; that of one's own captions is smaller."""

LEFT_OUT = "smoke"
"""The preset that is no training: it has no row in the table of all."""


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What a preset takes: parameters by part, tokens, FLOPs, memory of a GPU, days; all presets side by side without one."""

    preset: str | None = None  # such as paper-336; all where not given
    tasks: tuple[str, ...] = ()  # some of the preset's, such as: t2i t2v
    gpus: int = 8
    gpu: str = "h100"  # a100-40, a100, h100, h200, b200, l40s or rtx4090
    mfu: float = 0.4  # share of the GPU's peak that goes into the model
    ddp: bool = False  # every GPU keeps all weights, gradients and the optimizer's state, instead of its share of them
    vocab_size: int = VOCABULARY  # text ids
    out: Path | None = None  # file to write the page to, beside printing it


def run(options: PlanOptions) -> None:
    """Print the page, and write it where asked for. ValueError for an unknown preset, task or GPU."""
    if options.tasks and options.preset is None:
        raise ValueError(f"tasks: expected --preset beside --tasks {' '.join(options.tasks)}, got none")
    page = page_of(options)
    print(page, end="")
    if options.out is not None:
        files.write_text(options.out, page)


def page_of(options: PlanOptions) -> str:
    """The page that the options ask for."""
    machine = Machine(gpus=options.gpus, gpu=options.gpu, mfu=options.mfu, sharded=not options.ddp)
    if options.preset is not None:
        preset = PRESETS[options.preset]()
        preset = preset.only(*options.tasks) if options.tasks else preset
        return page_of_one(plan(preset, machine, vocab_size=options.vocab_size))
    plans = [plan(PRESETS[name](), machine, vocab_size=options.vocab_size) for name in PRESETS if name != LEFT_OUT]
    return page_of_all(plans, "python -m nuwa.training plan --out docs/presets.md")
