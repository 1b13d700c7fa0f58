"""What a report is not made of: records that cannot be believed are in no table, and named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_ablations as made
import pandas as pd
import pytest

from evaluation import strict
from evaluation.ablations.record import write_ablation
from evaluation.records import MetricValue, Record, Row, write_record
from reports import render
from reports.__main__ import main
from reports.collect import collect, read_any
from reports.tables import build_tables

NUMBER = MetricValue(name="IS", protocol="is@sprites-1", value=5.0, ci95=(4.5, 5.5), n=64, higher_is_better=True)


@pytest.fixture
def small(make_record: Callable[..., Record]) -> Callable[..., Record]:
    """A record with one number, of the given name and direction."""

    def of(name: str = "good", better: bool = True, **changes: Any) -> Record:
        metric = dataclasses.replace(NUMBER, higher_is_better=better)
        return make_record(**{"name": name, "rows": (row(metric),), **changes})

    return of


def row(*metrics: MetricValue, name: str = "NÜWA") -> Row:
    return Row(name=name, role="model", sampling={}, metrics=metrics)


def edit(path: Path, change: Callable[[dict[str, Any]], object], sign: bool = True) -> None:
    """Change a record's file, and sign it anew as if a session had written it, or not."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    if sign:
        content.pop("content_sha256")
        content["content_sha256"] = strict.digest(json.loads(json.dumps(content).replace("NaN", "0")))
    path.write_text(json.dumps(content), encoding="utf-8")


