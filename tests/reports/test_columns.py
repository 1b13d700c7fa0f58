import pytest

from reports.columns import PAPER_TABLES, TASKS, leading_columns, look, look_of_column, paper_table, title_of


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("FID-0", 7.125, "7.12"),
        ("caption accuracy", 0.53125, "53.1"),
        ("acc", 0.779, "77.9"),
        ("CLIPSIM", 0.34291, "0.3429"),
        ("Detected PA", 0.6085, "0.6085"),
        ("FID-0", -0.0001, "0.00"),
        ("SSIM inside the hole", 0.91234, "0.9123"),
        ("edit accuracy, colour", 0.5, "50.0"),
        ("known region unchanged", 1.0, "100.0"),
    ],
)
def test_metrics_are_printed_as_in_the_paper(metric, value, text):
    assert look(metric).text(value) == text


@pytest.mark.parametrize(
    ("metric", "values", "decimals"),
    [("FID-0", [12.0, 8.0], 2), ("FID-0", [0.004, 8.0], 4), ("FID-0", [0.0], 2), ("caption accuracy", [1e-5], 1)],
)
def test_small_distances_keep_digits(metric, values, decimals):
    assert look_of_column(metric, values).decimals == decimals


def test_table_1_has_the_columns_of_the_paper_first():
    assert leading_columns("t2i")[:5] == ("FID-0", "FID-1", "FID-2", "FID-4", "FID-8")
    assert [table.number for table in PAPER_TABLES] == list("1234567")


@pytest.mark.parametrize(("task", "title"), [("t2i", "Text to image"), ("s2v", "Sketch to video"), ("new", "new")])
def test_tasks_have_names(task, title):
    assert title_of(task) == title


def test_a_task_without_a_table_in_the_paper():
    assert paper_table("s2i") is None
    assert "FID-0" in leading_columns("s2i")


@pytest.mark.parametrize(("task", "first"), [("i2i", "FID-0"), ("ti2i", "FID-0"), ("tv2v", "FID-vid")])
def test_what_stays_and_what_changes_stands_in_the_first_table(task, first):
    columns = leading_columns(task)
    assert columns[0] == first
    assert len(set(columns)) == len(columns)  # a column that is named twice is printed twice
    assert {"edit accuracy", "SSIM inside the hole", "SSIM outside the mask", "known region unchanged"} <= set(columns)


@pytest.mark.parametrize("task", TASKS)
def test_no_column_stands_twice(task):
    columns = leading_columns(task)
    assert len(set(columns)) == len(columns)
