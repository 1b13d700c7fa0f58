"""The published figures: all of them, with their source, and each in its table, whatever the format."""

import io
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from reports import escape, render
from reports.columns import PAPER_TABLES, leading_columns
from reports.page import tables_page
from reports.published import FILE, load_published
from reports.tables import build_tables, tidy

TASKS = [table.task for table in PAPER_TABLES] + ["study"]


def transcribed(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Table, row, metric and the figure as printed, of every filled cell of Markdown tables under headings."""
    table, heads = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            table, heads = line.removeprefix("## ").removeprefix("Table "), []
        if not line.startswith("| "):
            continue
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if name == "model":
            heads = cells
        else:
            yield from ((table, name, head, cell) for head, cell in zip(heads, cells, strict=True) if cell != "–")


def test_every_figure_of_the_paper_is_there_and_no_other(published):
    theirs = list(transcribed(Path(__file__).with_name("paper.md").read_text(encoding="utf-8")))
    several = published["table"].isin(["4", "human study"])  # these tables have several data sets
    labels = published["label"].where(~several, published["dataset"] + ": " + published["label"])
    printed = published["value"] + published["plus_minus"].map(lambda half: f"±{half}" if half else "")
    ours = list(zip(published["table"], labels, published["metric"], printed, strict=True))
    assert sorted(ours) == sorted(theirs)
    assert len(theirs) == 43 + 16 + 18 + 14 + 8 + 10 + 4 + 4


class Cells(HTMLParser):
    """The texts of the cells of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = self.inside or ("class", "value") in attrs
        if ("class", "value") in attrs:
            self.found.append("")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "span"

    def handle_data(self, data):
        if self.inside:
            self.found[-1] += data


FORMATS = {
    "markdown": lambda tables, _: [
        cell.split("<s")[0].strip() for line in render.markdown(tables).splitlines() for cell in line.split("|")
    ],
    "latex": lambda tables, _: [
        cell.removesuffix(r" \\").split(r"\,{")[0].split(r"\textsuper")[0]
        for line in render.latex(tables).splitlines()
        for cell in line.split(" & ")
    ],
    "csv": lambda _, theirs: [
        cell.split("±")[0]
        for cell in pd.read_csv(io.StringIO(render.csv(tidy({}), theirs)), dtype=str)["printed"].tolist()
    ],
    "html": lambda tables, _: Cells(tables_page(tables)).found,
    "text": lambda tables, _: render.text(tables[0]).replace("±", " ").split(),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_figure_is_printed_in_its_table(published, task, form):
    theirs = published[published["task"] == task]
    cells = FORMATS[form](build_tables({}, task, published), theirs)
    values = theirs["value"].map(escape.latex) if form == "latex" else theirs["value"]
    assert {value: cells.count(value) for value in values} == values.value_counts().to_dict()


def test_every_figure_says_where_it_is_from(published):
    assert (published["paper"].str.contains("arXiv")).all()
    assert published["source_table"].ne("").all()
    assert published["note"].str.contains("as published").all()


def test_every_published_metric_has_a_column(published):
    assert set(published["task"]) == set(TASKS)
    for task, rows in published.groupby("task"):
        assert set(rows["metric"]) <= set(leading_columns(task))


def test_figures_from_a_secondary_summary_are_marked(published):
    (table,) = build_tables({}, "t2v", published)
    marked = [
        (row.name, cell.text)
        for group in table.groups
        for row in group.rows
        for cell in row.cells
        if cell and cell.note
    ]
    assert marked == [("T2V (64×64)", "0.2853"), ("SC (128×128)", "0.2915")]
    assert table.notes[-1][0] == "‡"
    for text in (render.markdown([table]), render.text(table), tables_page([table])):
        assert text.count("‡") == 3


def test_later_papers_stand_apart(published):
    (table,) = build_tables({}, "v2v", published)
    assert [group.title for group in table.groups] == [
        "Published †, BAIR 64×64, Table 3",
        "Published †, BAIR 64×64, other papers",
    ]
    assert all("RaMViD" in row.source or "later" in row.name for row in table.groups[1].rows)


def test_one_direction_per_metric(published):
    assert (published.groupby("metric")["higher_is_better"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("metric", "score", 1), "expected columns"),
        (lambda text: text.replace(",false,", ",no,", 1), "expected true or false"),
        (lambda text: text + text.splitlines()[1] + "\n", "stands twice"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, edit, message):
    path = tmp_path / "published.csv"
    path.write_text(edit(FILE.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        load_published(path)
