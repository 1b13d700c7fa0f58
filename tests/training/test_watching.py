"""What one sees of a training: boards that go on where a run went on, sheets of samples, a line in short."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nuwa.tasks import TASKS, of_target
from nuwa.training import meter as meter_module
from nuwa.training import watching as module
from nuwa.training.flops import reads, sample_flops
from nuwa.training.loop import fit
from nuwa.training.meter import Meter
from nuwa.training.sheets import FRAMES, in_colours, tile
from nuwa.training.task_sheet import draw
from nuwa.training.watching import Watching

from .stages import Line, Stopping, outcome, sketch_stage, tasks_stage, tokenizer_stage

SETTINGS: dict[str, Any] = {"steps": 8, "seed": 3, "log_every": 1, "validate_every": 4}


def events(folder: Path) -> Any:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def test_event_files_are_read_in_the_order_in_which_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ninth and the tenth of a process and a second would change places: a run goes on where its last part ended."""
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    monkeypatch.setattr(writer, "_global_uid", writer.AtomicCounter(9))
    for start in range(3):
        board = module.TensorBoard(tmp_path, start)
        board.write(start + 1, {"loss": float(start)})
        board.close()
    accumulator = events(tmp_path)
    assert [(each.step, each.value) for each in accumulator.Scalars("loss")] == [(1, 0.0), (2, 1.0), (3, 2.0)]


