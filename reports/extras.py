"""Sections of the page of all tables that no record of a task makes: ablations beyond their scores, speed, patterns."""

from __future__ import annotations

from functools import partial

from evaluation.ablations.record import AblationRecord
from evaluation.speed import SpeedRecord
from reports import patterns, speed
from reports.ablation_figures import curve_panels, quality_panels
from reports.ablation_summary import beside_scores
from reports.columns import title_of
from reports.files import slug
from reports.page import Extra, drawn_twice, figures
from reports.speed_figures import cost_panels, decoding_panels


def ablation_extra(record: AblationRecord, alone: bool = True) -> Extra:
    """What the scores of an ablation do not say: what differs significantly, losses and costs.

    The record's name stands in the title where it is not ``alone`` of its task.
    """
    seeds = ", ".join(map(str, record.seeds))
    steps = f", for {record.budget['steps']:,} steps" if "steps" in record.budget else ""
    title = f"{title_of(record.task)}: differences and costs"
    return Extra(
        title=title if alone else f"{title}, {record.name}",
        slug=slug(record.name),
        tasks=(record.task,),
        text=f"Every row was trained and scored alike on {record.scored}, with the seeds {seeds}{steps}.",
        tables=beside_scores(record),
        figures=tuple(figures([*quality_panels(record), *curve_panels(record)])),
    )


def speed_extra(record: SpeedRecord, signed: str, alone: bool) -> Extra:
    """Tables and plots of a benchmark; with its name in the title where it is not ``alone``."""
    return Extra(
        title="Speed" if alone else f"Speed: {record.name}",
        slug=slug(record.name),
        tasks=("cost",),
        text="What attention costs and what decoding takes; each row first agreed with the reference.",
        tables=tuple(table for made in speed.tables(record).values() for table in made),
        figures=tuple(figures([*cost_panels(record), *decoding_panels(record)])),
        benchmark=record,
        signed=signed,
    )


def patterns_extra() -> Extra:
    """A drawing of every attention variant."""
    return Extra(
        title="Attention patterns",
        slug="patterns",
        tasks=("cost", "ablate-attention"),
        text=patterns.legend(),
        wide=True,
        figures=tuple(
            drawn_twice(spec.name, patterns.alt([spec]), partial(patterns.sheet, variants=[spec]))
            for spec in patterns.specs()
        ),
    )
