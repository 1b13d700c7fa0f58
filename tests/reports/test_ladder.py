import dataclasses

import pytest

from evaluation import records
from reports.ladder import ladders
from reports.tables import tidy


def rows(better, **values):
    return tuple(
        records.Row(
            name=name,
            role=name.split("_")[0],
            sampling={},
            metrics=(
                records.MetricValue(
                    name="IS" if better else "FID-0",
                    protocol="x@sprites-1",
                    value=value,
                    ci95=(value - 0.1, value + 0.1),
                    n=9,
                    higher_is_better=better,
                ),
            ),
        )
        for name, value in values.items()
    )


@pytest.fixture
def ladder(base_record):
    def of(better, **values):
        return ladders(tidy({"run": dataclasses.replace(base_record, rows=rows(better, **values))}), "t2i")

    return of


@pytest.mark.parametrize(("better", "real", "baseline"), [(True, 10.0, 2.0), (False, 2.0, 10.0)])
def test_right_is_better(ladder, better, real, baseline):
    (found,) = ladder(better, real=real, model_1=6.0, model_2=7.0, baseline=baseline)
    place = {rung.name: rung.place for rung in found.rungs}
    assert place["real"] == 96
    assert place["baseline"] == 4
    assert place["model_1"] == pytest.approx(50)
    assert found.leader.name == ("model_2" if better else "model_1")
    assert (place["model_2"] > place["model_1"]) == better


@pytest.mark.parametrize(
    ("model", "way"),
    [
        (8.0, "75% of the way from baseline to real data"),
        (10.0, "level with real data or beyond"),
        (11.0, "level with real data or beyond"),
        (1.0, "no better than the baseline"),
    ],
)
def test_the_way_from_baseline_to_real(ladder, model, way):
    assert ladder(True, real=10.0, model=model, baseline=2.0)[0].way == way


@pytest.mark.parametrize("others", [{"real": 10.0}, {"baseline": 2.0}, {"real": 2.0, "baseline": 2.0}])
def test_no_way_without_both_ends(ladder, others):
    assert ladder(True, model=5.0, **others)[0].way is None


def test_wide_distances_are_drawn_on_a_logarithmic_line(ladder):
    (found,) = ladder(False, real=0.5, model=5.0, baseline=50.0)
    assert found.logarithmic
    assert {rung.name: rung.place for rung in found.rungs}["model"] == pytest.approx(50)
    assert found.way == "50% of the way from baseline to real data, on a logarithmic line"


def test_intervals_enclose_their_value_and_stay_on_the_line(base_record):
    for found in ladders(tidy({"run": base_record}), "t2i"):
        for rung in found.rungs:
            assert 0 < rung.low <= rung.place <= rung.high < 100


def test_one_ladder_for_all_blurs(base_record):
    assert [found.metric for found in ladders(tidy({"run": base_record}), "t2i")] == [
        *("FID-0", "IS", "CLIPSIM", "caption accuracy")
    ]


def test_no_ladder_without_a_model_or_a_reference(ladder):
    assert ladder(True, real=1.0, baseline=2.0) == []
    assert ladder(True, model=1.0) == []


def test_rows_of_another_split_are_on_no_line(make_record):
    record = make_record()
    other = {"split": "test-unseen", "split_fingerprint": "0" * 16}
    again = [dataclasses.replace(row, name=f"{row.name}, unseen", sampling=other) for row in record.rows]
    both = make_record(rows=(*record.rows, *again))
    assert ladders(tidy({"run": both}), "t2i") == ladders(tidy({"run": record}), "t2i")
