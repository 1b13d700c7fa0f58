"""Tables, figures and the page of an ablation, from its record alone."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import made_ablations as made
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from evaluation.ablations.record import AblationRecord, AblationRow, Curve, Versus, write_ablation
from evaluation.records import Skipped
from reports import ablation as tables
from reports import ablation_summary, render
from reports.__main__ import main
from reports.ablation_figures import Point, curve_panels, label_sides, quality_panels
from reports.ablation_losses import losses_table
from reports.build import write_all_tables
from reports.collect import collect
from reports.tables import build_tables
from reports.write import write_ablation_report


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> AblationRecord:
    return made.ablation(tmp_path_factory.mktemp("cells"))


def test_our_means_stand_above_the_published_rows(record: AblationRecord, published: pd.DataFrame) -> None:
    scores, differences, costs = ablation_summary.tables(record, published)
    assert scores.title == "Attention (layout of Table 6)"
    assert [column.metric for column in scores.columns] == ["FID-vid", "Detected PA"]
    models, references, theirs = scores.groups
    assert [row.name for row in models.rows] == [
        "NÜWA-FF (encoder full, decoder full)",
        "NÜWA-FN (encoder full, decoder nearby3d 3×3×3)",
        "NÜWA-NN (encoder nearby3d 3×3×3, decoder nearby3d 3×3×3)",
    ]
    assert [row.name for row in references.rows] == ["real clips"]
    assert theirs.kind == "published"
    assert len(theirs.rows) == 5
    assert all(cell is None or cell.mark is None for row in theirs.rows for cell in row.cells)
    first = models.rows[0].cells[0]
    assert first is not None
    assert first.value == record.rows[0].scores[0].mean
    assert any("Mean of 3 trainings (seeds 0, 1, 2)" in note for _, note in scores.notes)
    assert (differences.slug, costs.slug) == ("ablate-attention-differences", "ablate-attention-costs")


def test_what_is_not_significant_is_said_in_words(record: AblationRecord) -> None:
    table = tables.differences_table(record)
    assert table is not None
    by_name = {row.name: row.cells[0] for row in table.groups[0].rows}
    assert list(by_name) == ["NÜWA-FN", "NÜWA-NN"]
    clear = by_name["NÜWA-FN"]
    assert clear is not None
    assert clear.text.startswith("-1.0")
    said = [
        cell.text.startswith("no significant difference: ")
        for row in table.groups[0].rows
        for cell in row.cells
        if cell
    ]
    found = [score.versus.is_significant for row in record.rows[1:] for score in row.scores if score.versus is not None]
    assert said == [not each for each in found]
    assert len(set(said)) == 2


PAPER = {"NÜWA-NN": 4.0, "NÜWA-AA": 4.5, "NÜWA-FN": 5.0, "NÜWA-NF": 5.5, "NÜWA-FF": 6.0}


def with_means(record: AblationRecord, means: dict[str, float], significant: bool = True) -> AblationRecord:
    """The record with rows of these names, in this order, and these means of FID-vid."""
    rows = []
    for name, mean in means.items():
        versus = None
        if rows:
            value = mean - next(iter(means.values()))
            p = 0.001 if significant else 0.4
            versus = Versus(value=value, ci95=(value - 0.1, value + 0.1), p_value=p, p_holm=p, seeds=3)
        fid, *others = record.rows[0].scores
        score = replace(fid, values=(mean,) * 3, mean=mean, ci95=(mean - 0.2, mean + 0.2), versus=versus)
        rows.append(replace(record.rows[0], name=name, scores=(score, *others)))
    return replace(record, rows=tuple(rows))


def test_the_paper_s_order_holds(record: AblationRecord, published: pd.DataFrame) -> None:
    said = ablation_summary.order_said(with_means(record, dict(reversed(PAPER.items()))), published)
    assert said == (
        "The paper's order in FID-vid, NN < AA < FN < NF < FF, holds at this scale, on sketch to video: our means are "
        "NN 4.00 < AA 4.50 < FN 5.00 < NF 5.50 < FF 6.00. Of 4 differences from NÜWA-FF, 4 are significant (NF, FN, AA, NN)."
    )


def test_the_paper_s_order_does_not_hold(record: AblationRecord, published: pd.DataFrame) -> None:
    turned = with_means(record, {**PAPER, "NÜWA-FF": 3.0, "NÜWA-BB": 1.0}, significant=False)
    said = ablation_summary.order_said(turned, published)
    assert said == (
        "The paper's order in FID-vid, NN < AA < FN < NF < FF, does not hold at this scale, on sketch to video: our means are "
        "FF 3.00 < NN 4.00 < AA 4.50 < FN 5.00 < NF 5.50. "
        "No difference from NÜWA-NN is significant, so the order of the means says little."
    )


def test_two_rows_of_the_paper_are_no_order(record: AblationRecord, published: pd.DataFrame) -> None:
    two = with_means(record, {"NÜWA-NN": 4.0, "NÜWA-N5N5": 3.0, "NÜWA-FF": 5.0})
    assert ablation_summary.order_said(two, published) is None


def test_the_order_is_said_in_every_report(record: AblationRecord, published: pd.DataFrame, tmp_path: Path) -> None:
    said = (
        "The paper's order in FID-vid, NN < FN < FF, does not hold at this scale, on sketch to video: our means are FN "
    )
    assert ablation_summary.tables(record, published)[0].notes[0][1].startswith(said)
    write_ablation(tmp_path / "records" / "ablate-attention.json", record)
    write_all_tables(collect(tmp_path / "records", tmp_path), tmp_path / "out")
    for name in ("table6-ablate-attention.md", "ablate-attention-summary.md"):
        assert (tmp_path / "out" / name).read_text(encoding="utf-8").replace("\\", "").count(
            said.replace("<", "&lt;")
        ) == 1
    assert said.replace("<", "&lt;").replace("'", "&#39;") in (tmp_path / "out" / "index.html").read_text(
        encoding="utf-8"
    )


def test_two_ablations_of_one_task_have_their_files_names_everywhere(record: AblationRecord, tmp_path: Path) -> None:
    """Both say one name themselves; each section, file and row bears its own, and the signature of its file."""
    longer = replace(record, budget={"steps": 900})
    for name, each in (("long", longer), ("short", record)):
        write_ablation(tmp_path / "records" / f"{name}.json", each)
    write_all_tables(collect(tmp_path / "records", tmp_path), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for name, each in (("long", longer), ("short", record)):
        assert f"differences and costs, {name}</h2>" in page
        assert page.count(f'<section id="{name}"') == 1
        assert f"nuwa-ablation-1, sha256 {each.content_sha256}" in page
        assert f"for {each.budget['steps']:,} steps." in page
        assert f"{name}: The paper&#39;s order in FID-vid" in page
        lines = (tmp_path / "out" / f"{name}-seeds.csv").read_text(encoding="utf-8").splitlines()
        assert {line.split(",")[0] for line in lines[1:]} == {name}
    assert "nothing was trained" not in page


def test_rows_of_two_ablations_are_not_ranked_with_each_other(record: AblationRecord, published: pd.DataFrame) -> None:
    """Their budgets differ; so each has its own best one, whatever the other's numbers."""
    better = with_means(record, {row.name: 0.5 * row.scores[0].mean for row in record.rows})
    both = {name: tables.as_record(replace(each, name=name)) for name, each in (("short", record), ("long", better))}
    models = build_tables(both, record.task, published)[0].groups[0].rows
    best = [row.source for row in models if row.cells[0] is not None and row.cells[0].mark == "best"]
    assert set(best) == {"short", "long"}


