"""Checkpoints are whole or not there: damage is found and gone around, a full disk is survived, no code is run."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nuwa.files import StorageError
from nuwa.training import checkpoint, sharded
from nuwa.training.checkpoints import ABOUT, FOLDER, Checkpoints
from nuwa.training.log import LOG

from .stages import Line, Stopping, interrupt, last_step, outcome, train

STATE = {
    "modules.model.weight": torch.arange(12.0).view(3, 4),
    "channels": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "optimizers.model.step": torch.tensor(7.0),
    "counts": torch.tensor([1, 2], dtype=torch.int64),
    "half": torch.rand(3, dtype=torch.bfloat16),
}


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in (folder / FOLDER).iterdir())


def zeros(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    assert shapes == {name: value.shape for name, value in STATE.items()}
    return {name: torch.zeros_like(value) for name, value in STATE.items()}


def test_round_trip(tmp_path: Path) -> None:
    checkpoints, about = Checkpoints(tmp_path), {"time_s": 0.1, "config": {"a": (1, 2), "b": None, "c": {3: "ü"}}}
    assert checkpoints.newest() is None
    assert checkpoints.newest_whole() is None
    assert checkpoints.save(3, STATE, about)
    found = checkpoints.newest_whole()
    assert found is not None
    expected = json.loads(json.dumps(about)) | {"step": 3}
    assert {key: found.about[key] for key in expected} == expected
    loaded: dict[str, Tensor] = {}
    checkpoints.load(found, lambda shapes: loaded.update(zeros(shapes)) or loaded)
    for name, value in STATE.items():
        assert torch.equal(loaded[name], value), name
        assert loaded[name].stride() == value.stride(), name


@pytest.mark.parametrize(("keep", "kept"), [(1, [5]), (2, [4, 5]), (9, [1, 2, 3, 4, 5])])
def test_the_last_are_kept(tmp_path: Path, keep: int, kept: list[int]) -> None:
    for step in range(1, 6):
        Checkpoints(tmp_path, keep=keep).save(step, STATE, {})
    assert steps(tmp_path) == kept


def test_none_to_keep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep: expected at least one checkpoint, got 0"):
        Checkpoints(tmp_path, keep=0)


def _flipped(path: Path) -> None:
    tensors = next(path.glob("*.safetensors"))
    content = bytearray(tensors.read_bytes())
    content[-3] ^= 1  # a bit of the last tensor: the file reads as well as before
    tensors.write_bytes(content)


def _cut(path: Path) -> None:
    tensors = next(path.glob("*.safetensors"))
    tensors.write_bytes(tensors.read_bytes()[:-40])


def _lost(path: Path) -> None:
    next(path.glob("*.safetensors")).unlink()


def _step_changed(path: Path) -> None:
    about = json.loads((path / ABOUT).read_text())
    (path / ABOUT).write_text(json.dumps(about | {"step": 1}))


def _about_cut(path: Path) -> None:
    (path / ABOUT).write_text((path / ABOUT).read_text()[:30])


def _about_lost(path: Path) -> None:
    (path / ABOUT).unlink()


def _emptied(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "bit": (_flipped, r"[\w-]+\.safetensors was changed"),
    "cut": (_cut, r"[\w-]+\.safetensors was changed"),
    "lost": (_lost, r"[\w-]+\.safetensors is missing"),
    "step": (_step_changed, "checkpoint.json was changed"),
    "about cut": (_about_cut, "checkpoint.json was changed"),
    "about lost": (_about_lost, "checkpoint.json is missing"),
    "emptied": (_emptied, "checkpoint.json is missing"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, float]]]:
    folder = tmp_path_factory.mktemp("whole")
    train(Line(), folder, 12)
    return outcome(folder)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_one_is_gone_around(
    tmp_path: Path, whole: Any, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, reason = DAMAGE[kind]
    interrupt(tmp_path, 7)
    assert steps(tmp_path) == [6, 7]
    damage(tmp_path / FOLDER / "00000007")
    capsys.readouterr()
    last = Line()
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(last, 9), tmp_path, 12)
    assert last.steps[0] == 6
    message = rf"{re.escape(str(tmp_path / FOLDER))}: damaged: 7 \({reason}\); going on from step 6\n"
    assert re.fullmatch(message, capsys.readouterr().err)
    assert steps(tmp_path) == [8, 9]  # the damaged one was written again and forgotten
    train(Line(), tmp_path, 12)
    assert outcome(tmp_path) == whole


def test_when_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    interrupt(tmp_path, 5)
    for path in (tmp_path / FOLDER).iterdir():
        _cut(path)
    message = (
        r"the state of the training is damaged in every checkpoint: 5 \(.* was changed\), 4 \(.*\); remove the folder"
    )
    with pytest.raises(ValueError, match=message):
        train(Line(), tmp_path, 12)


class Code:
    """A pickle that would write a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        return Path.write_text, (self.target, "run")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    interrupt(tmp_path, 5)
    for path in (tmp_path / FOLDER).iterdir():
        for name in (ABOUT, ".metadata", next(path.glob("*.safetensors")).name):
            (path / name).write_bytes(pickle.dumps(Code(tmp_path / "evidence")))
    with pytest.raises(ValueError, match="damaged in every checkpoint"):
        train(Line(), tmp_path, 12)
    assert not (tmp_path / "evidence").exists()


