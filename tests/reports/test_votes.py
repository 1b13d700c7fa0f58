"""Votes counted: intervals, sign test and agreement, against statsmodels and published examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from reports import render
from reports.study import Assignment, Key
from reports.study_sources import Model
from reports.study_tables import study_table
from reports.votes import count, krippendorff_alpha, read_ballots, tidy

A, B = (Model(record=name, record_sha256=name[0] * 64, label="NÜWA") for name in ("ours", "theirs"))


def key(pairs: int) -> Key:
    """Every second picture x is of model b."""
    assigned = tuple(
        Assignment(pair=f"p{i:03d}", sample=f"test-{i}", x="b" if i % 2 else "a") for i in range(1, pairs + 1)
    )
    return Key(study="5eed", question="Which is better?", a=A, b=B, pairs=assigned)


def ballot(path: Path, outcomes: str, rater: str = "ann", **changes: object) -> Path:
    """A file in which ``rater`` lets model a win (w), lose (l) or tie (t) pair by pair, or leaves a pair out (a space)."""
    votes = []
    for i, outcome in enumerate(outcomes, start=1):
        if outcome != " ":
            a, b = ("y", "x") if i % 2 else ("x", "y")
            choice = {"w": a, "l": b, "t": "tie"}[outcome]
            votes.append({"pair": f"p{i:03d}", "choice": choice, "left": "x", "seconds": 1.5})
    content = {"schema": "nuwa-votes-1", "study": "5eed", "rater": rater, "votes": votes, **changes}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def counted(folder: Path, *ballots: str):
    opened = key(max(map(len, ballots)))
    paths = [ballot(folder / f"{i}.json", outcomes, rater=f"rater {i}") for i, outcomes in enumerate(ballots)]
    return count(tidy(read_ballots(paths, opened), opened))


def test_outcomes_are_seen_from_model_a(tmp_path: Path) -> None:
    opened = key(4)
    frame = tidy(read_ballots([ballot(tmp_path / "a.json", "wlwt")], opened), opened)
    assert frame["outcome"].tolist() == ["win", "loss", "win", "tie"]
    assert frame["side"].tolist() == ["right", "right", "right", "none"]
    assert frame["sample"].tolist() == ["test-1", "test-2", "test-3", "test-4"]


@pytest.mark.parametrize("outcomes", ["wwwwwwwlltt", "wwwwwwwwww", "tttl", "w"])
def test_one_rater_has_wilson_s_interval_and_the_exact_sign_test(tmp_path: Path, outcomes: str) -> None:
    found = counted(tmp_path, outcomes)
    for name in ("win", "tie", "loss"):
        share, hits = found.shares[name], outcomes.count(name[0])
        low, high = proportion_confint(hits, len(outcomes), method="wilson")
        assert (share.count, share.share) == (hits, hits / len(outcomes))
        assert share.ci95 == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    wins, losses = outcomes.count("w"), outcomes.count("l")
    assert found.decided == wins + losses
    assert found.p_value == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)
    assert found.agreement is None


def test_a_second_rater_who_always_agrees_makes_nothing_surer(tmp_path: Path) -> None:
    alone, twice = counted(tmp_path, "wwwwwwwlltt"), counted(tmp_path, "wwwwwwwlltt", "wwwwwwwlltt")
    for name, share in alone.shares.items():
        again = twice.shares[name]
        assert again.share == share.share
        assert np.diff(again.ci95) == pytest.approx(np.diff(share.ci95), rel=0.08)
    assert twice.p_value == alone.p_value
    assert twice.agreement == pytest.approx(1.0)


def test_raters_who_vote_independently_make_it_surer(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ballots = ["".join(rng.choice(list("wwlt"), size=40)) for _ in range(6)]
    one, six = counted(tmp_path, ballots[0]), counted(tmp_path, *ballots)
    low, high = proportion_confint(six.shares["win"].count, 240, method="wilson")
    assert np.diff(six.shares["win"].ci95) < 0.6 * np.diff(one.shares["win"].ci95)
    assert np.diff(six.shares["win"].ci95) >= (high - low) * 0.999


def test_the_sign_test_is_over_pairs_not_votes(tmp_path: Path) -> None:
    """Ten raters on five pairs are five decisions: a full sweep of five has p = 1/16."""
    found = counted(tmp_path, *["wwwww"] * 10)
    assert (found.votes, found.pairs, found.raters, found.decided) == (50, 5, 10, 5)
    assert found.p_value == pytest.approx(2 / 2**5)


def test_votes_for_a_side_are_counted(tmp_path: Path) -> None:
    found = counted(tmp_path, "wlwt")
    assert (found.left, found.sided) == (0, 3)


def unit_counts(ratings: Sequence[Sequence[int]]) -> list[list[int]]:
    values = sorted({value for unit in ratings for value in unit if value})
    return [[unit.count(value) for value in values] for unit in map(list, ratings)]


def test_alpha_of_krippendorff_s_example() -> None:
    """Krippendorff 2011, Computing Krippendorff's alpha reliability, C: four observers, twelve units, missing data: 0.743."""
    observers = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
        (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
    )
    assert krippendorff_alpha(unit_counts(list(zip(*observers, strict=True)))) == pytest.approx(0.743, abs=5e-4)