def test_tensorboard_has_the_log_and_the_samples(tmp_path: Path) -> None:
    """Each step once, though the run was stopped and wrote three steps again."""
    pytest.importorskip("tensorboard")
    watching = Watching(samples_every=4)
    with pytest.raises(KeyboardInterrupt):
        fit(Stopping(Line(), 3), tmp_path, **SETTINGS, watching=watching, save_s=0)
    with pytest.raises(KeyboardInterrupt):
        fit(Stopping(Line(), 6), tmp_path, **SETTINGS, watching=watching, save_s=1e9)
    fit(Line(), tmp_path, **SETTINGS, watching=watching)
    found, (_, log) = events(tmp_path), outcome(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [
        (line["step"], pytest.approx(line["loss"])) for line in log
    ]
    assert [e.step for e in found.Scalars("error")] == [4, 8]
    assert {e.step for e in found.Images("train line")} == {4, 8}
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["00000004.png", "00000008.png"]


def test_it_is_left_out_where_it_is_not_wanted(tmp_path: Path) -> None:
    fit(Line(), tmp_path, **SETTINGS, watching=Watching(tensorboard=False))
    assert not (tmp_path / "tensorboard").exists()
    assert not (tmp_path / "samples").exists()


def test_watching_changes_no_result(tmp_path: Path) -> None:
    fit(tasks_stage(), tmp_path / "plain", **SETTINGS, watching=Watching(tensorboard=False, keep_best=0))
    fit(tasks_stage(), tmp_path / "watched", **SETTINGS, watching=Watching(samples_every=3))
    assert outcome(tmp_path / "plain") == outcome(tmp_path / "watched")


class Run:
    """Stands for a run of Weights & Biases."""

    def __init__(self, **asked: Any) -> None:
        self.asked, self.logged, self.finished = asked, [], False

    def define_metric(self, *_: str, **__: str) -> None:
        pass

    def log(self, numbers: dict[str, Any]) -> None:
        self.logged.append(numbers)

    def finish(self) -> None:
        self.finished = True


def test_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that goes on has the id that it had, and the run is finished even where the training fails."""
    runs: list[Run] = []
    wandb = types.ModuleType("wandb")
    wandb.__spec__ = object()  # type: ignore[assignment]  # as if it were installed
    wandb.init = lambda **asked: runs.append(Run(**asked)) or runs[-1]  # type: ignore[attr-defined]
    wandb.Image = lambda picture: picture.size  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    watching = Watching(tensorboard=False, wandb="nuwa", samples_every=8)
    with pytest.raises(KeyboardInterrupt):
        fit(Stopping(Line(), 3), tmp_path, **SETTINGS, watching=watching, save_s=0)
    fit(Line(), tmp_path, **SETTINGS, watching=watching)
    first, second = runs
    assert first.asked["id"] == second.asked["id"]
    assert (first.asked["project"], first.asked["resume"], first.asked["config"]) == ("nuwa", "allow", Line().config)
    assert first.finished
    assert second.finished
    assert [each["step"] for each in first.logged + second.logged] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert second.logged[-1] == {"step": 8, "train line": (3, 2)}


def test_what_is_asked_for_and_not_installed_is_said() -> None:
    if module.importlib.util.find_spec("wandb") is not None:
        pytest.skip("it is installed")
    with pytest.raises(
        ValueError, match="wandb: expected Weights & Biases to be installed, found none; pip install wandb"
    ):
        Watching(wandb="nuwa")


@pytest.mark.parametrize("name", ["samples_every", "keep", "keep_best"])
def test_numbers_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected at least"):
        Watching(**{name: -1})


def test_mfu_where_the_peak_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mfu" not in Meter().read()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**30)
    monkeypatch.setattr(meter_module, "peak_of", lambda device: 1000.0)
    monkeypatch.setattr(meter_module, "world", lambda: 2)
    clock = [0.0]
    monkeypatch.setattr(meter_module.time, "perf_counter", lambda: clock[0])
    meter = Meter()
    for _ in range(3):
        meter.begin()
        clock[0] += 2
        meter.end(10, 1500)
        clock[0] += 100  # a checkpoint
    line = meter.read()
    assert (line["mfu"], line["tokens_per_s"]) == (0.375, 5.0)
    assert "mfu" not in meter.read()


def test_operations_of_a_step_follow_from_what_it_read() -> None:
    """Those of the task at 77 words, less the words that no text had and the frames that were not given."""
    stage = tasks_stage()
    for index in range(4):
        stage.step(index)
        task = stage.mixture[index].task
        samples = stage.tokens(index) // of_target(stage.model.config.grid, task.target).size
        most = (
            samples
            * sample_flops(
                stage.model, of_target(stage.model.config.grid, task.target), reads(task, stage.model.config)
            ).training
        )
        assert 0.3 * most < stage.flops(index) < most


@pytest.mark.parametrize("stage", [tokenizer_stage, sketch_stage, tasks_stage], ids=lambda each: each.__name__)
def test_sheets(stage: Any) -> None:
    """Drawn twice they are the same, and they are not blank."""
    made = stage()
    one, other = made.sheet(), made.sheet()
    assert isinstance(one, Image.Image)
    assert np.array_equal(np.asarray(one), np.asarray(other))
    assert len(np.unique(np.asarray(one))) > 5


@pytest.mark.parametrize("name", TASKS)
def test_samples_of_every_task(name: str) -> None:
    """As many as asked for, beside what was given: pixels that were given come back."""
    stage = tasks_stage()
    stage.model.eval()
    from nuwa.system import Nuwa

    system = Nuwa(
        stage.examples.tokenizer, stage.text, stage.model, sketch_tokenizer=stage.examples.sketch, tasks=tuple(TASKS)
    )
    task = TASKS[name]
    drawn = draw(system, task, stage.examples.sources[task.target], 2)
    assert drawn.made.shape == drawn.true.shape
    assert len(drawn.made) == len(drawn.said) == 2
    assert (drawn.shown is None) == (task.given == "nothing" and not task.sketch)
    if task.given == "first frames":
        assert torch.equal(drawn.made[:, :1], drawn.true[:, :1])
    if task.given == "outside the mask":
        assert torch.equal(drawn.made[..., 0], drawn.true[..., 0])  # the left edge
        assert not torch.equal(drawn.shown, drawn.true)


def test_a_few_frames_of_a_clip_enlarged() -> None:
    clip = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 16, 16)
    shown = np.asarray(tile(clip))
    assert shown.shape == (64, FRAMES * 64, 3)
    assert [int(shown[0, column, 0]) for column in (0, 64, 128)] == [0, 2, 4]
    assert in_colours(torch.tensor([[0, 1]])).shape == (3, 1, 2)
