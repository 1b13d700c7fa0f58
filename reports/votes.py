"""Votes of a blind comparison: who won how often, how sure that is, and how far raters agree.

The votes on one pair depend on each other, so nothing here counts them as if they did not. Shares have Wilson's interval with
the number of votes divided by the design effect of the pairs (Kish 1965); the sign test is over pairs, each by the majority of
its raters; agreement is Krippendorff's alpha for nominal data, which takes pairs that some raters left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from scipy import stats

from evaluation import strict
from reports.study import Key

VOTES_SCHEMA = "nuwa-votes-1"
OUTCOMES = ("win", "tie", "loss")


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What a rater said of a pair: picture x or y, or neither; ``left`` is the picture that stood on the left."""

    pair: str
    choice: Literal["x", "y", "tie"]
    left: Literal["x", "y"]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Ballot:
    """All votes of one rater, as the page exports them."""

    study: str
    rater: str
    votes: tuple[Vote, ...]
    schema: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of the votes had an outcome, and the 95% interval of their share."""

    count: int
    share: float
    ci95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a study, seen from model a.

    ``p_value`` is the sign test's over ``decided`` pairs; ``agreement`` is None with one rater, or where nobody chose a second
    thing. ``left`` counts votes for the picture on the left, of ``sided`` that were for a picture.
    """

    shares: dict[str, Share]
    votes: int
    pairs: int
    raters: int
    decided: int
    p_value: float
    agreement: float | None
    left: int
    sided: int


def read_ballots(paths: Sequence[Path], key: Key) -> list[Ballot]:
    """Read what raters exported for the study of ``key``.

    ValueError for a file that is no ballot, one of another study, a pair that it does not have or twice, and a rater twice.
    """
    ballots, places = [], dict[str, Path]()
    for path in paths:
        try:
            content = strict.load(path)
            if content.get("schema") != VOTES_SCHEMA:
                raise ValueError(f"expected schema {VOTES_SCHEMA!r}, got {content.get('schema')!r}")
            ballot = strict.decode(Ballot, content)
            _check(ballot, key)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: {error}") from error
        if ballot.rater in places:
            raise ValueError(f"{path}: rater {ballot.rater!r} stands in {places[ballot.rater]} too; keep one of them")
        places[ballot.rater] = path
        ballots.append(ballot)
    if not any(ballot.votes for ballot in ballots):
        raise ValueError("expected votes, got none; open the page, vote and export")
    return ballots


def _check(ballot: Ballot, key: Key) -> None:
    if ballot.study != key.study:
        raise ValueError(f"expected votes of study {key.study}, got those of {ballot.study}; give its key with --key")
    known = {each.pair for each in key.pairs}
    counts = Counter(vote.pair for vote in ballot.votes)
    if unknown := counts.keys() - known:
        raise ValueError(f"the study has no pair {min(unknown)!r}; restore the file")
    if again := [pair for pair, count in counts.items() if count > 1]:
        raise ValueError(f"pair {again[0]!r} stands twice; keep one vote")


def tidy(ballots: Sequence[Ballot], key: Key) -> pd.DataFrame:
    """One vote a row: rater, pair, sample, outcome as seen from model a, side that was chosen, seconds."""
    of_pair = {each.pair: each for each in key.pairs}
    rows = [
        {
            "rater": ballot.rater,
            "pair": vote.pair,
            "sample": of_pair[vote.pair].sample,
            "outcome": _outcome(vote, of_pair[vote.pair].x),
            "side": "none" if vote.choice == "tie" else "left" if vote.choice == vote.left else "right",
            "seconds": vote.seconds,
        }
        for ballot in ballots
        for vote in ballot.votes
    ]
    return pd.DataFrame(rows, columns=["rater", "pair", "sample", "outcome", "side", "seconds"])


def _outcome(vote: Vote, x: str) -> str:
    if vote.choice == "tie":
        return "tie"
    return "win" if (vote.choice == "x") == (x == "a") else "loss"


def count(votes: pd.DataFrame) -> Outcome:
    """The result of votes as :func:`tidy` gives them; there has to be one."""
    table = pd.crosstab(votes["pair"], votes["outcome"]).reindex(columns=list(OUTCOMES), fill_value=0)
    won = int((table["win"] > table["loss"]).sum())
    lost = int((table["win"] < table["loss"]).sum())
    return Outcome(
        shares={name: _share(table[name].tolist(), table.sum(axis=1).tolist()) for name in OUTCOMES},
        votes=len(votes),
        pairs=len(table),
        raters=votes["rater"].nunique(),
        decided=won + lost,
        p_value=float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0,
        agreement=krippendorff_alpha(table.to_numpy().tolist()),
        left=int((votes["side"] == "left").sum()),
        sided=int((votes["side"] != "none").sum()),
    )


def _share(hits: Sequence[int], sizes: Sequence[int]) -> Share:
    """Share of hits among the votes on pairs, with Wilson's interval for as many votes as they are worth."""
    n, m = sum(sizes), len(sizes)
    share = sum(hits) / n
    worth = n / _design_effect(hits, sizes)
    z = float(stats.norm.isf(0.025))
    middle = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    half = z / (1 + z**2 / worth) * math.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2))
    assert m > 0
    return Share(
        count=sum(hits), share=share, ci95=(min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))
    )


def _design_effect(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """How many votes it takes to tell as much as one that stands alone; 1 where every pair has one vote.

    Where all votes are alike the votes of a pair count as one.
    """
    n, m = sum(sizes), len(sizes)
    share = sum(hits) / n
    if m < 2 or share in (0.0, 1.0):
        return n / m
    between = m / (m - 1) * sum((hit - share * size) ** 2 for hit, size in zip(hits, sizes, strict=True)) / n**2
    alone = share * (1 - share) / (n - 1)
    return max(1.0, between / alone)


def krippendorff_alpha(counts: Sequence[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for nominal data: 1 is full agreement, 0 what chance gives (Krippendorff 2011, eq. 6).

    ``counts`` (units, values) says how many raters gave a unit a value; units with fewer than two raters say nothing. None
    where no unit has two, or all gave the same value everywhere.
    """
    units = [unit for unit in counts if sum(unit) > 1]
    n = sum(sum(unit) for unit in units)
    totals = [sum(value) for value in zip(*units, strict=True)]
    expected = n**2 - sum(total**2 for total in totals)
    if not units or expected == 0:
        return None
    observed = sum((sum(unit) ** 2 - sum(value**2 for value in unit)) / (sum(unit) - 1) for unit in units)
    return 1 - (n - 1) * observed / expected