@given(
    ratings=st.integers(2, 5).flatmap(
        lambda raters: st.lists(st.lists(st.integers(1, 3), min_size=raters, max_size=raters), min_size=2, max_size=20)
    )
)
def test_alpha_of_complete_data_follows_from_fleiss_kappa(ratings: list[list[int]]) -> None:
    """alpha = kappa + (1 - kappa) / n, where n counts all ratings."""
    table, _ = aggregate_raters(np.array(ratings))
    alpha = krippendorff_alpha(unit_counts(ratings))
    if len({value for unit in ratings for value in unit}) == 1:
        assert alpha is None
        return
    kappa = fleiss_kappa(table)
    assert alpha == pytest.approx(kappa + (1 - kappa) / np.size(ratings))


@pytest.mark.parametrize("counts", [[], [[1, 0], [0, 1]], [[3, 0], [2, 0]]])
def test_alpha_that_says_nothing(counts: list[list[int]]) -> None:
    assert krippendorff_alpha(counts) is None


FAULTS = {
    "another schema": ({"schema": "nuwa-votes-2"}, "expected schema 'nuwa-votes-1', got 'nuwa-votes-2'"),
    "another study": ({"study": "beef"}, "expected votes of study 5eed, got those of beef"),
    "unknown key": ({"note": "hi"}, "unknown key 'note'"),
    "unknown pair": ({"votes": [{"pair": "p9", "choice": "x", "left": "x", "seconds": 1}]}, "has no pair 'p9'"),
    "unknown choice": ({"votes": [{"pair": "p001", "choice": "a", "left": "x", "seconds": 1}]}, "expected one of 'x', 'y'"),
    "a pair twice": ({"votes": [{"pair": "p001", "choice": "x", "left": "x", "seconds": 1}] * 2}, "'p001' stands twice"),
    "no votes": ({"votes": []}, "expected votes, got none"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_ballot_that_cannot_be_believed_is_refused(tmp_path: Path, fault: str) -> None:
    changes, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        read_ballots([ballot(tmp_path / "a.json", "ww", **changes)], key(2))


def test_a_rater_has_one_ballot(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rater 'ann' stands in .*a\.json too"):
        read_ballots([ballot(tmp_path / "a.json", "ww"), ballot(tmp_path / "b.json", "wl")], key(2))


def test_the_table_stands_above_the_published_votes(tmp_path: Path, published) -> None:
    found = counted(tmp_path, "wwwwwwwwwl", "wwwwwwwwtl", "wwwwwwwww ")
    table = study_table(found, key(10), published)
    text = render.markdown([table])
    row = next(line for line in text.splitlines() if line.startswith("| ours: NÜWA |"))
    assert [cell.split(" ")[0] for cell in row.strip("| ").split(" | ")[1:]] == [
        *("90", "3", "7", "29", "10", "3", "0.021", "0.65")
    ]
    assert "| *NÜWA (against CogView)* | 62 | 15 | 23 | – |" in text
    assert "ours: NÜWA is preferred to theirs: NÜWA (sign test, 5%)." in text
    assert "votes for a picture were for the one on the left" in text


def test_no_difference_is_said_so(tmp_path: Path, published) -> None:
    table = study_table(counted(tmp_path, "wlwlwt"), key(6), published)
    assert "No significant difference between ours: NÜWA and theirs: NÜWA" in render.text(table)
    assert "Agreement: not to be had" in render.text(table)
