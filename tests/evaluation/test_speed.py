"""Records of benchmarks: written whole, read strictly, and no number without its reason to be there."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from evaluation import strict
from evaluation.records import Environment, GitState, read_record
from evaluation.speed import SCHEMA, Measurement, SpeedRecord, Times, TrainingFigures, read_speed, write_speed

TIMES = Times(median=0.02, min=0.01, max=0.04, rounds=5, first=1.5)


def row(**changes: Any) -> Measurement:
    settings = {
        "group": "attention",
        "name": "nearby3d",
        "peer": False,
        "backend": "gather",
        "direction": "forward",
        "grid": (10, 21, 21),
        "setting": "20 heads of 64, batch 1",
        "dtype": "float32",
        "times": TIMES,
        "agreement": 1e-6,
        "peak_extra_bytes": 100,
        "query_bytes": 90,
        "flops": 7,
        "steps": None,
        "not_run": None,
    }
    return Measurement(**{**settings, **changes})


def record(*rows: Measurement) -> SpeedRecord:
    return SpeedRecord(
        name="bench",
        date="2026-11-25",
        quick=False,
        environment=Environment(python="3.11", torch="2.14", device="cpu", threads=2, precision="float32"),
        packages={"nuwa-pytorch": "0.7.8", "natten": None},
        git=GitState(commit="a" * 40, dirty=False),
        command="python -m benchmarks",
        rows=rows or (row(), row(grid=(1, 21, 21), times=None, not_run="out of memory")),
    )


def test_reads_what_was_written(tmp_path: Path) -> None:
    write_speed(tmp_path / "record.json", record())
    assert read_speed(tmp_path / "record.json") == record()
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert strict.schema_of(tmp_path / "record.json") == SCHEMA


FIGURES = TrainingFigures(samples=80, parameters=930_000_000, tokens_per_s=1e5, mfu=0.41, peak_bytes=7 * 10**10)


def test_what_older_records_could_not_say(tmp_path: Path) -> None:
    """They have no key for it, and neither has a row without it: digests stay as they were."""
    path = tmp_path / "record.json"
    write_speed(path, record(row(), row(group="training", direction="training step", training=FIGURES)))
    old, new = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert "training" not in old
    assert new["training"]["mfu"] == 0.41
    assert read_speed(path).rows[1].training == FIGURES


def test_a_committed_record_keeps_its_digest() -> None:
    path = Path(__file__).parents[2] / "reports" / "records" / "bench-cpu.json"
    assert read_speed(path).content_sha256 == json.loads(path.read_text(encoding="utf-8"))["content_sha256"]


@pytest.mark.parametrize("mfu", [0.0, 1.2])
def test_an_mfu_that_cannot_be(mfu: float) -> None:
    with pytest.raises(ValueError, match="the peak or the FLOPs are wrong"):
        dataclasses.replace(FIGURES, mfu=mfu)


def edit(path: Path, change: Any) -> Path:
    """The record after ``change`` of its JSON, signed anew."""
    write_speed(path, record())
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["content_sha256"]
    change(content)
    path.write_text(json.dumps({**content, "content_sha256": strict.digest(content)}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["rows"][0].update(speed=3), r"record\.rows\[0\]: unknown key 'speed'"),
        (lambda c: c["rows"][0].pop("flops"), r"record\.rows\[0\]: missing key 'flops'"),
        (lambda c: c["rows"][0]["times"].update(rounds=2.5), r"record\.rows\[0\]\.times\.rounds: expected int"),
        (lambda c: c["rows"][0].update(times="fast"), r"record\.rows\[0\]\.times: expected"),
        (lambda c: c["rows"][0].update(grid=[10, 21]), r"record\.rows\[0\]\.grid: expected 3 entries, got 2"),
        (lambda c: c["rows"][0].update(direction="sideways"), r"direction: expected one of 'forward'"),
        (lambda c: c.update(schema="nuwa-speed-0"), r"expected schema 'nuwa-speed-1', got 'nuwa-speed-0'"),
        (lambda c: c["rows"].append(c["rows"][0]), r"stands twice"),
    ],
)
def test_anything_else_is_refused_with_its_place(tmp_path: Path, change: Any, message: str) -> None:
    path = edit(tmp_path / "record.json", change)
    with pytest.raises(ValueError, match=message):
        read_speed(path)


def test_a_number_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_speed(path, record())
    path.write_text(path.read_text(encoding="utf-8").replace('"median": 0.02', '"median": 0.012'), encoding="utf-8")
    with pytest.raises(ValueError, match="changed after the run"):
        read_speed(path)


def test_the_record_of_scores_is_another_one(tmp_path: Path) -> None:
    write_speed(tmp_path / "record.json", record())
    with pytest.raises(ValueError, match="expected schema 'nuwa-record-1'"):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize("changes", [{"times": None}, {"not_run": "too long"}], ids=["neither", "both"])
def test_times_or_a_reason(changes: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=f"expected times or the reason .* got {'neither' if 'times' in changes else 'both'}"
    ):
        row(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"min": 0.03}, {"max": 0.01}, {"min": 0.0}, {"rounds": 0}, {"max": float("inf")}, {"first": -1.0}],
    ids=str,
)
def test_times_are_in_order(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="0 < min <= median <= max"):
        dataclasses.replace(TIMES, **changes)


def test_tokens_and_label() -> None:
    assert row().tokens == 4410
    assert row().label == "nearby3d by gather"
