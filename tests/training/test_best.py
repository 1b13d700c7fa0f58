"""The weights that were best on held-out data: the right ones, whole, over stops and a full disk."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nuwa import files
from nuwa.training import best as module
from nuwa.training import checkpoint
from nuwa.training.best import FOLDER, LIST, Best
from nuwa.training.loop import fit
from nuwa.training.watching import Watching

from .stages import Line, Stopping, outcome

VALUES = [5.0, 3.0, 4.0, 2.0, 6.0]


def offer(best: Best, values: list[float], name: str = "val_loss") -> list[bool]:
    """Weights of step i are the number i."""
    return [
        best.offer(step, {name: value}, lambda step=step: {"w": torch.tensor(float(step))}, {"lr": 1})
        for step, value in enumerate(values, start=1)
    ]


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER).iterdir())


@pytest.mark.parametrize(
    ("measure", "keep", "steps", "taken"),
    [
        ("val_loss", 1, [4], [True, True, False, True, False]),
        ("val_loss", 2, [4, 2], [True, True, True, True, False]),
        ("-val_loss", 1, [5], [True, False, False, False, True]),
    ],
)
def test_the_best_are_kept(tmp_path: Path, measure: str, keep: int, steps: list[int], taken: list[bool]) -> None:
    best = Best(tmp_path, keep=keep, measure=measure)
    assert offer(best, VALUES) == taken
    assert [each["step"] for each in best.listed()] == steps
    assert kept(tmp_path) == sorted([LIST, *(f"{step:08d}.safetensors" for step in steps)])
    assert load_file(best.path())["w"].item() == steps[0]
    assert checkpoint.read_config(best.path()) == {"lr": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_the_best(tmp_path: Path, value: float) -> None:
    assert offer(Best(tmp_path, keep=1, measure="val_loss"), [value]) == [False]
    assert offer(Best(tmp_path, keep=1, measure="another"), [1.0]) == [False]


def test_none_are_kept(tmp_path: Path) -> None:
    assert offer(Best(tmp_path, keep=0, measure="val_loss"), VALUES) == [False] * 5
    assert not (tmp_path / FOLDER).exists()
    with pytest.raises(ValueError, match="expected the best weights of a training, found none"):
        Best(tmp_path, keep=0, measure="val_loss").path()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    best = Best(tmp_path, keep=1, measure="val_loss")
    offer(best, [1.0])
    path = best.path()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(
        ValueError, match=r"00000001.safetensors: expected the weights of step 1, and the file is damaged"
    ):
        best.path()


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    best = Best(tmp_path, keep=2, measure="val_loss")
    offer(best, [3.0, 2.0])
    (tmp_path / FOLDER / "00000003.safetensors").write_bytes(b"whole, and not yet in the list")
    (tmp_path / FOLDER / ".00000004.safetensors.1.part").write_bytes(b"half")
    best.begin(1)
    assert kept(tmp_path) == ["00000001.safetensors", LIST]


def test_a_full_disk_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    best = Best(tmp_path, keep=1, measure="val_loss")
    offer(best, [3.0])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.checkpoint, "save_tensors", full)
        assert offer(best, [3.0, 2.0]) == [False, False]
    assert "the weights of step 2 are the best so far and not kept" in capsys.readouterr().err
    assert load_file(best.path())["w"].item() == 1


def test_a_stopped_training_keeps_those_of_one_that_was_not(tmp_path: Path) -> None:
    """Validated at every second step; the last checkpoint is older than the last of the best."""
    settings = {"steps": 12, "seed": 3, "log_every": 2, "validate_every": 2, "watching": Watching(keep_best=3)}
    fit(Line(), tmp_path / "whole", **settings, save_s=0)
    with pytest.raises(KeyboardInterrupt):
        fit(Stopping(Line(), 5), tmp_path / "parts", **settings, save_s=0)
    with pytest.raises(KeyboardInterrupt):
        fit(Stopping(Line(), 9), tmp_path / "parts", **settings, save_s=1e9)
    fit(Line(), tmp_path / "parts", **settings, save_s=0)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    one, other = (json.loads((tmp_path / name / FOLDER / LIST).read_text()) for name in ("parts", "whole"))
    assert one == other
    assert len(one) == 3
    for each in one:
        assert files.sha256(tmp_path / "parts" / FOLDER / each["file"]) == each["sha256"]


def test_with_an_average_it_is_the_average_that_was_measured(tmp_path: Path) -> None:
    stage = Line()
    stage.ema = 0.9
    fit(stage, tmp_path, steps=4, seed=3, log_every=1, validate_every=4)
    last = load_file(tmp_path / checkpoint.WEIGHTS)
    assert all(
        torch.equal(value, last[name])
        for name, value in load_file(Best(tmp_path, keep=1, measure="error").path()).items()
    )