def test_a_state_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    """Where the settings are the same and the code is not."""
    interrupt(tmp_path, 5)
    line = Line()
    line.optimizer = torch.optim.SGD(line.model.parameters(), lr=0.1)
    line.modules = {"model": line.model, "critic": torch.nn.Linear(1, 1)}
    with pytest.raises(
        ValueError, match=r"expected the state of this training, got one in which 2 tensors are missing"
    ):
        train(line, tmp_path, 12)


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")


class Filling(Line):
    """The disk is full during some steps: inside the writing of the tensors, or of what stands beside them."""

    def __init__(self, patch: pytest.MonkeyPatch, where: str, when: range) -> None:
        super().__init__()
        self.patch, self.where, self.when = patch, where, when

    def step(self, index: int) -> dict[str, Tensor]:
        self.patch.undo()
        if index in self.when and self.where == "tensors":
            original = sharded.HuggingFaceStorageWriter.write_data

            def half(writer: Any, plan: Any, planner: Any) -> Any:
                original(writer, plan, planner)
                _full()

            self.patch.setattr(sharded.HuggingFaceStorageWriter, "write_data", half)
        elif index in self.when:
            self.patch.setattr("nuwa.training.checkpoints.files.write_json", _full)
        return super().step(index)


@pytest.mark.parametrize("where", ["tensors", "about"])
def test_a_full_disk_is_survived(
    tmp_path: Path, whole: Any, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Filling(monkeypatch, where, range(4, 7)), 7), tmp_path, 12)
    monkeypatch.undo()
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in errors] == [f"no checkpoint at step {step}" for step in (5, 6, 7)]
    assert "the last one is of step 4, and the training goes on" in errors[0]
    assert steps(tmp_path) == [3, 4]  # and nothing half written
    train(Filling(monkeypatch, where, range(5, 6)), tmp_path, 12)
    assert outcome(tmp_path) == whole


def test_a_disk_that_refuses_is_not_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: Any) -> None:
        raise StorageError("cannot write: read-only")

    monkeypatch.setattr("nuwa.training.checkpoints.files.write_json", read_only)
    with pytest.raises(StorageError, match="read-only"):
        train(Line(), tmp_path, 12)


def test_lines_wait_while_the_disk_is_full(tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost, and none is cut, although the disk took a part of one."""

    class Crowded(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            monkeypatch.undo()
            if 2 < index < 6:
                original = os.write

                def some(descriptor: int, data: bytes) -> int:
                    original(descriptor, data[:5])
                    _full()
                    return 0

                monkeypatch.setattr("nuwa.training.log.os.write", some)
            return super().step(index)

    train(Crowded(), tmp_path, 12, save_s=1e9)
    assert outcome(tmp_path) == whole
    assert [json.loads(line)["step"] for line in (tmp_path / LOG).read_text().splitlines()] == list(range(1, 13))


def test_the_final_weights_need_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any) -> None:
    """Without it the run ends with a sentence, and goes on from the last checkpoint."""
    monkeypatch.setattr(checkpoint, "save_file", _full)
    with pytest.raises(StorageError, match=r"disk full while writing .*weights.safetensors; free some space and run"):
        train(Line(), tmp_path, 12)
    monkeypatch.undo()
    assert last_step(tmp_path) == 11
    train(Line(), tmp_path, 12)
    assert outcome(tmp_path) == whole
