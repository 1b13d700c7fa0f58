"""Which task a step trains: close to the weights at any time, and a function of the step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa.presets import EIGHT
from nuwa.tasks import TASKS
from nuwa.training import mixture as module
from nuwa.training.mixture import Mixture

WEIGHTS = st.dictionaries(st.sampled_from(TASKS.names()), st.floats(0.5, 5.0), min_size=1)


def listed(weights: dict[str, float], steps: int, lead: int) -> list[tuple[str, int]]:
    """The whole order at once, which the paper's number of steps forbids."""
    names, share = list(weights), np.array(list(weights.values())) / sum(weights.values())
    places = (np.arange(steps) - lead + 0.5) * 0.6180339887498949 % 1
    chosen = np.where(np.arange(steps) < lead, 0, np.searchsorted(np.cumsum(share)[:-1], places, side="right"))
    found, count = [], {"picture": 0, "clip": 0}
    for task in chosen:
        target = TASKS[names[task]].target
        found.append((names[task], count[target]))
        count[target] += 1
    return found


@pytest.mark.parametrize("order", [range(40), range(39, -1, -1), [25, 3, 26, 39, 0]], ids=["on", "back", "about"])
@given(weights=WEIGHTS, lead=st.integers(0, 20))
def test_laid_out_in_blocks(order: list[int], weights: dict[str, float], lead: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 7)
        mixture = Mixture(weights, 40, lead=lead)
        expected = listed(weights, 40, lead)
        assert all((mixture[step].task.name, mixture[step].number) == expected[step] for step in order)


def test_the_papers_number_of_steps() -> None:
    mixture = Mixture(EIGHT, 50_000_000)
    last = mixture[49_999_999]
    share = sum(mixture.shares[name] for name in EIGHT if TASKS[name].target == last.task.target)
    assert last.number == pytest.approx(50e6 * share, abs=10)


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_that_is_none(step: int) -> None:
    with pytest.raises(IndexError, match=f"step: expected one of 3, got {step}"):
        Mixture({"t2i": 1.0}, 3)[step]


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
