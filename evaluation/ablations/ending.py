"""What an ablation says at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluation.ablations.record import AblationRecord, AblationRow, Score
from evaluation.scoring import show

INCOMPLETE = 3
"""Exit code: the record is written, and something is missing in it."""


def finish(record: AblationRecord, out: Path) -> AblationRecord:
    """Print the record's numbers; SystemExit with :data:`INCOMPLETE` where a cell has none."""
    print("\n".join(said(record, out)))
    if record.missing:
        raise SystemExit(INCOMPLETE)
    return record


def said(record: AblationRecord, out: Path) -> Iterator[str]:
    """The means with their intervals, the verdicts against the first row, what is missing, and where everything is."""
    metrics = dict.fromkeys((score.name, score.protocol) for row in record.rows for score in row.scores)
    lines = [("", *(f"{name} {_arrow(record, name)}" for name, _ in metrics))]
    for row in record.rows:
        found = {(score.name, score.protocol): score for score in row.scores}
        lines.append((row.name, *(_cell(found.get(metric)) for metric in metrics)))
    yield show.columns(lines, left=(0,))
    first = record.rows[0].name
    seeds = len(record.seeds)
    over = "seeds and samples" if seeds > 1 else "samples alone, since one seed says nothing of other trainings"
    yield f"mean of {seeds} seed{'s' * (seeds > 1)} (95% interval over {over}); * differs from {first}, Holm-corrected"
    for row in record.rows[1:]:
        yield f"{row.name}: {verdict(row, first)}"
    for each in record.missing:
        yield f"missing: {each.id}: {each.reason}"
    yield f"{out / 'record.json'}: python -m reports ablation {out} makes the tables and a page of it"


def verdict(row: AblationRow, first: str) -> str:
    """What of a row differs significantly from the first one, or that nothing does."""
    told = [
        f"{score.name} {score.versus.value:+.4g} (p = {score.versus.p_holm:.3f})"
        for score in row.scores
        if score.versus is not None and score.versus.is_significant
    ]
    if not any(score.versus is not None for score in row.scores):
        return f"not compared with {first}"
    return f"against {first}: {', '.join(told)}" if told else f"no significant difference from {first}"


def _arrow(record: AblationRecord, name: str) -> str:
    score = next(score for row in record.rows for score in row.scores if score.name == name)
    return "↑" if score.higher_is_better else "↓"


def _cell(score: Score | None) -> str:
    if score is None:
        return "–"
    mark = "*" if score.versus is not None and score.versus.is_significant else ""
    return f"{score.mean:.4g} ({score.ci95[0]:.4g}–{score.ci95[1]:.4g}){mark}"
