import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import records
from reports.tables import build_tables, tidy


def metric(value, name="FID-0", protocol="fid@sprites-1", better=False, half=0.5):
    interval = (value - half, value + half)
    return records.MetricValue(name=name, protocol=protocol, value=value, ci95=interval, n=64, higher_is_better=better)


def row(name, *metrics, role="model"):
    return records.Row(name=name, role=role, sampling={}, metrics=metrics)


@pytest.fixture
def marks(make_record):
    """The marks of the first metric, by row, of a record with the given rows."""

    def of(*rows):
        frame = tidy({"run": make_record(rows=rows)})
        return dict(zip(frame["row"], frame["mark"], strict=True))

    return of


@pytest.mark.parametrize(("better", "expected"), [(False, ["best", "second", ""]), (True, ["", "second", "best"])])
def test_best_and_second_follow_the_direction(marks, better, expected):
    found = marks(
        *(row(name, metric(value, better=better)) for name, value in zip("abc", (1.0, 2.0, 3.0), strict=True))
    )
    assert [found[name] for name in "abc"] == expected


def test_one_model_alone_is_not_the_best(marks):
    assert marks(row("a", metric(1.0)), row("real", metric(0.1), role="real"))["a"] == ""


def test_reference_rows_are_never_ranked(marks):
    rows = [row("a", metric(2.0)), row("b", metric(3.0))]
    references = [row(role, metric(1.0), role=role) for role in ("real", "reconstruction", "baseline")]
    assert marks(*rows, *references) == {"a": "best", "b": "second", "real": "", "reconstruction": "", "baseline": ""}


def test_values_that_print_the_same_share_a_mark(marks):
    assert marks(row("a", metric(7.121)), row("b", metric(7.1209)), row("c", metric(9.0))) == {
        "a": "best",
        "b": "best",
        "c": "second",
    }


def test_what_does_not_differ_clearly_shares_a_mark(marks):
    """Half widths of 0.5 make a difference of 0.71 clear."""
    rows = [row(name, metric(value)) for name, value in zip("abcd", (1.0, 1.6, 1.8, 2.4), strict=True)]
    assert marks(*rows) == {"a": "best", "b": "best", "c": "second", "d": "second"}


@pytest.mark.parametrize(("low", "spread"), [(0.3, "0.30–1.40"), (0.0, "0.00–1.40"), (-0.1, "-0.10 to 1.40")])
def test_an_interval_is_printed_as_it_is(make_record, published, low, spread):
    value = records.MetricValue(
        name="FID-0", protocol="fid@sprites-1", value=0.4, ci95=(low, 1.4), n=64, higher_is_better=False
    )
    (table,) = build_tables({"run": make_record(rows=(row("a", value),))}, "t2i", published)
    assert table.groups[0].rows[0].cells[0].spread == spread


def test_what_a_record_says_of_a_row_is_a_footnote(make_record, published):
    chosen = dataclasses.replace(row("K = 8", metric(1.0)), sampling={"k": 8, "note": "chosen by CLIPSIM"})
    (table,) = build_tables({"run": make_record(rows=(row("K = 1", metric(2.0)), chosen))}, "t2i", published)
    assert [(each.name, each.note) for each in table.groups[0].rows] == [("K = 1", None), ("K = 8", "1")]
    assert ("1", "chosen by CLIPSIM") in table.notes


def test_protocols_are_ranked_apart(marks):
    rows = [row("a", metric(1.0)), row("b", metric(2.0, protocol="fid@clean-1")), row("c", metric(3.0))]
    assert marks(*rows) == {"a": "best", "b": "", "c": "second"}


@pytest.mark.parametrize("key", ["split", "fingerprint"])
def test_data_sets_are_ranked_apart(make_record, key):
    first = make_record(rows=(row("a", metric(1.0)),))
    other = {"name": "sprites", "version": "1", "split": "test-seen", "fingerprint": "3fa1" * 16, key: "other"}
    second = make_record(rows=(row("a", metric(2.0)),), dataset=records.DatasetInfo(**other))
    assert tidy({"one": first, "two": second})["mark"].tolist() == ["", ""]
    assert tidy({"one": first, "two": make_record(rows=(row("a", metric(2.0)),))})["mark"].tolist() == [
        "best",
        "second",
    ]