def with_held_out(record: AblationRecord, ends: dict[str, tuple[float, float, float]]) -> AblationRecord:
    """Losses of three seeds at the end; one more where the last quarter of the 75 steps begins."""

    def curves(row: AblationRow) -> tuple[Curve, ...]:
        return tuple(
            replace(curve, held_out=((50, 1.25 * end), (75, end)))
            for curve, end in zip(row.curves, ends[row.name], strict=True)
        )

    return replace(record, rows=tuple(replace(row, curves=curves(row)) for row in record.rows))


def test_losses_on_held_out_data_are_compared_seed_by_seed(record: AblationRecord, published: pd.DataFrame) -> None:
    """Student's paired test by scipy, corrected by hand; every loss fell by a fifth in the last quarter."""
    ends = {"NÜWA-FF": (1.0, 1.1, 1.3), "NÜWA-FN": (0.9, 1.01, 1.19), "NÜWA-NN": (0.8, 1.2, 1.25)}
    table = losses_table(with_held_out(record, ends))
    assert table is not None
    by_name = {row.name: row.cells for row in table.groups[0].rows}
    for name, (mean, versus, change) in by_name.items():
        assert mean is not None
        assert change is not None
        assert mean.value == pytest.approx(np.mean(ends[name]))
        assert change.value == pytest.approx(-0.2)
        if name == "NÜWA-FF":
            assert versus is None
            continue
        p_value = stats.ttest_rel(ends[name], ends["NÜWA-FF"]).pvalue * (2 if name == "NÜWA-FN" else 1)
        assert versus is not None
        assert versus.text.endswith(f"p = {p_value:.3f}")
        assert versus.text.startswith("no significant difference") == (name == "NÜWA-NN")
    shown = ablation_summary.tables(with_held_out(record, ends), published)
    assert "ablate-attention-losses" in [each.slug for each in shown]
    assert losses_table(record) is None


