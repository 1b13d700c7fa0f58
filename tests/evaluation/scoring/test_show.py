import pytest

from evaluation.records import MetricValue
from evaluation.scoring.show import decimals, table


def value(number: float, half: float, **changes) -> MetricValue:
    settings = {"name": "FID-0", "protocol": "fid@ttur-1", "n": 30_000, "higher_is_better": False} | changes
    return MetricValue(value=number, ci95=(number - half, number + half), **settings)


def test_every_number_with_interval_n_and_protocol():
    shown = table(
        [value(12.9, 0.25), value(0.3047, 0.0008, name="CLIPSIM", protocol="clipsim@a-1", higher_is_better=True)]
    )
    head, rule, *lines = shown.splitlines()
    assert head.split() == ["metric", "value", "95%", "interval", "n", "protocol"]
    assert set(rule) == {"─"}
    assert [line.split() for line in lines] == [
        ["FID-0", "↓", "12.90", "12.65", "…", "13.15", "30,000", "fid@ttur-1"],
        ["CLIPSIM", "↑", "0.3047", "0.3039", "…", "0.3055", "30,000", "clipsim@a-1"],
    ]
    assert len({line.index("30,000") for line in lines}) == 1


@pytest.mark.parametrize(
    ("number", "half", "places"), [(250.0, 12.0, 2), (12.9, 0.02, 3), (0.3, 0.05, 3), (0.3, 0.004, 4), (0.0, 0.0, 2)]
)
def test_no_digit_is_lost_in_a_small_number(number, half, places):
    assert decimals(value(number, half)) == places
