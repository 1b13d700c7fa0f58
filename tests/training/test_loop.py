"""The shared loop on the smallest thing to train: a line through noisy points."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa.errors import Preempted
from nuwa.training import checkpoint
from nuwa.training.checkpoints import FOLDER
from nuwa.training.loop import LOG, finished, fit
from nuwa.training.optim import clipped_step

from .stages import Line, Stopping, interrupt, outcome, train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, float]]]:
    folder = tmp_path_factory.mktemp("whole")
    train(Line(), folder, 12)
    return outcome(folder)


def left(folder: Path) -> set[str]:
    """Names in a training's folder, but for what is there where TensorBoard is installed."""
    return {path.name for path in folder.iterdir()} - {"tensorboard"}


def test_what_a_training_leaves(tmp_path: Path) -> None:
    train(Line(), tmp_path, 12)
    assert left(tmp_path) == {LOG, checkpoint.WEIGHTS, "best"}
    assert checkpoint.read_config(tmp_path / checkpoint.WEIGHTS) == {"lr": 0.1, "training": {"batch": 8}}
    _, log = outcome(tmp_path)
    assert [line["step"] for line in log] == list(range(1, 13))
    assert [line["step"] for line in log if "error" in line] == [4, 8, 12]
    assert log[-1]["loss"] < log[0]["loss"] / 10


def test_log_lines_are_spaced_and_end_with_the_last_step(tmp_path: Path) -> None:
    fit(Line(), tmp_path, steps=11, seed=0, log_every=4, validate_every=8)
    _, log = outcome(tmp_path)
    assert [(line["step"], "error" in line) for line in log] == [(4, False), (8, True), (11, True)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(0, 11), max_size=3).map(sorted))
def test_stopped_and_gone_on_is_never_stopped(
    tmp_path_factory: pytest.TempPathFactory, whole: tuple[bytes, list[dict[str, float]]], stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("stopped")
    for stop in stops:
        interrupt(folder, stop)
    last = Line()
    train(last, folder, 12)
    assert last.steps[0] == (max(stops) if stops else 0)  # nothing is trained twice
    assert outcome(folder) == whole


def test_it_goes_on_from_the_last_checkpoint_not_from_the_last_line(
    tmp_path: Path, whole: tuple[bytes, list[dict[str, float]]]
) -> None:
    """Lines that were logged after it are written again, and one that was cut short is forgotten."""
    interrupt(tmp_path, 5)
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Line(), 9), tmp_path, 12, save_s=1e9)
    assert len((tmp_path / LOG).read_text().splitlines()) == 9
    with (tmp_path / LOG).open("a") as log:
        log.write('{"step": 10, "los')
    last = Line()
    train(last, tmp_path, 12)
    assert last.steps[0] == 5
    assert outcome(tmp_path) == whole


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    interrupt(tmp_path, 5)
    half = tmp_path / FOLDER / ".00000006.part"
    half.mkdir()
    (half / "shard.safetensors").write_bytes(b"half")
    interrupt(tmp_path, 6)
    assert [path.name for path in sorted((tmp_path / FOLDER).iterdir())] == ["00000005", "00000006"]
    train(Line(), tmp_path, 12)
    assert left(tmp_path) == {LOG, checkpoint.WEIGHTS, "best"}


def test_time_is_counted_over_all_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    class Slow(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            clock[0] += 10
            return super().step(index)

    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Slow(), 5), tmp_path, 12)
    clock[0] += 5000  # between the two runs
    train(Slow(), tmp_path, 12)
    times = [json.loads(line)["time_s"] for line in (tmp_path / LOG).read_text().splitlines()]
    assert times == [10.0 * step for step in range(1, 13)]


def test_a_log_without_a_training_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text('{"step": 99}\n')
    train(Line(), tmp_path, 12)
    assert outcome(tmp_path)[1][0]["step"] == 1


def test_another_seed_is_another_training(tmp_path: Path, whole: tuple[bytes, list[dict[str, float]]]) -> None:
    fit(Line(), tmp_path, steps=12, seed=4, log_every=1, validate_every=4)
    assert outcome(tmp_path)[0] != whole[0]


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (Line(lr=0.2), "lr"),
        (Line(batch=9), "training.batch"),
        (Line(lr=0.2, batch=9, clip=1.0), "lr, training.batch, training.clip"),
    ],
)
def test_another_training_in_the_folder_is_named(tmp_path: Path, other: Line, names: str) -> None:
    message = rf"holds a training with other settings \({names}\); give this one a folder of its own with --out"
    interrupt(tmp_path, 5)
    with pytest.raises(ValueError, match=message):
        train(other, tmp_path, 12)
    train(Line(), tmp_path, 12)
    with pytest.raises(ValueError, match=message):
        finished(tmp_path, other.config)