def test_how_losses_change_is_said_where_they_were_measured_twice(record: AblationRecord) -> None:
    def curves(row: AblationRow) -> tuple[Curve, ...]:
        return tuple(replace(curve, held_out=((75, 1.5 + 0.1 * curve.seed),)) for curve in row.curves)

    table = losses_table(replace(record, rows=tuple(replace(row, curves=curves(row)) for row in record.rows)))
    assert table is not None
    assert [row.cells[2] for row in table.groups[0].rows] == [None] * len(record.rows)


def test_the_summary_has_scores_and_differences_side_by_side(record: AblationRecord, published: pd.DataFrame) -> None:
    table = ablation_summary.summary_table(record, published)
    assert [column.heading for column in table.columns] == [
        *("FID-vid ↓", "FID-vid less NÜWA-FF", "Detected PA ↑", "Detected PA less NÜWA-FF")
    ]
    models, references = table.groups
    assert [row.cells[1] is None for row in models.rows] == [True, False, False]
    assert all(row.cells[1] is None for row in references.rows)
    for row, of_record in zip(models.rows, record.rows, strict=True):
        for place, score in enumerate(of_record.scores):
            shown, less = row.cells[2 * place : 2 * place + 2]
            assert shown is not None
            assert (shown.value, shown.spread is None) == (score.mean, False)
            if score.versus is not None:
                assert less is not None
                assert less.value == score.versus.value
                assert less.text.startswith("no significant difference: ") != score.versus.is_significant
                assert ", p " in less.text


def test_one_row_has_no_differences(record: AblationRecord) -> None:
    assert tables.differences_table(replace(record, rows=record.rows[:1])) is None


def test_one_seed_says_so(record: AblationRecord) -> None:
    rows = tuple(replace(row, seeds=row.seeds[:1]) for row in record.rows)
    notes = {row.sampling["note"] for row in tables.as_record(replace(record, rows=rows)).rows if row.role == "model"}
    assert notes == {"One training; the interval is over samples alone and says nothing of other trainings."}


def test_costs_that_nobody_measured_are_no_table(record: AblationRecord) -> None:
    rows = tuple(replace(row, costs=None) for row in record.rows)
    assert tables.costs_table(replace(record, rows=rows)) is None
    assert not list(quality_panels(replace(record, rows=rows)))


def test_costs(record: AblationRecord) -> None:
    table = tables.costs_table(record)
    assert table is not None
    assert [cell.text for cell in table.groups[0].rows[0].cells if cell is not None] == [
        "0.55", "0.900", "0.300", "4,000", "2.500", "320", "1.25",
    ]  # fmt: skip


