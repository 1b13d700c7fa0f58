import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation import records
from reports.compare import compare, text


def metric(value, low, high, better=True, name="IS"):
    return records.MetricValue(
        name=name, protocol="is@sprites-1", value=value, ci95=(low, high), n=64, higher_is_better=better
    )


def one(base, *metrics, role="model", **changes):
    row = records.Row(name="NÜWA", role=role, sampling={}, metrics=metrics)
    return dataclasses.replace(base, rows=(row,), **changes)


def test_interval_of_a_difference_of_proportions(base_record):
    # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10, 56/70 - 48/80: 0.0524 to 0.3339
    after, before = metric(56 / 70, 0.6919, 0.8769), metric(48 / 80, 0.4904, 0.7003)
    (change,) = compare(one(base_record, before), one(base_record, after)).changes
    assert (change.low, change.high) == (pytest.approx(0.0524, abs=2e-4), pytest.approx(0.3339, abs=2e-4))
    assert change.verdict == "better"


@pytest.mark.parametrize(
    ("after", "better", "verdict"),
    [
        (5.0, True, "no clear change"),
        (6.0, True, "better"),
        (4.0, True, "worse"),
        (6.0, False, "worse"),
        (4.0, False, "better"),
    ],
)
def test_verdicts_follow_the_direction(base_record, after, better, verdict):
    before, now = metric(5.0, 4.8, 5.2, better), metric(after, after - 0.2, after + 0.2, better)
    comparison = compare(one(base_record, before), one(base_record, now))
    assert comparison.changes[0].verdict == verdict
    assert bool(comparison.regressions) == (verdict == "worse")


@given(
    value=st.floats(0, 10), other=st.floats(0, 10), down=st.floats(0, 2), up=st.floats(0, 2), half=st.floats(0.01, 2)
)
def test_swapping_the_records_turns_the_interval_round(base_record, value, other, down, up, half):
    a = one(base_record, metric(value, value - down, value + up))
    b = one(base_record, metric(other, other - half, other + half))
    (there,), (back,) = compare(a, b).changes, compare(b, a).changes
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))
    assert there.low <= other - value <= there.high


def test_a_record_has_not_changed_against_itself(base_record):
    comparison = compare(base_record, base_record)
    assert {change.verdict for change in comparison.changes} == {"no clear change"}
    assert (comparison.lost, comparison.gained, comparison.settings, comparison.regressions) == ((), (), (), ())
    assert text(comparison) == "77 of 77 numbers are the same\nno regression\n"


def test_a_reference_row_is_no_regression(base_record):
    before, after = (one(base_record, metric(v, v - 0.1, v + 0.1), role="baseline") for v in (5.0, 3.0))
    comparison = compare(before, after)
    assert comparison.changes[0].verdict == "worse"
    assert comparison.regressions == ()


def test_a_lost_number_is_a_regression(base_record):
    full = one(base_record, metric(5.0, 4.0, 6.0), metric(0.5, 0.4, 0.6, name="CLIPSIM"))
    comparison = compare(full, one(base_record, metric(5.0, 4.0, 6.0)))
    assert comparison.regressions == ("NÜWA: CLIPSIM under is@sprites-1 is gone",)
    assert compare(one(base_record, metric(5.0, 4.0, 6.0)), full).gained == ("NÜWA: CLIPSIM under is@sprites-1",)


def test_settings_that_changed_are_told(base_record):
    after = dataclasses.replace(base_record, seeds={"training": 1, "sampling": 1}, command="python")
    assert compare(base_record, after).settings == (
        "seeds.training: 0 → 1",
        "seeds.bootstrap: 2020 → not set",
        "command: nox -s eval-t2i -- --device cpu → python",
    )


@pytest.mark.parametrize("change", [{"task": "t2v"}, {"dataset": "fingerprint"}])
def test_other_data_cannot_be_compared(base_record, change):
    if "dataset" in change:
        change = {"dataset": dataclasses.replace(base_record.dataset, fingerprint="0" * 64)}
    with pytest.raises(ValueError, match="expected two records of one task on one data set"):
        compare(base_record, dataclasses.replace(base_record, **change))


def test_text_shows_what_moved(base_record):
    before, after = one(base_record, metric(5.0, 4.9, 5.1)), one(base_record, metric(4.0, 3.9, 4.1))
    lines = text(compare(before, after)).splitlines()
    assert lines[2].split("  ")[:2] == ["NÜWA", "IS ↑"]
    assert lines[2].endswith("-1.00  -1.14 … -0.86  WORSE")
    assert lines[-1] == "1 regression: NÜWA: IS"


PAIR = ("NÜWA", "IS", "is@sprites-1")


def test_replicates_of_the_same_draws_are_paired(base_record):
    """A sample does the same to both: half a point is clear although both intervals are five wide."""
    shared = np.random.default_rng(0).normal(0, 1.3, 400)
    alone = np.random.default_rng(1).normal(0, 0.1, 400)
    before, after = one(base_record, metric(5.0, 2.5, 7.5)), one(base_record, metric(4.5, 2.0, 7.0))
    drawn = ({PAIR: 5.0 + shared}, {PAIR: 4.5 + shared + alone})
    assert compare(before, after).changes[0].verdict == "no clear change"
    comparison = compare(before, after, *drawn)
    (change,) = comparison.changes
    half = stats.norm.isf(0.025) * alone.std(ddof=1)
    assert (change.low, change.high) == (pytest.approx(-0.5 - half), pytest.approx(-0.5 + half))
    assert (change.paired, change.verdict, comparison.regressions) == (True, "worse", ("NÜWA: IS",))
    assert "1 differences are taken draw by draw" in text(comparison)


@pytest.mark.parametrize("other", ["count", "samples", "none"])
def test_what_was_not_drawn_alike_is_not_paired(base_record, other):
    now = metric(4.5, 2.0, 7.0)
    now = dataclasses.replace(now, n=32) if other == "samples" else now
    drawn = np.zeros(40 if other == "count" else 50)
    after = {} if other == "none" else {PAIR: drawn}
    comparison = compare(one(base_record, metric(5.0, 2.5, 7.5)), one(base_record, now), {PAIR: np.zeros(50)}, after)
    assert not comparison.changes[0].paired


def test_another_protocol_is_said_and_never_compared(base_record):
    fid = metric(9.0, 8.0, 10.0, False, name="FID-0")
    before = one(base_record, metric(5.0, 4.9, 5.1), fid)
    after = one(base_record, metric(5.0, 4.9, 5.1), dataclasses.replace(fid, protocol="fid@clean-1", value=8.5))
    comparison = compare(before, after)
    said = "NÜWA: FID-0 was under is@sprites-1 and is under fid@clean-1, which cannot be compared"
    assert comparison.incomparable == comparison.regressions == (said,)
    assert (comparison.lost, comparison.gained) == ((), ())
    assert f"not compared: {said}" in text(comparison)


def test_records_with_nothing_in_common_cannot_be_compared(base_record):
    other = dataclasses.replace(metric(5.0, 4.9, 5.1), protocol="is@ttur-1")
    with pytest.raises(ValueError, match="expected two records with a number in common"):
        compare(one(base_record, metric(5.0, 4.9, 5.1)), one(base_record, other))
