"""What an ablation says at its end, and its exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made_ablations as made
import pytest

from evaluation.ablations.ending import INCOMPLETE, finish, said, verdict
from evaluation.records import Skipped


def test_means_verdicts_and_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = made.ablation(tmp_path)
    assert finish(record, Path("runs/a")) is record
    out = capsys.readouterr().out
    assert "FID-vid ↓" in out
    assert "Detected PA ↑" in out
    assert "mean of 3 seeds (95% interval over seeds and samples); * differs from NÜWA-FF, Holm-corrected" in out
    assert "NÜWA-FN: against NÜWA-FF: FID-vid -" in out
    assert "runs/a/record.json" in out


def test_no_difference_is_said_in_words(tmp_path: Path) -> None:
    record = made.ablation(tmp_path)
    row = record.rows[2]
    scores = tuple(replace(score, versus=replace(score.versus, p_holm=0.05)) for score in row.scores if score.versus)
    assert verdict(replace(row, scores=scores), "NÜWA-FF") == "no significant difference from NÜWA-FF"
    assert verdict(record.rows[0], "NÜWA-FF") == "not compared with NÜWA-FF"


def test_what_is_missing_is_named_and_is_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = replace(made.ablation(tmp_path), missing=(Skipped(id="NÜWA-FN, seed 2", reason="out of memory"),))
    with pytest.raises(SystemExit) as ended:
        finish(record, tmp_path)
    assert ended.value.code == INCOMPLETE
    assert "missing: NÜWA-FN, seed 2: out of memory" in capsys.readouterr().out


def test_one_seed_says_what_it_cannot_say(tmp_path: Path) -> None:
    text = "\n".join(said(replace(made.ablation(tmp_path), seeds=(0,)), tmp_path))
    assert "mean of 1 seed (95% interval over samples alone, since one seed says nothing of other trainings)" in text
