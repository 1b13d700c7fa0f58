"""Records of ablations to tables: the paper's table with our means, what differs from the first row, and what it costs.

The scores become a record like any other, so they are laid out, marked and set above the published rows by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from evaluation.ablations.record import AblationRecord, AblationRow, Costs, Score, Versus
from evaluation.records import MetricValue, ModelInfo, Record, Row
from reports.columns import Look, leading_columns, look_of_column, title_of
from reports.tables import Cell, Column, Group, Table, TableRow

NONE_SIGNIFICANT = "no significant difference"


def as_record(ablation: AblationRecord) -> Record:
    """The means of an ablation as the record of a run, with the reference rows; every model's row says what its number is."""
    rows = [
        Row(
            name=row_name(row),
            role="model",
            sampling={**row.choice, "parameters": row.params, "note": _note(row)},
            metrics=tuple(
                MetricValue(
                    name=score.name,
                    protocol=score.protocol,
                    value=score.mean,
                    ci95=score.ci95,
                    n=score.n,
                    higher_is_better=score.higher_is_better,
                )
                for score in row.scores
            ),
        )
        for row in ablation.rows
    ]
    return Record(
        name=ablation.name,
        task=ablation.task,
        dataset=ablation.dataset,
        model=ModelInfo(
            preset=ablation.preset,
            encoder_attention=_several(ablation, "encoder"),
            decoder_attention=_several(ablation, "decoder"),
            params=max(row.params for row in ablation.rows),
            checkpoint_sha256=None,
        ),
        rows=(*rows, *ablation.references),
        timings_s=ablation.timings_s,
        peak_memory_gib=ablation.peak_memory_gib,
        skipped=ablation.missing,
        environment=ablation.environment,
        seeds={f"training {number}": seed for number, seed in enumerate(ablation.seeds, start=1)},
        git=ablation.git,
        command=ablation.command,
    )


def row_name(row: AblationRow) -> str:
    """``"NÜWA-FN (encoder full, decoder nearby3d 3×3×3)"``."""
    return f"{row.name} ({', '.join(f'{name} {value}' for name, value in row.choice.items())})"


def differences_table(ablation: AblationRecord) -> Table | None:
    """Each row less the first one, with its interval and corrected p-value. None with one row, or nothing to compare."""
    metrics = [metric for metric in metrics_of(ablation) if any(versus_of(row, metric) for row in ablation.rows)]
    if not metrics:
        return None
    first, columns, looks = ablation.rows[0], [], []
    for metric in metrics:
        score = next(score for row in ablation.rows if (score := score_of(row, metric)))
        values = [versus.value for row in ablation.rows if (versus := versus_of(row, metric))]
        looks.append(look_of_column(score.name, [abs(value) for value in values]))
        columns.append(column(score.name, score.higher_is_better, looks[-1].unit))
    rows = [
        TableRow(
            name=row.name,
            source=ablation.name,
            cells=tuple(
                difference_cell(versus_of(row, metric), look) for metric, look in zip(metrics, looks, strict=True)
            ),
        )
        for row in ablation.rows[1:]
    ]
    compared = len(rows)
    return Table(
        slug=f"{ablation.task}-differences",
        title=f"{title_of(ablation.task)}: difference from {first.name}",
        columns=tuple(columns),
        groups=(Group(kind="model", title=f"Less {first.name}, paired by seed and by sample", rows=tuple(rows)),),
        notes=(
            (
                "",
                "95% intervals over seeds and samples: the squares of both half widths are added (Zou & Donner 2008).",
            ),
            ("", f"p-values are two-sided and corrected by Holm's method for {compared} comparisons of each metric."),
            ("", f"{NONE_SIGNIFICANT[0].upper()}{NONE_SIGNIFICANT[1:]}: the corrected p-value is 0.05 or more."),
        ),
    )


def costs_table(ablation: AblationRecord) -> Table | None:
    """Parameters, operations, speed and memory of each row. None where nothing was measured."""
    measured = [row for row in ablation.rows if row.costs is not None]
    if not measured:
        return None
    columns = (
        column("parameters", False, "million"),
        column("forward pass", False, "GFLOP"),
        column("of it attention", False, "GFLOP"),
        column("training", True, "tokens/s"),
        column("one sample", False, "s"),
        column("decoding steps", False),
        column("peak memory", False, "GiB"),
    )
    rows = [
        TableRow(name=row.name, source=ablation.name, cells=tuple(_costs(row.params, row.costs)))
        for row in measured
        if row.costs is not None
    ]
    made = next(row.costs.environment for row in measured if row.costs is not None)
    return Table(
        slug=f"{ablation.task}-costs",
        title=f"{title_of(ablation.task)}: what a model takes",
        columns=columns,
        groups=(Group(kind="model", title=f"{ablation.preset}, one model at a time", rows=tuple(rows)),),
        notes=(
            ("", f"Measured on {made.device}, {made.threads} threads, torch {made.torch}; medians."),
            ("", "Operations are those of one sample; training takes three times as many. One sample is drawn alone."),
            ("", f"Alike in all rows: {', '.join(f'{name} {value}' for name, value in ablation.budget.items())}."),
        ),
    )


