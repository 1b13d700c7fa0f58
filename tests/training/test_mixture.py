"""Which task a step trains: close to the weights at any time, and a function of the step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa.presets import EIGHT
from nuwa.tasks import TASKS
from nuwa.training.mixture import Mixture

WEIGHTS = st.dictionaries(st.sampled_from(TASKS.names()), st.floats(0.5, 5.0), min_size=1)


@given(WEIGHTS, st.integers(0, 900), st.integers(1, 300))
def test_any_stretch_of_a_training_sees_the_mixture(weights: dict[str, float], start: int, length: int) -> None:
    mixture = Mixture(weights, start + length)
    names = [mixture[step].task.name for step in range(start, start + length)]
    for name, share in mixture.shares.items():
        assert abs(names.count(name) - share * length) < 3


@given(WEIGHTS)
def test_shares_add_up(weights: dict[str, float]) -> None:
    shares = Mixture(weights, 1).shares
    assert sum(shares.values()) == pytest.approx(1)
    assert all(shares[name] == pytest.approx(weights[name] / sum(weights.values())) for name in weights)


def test_one_task_reads_its_data_in_order() -> None:
    mixture = Mixture({"t2i": 3.0}, 20)
    assert [(turn.task.name, turn.number) for turn in map(mixture.__getitem__, range(20))] == [
        ("t2i", number) for number in range(20)
    ]


def test_pictures_and_clips_are_each_read_without_gaps() -> None:
    mixture = Mixture(EIGHT, 500)
    for target in ("picture", "clip"):
        numbers = [mixture[step].number for step in range(500) if mixture[step].task.target == target]
        assert numbers == list(range(len(numbers)))


def test_a_longer_training_begins_as_a_short_one() -> None:
    assert [Mixture(EIGHT, 30)[step] for step in range(30)] == [Mixture(EIGHT, 300)[step] for step in range(30)]


def test_the_first_task_leads() -> None:
    led = [Mixture({"t2i": 1.0, "v2v": 3.0}, 30, lead=10)[step] for step in range(30)]
    assert [turn.task.name for turn in led[:10]] == ["t2i"] * 10
    plain = [Mixture({"t2i": 1.0, "v2v": 3.0}, 20)[step].task.name for step in range(20)]
    assert [turn.task.name for turn in led[10:]] == plain
    assert [turn.number for turn in led if turn.task.name == "t2i"] == list(range(10 + plain.count("t2i")))


def test_bad_lead() -> None:
    with pytest.raises(ValueError, match="lead: expected 0 steps or more, got -1"):
        Mixture({"t2i": 1.0}, 3, lead=-1)


def test_golden() -> None:
    """``[Mixture({"t2i": 2, "v2v": 1, "t2v": 1}, 12)[step].task.name for step in range(12)]``, and by hand."""
    found = [Mixture({"t2i": 2.0, "v2v": 1.0, "t2v": 1.0}, 12)[step].task.name for step in range(12)]
    place = (np.arange(12) + 0.5) * 0.6180339887498949 % 1
    assert found == ["t2i" if each < 0.5 else "v2v" if each < 0.75 else "t2v" for each in place]
    assert " ".join(found) == "t2i t2v v2v t2i t2v t2i t2i v2v t2i t2v t2i t2i"


@pytest.mark.parametrize("weights", [{}, {"t2i": 0.0}, {"t2i": 1.0, "v2v": -1.0}, {"t2i": float("nan")}])
def test_bad_weights(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="tasks: expected at least one, each with a weight above 0, got"):
        Mixture(weights, 3)


def test_an_unknown_task() -> None:
    with pytest.raises(ValueError, match=r"unknown task 'tv2'; did you mean 'tv2v'\?"):
        Mixture({"tv2": 1.0}, 3)
