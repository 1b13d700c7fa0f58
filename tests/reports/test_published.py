import pytest

from reports.columns import PAPER_TABLES, leading_columns
from reports.published import FILE, load_published


@pytest.mark.parametrize(
    ("table", "count"),
    # filled cells of each table: Table 1 has five full rows of seven, DALL-E six values, XMC-GAN two
    [("1", 43), ("2", 16), ("3", 18), ("4", 14), ("5", 8), ("6", 10), ("7", 4), ("human study", 4)],
)
def test_every_figure_of_the_paper_is_there(published, table, count):
    assert (published["table"] == table).sum() == count


@pytest.mark.parametrize(
    ("table", "label", "metric", "value"),
    [
        ("1", "NÜWA", "FID-0", "12.9"),
        ("1", "NÜWA", "FID-8", "24"),
        ("1", "CogView", "CLIPSIM", "0.3325"),
        ("1", "XMC-GAN", "IS", "30.5"),
        ("2", "NÜWA (128×128)", "acc", "77.9"),
        ("3", "NÜWA (1 condition frame)", "FVD", "86.9"),
        ("4", "VQ-GAN (256² → 32², f8)", "FID", "2.03"),
        ("5", "NÜWA (T2V + T2I + V2V)", "FID-vid", "47.68"),
        ("6", "NÜWA-NN (encoder nearby, decoder nearby)", "Detected PA", "0.6085"),
        ("7", "nearby", "cost", "O((hws)·e_h·e_w·e_s)"),
    ],
)
def test_figures_stand_as_printed(published, table, label, metric, value):
    rows = published[(published["table"] == table) & (published["label"] == label) & (published["metric"] == metric)]
    assert rows["value"].tolist() == [value]


def test_every_figure_says_where_it_is_from(published):
    assert (published["paper"].str.contains("arXiv")).all()
    assert published["source_table"].ne("").all()
    assert published["note"].str.contains("as published").all()


def test_every_published_metric_has_a_column(published):
    tables = published[published["table"] != "human study"]
    assert set(tables["task"]) == {table.task for table in PAPER_TABLES}
    for task, rows in tables.groupby("task"):
        assert set(rows["metric"]) <= set(leading_columns(task))


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
