"""The shared loop on the smallest thing to train: a line through noisy points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nuwa.training import checkpoint
from nuwa.training.loop import LOG, finished, fit

from .stages import Stopping, outcome, train


class Line:
    """Satisfies ``Stage``; its noise comes from the global generator, which the loop seeds anew for every step."""

    name = "train line"

    def __init__(self, lr: float = 0.1, **nested: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.modules = {"model": self.model}
        self.optimizers = {"model": self.optimizer}
        self.config = {"lr": lr, "training": {"batch": 8} | nested}
        self.steps: list[int] = []

    def step(self, index: int) -> dict[str, Tensor]:
        self.steps.append(index)
        x = torch.randn(8, 2)
        loss = (self.model(x) - x.sum(dim=1, keepdim=True) + 0.1 * torch.randn(8, 1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def validate(self) -> dict[str, float]:
        return {"error": float((self.model.weight.detach() - 1).abs().sum())}


def interrupt(folder: Path, before: int, steps: int = 12) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Stopping(Line(), before), folder, steps)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[dict[str, float]]]:
    folder = tmp_path_factory.mktemp("whole")
    train(Line(), folder, 12)
    return outcome(folder)


def test_what_a_training_leaves(tmp_path: Path) -> None:
    train(Line(), tmp_path, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, checkpoint.WEIGHTS]
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
    (tmp_path / ".state.pt.4711.part").write_bytes(b"half")
    train(Line(), tmp_path, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOG, checkpoint.WEIGHTS]


def test_time_is_counted_over_all_parts(tmp_path: Path) -> None:
    interrupt(tmp_path, 5)
    state = checkpoint.load_state(tmp_path / checkpoint.STATE)
    checkpoint.save_state(tmp_path / checkpoint.STATE, state | {"time_s": 1000.0})
    train(Line(), tmp_path, 12)
    times = [json.loads(line)["time_s"] for line in (tmp_path / LOG).read_text().splitlines()]
    assert times[4] < 1000 <= times[5] <= times[-1] < 1900


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


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    class Diverging(Line):
        def step(self, index: int) -> dict[str, Tensor]:
            return {"loss": torch.tensor(float("inf") if index == 3 else 1.0)}

    with pytest.raises(FloatingPointError, match=r"train line: step 4 gave \{'loss': inf\}; lower the learning rate"):
        train(Diverging(), tmp_path, 12)
    assert not (tmp_path / checkpoint.WEIGHTS).exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_state_is_a_sentence(tmp_path: Path, share: float) -> None:
    interrupt(tmp_path, 5)
    content = (tmp_path / checkpoint.STATE).read_bytes()
    (tmp_path / checkpoint.STATE).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"state.pt: the state of the training is damaged; remove it to train from"):
        train(Line(), tmp_path, 12)
