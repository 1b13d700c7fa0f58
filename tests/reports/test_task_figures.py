"""Figures of a task: every record's curves, the published ones once, and which share of the codes is in use."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reports.figures import sheet
from reports.runs import read_run
from reports.style import DARK, LIGHT, png
from reports.task_figures import codebook_panels, task_panels


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


def test_one_record_has_its_curves_and_those_of_its_trainings(run, published):
    parts = task_panels({"a": run.record}, {"a": run}, published, "t2i")
    assert [part.title for part in parts] == [
        *("FID against blur", "Loss", "Held-out error in grey levels", "Codes in use", "Codebook perplexity"),
        *("Loss", "Published, not comparable"),
    ]


def test_figures_of_several_records_are_named_and_the_published_ones_come_once(run, published):
    other = dataclasses.replace(run.record, name="b")
    parts = task_panels({"a": run.record, "b": other}, {}, published, "t2i")
    assert [part.title for part in parts] == [
        "FID against blur: a",
        "FID against blur: b",
        "Published, not comparable",
    ]


def test_a_task_without_records_has_no_figures(run, published):
    assert task_panels({"a": run.record}, {"a": run}, published, "t2v") == []


def test_codes_in_use_of_all_records(run):
    lone = {"a": run.record}
    assert list(codebook_panels(lone)) == []
    (part,) = codebook_panels({**lone, "b": dataclasses.replace(run.record, name="b")})
    assert part.alt == "Share of codes in use under codebook@nuwa-1: a 97.1%, b 97.1%."
    assert png(sheet([part], LIGHT)) != png(sheet([part], DARK))
    (axes,) = sheet([part], LIGHT).axes
    points = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert np.allclose(points, 0.971)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
