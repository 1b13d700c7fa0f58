"""Cells of a made-up ablation on disk, and its record: numbers known, nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation import strict
from evaluation.ablations import cells as on_disk
from evaluation.ablations.cells import Cell
from evaluation.ablations.gather import Config, Gathered
from evaluation.ablations.record import AblationRecord, Costs, Curve
from evaluation.records import (
    DatasetInfo,
    Environment,
    GitState,
    MetricValue,
    ModelInfo,
    PeakMemory,
    Record,
    Row,
    write_record,
)
from evaluation.replicates import REPLICATES, write_replicates
from nuwa import files

FID, PA = ("FID-vid", "fid-vid@sprites-1"), ("Detected PA", "detected-pa@sprites-1")
DATA = DatasetInfo(name="sprites", version="1", split="test-seen", fingerprint="3fa1" * 16)
ENVIRONMENT = Environment(python="3.11.2", torch="2.14.1", device="cpu (EPYC)", threads=2, precision="float32")
QUALITY = {"NÜWA-FF": (6.0, 0.60), "NÜWA-FN": (5.0, 0.70), "NÜWA-NN": (5.9, 0.61)}
WORDS = {"F": "full", "N": "nearby3d 3×3×3"}


def number(metric: tuple[str, str], value: float, n: int = 64) -> MetricValue:
    better = metric == PA
    return MetricValue(
        name=metric[0], protocol=metric[1], value=value, ci95=(value * 0.9, value * 1.1), n=n, higher_is_better=better
    )


def cell_record(name: str, numbers: Sequence[MetricValue], data: DatasetInfo = DATA) -> Record:
    row = Row(name="NÜWA quick:s2v, sketch alone", role="model", sampling={"guidance": 2.0}, metrics=tuple(numbers))
    real = Row(name="real clips", role="real", sampling={}, metrics=(number(FID, 0.5), number(PA, 0.98)))
    return Record(
        name=name,
        task="s2v",
        dataset=data,
        model=ModelInfo(
            preset="quick:s2v",
            encoder_attention="full",
            decoder_attention="full",
            params=548_736,
            checkpoint_sha256="b81c" * 16,
        ),
        rows=(row, real),
        timings_s={"sample": 3.0},
        peak_memory_gib=PeakMemory(host=1.2, cuda=None),
        skipped=(),
        environment=ENVIRONMENT,
        seeds={"sampling": 0},
        git=GitState(commit="5d0c9e7f" * 5, dirty=False),
        command="python -m evaluation.ablations.worker …",
    )


def write_cell(cell: Cell, folder: Path, numbers: Sequence[MetricValue], data: DatasetInfo = DATA) -> Path:
    """The files of a cell that is done; replicates of equal seeds go up and down together."""
    place = on_disk.prepare(cell, folder)
    record = cell_record(cell.name, numbers, data)
    write_record(place / "record.json", record)
    samples = np.random.default_rng(7).normal(0, 0.02, size=100)
    drawn = {
        (record.rows[0].name, each.name, each.protocol): each.value * (1 + samples) for each in record.rows[0].metrics
    }
    write_replicates(place / REPLICATES, drawn)
    strict.write(place / on_disk.DONE, on_disk.Done(hash=cell.hash, seconds=12.5))
    return place


def configs(seeds: Sequence[int] = (0, 1, 2), quality: Mapping[str, tuple[float, float]] = QUALITY) -> list[Config]:
    return [
        Config(
            name=name,
            choice={"encoder": WORDS[name[-2]], "decoder": WORDS[name[-1]]},
            cells=tuple(Cell(function="none:none", label=name, config={"attention": name}, seed=s) for s in seeds),
        )
        for name in quality
    ]


def numbers_of(config: Config, seed: int, n: int = 64) -> list[MetricValue]:
    """A seed moves all configs together, and each a little by itself."""
    fid, pa = QUALITY[config.name]
    together, alone = 0.2 * (seed - 1), np.random.default_rng([seed, len(config.name), ord(config.name[-1])]).normal()
    return [number(FID, fid + together + 0.01 * alone, n), number(PA, pa + 0.01 * together + 0.02 * alone, n)]


def write_cells(folder: Path, made: Sequence[Config]) -> dict[Cell, Path]:
    return {cell: write_cell(cell, folder, numbers_of(config, cell.seed)) for config in made for cell in config.cells}


def write_costs(folder: Path, made: Sequence[Config]) -> dict[str, Path]:
    found = {}
    for place, config in enumerate(made):
        costs = Costs(
            flops=900_000_000 - 100_000_000 * place,
            attention_flops=300_000_000 - 100_000_000 * place,
            train_tokens_per_s=4000.0 + 1000 * place,
            decode_s=2.5 / (1 + place),
            decode_steps=320 // (1 + place),
            peak_memory_gib=1.25,
            environment=ENVIRONMENT,
        )
        found[config.name] = folder / f"{place}-costs"
        files.write_json(found[config.name] / "costs.json", strict.plain(costs))
    return found


def ablation(folder: Path, **changes: object) -> AblationRecord:
    """The record of three configs with three seeds."""
    made = configs()
    gathered = Gathered(made, write_cells(folder, made), {})
    rows = tuple(
        replace(row, curves=tuple(Curve(seed=s, steps=(25, 50, 75), loss=(3.0, 2.0, 1.5 + 0.1 * s)) for s in row.seeds))
        for row in gathered.rows(write_costs(folder, made))
    )
    record = AblationRecord(
        name="ablate-attention",
        task="ablate-attention",
        scored="s2v",
        preset="quick:s2v",
        dataset=gathered.dataset,
        rows=rows,
        references=tuple(row for row in gathered.record.rows if row.role != "model"),
        budget={"steps": 450, "batch": 64},
        seeds=(0, 1, 2),
        missing=(),
        timings_s={"cells": 112.5},
        peak_memory_gib=gathered.peak_memory_gib,
        environment=ENVIRONMENT,
        git=GitState(commit="5d0c9e7f" * 5, dirty=False),
        command="nox -s ablate-attention -- --quick",
    )
    return replace(record, **changes)  # type: ignore[arg-type]
