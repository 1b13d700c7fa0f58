"""The benchmarks from end to end on a few cells: every row is there, in numbers or with a reason, and reports can read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaluation.speed import SpeedRecord, read_speed
from nuwa import Grid
from nuwa.attention import ATTENTION, native
from reports.write import write_speed_report

ROOT = Path(__file__).parents[2]
GRIDS = [Grid(1, 2, 2), Grid(2, 3, 3)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    # What tells pytest-benchmark that it runs beside others, where this test itself does.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bench")
    done = run("--quick", "--seconds", "0.01", "--grids", *map(str, GRIDS), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def record(folder: Path) -> SpeedRecord:
    return read_speed(folder / "record.json")


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("name", ATTENTION)
def test_every_variant_has_its_rows(record: SpeedRecord, name: str, direction: str) -> None:
    rows = [row for row in record.rows if (row.name, row.direction) == (name, direction)]
    assert {row.grid for row in rows} == {grid.shape for grid in GRIDS}
    assert "sdpa" in {row.backend for row in rows if row.times}
    assert {row.backend for row in rows if row.not_run} <= {"flex", "local-compiled", "gather", "triton"}
    if name != "full" and native.compiler() is not None:
        assert "gather" in {row.backend for row in rows if row.times}


def test_numbers_come_with_agreement_and_memory(record: SpeedRecord) -> None:
    for row in (row for row in record.rows if row.group == "attention" and row.times and not row.peer):
        assert row.agreement is not None
        assert row.agreement <= 2e-5
        results = 3 if row.direction == "forward+backward" else 1
        assert row.peak_extra_bytes is not None
        assert row.query_bytes is not None
        assert row.peak_extra_bytes >= results * row.query_bytes


def test_decoding_counts_its_steps(record: SpeedRecord) -> None:
    found = {
        (row.name, row.backend, row.grid): row.steps for row in record.rows if row.group == "decoding" and row.times
    }
    assert found[("nearby3d", "diagonal", (2, 3, 3))] == 11  # w + 2 (h - 1) + 4 (t - 1)
    assert all(found[(name, "one by one", g.shape)] == g.size for name in ATTENTION for g in GRIDS)
    assert {row.agreement for row in record.rows if row.group == "decoding" and row.times} == {0.0}


def test_training_steps_of_every_attention(record: SpeedRecord) -> None:
    """No MFU where the device's peak is not known."""
    rows = [row for row in record.rows if row.group == "training"]
    assert {(row.name, row.grid[0]) for row in rows if row.times} == {
        (n, t) for n in ("NN", "FF", "AA", "BB") for t in (1, 5)
    }
    for row in rows:
        assert (row.training is None) == (row.times is None)
        if row.training is not None and row.times is not None:
            assert row.training.tokens_per_s == pytest.approx(row.training.samples * row.tokens / row.times.median)
            assert row.flops
            assert torch.cuda.is_available() or row.training.mfu is row.training.peak_bytes is None


def test_what_did_not_run_says_why(record: SpeedRecord) -> None:
    reasons = {(row.name, row.backend): row.not_run for row in record.rows if row.not_run}
    assert all(reason and reason != "not tried" for reason in reasons.values())
    assert {name for name, _ in reasons} >= {"NATTEN", "nuwa-pytorch"}


def test_the_machine_is_on_record(record: SpeedRecord) -> None:
    assert record.quick
    assert record.environment.threads >= 1
    assert set(record.packages) == {"nuwa-pytorch", "natten"}
    assert record.command.startswith("python")
    assert "benchmarks --quick" in record.command


def test_tables_and_plots_of_it(folder: Path, record: SpeedRecord) -> None:
    tables, paths = write_speed_report(folder)
    assert [table.slug for table in tables] == ["cost-forward", "cost-forward-backward", "decoding", "training"]
    drawn = {f"{n}.{e}" for n in ("cost", "decoding") for e in ("md", "csv", "tex", "html", "png")}
    assert {path.name for path in paths} == drawn | {f"training.{e}" for e in ("md", "csv", "tex", "html")}
    lines = (folder / "cost.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(row.group == "attention" for row in record.rows)


def test_a_wrong_grid_is_one_sentence() -> None:
    done = run("--grids", "10x21")
    assert done.returncode == 2
    assert "got '10x21'" in done.stderr
