"""The result of a blind comparison as a table above the votes that the paper published."""

from __future__ import annotations

import pandas as pd

from reports.columns import look
from reports.study import Key
from reports.tables import Cell, Column, Group, Table, TableRow, build_tables
from reports.votes import OUTCOMES, Outcome


def study_table(outcome: Outcome, key: Key, published: pd.DataFrame) -> Table:
    """Win, tie and loss of model a with 95% intervals, the sign test, and how far raters agree."""
    (theirs,) = build_tables({}, "study", published)
    more = (
        Column(metric="votes", protocol=None, higher_is_better=None, unit="", letter=None),
        Column(metric="pairs", protocol=None, higher_is_better=None, unit="", letter=None),
        Column(metric="raters", protocol=None, higher_is_better=None, unit="", letter=None),
        Column(metric="p of the sign test", protocol=None, higher_is_better=None, unit="", letter=None),
        Column(metric="Krippendorff's α", protocol=None, higher_is_better=None, unit="", letter=None),
    )
    shares = [outcome.shares[name] for name in OUTCOMES]
    cells: list[Cell | None] = [
        Cell(text=look(name).text(share.share), spread=look(name).interval(*share.ci95), value=share.share)
        for name, share in zip(OUTCOMES, shares, strict=True)
    ]
    cells += [Cell(text=f"{n:,}", value=float(n)) for n in (outcome.votes, outcome.pairs, outcome.raters)]
    p = outcome.p_value
    cells.append(Cell(text="< 0.001" if p < 0.001 else f"{p:.3f}", value=p))
    alpha = outcome.agreement
    cells.append(None if alpha is None else Cell(text=f"{alpha:.2f}", value=alpha))
    ours = Group(
        kind="model",
        title=f"{key.a.name} against {key.b.name}",
        rows=(TableRow(name=key.a.name, source=f"study {key.study}", cells=tuple(cells)),),
    )
    padded = tuple(group.widened(len(more)) for group in theirs.groups)
    return Table(
        slug="study",
        title=f"Human comparison: {key.question}",
        columns=(*theirs.columns, *more),
        groups=(ours, *padded),
        notes=(*((("", text)) for text in (verdict(outcome, key), *_notes(outcome))), *theirs.notes),
    )


def verdict(outcome: Outcome, key: Key) -> str:
    """Who is preferred, in a sentence."""
    if outcome.p_value >= 0.05:
        return f"No significant difference between {key.a.name} and {key.b.name} (sign test, 5%)."
    better, other = (key.a, key.b) if outcome.shares["win"].count > outcome.shares["loss"].count else (key.b, key.a)
    return f"{better.name} is preferred to {other.name} (sign test, 5%)."


def _notes(outcome: Outcome) -> list[str]:
    notes = [
        "95% intervals: Wilson's, with as many votes as those on one pair are worth (design effect of the pairs); they are "
        "for other captions, not for other raters.",
        f"Sign test, two-sided, over the {outcome.decided} pairs that a majority of their raters decided.",
    ]
    if outcome.agreement is None:
        notes.append("Agreement: not to be had, as no pair has two raters or all votes are alike.")
    else:
        notes.append("Krippendorff's α of nominal votes: 1 is full agreement, 0 what chance gives.")
    if outcome.sided:
        notes.append(f"{outcome.left} of {outcome.sided} votes for a picture were for the one on the left.")
    return notes
