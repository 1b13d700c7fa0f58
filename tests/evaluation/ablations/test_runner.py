"""The runner of grids: each cell once, failures apart, several at once, killed at any time and continued."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation.ablations import cells as on_disk
from evaluation.ablations.cells import Cell, claimed, is_done, read_cell
from evaluation.ablations.executors import ROOT, Local, Submitit
from evaluation.ablations.runner import run_cells

COUNT, REFUSE, KILL = (f"toy_cells:{name}" for name in ("count", "refuse", "kill_itself"))


def counting(seed: int, steps: int = 3, **more: float) -> Cell:
    return Cell(function=COUNT, label="count", config={"steps": steps, **more}, seed=seed)


def results(cells: list[Cell], folder: Path) -> list[str]:
    return [(folder / cell.name / "result.txt").read_text() for cell in cells]


def test_cells_run_once_and_are_found_again(tmp_path: Path) -> None:
    cells, said = [counting(seed) for seed in range(2)], list[str]()
    outcome = run_cells(cells, tmp_path, Local(slots=2, device="cpu"), tell=said.append)
    assert set(outcome.done) == set(cells)
    assert not outcome.failed
    assert results(cells, tmp_path) == ["0 counted 3 on cpu", "1 counted 3 on cpu"]
    assert sorted(said) == ["count, seed 0: done", "count, seed 1: done"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = run_cells(cells, tmp_path, Local(slots=2), tell=said.append)
    assert again.done == outcome.done
    assert said[2:] == ["cells: 2 of 2 are done already"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_failed_cell_is_reported_tried_again_and_stops_no_other(tmp_path: Path) -> None:
    luck, said = tmp_path / "luck", list[str]()
    unlucky = Cell(function=REFUSE, label="unlucky", config={"until": str(luck)}, seed=4)
    killed = Cell(function=KILL, label="killed", config={}, seed=0)
    fine = counting(0)
    outcome = run_cells([unlucky, killed, fine], tmp_path / "cells", Local(slots=3), tell=said.append)
    assert outcome.failed == {unlucky: "expected luck, got seed 4", killed: "killed by SIGKILL"}
    assert set(outcome.done) == {fine}
    assert "Traceback" in (tmp_path / "cells" / unlucky.name / on_disk.LOG).read_text()
    assert any(line.startswith("unlucky, seed 4: failed, expected luck, got seed 4; ") for line in said)
    luck.touch()
    again = run_cells([unlucky, fine], tmp_path / "cells", Local(), tell=said.append)
    assert set(again.done) == {unlucky, fine}
    assert not (tmp_path / "cells" / unlucky.name / on_disk.FAILED).exists()


def test_the_hash_is_of_all_that_shapes_the_result() -> None:
    base = counting(0)
    same = Cell(function=COUNT, label="another word for it", config={"steps": 3}, seed=0)
    others = [counting(1), counting(0, steps=4), Cell(function=REFUSE, label="count", config={"steps": 3}, seed=0)]
    assert same.hash == base.hash
    assert len({base.hash, *(each.hash for each in others)}) == 4
    assert base.name == f"count-0-{base.hash[:10]}"


def test_the_same_cell_twice_is_refused(tmp_path: Path) -> None:
    twice = Cell(function=COUNT, label="other", config={"steps": 3}, seed=0)
    with pytest.raises(ValueError, match="other, seed 0 and count, seed 0 are the same cell"):
        run_cells([counting(0), twice], tmp_path, Local())


def test_no_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 cell at once, got 0"):
        Local(slots=0)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"seed": 0}'])
def test_a_damaged_cell_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / on_disk.CELL).write_text(content)
    with pytest.raises(ValueError, match="expected a cell"):
        read_cell(tmp_path)


def test_a_result_changed_by_hand_is_refused(tmp_path: Path) -> None:
    cell = counting(0)
    run_cells([cell], tmp_path, Local(), tell=lambda _: None)
    path = tmp_path / cell.name / on_disk.DONE
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"seconds": 1234.0}))
    with pytest.raises(ValueError, match="content_sha256"):
        is_done(cell, tmp_path / cell.name)


CLAIM = """
import sys
from pathlib import Path
from evaluation.ablations.cells import claimed
with claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_a_cell_of_another_process_is_left_alone_and_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.ablations.runner.BUSY_S", 0.2)
    cell = counting(0)
    other = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path / cell.name)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    job = Local().start(on_disk.prepare(cell, tmp_path))
    while (code := job.poll()) is None:
        time.sleep(0.05)
    assert code == 75
    threading.Timer(0.7, other.stdin.close).start()
    assert set(run_cells([cell], tmp_path, Local(), tell=lambda _: None).done) == {cell}
    assert other.wait(30) == 0
    other.stdout.close()


RUN = """
import sys, json
from pathlib import Path
from evaluation.ablations.cells import Cell
from evaluation.ablations.executors import Local
from evaluation.ablations.runner import run_cells
cells = [Cell(function="toy_cells:count", label="count", config={"steps": 12, "step_s": 0.1}, seed=s) for s in range(3)]
outcome = run_cells(cells, Path(sys.argv[1]), Local(slots=2), tell=lambda _: None)
print(json.dumps(sorted((folder / "result.txt").read_text() for folder in outcome.done.values())))
"""


def test_killed_five_times_nothing_is_lost_and_nobody_is_left_over(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    for moment in np.random.default_rng(1).uniform(0.5, 1.8, size=5):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(moment)
        process.kill()
        process.wait()
        time.sleep(0.3)  # a worker ends with its runner
        for folder in tmp_path.glob("count-*"):
            with claimed(folder) as free:
                assert free
    last = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    assert json.loads(last.stdout) == [f"{seed} counted 12 on auto" for seed in range(3)]
    for folder in tmp_path.glob("count-*"):
        steps = [int(line) for line in (folder / "steps.txt").read_text().split()]
        assert sorted(set(steps)) == list(range(12))
        assert len(steps) <= 12 + 5  # no kill costs more than the step it met


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # submitit leaves its own logs open
@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_the_same_cells_as_jobs_of_a_cluster(tmp_path: Path, cluster: str) -> None:
    cells = [counting(seed) for seed in range(2)]
    failing = Cell(function=REFUSE, label="refuse", config={}, seed=1)
    executor = Submitit(folder=tmp_path / "jobs", cluster=cluster, device="cpu", parameters={"timeout_min": 5})
    outcome = run_cells([*cells, failing], tmp_path / "cells", executor, tell=lambda _: None)
    assert outcome.failed == {failing: "expected luck, got seed 1"}
    assert results(cells, tmp_path / "cells") == ["0 counted 3 on cpu", "1 counted 3 on cpu"]
