import dataclasses
import subprocess
import sys
from pathlib import Path

import made_ablations as made
import numpy as np
import pytest

from evaluation.ablations.record import write_ablation
from evaluation.records import read_record, write_record
from evaluation.replicates import write_replicates
from nuwa.attention import ATTENTION
from nuwa.errors import run_cli
from reports.__main__ import main
from reports.write import write_run_report


@pytest.fixture
def light_run(tmp_path, make_record):
    """A run without samples and logs, which is quick to draw."""
    write_record(tmp_path / "run" / "record.json", make_record())
    return tmp_path / "run"


def test_run_writes_its_files(make_run, tmp_path, capsys):
    folder = make_run(tmp_path / "run")
    main(["run", str(folder)])
    for name in ("table.md", "table.csv", "table.tex", "table.html", "sheet.png", "curves.png", "report/index.html"):
        assert (folder / name).stat().st_size > 1000
    out = capsys.readouterr().out
    assert "NÜWA tiny, K = 8" in out
    assert out.rstrip().endswith("index.html")


def test_run_twice_gives_the_same_bytes(light_run):
    paths = write_run_report(light_run)[1]
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_run_report(light_run)[1]] == first


def test_an_old_sheet_does_not_stay_beside_new_numbers(light_run):
    (light_run / "sheet.png").write_bytes(b"old")
    write_run_report(light_run)
    assert not (light_run / "sheet.png").exists()


def test_build_writes_every_table(light_run, tmp_path, capsys):
    main(["build", "--records", str(tmp_path / "none"), "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 8 * 4 + 2 + len(ATTENTION)  # tables, the page, FID-k, a drawing of each variant
    assert "NÜWA tiny, K = 8" in (tmp_path / "out" / "table1-t2i.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.startswith("records: eval-t2i\n")


def test_build_with_a_task_of_no_table(tmp_path, make_record):
    write_record(tmp_path / "runs" / "a" / "record.json", make_record(task="../s2i"))
    main(["build", "--records", str(tmp_path), "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "s2i.md").is_file()


def test_build_without_records_says_so(tmp_path, capsys):
    main(["build", "--records", str(tmp_path), "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "records: none" in capsys.readouterr().out
    assert "No record" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def worse(light_run, tmp_path, make_record):
    """A run whose FID-0 is far above that of ``light_run``."""
    record = make_record()
    row = record.rows[0]
    metric = dataclasses.replace(row.metrics[0], value=20.0, ci95=(19.0, 21.0))
    rows = (dataclasses.replace(row, metrics=(metric, *row.metrics[1:])), *record.rows[1:])
    write_record(tmp_path / "worse" / "record.json", make_record(rows=rows))
    return tmp_path / "worse"


@pytest.mark.parametrize("command", ["compare", "--compare"])
def test_compare_exits_with_one_on_a_regression_alone(light_run, worse, command, capsys):
    assert run_cli(main, [command, str(light_run), str(light_run / "record.json")]) == 0
    assert "no regression" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        run_cli(main, [command, str(light_run), str(worse)])
    assert stopped.value.code == 1
    assert "1 regression: NÜWA tiny, K = 1: FID-0" in capsys.readouterr().out
    assert run_cli(main, [command, str(worse), str(light_run)]) == 0
    assert "better" in capsys.readouterr().out


def test_compare_takes_the_replicates_beside_the_records(light_run, worse, capsys):
    """Replicates that go up and down together leave no doubt of the smallest difference."""
    record = read_record(worse / "record.json")
    row, metric = record.rows[0], record.rows[0].metrics[0]
    near = dataclasses.replace(metric, value=8.42, ci95=(8.0, 8.9))
    rows = (dataclasses.replace(row, metrics=(near, *row.metrics[1:])), *record.rows[1:])
    write_record(worse / "record.json", dataclasses.replace(record, rows=rows))
    key, drawn = (row.name, metric.name, metric.protocol), np.random.default_rng(0).normal(8.41, 0.2, 100)
    assert run_cli(main, ["--compare", str(light_run), str(worse)]) == 0
    write_replicates(light_run / "replicates.npz", {key: drawn})
    write_replicates(worse / "replicates.npz", {key: drawn + 0.01})
    with pytest.raises(SystemExit) as stopped:
        run_cli(main, ["--compare", str(light_run), str(worse)])
    assert stopped.value.code == 1
    assert "1 differences are taken draw by draw" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["missing", "edited", "other data"])
def test_compare_exits_with_two_where_there_is_nothing_to_compare(light_run, tmp_path, make_record, fault, capsys):
    other = tmp_path / "other.json"
    if fault == "other data":
        write_record(other, make_record(task="t2v"))
    if fault == "edited":
        other.write_text((light_run / "record.json").read_text().replace("8.41", "7.9"), encoding="utf-8")
    assert run_cli(main, ["--compare", str(light_run), str(other)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_ablation_is_compared_by_its_means(tmp_path, capsys):
    record = made.ablation(tmp_path / "cells")
    write_ablation(tmp_path / "a" / "record.json", record)
    assert run_cli(main, ["--compare", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    assert "8 of 8 numbers are the same" in capsys.readouterr().out


def test_options_alone_are_those_of_the_report(tmp_path, capsys):
    main(["--records", str(tmp_path), "--runs", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "table6-ablate-attention.md").is_file()


def test_a_missing_run_is_one_sentence(tmp_path, capsys):
    assert run_cli(main, ["run", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_module_can_be_run():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "reports", "--help"], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "build", "compare"))


@pytest.fixture
def runs(make_run, tmp_path):
    """Two runs of different tasks in one folder, in the order of the alphabet."""
    make_run(tmp_path / "runs" / "s2v", task="s2v", captions={0: "<b>red</b>"})
    make_run(tmp_path / "runs" / "t2i")
    return tmp_path / "runs"


def test_all_writes_a_page_of_every_run_and_one_of_all(runs, capsys):
    main(["all", str(runs)])
    pages = [
        runs / "t2i" / "report" / "index.html",
        runs / "s2v" / "report" / "index.html",
        runs / "gallery.webp",
        runs / "report" / "index.html",
    ]
    assert capsys.readouterr().out.split() == list(map(str, pages))
    page = pages[-1].read_text(encoding="utf-8")
    assert page.index("Text to image") < page.index("Sketch to video")
    assert page.count('<article class="card sample"') == 2 * 12
    assert 'href="../s2v/report/index.html"' in page
    assert "&lt;b&gt;red&lt;/b&gt;" in page
    assert "<b>red</b>" not in page


def test_all_without_runs_is_one_sentence(tmp_path, capsys):
    assert run_cli(main, ["all", str(tmp_path)]) == 2
    assert "run nox -s eval-all first" in capsys.readouterr().err