def test_every_number_of_every_seed_is_in_the_csv(record: AblationRecord) -> None:
    frame = pd.read_csv(io.StringIO(tables.csv(record)))
    assert len(frame) == 6
    first = frame[(frame["row"] == "NÜWA-FN") & (frame["metric"] == "FID-vid")].iloc[0]
    assert tuple(map(float, first["values"].split())) == record.rows[1].scores[0].values
    assert first["difference"] == pytest.approx(record.rows[1].scores[0].versus.value)  # type: ignore[union-attr]
    assert frame["p_holm"].isna().sum() == 2


def test_quality_against_compute(record: AblationRecord) -> None:
    panels = list(quality_panels(record))
    assert [panel.title for panel in panels] == [
        "FID-vid ↓ against compute",
        "FID-vid ↓ against compute",
        "Detected PA ↑ against compute",
        "Detected PA ↑ against compute",
    ]
    assert "FF: 0.9, " in panels[0].alt
    assert "FF: 2.5, " in panels[1].alt


def test_names_of_points_that_lie_together_stand_apart() -> None:
    axes = Figure().subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    crowd = [Point(name, 0.5 + 0.01 * k, 0.5, 0.4, 0.6) for k, name in enumerate(("FF", "NF", "AA"))]
    assert len(set(label_sides(axes, crowd))) == 3
    assert label_sides(axes, [crowd[0], Point("NN", 0.9, 0.1, 0, 1)]) == [(1, 1), (1, 1)]


def test_losses_of_all_rows_are_one_panel(record: AblationRecord) -> None:
    (panel,) = curve_panels(record)
    assert panel.alt.endswith("at the end NÜWA-FF 2.200; NÜWA-FN 2.200; NÜWA-NN 2.200.")
    assert not list(curve_panels(replace(record, rows=tuple(replace(row, curves=()) for row in record.rows))))


def test_the_report_of_a_folder(record: AblationRecord, tmp_path: Path) -> None:
    write_ablation(tmp_path / "record.json", record)
    _, paths = write_ablation_report(tmp_path)
    names = [
        "table.md",
        "table.csv",
        "table.tex",
        "table.html",
        "summary.md",
        "seeds.csv",
        "quality.png",
        "report/index.html",
    ]
    assert [str(path.relative_to(tmp_path)) for path in paths] == names
    contents = {name: (tmp_path / name).read_bytes() for name in names}
    for name in ("table.md", "report/index.html"):
        text = contents[name].decode()
        assert "NÜWA-FN (encoder full, decoder nearby3d 3×3×3)" in text
        assert "no significant difference: " in text
        assert "33.63" in text  # a published row
    assert contents["quality.png"].startswith(b"\x89PNG")
    write_ablation_report(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in names} == contents


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an ablation's folder with record"):
        write_ablation_report(tmp_path)


def test_ablations_are_among_all_tables(record: AblationRecord, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_ablation(runs / "ablate-attention" / "record.json", record)
    found = collect(tmp_path / "records", runs)
    assert (found.records, found.ablations) == ({}, {"ablate-attention": record})
    paths = {path.name for path in write_all_tables(found, tmp_path / "out")}
    assert {"ablate-attention-seeds.csv", "ablate-attention-quality.png", "table6-ablate-attention.md"} <= paths
    text = (tmp_path / "out" / "table6-ablate-attention.md").read_text(encoding="utf-8")
    assert "NÜWA-FN (encoder full, decoder nearby3d 3×3×3)" in text
    assert "Attention: differences and costs" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_tables_as_text_and_latex(record: AblationRecord, published: pd.DataFrame) -> None:
    made_tables = ablation_summary.tables(record, published)
    assert "NÜWA-FF (encoder full, decoder full)" in render.text(made_tables[0])
    assert r"\label{tab:ablate-attention-differences}" in render.latex(made_tables)


def test_the_command_says_what_is_missing_and_fails(
    record: AblationRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = replace(record, missing=(Skipped(id="NÜWA-FN, seed 2", reason="out of memory"),))
    write_ablation(tmp_path / "record.json", lost)
    with pytest.raises(SystemExit) as ended:
        main(["ablation", str(tmp_path)])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "missing: NÜWA-FN, seed 2: out of memory" in out
    assert str(tmp_path / "report" / "index.html") in out
