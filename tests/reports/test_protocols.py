import dataclasses

import pytest

from evaluation.records import MetricValue, Row
from reports.figures import panels, sheet
from reports.page import run_page
from reports.protocols import protocol_panels, reasons
from reports.runs import Run
from reports.style import DARK, LIGHT, png


def value(protocol: str, number: float, name: str = "FID-0") -> MetricValue:
    interval = (number - 1.5, number + 1.5)
    return MetricValue(name=name, protocol=protocol, value=number, ci95=interval, n=500, higher_is_better=False)


@pytest.fixture
def compared(base_record):
    metrics = (value("fid@ttur-1", 24.24), value("fid@clean-1", 23.1), value("fid@dmgan-coco-1", 26.55))
    row = Row(name="fake", role="model", sampling={}, metrics=(*metrics, value("is@ttur-1", 9.0, "IS")))
    return dataclasses.replace(base_record, name="compare", task="compare", rows=(row,))


def test_a_ladder_of_protocols(compared):
    (panel,) = protocol_panels(compared)
    assert panel.title == "FID-0 under 3 protocols"
    assert "fid@clean-1 23.10, fid@ttur-1 24.24, fid@dmgan-coco-1 26.55" in panel.alt
    axes = sheet([panel], LIGHT).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["clean-1", "ttur-1", "dmgan-coco-1"]
    assert axes.yaxis_inverted()  # the lowest number is on top
    drawn = [list(line.get_xdata()) for line in axes.lines]
    assert [23.1] in drawn
    assert [21.6, 24.6] in drawn
    assert {text.get_text() for text in axes.texts} >= {"23.10", "24.24", "26.55"}


def test_one_protocol_is_no_ladder(base_record):
    assert list(protocol_panels(base_record)) == []
    assert reasons(base_record) == []


def test_reasons_stand_on_the_page(compared, published):
    said = reasons(compared)
    assert len(said) == 3
    assert said[0].startswith(
        "fid@ttur-1 → fid@clean-1: -1.14. ttur-1 resizes with TensorFlow 1&#39;s".replace("&#39;", "'")
    )
    page = run_page(Run(record=compared, samples=(), logs={}, notes=()), published)
    assert "Why the numbers differ" in page
    assert "fid@ttur-1 → fid@dmgan-coco-1: +2.31." in page


def test_an_unknown_protocol_has_no_reason_but_a_rung(compared):
    row = compared.rows[0]
    extra = dataclasses.replace(row, metrics=(*row.metrics, value("fid@gone-1", 30.0)))
    record = dataclasses.replace(compared, rows=(extra,))
    assert len(reasons(record)) == 3
    assert next(iter(protocol_panels(record))).title == "FID-0 under 4 protocols"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_same_bytes_each_time(compared, published, theme):
    parts = panels(Run(record=compared, samples=(), logs={}, notes=()), published)
    assert png(sheet(parts, theme)) == png(sheet(parts, theme))
