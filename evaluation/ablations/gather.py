"""From the cells of a grid to its record: means over seeds, intervals, paired differences against the first row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from evaluation.ablations.cells import Cell
from evaluation.ablations.costs import read_costs
from evaluation.ablations.record import AblationRow, Curve, Score, Versus
from evaluation.ablations.statistics import Difference, Floats, difference, holm, mean_over
from evaluation.records import DatasetInfo, GitState, MetricValue, PeakMemory, Record, Row, Scalar, Skipped, read_record
from evaluation.replicates import REPLICATES, read_replicates
from evaluation.sessions.training import most
from nuwa.training.loop import LOG
from nuwa.training.transformer import TransformerStage

ABOVE_ONE = ("IS", "PSNR")
"""Metrics that are better higher and no share, so nothing bounds them above."""

ALL = TransformerStage.measure
"""Held-out loss of all tasks in a line of a training's log; where there are several, each has one with its name behind."""

Metric = tuple[str, str]
"""Name and protocol."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A row of the table to be: its name, what distinguishes it in words, and one cell for each seed."""

    name: str
    choice: Mapping[str, Scalar]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What one cell found: its record and, of each metric of its model, the number with its replicates (r,)."""

    record: Record
    numbers: Mapping[Metric, tuple[MetricValue, Floats]]


def read_seed(folder: Path) -> Seed:
    """The first row of a model in a cell's record. ValueError where there is none, or replicates are missing."""
    record, drawn = read_record(folder / "record.json"), read_replicates(folder / REPLICATES)
    rows = [row for row in record.rows if row.role == "model"]
    if not rows:
        raise ValueError(f"{folder}: expected a record with a row of a model, got none")
    numbers = {}
    for each in rows[0].metrics:
        if (key := (rows[0].name, each.name, each.protocol)) in drawn:
            numbers[each.name, each.protocol] = (each, drawn[key])
    return Seed(record=record, numbers=numbers)


