"""What the trainings of an ablation have learnt by their own measure: losses on held-out data, and whether they still fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.ablations.gather import corrected
from evaluation.ablations.record import AblationRecord, AblationRow, Versus
from evaluation.ablations.statistics import Floats, difference, mean_over
from reports.ablation import column, difference_cell
from reports.columns import Look
from reports.tables import Cell, Group, Table, TableRow

LOSS, CHANGE = Look(decimals=4), Look(decimals=1, scale=100)
LATE = 0.75  # of the steps


class Losses(NamedTuple):
    """Held-out losses of a row, one a seed: at the end, and where the last quarter of the steps begins, if measured by then."""

    seeds: tuple[int, ...]
    last: Floats
    late: Floats | None


def losses_table(ablation: AblationRecord) -> Table | None:
    """Held-out losses of each row, and less the first one's. None where fewer than two rows have any."""
    found = {row.name: losses for row in ablation.rows if (losses := _losses(row)) is not None}
    if len(found) < 2:
        return None
    first, versus = next(iter(found)), _versus(found)
    rows = [
        TableRow(
            name=name,
            source=ablation.name,
            cells=(
                _mean(losses.last, LOSS),
                difference_cell(versus.get(name), LOSS),
                None if losses.late is None else _mean(losses.last / losses.late - 1, CHANGE),
            ),
        )
        for name, losses in found.items()
    ]
    return Table(
        slug=f"{ablation.task}-losses",
        title="Losses on held-out data",
        columns=(
            column("held-out loss", False, "nats a token"),
            column(f"less {first}", None, "nats a token"),
            column("in the last quarter of the steps", None, "%"),
        ),
        groups=(Group(kind="model", title="At the end of the training", rows=tuple(rows)),),
        notes=(
            ("", "Means over trainings with Student's 95% intervals; the held-out data are the same for all."),
            ("", f"Differences are paired by seed, p-values corrected by Holm's method for {len(versus)} comparisons."),
        ),
    )


def _losses(row: AblationRow) -> Losses | None:
    """None where a seed of the row has no held-out losses."""
    measured = [curve.held_out for curve in row.curves if curve.held_out]
    if not measured or len(measured) < len(row.curves):
        return None
    late = [loss for pairs in measured if (loss := _late(pairs)) is not None]
    return Losses(
        seeds=tuple(curve.seed for curve in row.curves),
        last=np.array([pairs[-1][1] for pairs in measured]),
        late=np.array(late) if len(late) == len(measured) else None,
    )


def _late(pairs: Sequence[tuple[int, float]]) -> float | None:
    """The last loss measured before the last quarter of the steps, None where there is none."""
    start = LATE * pairs[-1][0]
    return next((loss for step, loss in reversed(pairs) if step <= start), None)


def _versus(found: Mapping[str, Losses]) -> dict[str, Versus]:
    """Each row less the first, over the seeds that both have."""
    first, *others = found
    compared = {}
    for name in others:
        shared = [seed for seed in found[name].seeds if seed in found[first].seeds]
        if shared:
            ours, theirs = (_of(found[each], shared) for each in (name, first))
            compared[name] = difference(ours, _fixed(ours), theirs, _fixed(theirs)), len(shared)
    return corrected(compared)


def _of(losses: Losses, seeds: list[int]) -> Floats:
    return np.array([losses.last[losses.seeds.index(seed)] for seed in seeds])


def _mean(values: Floats, look: Look) -> Cell:
    mean = mean_over(values, _fixed(values))
    spread = None if mean.ci95_seeds is None else look.interval(*mean.ci95_seeds)
    return Cell(text=look.text(mean.value), spread=spread, value=mean.value)


def _fixed(values: Floats) -> Floats:
    """Replicates (k, 2) of numbers that are not drawn anew."""
    return np.repeat(values[:, None], 2, axis=1)