def test_data_sets_of_one_name_are_told_apart_by_their_fingerprints(make_record, published):
    first = make_record(rows=(row("a", metric(1.0)),))
    second = make_record(
        rows=(row("a", metric(2.0)),), dataset=dataclasses.replace(first.dataset, fingerprint="77bb" * 16)
    )
    groups = build_tables({"one": first, "two": second}, "t2i", published)[0].groups
    assert [group.title for group in groups if group.kind == "model"] == [
        f"Models on sprites 1, test-seen, fingerprint {digest}"
        for digest in (first.dataset.fingerprint[:8], "77bb77bb")
    ]


@settings(max_examples=30, deadline=None)  # a busy machine stops for seconds
@given(values=st.lists(st.floats(0.1, 100), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_marks_do_not_depend_on_the_order_of_rows(make_tidy_marks, values, seed):
    rows = [row(f"r{i}", metric(value)) for i, value in enumerate(values)]
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert make_tidy_marks(rows) == make_tidy_marks(shuffled)
    best = min(values)
    assert make_tidy_marks(rows)[f"r{values.index(best)}"] == "best"


@pytest.fixture(scope="module")
def make_tidy_marks(base_record):
    def of(rows):
        frame = tidy({"run": dataclasses.replace(base_record, rows=tuple(rows))})
        return dict(zip(frame["row"], frame["mark"], strict=True))

    return of


def test_a_metric_given_twice_is_refused(make_record):
    with pytest.raises(ValueError, match="stands twice"):
        tidy({"run": make_record(rows=(row("a", metric(1.0), metric(2.0)),))})


def test_mixed_directions_are_refused(make_record):
    with pytest.raises(ValueError, match="rows disagree on higher_is_better"):
        tidy({"run": make_record(rows=(row("a", metric(1.0)), row("b", metric(2.0, better=True))))})


def test_layout_of_table_1(make_record, published):
    scores, attributes, others = build_tables({"eval-t2i": make_record()}, "t2i", published)
    assert [c.metric for c in scores.columns] == [
        *("FID-0", "FID-1", "FID-2", "FID-4", "FID-8", "IS", "CLIPSIM", "caption accuracy")
    ]
    assert [c.arrow for c in scores.columns] == list("↓↓↓↓↓↑↑↑")
    assert [c.letter for c in scores.columns] == list("aaaaabcd")
    assert [group.kind for group in scores.groups] == ["model", "reference", "published"]
    assert [r.name for r in scores.groups[1].rows] == ["real pictures", "reconstruction", "untrained"]
    assert [r.name for r in scores.groups[2].rows][-1] == "NÜWA"
    assert [c.text if c else None for c in scores.groups[2].rows[-1].cells][:5] == [
        "12.9",
        "13.8",
        "15.7",
        "19.3",
        "24",
    ]
    assert [c.metric.removesuffix(" accuracy") for c in attributes.columns] == [
        *("caption", "shape", "colour", "size", "place", "background")
    ]
    assert [c.metric for c in others.columns] == ["codebook usage", "codebook perplexity"]


def test_published_rows_are_never_marked(make_record, published):
    scores = build_tables({"eval-t2i": make_record()}, "t2i", published)[0]
    cells = [cell for r in scores.groups[2].rows for cell in r.cells if cell]
    assert len(cells) == 43
    assert {cell.mark for cell in cells} == {None}


def test_reference_rows_come_in_a_fixed_order(make_record, published):
    rows = [row(role, metric(1.0), role=role) for role in ("baseline", "real", "reconstruction")]
    table = build_tables({"run": make_record(rows=(*rows, row("a", metric(1.0))))}, "t2i", published)[0]
    assert [r.name for r in table.groups[1].rows] == ["real", "reconstruction", "baseline"]


def test_a_row_that_breaks_another_down_stands_in_the_details_only(make_record, published):
    scores, details, _ = build_tables({"eval-t2i": make_record()}, "t2i", published)
    names = ["NÜWA tiny, K = 1", "NÜWA tiny, K = 8"]
    groups = ["", ", one object", ", 2–3 objects"]
    assert [r.name for r in scores.groups[0].rows] == names
    assert [r.name for r in details.groups[0].rows] == [name + group for name in names for group in groups]
    marks = [r.cells[0].mark for r in details.groups[0].rows]
    assert marks == ["second"] * 3 + ["best"] * 3  # each against its own kind


def test_rows_with_nothing_but_accuracies_stand_in_the_first_table_too(make_record, published):
    rows = (row("a", metric(0.5, name="caption accuracy", protocol="caption-accuracy@sprites-1", better=True)),)
    (table,) = build_tables({"run": make_record(rows=rows)}, "t2i", published)
    assert [r.name for r in table.groups[0].rows] == ["a"]


def test_other_sample_counts_are_ranked_apart(make_record):
    few = dataclasses.replace(metric(1.0), n=32)
    frame = tidy({"run": make_record(rows=(row("a", few), row("b", metric(2.0)), row("c", metric(3.0))))})
    assert frame["mark"].tolist() == ["", "best", "second"]


def test_a_second_protocol_gets_a_column_of_its_own(make_record, published):
    rows = (row("a", metric(1.0), metric(2.0, protocol="fid@clean-1")),)
    table = build_tables({"run": make_record(rows=rows)}, "t2i", published)[0]
    fid = [c for c in table.columns if c.metric == "FID-0"]
    assert [(c.protocol, c.letter) for c in fid] == [("fid@sprites-1", "a"), ("fid@clean-1", "b")]
    attngan = next(r for r in table.groups[-1].rows if r.name == "AttnGAN")
    assert [cell.text if cell else None for cell in attngan.cells[:2]] == ["35.2", None]


def test_rows_of_several_records_are_told_apart(make_record, published):
    record = make_record()
    table = build_tables({"one": record, "two": record}, "t2i", published)[0]
    assert [r.name for r in table.groups[0].rows[::2]] == ["NÜWA tiny, K = 1 · one", "NÜWA tiny, K = 1 · two"]


def test_counts_stand_in_the_notes(make_record, published):
    few = records.MetricValue(
        name="FID-0", protocol="fid@sprites-1", value=1.0, ci95=(0.5, 1.5), n=2048, higher_is_better=False
    )
    table = build_tables({"run": make_record(rows=(row("a", metric(1.0)), row("b", few)))}, "t2i", published)[0]
    assert ("a", "fid@sprites-1, n = 64 to 2,048, with 95% intervals") in table.notes


@pytest.mark.parametrize("task", ["t2v", "v2v", "ablate-tokenizer", "ablate-tasks", "ablate-attention", "cost"])
def test_a_table_without_records_shows_the_published_rows(published, task):
    (table,) = build_tables({}, task, published)
    assert {group.kind for group in table.groups} == {"published"}
    assert all(any(row.cells) for group in table.groups for row in group.rows)
    assert {c.protocol for c in table.columns} == {None}


def test_splits_have_references_and_ranks_of_their_own(make_record):
    """The unseen split's rows stand apart, and neither model is the best of both."""
    seen = [row("a", metric(1.0)), row("real", metric(0.1), role="real")]
    other = {"split": "test-unseen", "split_fingerprint": "f" * 64}
    unseen = [dataclasses.replace(each, name=f"{each.name}, unseen", sampling=other) for each in seen]
    record = make_record(rows=(*seen, *unseen))
    frame = tidy({"run": record})
    assert frame["data"].tolist() == ["sprites 1, test-seen"] * 2 + ["sprites 1, test-unseen"] * 2
    assert frame["fingerprint"].nunique() == 2
    assert set(frame["mark"]) == {""}


def test_acc_by_the_number_of_objects_is_a_detail(make_record, published):
    acc = metric(0.5, name="acc", protocol="acc@sprites-1", better=True)
    rows = (row("a", metric(1.0, name="FID-vid", protocol="fid-vid@sprites-1"), acc), row("a, one object", acc))
    first, details = build_tables({"run": make_record(task="t2v", rows=rows)}, "t2v", published)
    assert [each.name for each in first.groups[0].rows] == ["a"]
    assert [each.name for each in details.groups[0].rows] == ["a", "a, one object"]
