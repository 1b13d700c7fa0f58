"""One checkpoint for all tasks: it is trained once, handed to every session, and what it cannot do is left out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from evaluation import all_tasks
from evaluation.__main__ import main
from evaluation.all_tasks import AllOptions
from evaluation.sessions import SESSIONS, SessionOptions
from nuwa.errors import run_cli
from nuwa.presets import PRESETS
from nuwa.tasks import TASKS
from nuwa.training.on_sprites import sprites_data
from nuwa.training.prepare import prepare


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, SessionOptions]:
    """What each session was asked for, which here does nothing else."""
    found: dict[str, SessionOptions] = {}

    def asked_of(task: str, options: SessionOptions) -> object:
        found[task] = options
        return object()  # in place of a record

    for task in SESSIONS:
        monkeypatch.setitem(SESSIONS._parts, task, replace(SESSIONS[task], run=partial(asked_of, task)))
    monkeypatch.setattr(
        all_tasks, "sprites_data", lambda *sizes: sprites_data(*sizes, num_held_out=8, num_captions=500)
    )
    return found


def test_every_session_gets_the_one_checkpoint(asked: dict[str, SessionOptions], tmp_path: Path) -> None:
    all_tasks.run(AllOptions(preset="smoke", num=7, guidance=1.5, device="cpu", out=tmp_path))
    assert list(asked) == list(TASKS)
    for task, options in asked.items():
        assert type(options) is SESSIONS[task].options
        assert (options.checkpoint, options.out) == (tmp_path / "checkpoint", tmp_path / task)
        assert (options.num, options.guidance, options.device) == (7, 1.5, "cpu")
    assert (tmp_path / "checkpoint" / "config.json").is_file()


def test_every_task_has_a_session() -> None:
    assert set(SESSIONS) == set(TASKS)


@pytest.fixture(scope="module")
def of_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, preset = tmp_path_factory.mktemp("of-clips"), PRESETS["smoke"]().only("t2v", "v2v")
    data = sprites_data(preset.tokenizer.model.size_px, preset.frames, num_held_out=8, num_captions=500)
    prepare(preset, data, folder / "training", torch.device("cpu")).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"


def test_what_the_checkpoint_cannot_do_is_left_out_and_named(
    asked: dict[str, SessionOptions], of_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    all_tasks.run(AllOptions(checkpoint=of_clips, device="cpu", out=tmp_path / "out"))
    assert {"t2v", "v2v"} <= set(asked)
    assert not {"t2i", "s2i", "s2v"} & set(asked)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("left out: ")
    assert "s2i" in first
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_checkpoint_of_other_tasks_is_refused_by_a_session(
    of_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(main, ["s2v", "--checkpoint", str(of_clips), "--out", str(tmp_path / "out")]) == 2
    sentence = capsys.readouterr().err
    assert "expected a model trained for s2v, got one for t2v, v2v" in sentence
    assert sentence.count("\n") == 1
