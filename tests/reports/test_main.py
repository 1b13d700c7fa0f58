import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.records import write_record
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
    assert len(names) == 8 * 4 + 1 + len(ATTENTION)  # tables, the page, a drawing of each variant
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


def test_compare_exits_with_one_on_a_regression(light_run, tmp_path, make_record, capsys):
    record = make_record()
    row = record.rows[0]
    worse = dataclasses.replace(row.metrics[0], value=20.0, ci95=(19.0, 21.0))
    rows = (dataclasses.replace(row, metrics=(worse, *row.metrics[1:])), *record.rows[1:])
    write_record(tmp_path / "worse.json", make_record(rows=rows))
    main(["compare", str(light_run), str(light_run / "record.json")])
    assert "no regression" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(light_run), str(tmp_path / "worse.json")])
    assert stopped.value.code == 1
    assert "1 regression: NÜWA tiny, K = 1: FID-0" in capsys.readouterr().out


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
