import dataclasses

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from evaluation.records import MetricValue, Row
from reports.figures import frame_panels, panels, sheet, training_panels
from reports.runs import read_run
from reports.style import DARK, LIGHT, drawable, png, svg


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run"))


def test_panels_of_a_run(run, published):
    assert [(part.title, part.subtitle) for part in panels(run, published)] == [
        ("FID against blur", "fid@sprites-1, bars are 95% intervals"),
        ("Published, not comparable", "MS-COCO 256×256, Table 1, protocol unknown"),
        ("Loss", "training stage: tokenizer"),
        ("Held-out error in grey levels", "training stage: tokenizer"),
        ("Codes in use", "training stage: tokenizer, of 16,384 held-out tokens"),
        ("Codebook perplexity", "training stage: tokenizer, of 16,384 held-out tokens"),
        ("Loss", "training stage: transformer"),
    ]


def test_words_for_those_who_cannot_see_the_curves(run, published):
    ours, theirs = panels(run, published)[:2]
    assert "NÜWA tiny, K = 8: k=0 7.12, k=1 6.95, k=2 6.48, k=4 5.51, k=8 4.42" in ours.alt
    assert "XMC-GAN" not in theirs.alt  # one point is no curve
    assert "not comparable" in theirs.alt


def test_our_curves_and_published_ones_never_share_a_panel(run, published):
    ours, theirs = panels(run, published)[:2]
    axes = [sheet([part], LIGHT).axes[0] for part in (ours, theirs)]
    labels = [{text.get_text() for text in ax.texts} for ax in axes]
    assert {"NÜWA tiny, K = 1", "NÜWA tiny, K = 8", "real pictures", "reconstruction", "untrained"} <= labels[0]
    assert {"AttnGAN", "CogView"} <= labels[1]
    assert not labels[0] & {"AttnGAN", "CogView", "NÜWA"}


def test_curves_go_through_the_numbers_of_the_record(run, published):
    axes = sheet(panels(run, published)[:1], LIGHT).axes[0]
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert [8.41, 8.02, 7.33, 6.10, 4.85] in drawn
    assert [0.61, 0.58, 0.52, 0.44, 0.31] in drawn


def test_intervals_stand_side_by_side(run, published):
    """One bar a row and radius, none in the place of another, each from its low to its high bound."""
    axes = sheet(panels(run, published)[:1], LIGHT).axes[0]
    bars = [segment for collection in axes.collections for segment in collection.get_segments()]
    assert len(bars) == 5 * 5
    places = sorted(bar[0][0] for bar in bars)
    assert min(np.diff(places)) > 0.05
    first = run.record.rows[0].metrics[0]
    assert any(tuple(bar[:, 1]) == first.ci95 for bar in bars)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("save", [png, svg])
def test_the_same_record_gives_the_same_bytes(run, published, theme, save):
    parts = panels(run, published)[1:2]
    first = save(sheet(parts, theme))
    assert first == save(sheet(parts, theme))
    assert len(first) > 10_000
    assert b"matplotlib" not in first.lower().split(b"<defs")[0]


def test_drawing_leaves_the_settings_alone(run, published):
    before = dict(mpl.rcParams)
    sheet(panels(run, published), DARK)
    assert dict(mpl.rcParams) == before


def test_labels_do_not_touch(run, published):
    for part in panels(run, published)[:2]:
        figure = sheet([part], LIGHT)
        png(figure)
        heights = sorted(
            text.xy[1] for text in figure.axes[0].texts if text.xycoords == "axes fraction" and text.xy[0] > 1
        )
        assert min(np.diff(heights)) > 0.07
        assert heights[0] >= 0
        assert heights[-1] <= 1


def test_names_are_drawn_as_they_are(make_record, published, run):
    row = dataclasses.replace(run.record.rows[0], name="$\\frac$ 女 <b>\x1b")
    hostile = dataclasses.replace(run, record=make_record(rows=(row,)))
    figure = sheet(panels(hostile, published), LIGHT)
    svg(figure)  # a missing glyph or broken formula would warn, and warnings are errors
    assert "$\\frac$ [U+5973] <b>[U+001B]" in {text.get_text() for text in figure.axes[0].texts}


def test_a_long_name_leaves_room_for_the_curves(make_record, published, run):
    row = dataclasses.replace(run.record.rows[0], name="NÜWA " * 100)
    figure = sheet(panels(dataclasses.replace(run, record=make_record(rows=(row,))), published)[:1], LIGHT)
    svg(figure)
    assert figure.axes[0].get_position().width > 0.4


def test_drawable_keeps_what_the_font_has():
    assert drawable("NÜWA, K = 8 ↓ ×") == "NÜWA, K = 8 ↓ ×"


def log_panel(**columns):
    return next(training_panels("stage", pd.DataFrame(columns)))


def test_a_long_log_is_drawn_as_means_and_ranges():
    steps = np.arange(50_000)
    axes = sheet([log_panel(step=steps, loss=np.where(steps % 2, 1.0, 3.0))], LIGHT).axes[0]
    (line,) = axes.lines
    assert len(line.get_ydata()) == 240
    assert np.allclose(line.get_ydata(), 2.0, atol=0.02)
    assert len(axes.collections) == 1


@pytest.mark.parametrize(
    "loss", [[np.nan, np.nan], [np.nan, 1.0], [0.0, 0.0], [5.0, 5.0], [-1.0, 2.0], [1e-9, 1e6], [np.inf, 1.0]], ids=str
)
def test_odd_losses_are_drawn(loss):
    assert len(png(sheet([log_panel(step=[0, 1], loss=loss)], LIGHT))) > 1000


def test_a_log_without_losses_has_no_panel():
    assert list(training_panels("stage", pd.DataFrame({"step": [1], "lr": [0.1]}))) == []


def test_an_interval_down_to_nought_does_not_stretch_the_axis(make_record, published, run):
    rows = tuple(
        dataclasses.replace(
            row, metrics=tuple(dataclasses.replace(m, ci95=(0.0, m.ci95[1])) for m in row.metrics if "FID" in m.name)
        )
        for row in run.record.rows
    )
    axes = sheet(panels(dataclasses.replace(run, record=make_record(rows=rows)), published)[:1], LIGHT).axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == pytest.approx((0.31 / 2, 96.4 * 1.6))


def test_a_prediction_has_a_curve_over_its_frames(make_record):
    def row(name, role, first, **sampling):
        metrics = tuple(
            MetricValue(
                name=f"SSIM, frame {k}", protocol="ssim@torchmetrics-1", value=first - 0.1 * k,
                ci95=(first - 0.1 * k - 0.02, first - 0.1 * k + 0.02), n=64, higher_is_better=True,
            )
            for k in (1, 2, 3)
        )  # fmt: skip
        return Row(name=name, role=role, sampling=sampling, metrics=metrics)

    rows = (
        row("NÜWA", "model", 1.0),
        row("repeat", "baseline", 0.8),
        row("NÜWA, unseen", "model", 0.9, split="test-unseen"),
    )
    (panel,) = frame_panels(make_record(task="v2v", rows=rows))
    assert panel.title == "SSIM of each predicted frame"
    assert "NÜWA: frame 1 0.9000, frame 2 0.8000, frame 3 0.7000; repeat: frame 1 0.7000" in panel.alt
    assert "unseen" not in panel.alt
    axes = sheet([panel], LIGHT).axes[0]
    assert list(axes.lines[0].get_xdata()) == pytest.approx([1, 2, 3], abs=0.1)
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.9, 0.8, 0.7])
