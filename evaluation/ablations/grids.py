"""What every ablation does: options, the cells in their order, and the record in the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from evaluation import strict
from evaluation.ablations.cells import Cell, seconds
from evaluation.ablations.executors import Executor, Local, Submitit, num_cores, visible_gpus
from evaluation.ablations.gather import Config, Gathered, reference_rows
from evaluation.ablations.record import AblationRecord, write_ablation
from evaluation.ablations.runner import Outcome, run_cells
from evaluation.ablations.sizes import QUICK
from evaluation.ablations.trained import OfTrained, Setting, Shared, Trained, tokenizers_sha256
from evaluation.provenance import provenance
from evaluation.records import Row, Scalar, Skipped
from nuwa.presets import Preset
from nuwa.training.precision import pick_device

HERE = "evaluation.ablations"


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What every ablation takes. Its own options are a subclass; its docstring is the help."""

    quick: bool = False  # a small model, two seeds, 256 samples: the whole table in half an hour on two CPU cores
    seeds: tuple[int, ...] | None = None  # of the trainings; 0 1 2 where not given
    preset: str = "tiny"  # sizes and training of all models: tiny, small (a GPU), quick, smoke (to try things out)
    steps: int | None = None  # of every training; the preset's where not given
    batch: int | None = (
        None  # pictures a step, and as many clips as have about as many frames; the preset's where not given
    )
    num: int | None = None  # samples to score; the session's number where not given
    data: str = "sprites"  # what to train on and to score against: sprites, or a dataset of files by its reader's name
    root: Path | None = None  # folder of the dataset, where it is one of files
    weights: Path | None = None  # folder with published network weights
    jobs: int | None = None  # cells at once: one for each GPU, or for each core where there is none
    executor: Literal["local", "slurm"] = "local"  # processes on this machine, or jobs of a cluster
    cluster: tuple[str, ...] = ()  # what to ask the cluster for: timeout_min=240 gpus_per_node=1 slurm_partition=NAME
    device: str = "auto"  # auto, cpu or cuda
    costs: bool = True  # measure tokens a second, decode time and memory, one model at a time
    references: bool = True  # score real samples, the reconstruction and an untrained model too, once for all rows
    out: Path = Path("runs/ablate")  # folder for everything that is made

    def settled(self) -> Self:
        """The same with everything said that was left open. ValueError where an option is out of its range."""
        seeds = self.seeds or ((0, 1) if self.quick else (0, 1, 2))
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds: expected each once, got {' '.join(map(str, seeds))}")
        if self.num is not None and self.num < 2:
            raise ValueError(f"expected num >= 2, got {self.num}; intervals need two samples")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs: expected at least 1 cell at once, got {self.jobs}")
        pick_device(self.device)
        quick: dict[str, Any] = {"preset": QUICK, "num": self.num or 256} if self.quick else {}
        return replace(self, seeds=seeds, **quick)

    def setting(self, task: str, *learn: str, **more: Any) -> Setting:
        """What these options say of a model that is scored on ``task`` and learns ``learn``, or just that."""
        return Setting(
            task=task,
            learn=learn or (task,),
            preset=self.preset,
            steps=self.steps,
            batch=self.batch,
            num=self.num,
            data=self.data,
            root=None if self.root is None else str(self.root.resolve()),
            weights=None if self.weights is None else str(self.weights.resolve()),
            **more,
        )

    def run_on(self, *, alone: bool = False) -> Executor:
        """Where cells run; ``alone`` one after the other on this machine, on a cluster each is alone in its job anyway."""
        if self.executor == "slurm":
            asked = dict(_parameter(each) for each in self.cluster)
            return Submitit(folder=self.out / "jobs", device=self.device, parameters=asked, slots=self.jobs or 64)
        gpus = visible_gpus() if pick_device(self.device).type == "cuda" else ()
        slots = 1 if alone else self.jobs or len(gpus) or num_cores()
        return Local(slots=slots, device=self.device, gpus=gpus)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A row of an ablation: its name, what distinguishes it in words, and how its models are made."""

    name: str
    said: Mapping[str, Scalar]
    setting: Setting


def run_grid(ablation: str, options: GridOptions, choices: Sequence[Choice]) -> AblationRecord:
    """Train and score every choice with every seed, measure what each takes, and write ``record.json`` into ``options.out``.

    ``options`` are settled. The first choice is the one that the others are compared with. ValueError where no cell came to
    its end; cells that failed are named in the record.
    """
    run, shared = GridRun(ablation, options), shared_tokenizers(choices)
    if failed := run.cells([shared], what="tokenizers", alone=True).failed:
        raise ValueError(f"the tokenizers that all models share failed: {failed[shared]}")
    models = [[_trained(choice, seed, shared) for choice in choices] for seed in options.seeds or ()]
    trained = run.cells([cell for of_seed in models for cell in of_seed], what="models")
    configs = [
        Config(
            name=choice.name,
            choice=choice.said,
            cells=tuple(_scored(choice, of_seed[place]) for of_seed in models if of_seed[place] in trained.done),
        )
        for place, choice in enumerate(choices)
    ]
    gathered = run.gather(configs, trained.failed)
    first = {config.name: config.cells[0] for config in configs if config.cells}
    costs = {choice.name: _costs(choice, first[choice.name]) for choice in choices if choice.name in first}
    references = _references(next(choice for choice in reversed(choices) if choice.name in first), first)
    wanted = [*(costs.values() if options.costs else ()), *((references,) if options.references else ())]
    last = run.cells(wanted, what="costs", alone=True)  # so that nothing disturbs the clock
    return run.write(
        gathered,
        scored=choices[0].setting.task,
        budget=_budget(choices[0].setting.resolve(), gathered.record.rows[0].sampling),
        costs={name: last.done[cell] for name, cell in costs.items() if cell in last.done},
        references=reference_rows(last.done[references]) if references in last.done else (),
        failed=last.failed,
    )


class GridRun:
    """One call of an ablation: where its cells are, when it began, and the record it leaves."""

    def __init__(self, ablation: str, options: GridOptions) -> None:
        """``options`` are settled."""
        self.ablation, self.options, self.began = ablation, options, time.monotonic()
        self.about = provenance(pick_device(options.device), {})
        self.seconds = 0.0  # of all cells, each its last call

    def cells(self, cells: Sequence[Cell], *, what: str, alone: bool = False) -> Outcome:
        """Run cells, several at once or each ``alone``."""
        outcome = run_cells(cells, self.options.out / "cells", self.options.run_on(alone=alone), what=what)
        self.seconds += sum(seconds(folder) for folder in outcome.done.values())
        return outcome

    def gather(self, configs: Sequence[Config], failed: Mapping[Cell, str] | None = None) -> Gathered:
        """Run the cells of all configs, a seed of all after the other, and read what they found. ValueError where none did.

        ``failed`` are cells that some of theirs would have needed, with the reasons.
        """
        places = range(max(len(config.cells) for config in configs))
        in_turn = [config.cells[place] for place in places for config in configs if place < len(config.cells)]
        outcome = self.cells(in_turn, what="scores")
        gathered = Gathered(configs, outcome.done, {**(failed or {}), **outcome.failed})
        gathered.check_any()
        return gathered

    def write(
        self,
        gathered: Gathered,
        *,
        scored: str,
        budget: Mapping[str, Scalar],
        costs: Mapping[str, Path] | None = None,
        references: tuple[Row, ...] = (),
        failed: Mapping[Cell, str] | None = None,
    ) -> AblationRecord:
        """Write ``record.json`` of what was gathered and return it."""
        rows = gathered.rows(costs or {})  # names more that is missing
        lost = [Skipped(id=cell.said, reason=why) for cell, why in (failed or {}).items()]
        record = AblationRecord(
            name=self.options.out.name,
            task=self.ablation,
            scored=scored,
            preset=gathered.record.model.preset,
            dataset=gathered.dataset,
            rows=rows,
            references=references,
            budget=budget,
            seeds=self.options.seeds or (),
            missing=(*gathered.missing, *lost),
            timings_s={
                "cells": round(self.seconds, 1),
                "this run": round(time.monotonic() - self.began, 1),
            },
            peak_memory_gib=gathered.peak_memory_gib,
            environment=gathered.record.environment,  # where the models were scored; what gathers them may be elsewhere,
            git=gathered.git,  # and at another commit
            command=self.about.command,
        )
        write_ablation(self.options.out / "record.json", record)
        return record


def shared_tokenizers(choices: Sequence[Choice]) -> Cell:
    """The cell of the tokenizers that all choices share. ValueError where they cannot."""
    learn = tuple(dict.fromkeys(task for choice in choices for task in choice.setting.learn))
    setting = replace(choices[0].setting.training, learn=learn, attention=None, stem=None, steps=None, batch=None)
    wanted = tokenizers_sha256(setting.resolve())
    for choice in choices:
        if tokenizers_sha256(choice.setting.resolve()) != wanted:
            raise ValueError(f"{choice.name}: expected the tokenizers of the other rows, got others; they share them")
    config = strict.plain(Shared(setting=setting, sha256=wanted))
    return Cell(function=f"{HERE}.trained:tokenizers", label="tokenizers", config=config, seed=0)


def _trained(choice: Choice, seed: int, shared: Cell) -> Cell:
    setting = choice.setting.training
    config = Trained(setting=setting, fingerprint=setting.fingerprint, tokenizers=shared.name)
    return Cell(function=f"{HERE}.trained:train_model", label=choice.name, config=strict.plain(config), seed=seed)


def _scored(choice: Choice, trained: Cell) -> Cell:
    config = OfTrained(setting=choice.setting, trained=trained.name)
    return Cell(function=f"{HERE}.trained:score", label=choice.name, config=strict.plain(config), seed=trained.seed)


def _costs(choice: Choice, scored: Cell) -> Cell:
    """What a model takes does not depend on how it is scored."""
    config = OfTrained(setting=choice.setting.training, trained=scored.config["trained"])
    label = f"{choice.name} costs"
    return Cell(function=f"{HERE}.costs:costs", label=label, config=strict.plain(config), seed=scored.seed)


def _references(choice: Choice, scored: Mapping[str, Cell]) -> Cell:
    """The rows that belong to all, made by one of the models."""
    cell = scored[choice.name]
    config = OfTrained(setting=choice.setting, trained=cell.config["trained"], references=True)
    return Cell(function=f"{HERE}.trained:score", label="references", config=strict.plain(config), seed=cell.seed)


def _budget(preset: Preset, sampling: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What all rows have alike, in numbers; ``preset`` is the first row's."""
    training, grid = preset.transformer, preset.tokenizer.model.grid(preset.frames)
    kept = ("guidance", "temperature", "top_k", "top_p")
    return {
        "steps": training.steps,
        "batch": training.batch,
        "target": f"{grid.t}×{grid.h}×{grid.w} tokens of {preset.tokenizer.model.size_px} px",
        "learning rate": training.lr,
        "optimizer": training.optimizer,
        "tokenizer steps": preset.tokenizer.steps,
        "sketch tokenizer steps": None if preset.sketch is None else preset.sketch.steps,
        **{name: sampling[name] for name in kept if name in sampling},
    }


def _parameter(text: str) -> tuple[str, str | int]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"cluster: expected NAME=VALUE such as timeout_min=240, got {text!r}")
    return name, int(value) if value.isdigit() else value