def metrics_of(ablation: AblationRecord) -> list[tuple[str, str]]:
    """Names and protocols of the metrics, those that lead the paper's table first."""
    found = dict.fromkeys((score.name, score.protocol) for row in ablation.rows for score in row.scores)
    order = leading_columns(ablation.task)
    return sorted(found, key=lambda metric: order.index(metric[0]) if metric[0] in order else len(order))


def csv(ablation: AblationRecord) -> str:
    """Every number of every row and seed, with means, intervals and differences, one metric of one row a line, unrounded."""
    return pd.DataFrame(list(_lines(ablation))).to_csv(index=False, lineterminator="\n")


def _lines(ablation: AblationRecord) -> Iterator[dict[str, object]]:
    for row in ablation.rows:
        for score in row.scores:
            seeds = score.ci95_seeds or (None, None)
            versus = score.versus
            yield {
                "record": ablation.name,
                "row": row.name,
                **row.choice,
                "parameters": row.params,
                "metric": score.name,
                "protocol": score.protocol,
                "higher_is_better": score.higher_is_better,
                "n": score.n,
                "seeds": " ".join(map(str, row.seeds)),
                "values": " ".join(map(repr, score.values)),
                "mean": score.mean,
                "ci95_low": score.ci95[0],
                "ci95_high": score.ci95[1],
                "ci95_seeds_low": seeds[0],
                "ci95_seeds_high": seeds[1],
                "ci95_samples_low": score.ci95_samples[0],
                "ci95_samples_high": score.ci95_samples[1],
                "difference": None if versus is None else versus.value,
                "difference_low": None if versus is None else versus.ci95[0],
                "difference_high": None if versus is None else versus.ci95[1],
                "p": None if versus is None else versus.p_value,
                "p_holm": None if versus is None else versus.p_holm,
                "flops": None if row.costs is None else row.costs.flops,
                "attention_flops": None if row.costs is None else row.costs.attention_flops,
                "train_tokens_per_s": None if row.costs is None else row.costs.train_tokens_per_s,
                "decode_s": None if row.costs is None else row.costs.decode_s,
                "decode_steps": None if row.costs is None else row.costs.decode_steps,
                "peak_memory_gib": None if row.costs is None else row.costs.peak_memory_gib,
            }


def score_of(row: AblationRow, metric: tuple[str, str]) -> Score | None:
    """The score of a row by name and protocol, None where it has none."""
    return next((score for score in row.scores if (score.name, score.protocol) == metric), None)


def versus_of(row: AblationRow, metric: tuple[str, str]) -> Versus | None:
    """The difference of a row from the first one by name and protocol, None where there is none."""
    score = score_of(row, metric)
    return None if score is None else score.versus


def difference_cell(versus: Versus | None, look: Look) -> Cell | None:
    """A difference with interval and corrected p-value; what is not significant is said in words first."""
    if versus is None:
        return None
    signed = f"{'+' if versus.value > 0 else ''}{look.text(versus.value)}"
    p = "p < 0.001" if versus.p_holm < 0.001 else f"p = {versus.p_holm:.3f}"
    told = f"{signed} ({look.text(versus.ci95[0])} to {look.text(versus.ci95[1])}), {p}"
    return Cell(text=told if versus.is_significant else f"{NONE_SIGNIFICANT}: {told}", value=versus.value)


def _costs(params: int, costs: Costs) -> Iterator[Cell]:
    yield _number(params / 1e6, 2)
    yield _number(costs.flops / 1e9, 3)
    yield _number(costs.attention_flops / 1e9, 3)
    yield _number(costs.train_tokens_per_s, 0)
    yield _number(costs.decode_s, 3)
    yield _number(costs.decode_steps, 0)
    yield _number(costs.peak_memory_gib, 2)


def _number(value: float, decimals: int) -> Cell:
    return Cell(text=f"{value:,.{decimals}f}", value=float(value))


def column(metric: str, better: bool | None, unit: str = "") -> Column:
    """A column without a protocol of its own."""
    return Column(metric=metric, protocol=None, higher_is_better=better, unit=unit, letter=None)


def _note(row: AblationRow) -> str:
    seeds: Sequence[int] = row.seeds
    if len(seeds) == 1:
        return "One training; the interval is over samples alone and says nothing of other trainings."
    return (
        f"Mean of {len(seeds)} trainings (seeds {', '.join(map(str, seeds))}); the interval is over seeds and samples."
    )


def _several(ablation: AblationRecord, what: str) -> str | None:
    found: Mapping[str, None] = dict.fromkeys(str(row.choice[what]) for row in ablation.rows if what in row.choice)
    return ", ".join(found) or None