def first(content: dict[str, Any]) -> dict[str, Any]:
    return content["rows"][0]["metrics"][0]


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], bool, str]] = {
    "unknown schema": (lambda c: c.update(schema="nuwa-record-9"), True, "got 'nuwa-record-9'"),
    "no schema": (lambda c: c.pop("schema"), True, "expected schema 'nuwa-record-1', got None"),
    "NaN": (lambda c: first(c).update(value=float("nan")), True, "expected finite numbers, got NaN"),
    "no protocol": (lambda c: first(c).update(protocol="fid"), True, "expected a protocol like 'fid@sprites-1', got 'fid'"),
    "outside its interval": (lambda c: first(c).update(value=9.0), True, "expected finite numbers lo <= value <= hi"),
    "edited by hand": (lambda c: first(c).update(value=5.4), False, "the file was changed after the run"),
    "a number twice": (lambda c: c["rows"].append(c["rows"][0]), True, "stands twice"),
    "unknown key": (lambda c: c.update(note="nice"), True, "unknown key 'note'"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_record_that_cannot_be_believed_is_refused(small: Callable[..., Record], tmp_path: Path, damage: str) -> None:
    change, sign, reason = DAMAGES[damage]
    write_record(tmp_path / "records" / "good.json", small())
    write_record(tmp_path / "records" / "bad.json", small("bad"))
    edit(tmp_path / "records" / "bad.json", change, sign)
    found = collect(tmp_path / "records", tmp_path / "runs")
    assert list(found.records) == ["good"]
    (told,) = found.refused
    assert told.startswith("records/bad.json: ")
    assert reason in told
    assert str(tmp_path) not in told


def test_what_is_refused_is_in_no_table_and_named(
    small: Callable[..., Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(tmp_path / "records" / "a.json", small(command="nox -s good"))
    write_record(tmp_path / "records" / "bad.json", small("bad", command="nox -s bad"))
    edit(tmp_path / "records" / "bad.json", lambda content: first(content).update(value=5.4), sign=False)
    with pytest.raises(SystemExit) as ended:
        build(tmp_path)
    assert ended.value.code == 1
    assert "refused: records/bad.json: content_sha256: expected" in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Refused, and in no table: records/bad.json: content_sha256: expected" in page
    assert "nox -s good" in page
    assert "nox -s bad" not in page
    assert "bad," not in (tmp_path / "out" / "table1-t2i.csv").read_text(encoding="utf-8")


def test_equal_records_give_equal_bytes(small: Callable[..., Record], tmp_path: Path) -> None:
    """Whatever the order in which they were written, and wherever they lie."""
    found = []
    for place, names in (("one", ("a", "b")), ("two", ("b", "a"))):
        for name in names:
            write_record(tmp_path / place / "records" / f"{name}.json", small(name))
        build(tmp_path / place)
        out = tmp_path / place / "out"
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(found[0]) > 30
    assert found[0] == found[1]


def build(folder: Path) -> None:
    """Build the report of ``folder/records`` and ``folder/runs`` into ``folder/out``."""
    main(["build", *(f"--{name}={folder / name}" for name in ("records", "runs", "out"))])


def test_the_records_of_the_repository_are_believed(tmp_path: Path) -> None:
    found = collect(Path(__file__).parents[2] / "reports" / "records", tmp_path)
    assert found.refused == []
    assert len(found.records) >= 8


def test_two_records_of_one_name_are_kept_apart_and_named(
    small: Callable[..., Record], published: pd.DataFrame, tmp_path: Path
) -> None:
    other = dataclasses.replace(NUMBER, value=7.0, ci95=(6.5, 7.5))
    write_record(tmp_path / "records" / "good.json", small())
    write_record(tmp_path / "runs" / "a" / "record.json", small())
    write_record(tmp_path / "runs" / "b" / "record.json", small(rows=(row(other),)))
    found = collect(tmp_path / "records", tmp_path / "runs")
    assert list(found.records) == ["good", "good (runs/b)"]
    assert found.notes == ["Another record is named 'good' too: it stands as 'good (runs/b)'; the two are kept apart."]
    lines = render.markdown(build_tables(found.records, "t2i", published)).splitlines()
    ours = [line.split(" | ")[0] for line in lines if line.startswith("| NÜWA")]
    assert ours == ["| NÜWA · good", "| NÜWA · good (runs/b)"]
    printed = "\n".join(lines)
    assert "<u>5.00</u>" in printed
    assert "**7.00**" in printed
    assert "6.00" not in printed  # their mean


def test_protocols_that_differ_share_no_column_and_no_mark(
    small: Callable[..., Record], published: pd.DataFrame, tmp_path: Path
) -> None:
    """A far better number under another protocol is neither bold nor in the other's column, and the footnotes say which."""
    far_better = dataclasses.replace(NUMBER, protocol="is@ttur-1", value=50.0, ci95=(49.0, 51.0))
    write_record(tmp_path / "records" / "a.json", small("a"))
    write_record(tmp_path / "records" / "b.json", small("b", rows=(row(far_better),)))
    found = collect(tmp_path / "records", tmp_path / "runs")
    text = render.markdown(build_tables(found.records, "t2i", published))
    lines = {line.split(" | ")[0]: line.split(" | ")[1:] for line in text.splitlines() if line.startswith("| NÜWA")}
    head = next(line for line in text.splitlines() if line.startswith("|  | ")).split(" | ")[1:]
    places = [number for number, name in enumerate(head) if name.startswith("IS")]
    assert [[lines[f"| NÜWA · {name}"][place][:1] for place in places] for name in "ab"] == [["5", "–"], ["–", "5"]]
    assert "**50" not in text
    assert r"<sup>a</sup> is\@sprites-1" in text
    assert r"<sup>b</sup> is\@ttur-1" in text


def test_a_metric_that_turned_round_is_refused(small: Callable[..., Record], tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", small("a"))
    write_record(tmp_path / "b.json", small("b", better=False))
    found = collect(tmp_path, tmp_path / "runs")
    assert list(found.records) == ["a"]
    assert "metric 'IS': disagrees with records before it on higher_is_better" in found.refused[0]


def test_runs_of_all_tasks_are_found_in_their_folder(small: Callable[..., Record], tmp_path: Path) -> None:
    """``eval-all`` leaves a folder for each task; a run whose record is committed too is one record, with its folder."""
    folder = tmp_path / "runs" / "eval-all" / "t2i"
    write_record(folder / "record.json", small())
    write_record(tmp_path / "records" / "tiny.json", small())
    found = collect(tmp_path / "records", tmp_path / "runs")
    assert (list(found.records), found.folders, found.notes) == (["tiny"], {"tiny": folder}, [])


def test_committed_records_have_the_names_of_their_files(small: Callable[..., Record], tmp_path: Path) -> None:
    """Sessions call a record by its task, so those of two presets have one name."""
    for preset, value in (("tiny", 5.0), ("small", 4.9)):
        write_record(
            tmp_path / "records" / f"{preset}-t2i.json",
            small("t2i", rows=(row(dataclasses.replace(NUMBER, value=value)),)),
        )
    found = collect(tmp_path / "records", tmp_path / "runs")
    assert (list(found.records), found.notes) == (["small-t2i", "tiny-t2i"], [])


def test_a_damaged_ablation_is_refused(tmp_path: Path) -> None:
    record = made.ablation(tmp_path / "cells")
    write_ablation(tmp_path / "records" / "a.json", record)
    edit(tmp_path / "records" / "a.json", lambda c: c["rows"][0]["scores"][0].update(mean=5.9), sign=False)
    found = collect(tmp_path / "records", tmp_path / "runs")
    assert found.ablations == {}
    assert "the file was changed after the run" in found.refused[0]


def test_one_file_is_read_by_its_schema(small: Callable[..., Record], tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", small())
    assert read_any(tmp_path / "a.json") == small()