class Gathered:
    """Everything the done cells of a grid say."""

    def __init__(self, configs: Sequence[Config], done: Mapping[Cell, Path], failed: Mapping[Cell, str]) -> None:
        """ValueError where cells were scored on different data or on different numbers of samples."""
        self.configs, self.done = configs, done
        self.missing = [Skipped(id=cell.said, reason=why) for cell, why in failed.items()]
        self.seeds = {
            config.name: {cell.seed: read_seed(done[cell]) for cell in config.cells if cell in done}
            for config in configs
        }
        self._check_alike()

    @property
    def peak_memory_gib(self) -> PeakMemory:
        """The largest of a cell."""
        found = [seed.record.peak_memory_gib for by_seed in self.seeds.values() for seed in by_seed.values()]
        return reduce(most, found)

    def check_any(self) -> None:
        """ValueError, with the reasons, where no cell came to its end."""
        if not any(self.seeds.values()):
            reasons = "; ".join(f"{each.id}: {each.reason}" for each in self.missing)
            raise ValueError(f"no cell came to its end, so there is no table: {reasons}")

    @property
    def record(self) -> Record:
        """Of any cell: what all of them have alike."""
        return next(seed.record for by_seed in self.seeds.values() for seed in by_seed.values())

    @property
    def git(self) -> GitState:
        """Of the code that scored: the first cell's commit, dirty where one was or where they differ."""
        states = [seed.record.git for by_seed in self.seeds.values() for seed in by_seed.values()]
        if states[0].commit is None:
            return states[0]
        return GitState(
            commit=states[0].commit,
            dirty=any(state.dirty is not False or state.commit != states[0].commit for state in states),
        )

    @property
    def dataset(self) -> DatasetInfo:
        """What all cells were scored on."""
        return self.record.dataset

    def rows(self, costs: Mapping[str, Path]) -> tuple[AblationRow, ...]:
        """A row for each config of which a seed is done; ``costs`` are folders of cells by the name of the config."""
        scores = {name: dict(self._scores(name)) for name in self.seeds}
        versus = self._versus(scores)
        rows = []
        for config in self.configs:
            by_seed = self.seeds[config.name]
            if not by_seed:
                continue
            found = tuple(
                _scored(score, versus.get((config.name, metric))) for metric, score in scores[config.name].items()
            )
            rows.append(
                AblationRow(
                    name=config.name,
                    choice=config.choice,
                    params=next(iter(by_seed.values())).record.model.params,
                    seeds=tuple(by_seed),
                    scores=found,
                    costs=read_costs(costs[config.name]) if config.name in costs else None,
                    curves=tuple(self._curves(config)),
                )
            )
        return tuple(rows)

    def _curves(self, config: Config) -> Iterator[Curve]:
        """Losses of the trainings whose models the cells scored."""
        for cell in config.cells:
            if cell in self.done and (trained := cell.config.get("trained")) is not None:
                yield read_curve(self.done[cell].parent / trained, cell.seed, self.record.task)

    def _scores(self, name: str) -> Iterator[tuple[Metric, Score]]:
        """The metrics that every seed of a config has."""
        by_seed = list(self.seeds[name].values())
        for metric in dict.fromkeys(metric for seed in by_seed for metric in seed.numbers):
            having = [seed.numbers[metric] for seed in by_seed if metric in seed.numbers]
            if len(having) < len(by_seed):
                self.missing.append(Skipped(id=f"{metric[0]} of {name}", reason="some seeds have no such number"))
                continue
            first = having[0][0]
            values, drawn = [each.value for each, _ in having], np.stack([drawn for _, drawn in having])
            mean = mean_over(values, drawn, *bounds(first))
            yield (
                metric,
                Score(
                    name=first.name,
                    protocol=first.protocol,
                    higher_is_better=first.higher_is_better,
                    n=first.n,
                    values=tuple(values),
                    mean=mean.value,
                    ci95=mean.ci95,
                    ci95_seeds=mean.ci95_seeds,
                    ci95_samples=mean.ci95_samples,
                    versus=None,
                ),
            )

    def _versus(self, scores: Mapping[str, Mapping[Metric, Score]]) -> dict[tuple[str, Metric], Versus]:
        """Paired differences against the first config, corrected by Holm for each metric."""
        first, *others = (config.name for config in self.configs)
        found: dict[tuple[str, Metric], Versus] = {}
        for metric in scores[first]:
            compared = {}
            for name in others:
                shared = [seed for seed in self.seeds[name] if seed in self.seeds[first]]
                if shared and metric in scores[name]:
                    compared[name] = (
                        difference(*self._of(name, metric, shared), *self._of(first, metric, shared)),
                        len(shared),
                    )
            found |= {(name, metric): versus for name, versus in corrected(compared).items()}
        if others and not self.seeds[first]:
            self.missing.append(Skipped(id="differences", reason=f"no cell of the first row, {first}, came to its end"))
        return found

    def _of(self, name: str, metric: Metric, seeds: Sequence[int]) -> tuple[Floats, Floats]:
        """Values (k,) and replicates (k, r) of a config for these seeds."""
        numbers = [self.seeds[name][seed].numbers[metric] for seed in seeds]
        return np.array([each.value for each, _ in numbers]), np.stack([drawn for _, drawn in numbers])

    def _check_alike(self) -> None:
        data: DatasetInfo | None = None
        counts: dict[Metric, tuple[int, bool]] = {}
        for name, by_seed in self.seeds.items():
            for number, seed in by_seed.items():
                data = data or seed.record.dataset
                if seed.record.dataset != data:
                    raise ValueError(
                        f"{name}, seed {number}: expected scores on {data}, got {seed.record.dataset}; remove the older cells"
                    )
                for metric, (value, _) in seed.numbers.items():
                    said = counts.setdefault(metric, (value.n, value.higher_is_better))
                    if said != (value.n, value.higher_is_better):
                        raise ValueError(
                            f"{name}, seed {number}: {metric[0]} under {metric[1]} of {value.n} samples cannot be averaged "
                            f"with one of {said[0]}; ask for one --num"
                        )


def corrected(compared: Mapping[str, tuple[Difference, int]]) -> dict[str, Versus]:
    """Differences of some rows from one, each with its number of seeds, corrected by Holm for all of them."""
    p_values = holm([each.p_value for each, _ in compared.values()])
    return {
        name: Versus(value=each.value, ci95=each.ci95, p_value=each.p_value, p_holm=p_holm, seeds=seeds)
        for (name, (each, seeds)), p_holm in zip(compared.items(), p_values, strict=True)
    }


def read_curve(folder: Path, seed: int, task: str) -> Curve:
    """The losses that a model's training logged; on held-out data that of ``task``, of whatever else was learnt beside it."""
    lines = (folder / "training" / "transformer" / LOG).read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines]
    measured = [line for line in logged if ALL in line]
    return Curve(
        seed=seed,
        steps=tuple(line["step"] for line in logged),
        loss=tuple(round(float(line["loss"]), 4) for line in logged),
        held_out=tuple((line["step"], round(float(line.get(f"{ALL}_{task}", line[ALL])), 6)) for line in measured)
        or None,
    )


def bounds(value: MetricValue) -> tuple[float, float]:
    """What a metric can be at all: distances are not below nought, shares and cosines not above one."""
    if not value.higher_is_better:
        return 0.0, float("inf")
    return -float("inf"), float("inf") if value.name in ABOVE_ONE else 1.0


def reference_rows(folder: Path) -> tuple[Row, ...]:
    """The rows of a record that are no model's: real data, reconstruction, an untrained model."""
    return tuple(row for row in read_record(folder / "record.json").rows if row.role != "model")


def _scored(score: Score, versus: Versus | None) -> Score:
    return Score(**{**vars(score), "versus": versus})