def test_finished(tmp_path: Path) -> None:
    assert not finished(tmp_path, Line().config)
    interrupt(tmp_path, 5)
    assert not finished(tmp_path, Line().config)
    train(Line(), tmp_path, 12)
    assert finished(tmp_path, Line().config)


def test_a_config_is_compared_as_json(tmp_path: Path) -> None:
    """Tuples come back as lists, and are the same settings."""
    stage = Line(widths=(8, 16))
    train(stage, tmp_path, 2)
    assert finished(tmp_path, stage.config)


class Failing(Line):
    """Some steps meet a sample that is no number."""

    def __init__(self, *bad: int) -> None:
        super().__init__()
        self.bad = bad

    def step(self, index: int) -> dict[str, Tensor]:
        if index not in self.bad:
            return super().step(index)
        for parameter in self.model.parameters():
            parameter.grad = torch.full_like(parameter, float("nan"))
        before = self.model.weight.clone()
        norm = clipped_step(self.model.parameters(), [self.optimizer])
        assert torch.equal(self.model.weight, before)
        return {"loss": torch.tensor(1.0), "gradient_norm": norm}


def test_single_bad_steps_are_left_out_and_counted(tmp_path: Path) -> None:
    train(Failing(3, 4, 8), tmp_path, 12)
    _, log = outcome(tmp_path)
    assert [line.get("bad_steps", 0) for line in log] == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert [line["step"] for line in log if "gradient_norm" not in line] == [4, 5, 9]
    assert log[-1]["loss"] < log[0]["loss"]


def test_the_count_of_bad_steps_goes_on_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Failing(3, 4), 5), tmp_path, 12)
    train(Failing(3, 4, 8), tmp_path, 12)
    assert outcome(tmp_path)[1][-1]["bad_steps"] == 3
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Failing(2, 3, 4), 5), tmp_path / "row", 12)
    with pytest.raises(FloatingPointError, match="5 steps in a row up to step 7"):
        train(Failing(5, 6), tmp_path / "row", 12)


def test_many_bad_steps_in_a_row_end_the_training(tmp_path: Path) -> None:
    class Diverging(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            return {"loss": torch.tensor(float("inf") if index >= 3 else 1.0)}

    message = (
        r"train line: 5 steps in a row up to step 8 gave a loss or a gradient .* \{'loss': inf\}; lower the learning"
    )
    with pytest.raises(FloatingPointError, match=message):
        train(Diverging(), tmp_path, 12)
    assert not (tmp_path / checkpoint.WEIGHTS).exists()


def test_something_else_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    class Odd(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            return super().step(index) | {"commitment": torch.tensor(float("nan"))}

    with pytest.raises(FloatingPointError, match=r"train line: step 1 gave \{.*'commitment': nan\}; lower"):
        train(Odd(), tmp_path, 12)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_the_run_after_the_step(
    tmp_path: Path, whole: tuple[bytes, list[dict[str, float]]], number: signal.Signals
) -> None:
    class Signalled(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            if index == 6:
                os.kill(os.getpid(), number)
            return super().step(index)

    before = signal.getsignal(number)
    message = rf"train line: stopped by {number.name} with a checkpoint of step 7; the same command goes on from there"
    with pytest.raises(Preempted, match=message):
        train(Signalled(), tmp_path, 12, save_s=1e9)
    assert signal.getsignal(number) == before
    last = Line()
    train(last, tmp_path, 12)
    assert last.steps[0] == 7
    assert outcome(tmp_path) == whole


def test_a_signal_in_the_last_step_is_not_forgotten(
    tmp_path: Path, whole: tuple[bytes, list[dict[str, float]]]
) -> None:
    class Signalled(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            if index == 11:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().step(index)

    with pytest.raises(
        Preempted, match="train line: stopped by SIGTERM when it was finished; the same command goes on"
    ):
        train(Signalled(), tmp_path, 12)
    assert outcome(tmp_path) == whole


def test_an_average_is_what_is_left(tmp_path: Path, whole: tuple[bytes, list[dict[str, float]]]) -> None:
    def averaged() -> Line:
        line = Line()
        line.ema = 0.5
        return line

    train(averaged(), tmp_path / "whole", 12)
    weights, log = outcome(tmp_path / "whole")
    assert weights != whole[0]
    assert [line["loss"] for line in log] == [line["loss"] for line in whole[1]]  # it steers nothing
    assert [line.get("error") for line in log] != [line.get("error") for line in whole[1]]  # but is what is measured
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(averaged(), 5), tmp_path / "parts", 12)
    train(averaged(), tmp_path / "parts", 12)
    assert outcome(tmp_path / "parts") == (weights, log)


def test_a_log_line_says_what_the_training_costs(tmp_path: Path) -> None:
    train(Line(), tmp_path, 2)
    for text in (tmp_path / LOG).read_text().splitlines():
        line = json.loads(text)
        assert line["tokens_per_s"] > 0
        assert 0.05 < line["peak_host_gib"] < 1000
        assert line["gradient_norm"] > 0
