"""The session killed at any moment leaves nothing half written, and run again it gives the numbers of one never killed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from evaluation.records import Record, read_record
from nuwa.training.checkpoint import WEIGHTS, read_config
from nuwa.training.checkpoints import FOLDER, Checkpoints

ROOT = Path(__file__).parents[2]


def start(out: Path) -> subprocess.Popen[bytes]:
    options = ["--preset", "smoke", "--num", "24", "--candidates", "2", "--device", "cpu", "--out", str(out)]
    command = [sys.executable, "-m", "evaluation", "t2i", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def check_files(out: Path) -> None:
    """Every file that has its final name is whole."""
    if (out / "record.json").exists():
        read_record(out / "record.json")
    for weights in out.glob(f"training/*/{WEIGHTS}"):
        read_config(weights)
    for folder in out.glob(f"training/*/{FOLDER}"):
        newest = Checkpoints(folder.parent).newest_whole()
        assert newest is None or newest.path == max(path for path in folder.iterdir() if path.name.isdecimal())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, float]:
    out, began = tmp_path_factory.mktemp("whole") / "t2i", time.monotonic()
    assert start(out).wait(timeout=250) == 0
    return read_record(out / "record.json"), time.monotonic() - began


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_random_moments(whole: tuple[Record, float], tmp_path: Path) -> None:
    record, took_s = whole
    out = tmp_path / "t2i"
    moments = np.random.default_rng(0).uniform(0.2, 1.0, size=8) * took_s
    for moment in moments:
        process = start(out)
        time.sleep(moment)
        process.kill()
        process.wait()
        check_files(out)
    assert start(out).wait(timeout=250) == 0
    assert read_record(out / "record.json").rows == record.rows
