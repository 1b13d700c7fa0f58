import dataclasses
import io
import re
import shutil
import subprocess

import pandas as pd
import pytest

from evaluation import records
from reports import escape, render
from reports.growth import growth_table
from reports.tables import build_tables, tidy

HOSTILE = r"\input{/etc/passwd} 100% $x_1^2$ & #1 ~ {} [a] *b* <b>|`'\"" + " – “q” ÀÿÐþ 女娲 🐸 \x1b[31m"


@pytest.fixture
def tables(make_record, published):
    return build_tables({"eval-t2i": make_record()}, "t2i", published)


@pytest.fixture
def hostile_tables(make_record, published):
    metric = records.MetricValue(
        name="FID-0", protocol="fid@sprites-1", value=1.0, ci95=(0.9, 1.2), n=9, higher_is_better=False
    )
    names = (HOSTILE, "*starred", "[optional]", "\\\\", "")
    rows = tuple(records.Row(name=name, role="model", sampling={}, metrics=(metric,)) for name in names)
    return build_tables({"run": make_record(rows=rows)}, "t2i", published)


def test_markdown_marks_and_intervals(tables):
    lines = render.markdown(tables).splitlines()
    best = next(line for line in lines if line.startswith("| NÜWA tiny, K = 8"))
    assert best.startswith("| NÜWA tiny, K = 8 | **7.12** <sub>6.79–7.49</sub> |")
    assert next(line for line in lines if line.startswith("| NÜWA tiny, K = 1")).count("<u>") == 8
    assert "| *NÜWA* | 12.9 | 13.8 | 15.7 | 19.3 | 24 | 27.2 | 0.3429 | – |" in lines
    assert "<sup>a</sup> fid\\@sprites-1, n = 1,024, with 95% intervals  " in lines


@pytest.mark.parametrize("which", ["tables", "hostile_tables"])
def test_markdown_rows_have_as_many_cells_as_columns(request, which):
    for table in request.getfixturevalue(which):
        rows = [line for line in render.markdown([table]).splitlines() if line.startswith("|")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {len(table.columns) + 2}


def test_text_is_aligned(tables):
    lines = render.text(tables[0]).splitlines()
    rows = [line for line in lines if re.match(r"  \S", line)]
    assert len(rows) == 12
    spreads = [line for line in lines if re.match(r" {12,}\d", line)]
    assert len(spreads) == 5  # below each of ours
    assert {len(line) for line in spreads} == {len(spreads[0])}
    best = next(line for line in lines if "K = 8" in line)
    assert best.count("*") == 8
    assert best.index("7.12") + len("7.12") == spreads[1].index("6.79–7.49") + len("6.79–7.49")


def test_text_gives_no_orders_to_the_terminal(hostile_tables):
    text = render.text(hostile_tables[0])
    assert "\x1b" not in text
    assert "[U+001B][31m" in text


def test_csv_holds_the_numbers_of_the_record(make_record, published):
    record = make_record()
    theirs = published[published["task"] == "t2i"]
    frame = pd.read_csv(io.StringIO(render.csv(tidy({"eval-t2i": record}), theirs)))
    ours = frame[frame["role"] != "published"]
    expected = [m.value for row in record.rows for m in row.metrics]
    assert ours["value"].tolist() == expected
    assert ours["n"].unique().tolist() == [1024, 614, 410]
    assert frame[frame["role"] == "published"]["mark"].isna().all()
    assert len(frame) == len(expected) + len(theirs)


def test_csv_without_records(published):
    frame = pd.read_csv(io.StringIO(render.csv(tidy({}), published)))
    assert len(frame) == len(published)


def test_latex_marks(tables):
    text = render.latex(tables)
    assert r"NÜWA tiny, K = 8 & \textbf{7.12}\,{\tiny 6.79--7.49}" in text
    assert r"\underline{8.41}" in text
    assert "FID-{}0$\\,\\downarrow$\\textsuperscript{a}" in text


def pdflatex(folder, name):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base texlive-latex-recommended)")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("which", ["tables", "hostile_tables", "wide_tables", "published_tables"])
def test_latex_compiles_and_fits_the_page(request, tmp_path, which):
    (tmp_path / "table.tex").write_text(render.latex(request.getfixturevalue(which)), encoding="utf-8")
    log = pdflatex(tmp_path, "table.tex")
    assert "Output written on table.pdf" in log
    assert "Overfull \\hbox" not in log


@pytest.fixture
def wide_tables(tables):
    first = tables[0]
    columns = (*first.columns, *first.columns)
    groups = tuple(
        dataclasses.replace(
            group,
            rows=tuple(dataclasses.replace(row, cells=(*row.cells, *row.cells)) for row in group.rows),
        )
        for group in first.groups
    )
    return (dataclasses.replace(first, columns=columns, groups=groups),)


@pytest.fixture
def published_tables(published):
    """Every table of the paper, the orders of growth and the votes among them."""
    tasks = [task for task in dict.fromkeys(published["task"]) if task != "cost"]
    return (*(table for task in tasks for table in build_tables({}, task, published)), growth_table({}, published))


def test_latex_can_be_input_in_a_paper(tables, tmp_path):
    (tmp_path / "table.tex").write_text(render.latex(tables), encoding="utf-8")
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,graphicx}"
    paper = rf"\documentclass{{article}}{packages}\begin{{document}}Before.\input{{table}}After.\end{{document}}"
    (tmp_path / "paper.tex").write_text(paper, encoding="utf-8")
    assert "Output written on paper.pdf" in pdflatex(tmp_path, "paper.tex")


def test_latex_prints_every_letter_it_lets_through(tmp_path):
    letters = escape.latex("".join(map(chr, range(33, 0x180))) + "".join(escape._LATEX))
    text = rf"\documentclass{{article}}\usepackage[T1]{{fontenc}}\usepackage{{textcomp}}\begin{{document}}{letters}"
    (tmp_path / "letters.tex").write_text(text + r"\end{document}", encoding="utf-8")
    log = pdflatex(tmp_path, "letters.tex")
    assert "Missing character" not in log


def test_tables_of_every_task_can_be_written(published):
    for task in dict.fromkeys(published["task"]):
        tables = build_tables({}, task, published)
        assert render.markdown(tables)
        assert render.latex(tables)
        assert all(render.text(table) for table in tables)
