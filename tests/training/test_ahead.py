"""Reading ahead changes nothing but the time."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal

import pytest
import torch

from nuwa.training.ahead import Ahead, usual_workers
from tests.training.stages import STAGES

CPU = torch.device("cpu")


def test_steps_come_in_order_and_from_other_processes() -> None:
    ahead = Ahead(lambda step: (step * step, os.getpid()), 7, workers=2, device=CPU)
    found = [ahead[step] for step in (*range(7), 3, 4, 0)]
    assert [square for square, _ in found] == [0, 1, 4, 9, 16, 25, 36, 9, 16, 0]
    assert os.getpid() not in {where for _, where in found}


def test_without_workers_a_step_is_read_when_it_is_asked_for() -> None:
    read: list[int] = []
    ahead = Ahead(read.append, 7, workers=0, device=CPU)
    for step in (2, 3, 1):
        ahead[step]
    assert read == [2, 3, 1]


def test_an_error_comes_in_its_own_words() -> None:
    def read(step: int) -> int:
        if step == 1:
            raise ValueError(f"picture {step}: expected a JPEG, got nothing")
        return step

    ahead = Ahead(read, 3, workers=1, device=CPU)
    assert ahead[0] == 0
    with pytest.raises(ValueError, match=r"^picture 1: expected a JPEG, got nothing$"):
        ahead[1]
    assert ahead[2] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_to_all_processes_are_the_trainings_own_affair(number: signal.Signals) -> None:
    ahead = Ahead(lambda step: (step, os.getpid()), 40, workers=1, device=CPU)
    _, where = ahead[0]
    os.kill(where, number)
    assert [ahead[step] for step in range(1, 40)] == [(step, where) for step in range(1, 40)]


@pytest.mark.parametrize("name", STAGES)
def test_processes_end_with_the_stage(name: str) -> None:
    """With its last reference, not when the garbage collector comes by, for which they would not end at once."""
    stage = STAGES[name](workers=2)
    stage.step(0)
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    gc.disable()
    try:
        del stage
        assert not any(worker.is_alive() for worker in workers)
    finally:
        gc.enable()


def test_fewer_workers_than_none_are_refused() -> None:
    with pytest.raises(ValueError, match="workers: expected 0 processes or more, got -1"):
        Ahead(int, 3, workers=-1, device=CPU)


def test_a_cpu_keeps_its_cores_for_the_model() -> None:
    assert usual_workers(CPU) == 0


@pytest.mark.parametrize("name", STAGES)
def test_a_training_is_the_same_to_the_bit(name: str) -> None:
    """Steps 3 to 5 of a training of which nothing was read before, as after a resume."""
    found = []
    for workers in (0, 2):
        stage = STAGES[name](workers=workers)
        torch.manual_seed(0)
        scalars = [stage.step(index) for index in (3, 4, 5)]
        found.append((scalars, stage.modules["model"].state_dict()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
