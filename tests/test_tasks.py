"""What every task's description keeps, of the eight and of any that is added."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from nuwa import Grid, Nuwa
from nuwa.sampling import Sampling
from nuwa.tasks import TASKS, Given, Target, Task, Text, needed_for, of_target


@pytest.mark.parametrize("name", TASKS)
class TestDescription:
    def test_it_is_frozen_and_named(self, name: str) -> None:
        task = TASKS[name]
        assert task.name == name
        assert task.title
        assert task.scores
        assert len(set(task.scores)) == len(task.scores)
        with pytest.raises(dataclasses.FrozenInstanceError):
            task.text = "none"  # type: ignore[misc]

    def test_its_words_are_known(self, name: str) -> None:
        task = TASKS[name]
        assert task.target in get_args(Target)
        assert task.text in get_args(Text)
        assert task.given in get_args(Given)

    def test_people_can_ask_for_it(self, name: str) -> None:
        assert callable(getattr(Nuwa, name))

    def test_a_route_leads_to_a_task_that_makes_the_same_from_no_more(self, name: str) -> None:
        task = TASKS[name]
        for route in task.routes:
            learnt = TASKS[task.learnt_from(route)]
            assert learnt.target == task.target
            assert set(learnt.conditions) <= set(task.conditions)
        assert ("zero-shot" in task.routes) == (task.given == "outside the mask")

    def test_another_route_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected the route .*, got 'detour'"):
            TASKS[name].learnt_from("detour")  # type: ignore[arg-type]


def test_the_eight_of_the_paper() -> None:
    assert TASKS.names() == ["t2i", "s2i", "i2i", "ti2i", "t2v", "v2v", "s2v", "tv2v"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["t2i"], ("t2i",)),
        (["tv2v"], ("t2v", "tv2v")),
        (["ti2i", "i2i"], ("t2i", "i2i", "ti2i")),
        (["s2v", "v2v"], ("v2v", "s2v")),
    ],
)
def test_what_has_to_be_trained(names: list[str], expected: tuple[str, ...]) -> None:
    assert needed_for(*names) == expected


def test_the_zero_shot_route_is_learnt_from_another_task() -> None:
    assert TASKS["i2i"].learnt_from("zero-shot") == "t2i"
    assert TASKS["tv2v"].learnt_from("masked-condition") == "tv2v"
    assert TASKS["v2v"].routes == ("masked-condition",)
    assert TASKS["s2v"].routes == ("direct",)


def test_what_can_be_guided() -> None:
    assert [name for name in TASKS if not TASKS[name].guided] == ["i2i", "v2v"]


def test_one_task_has_a_temperature_of_its_own() -> None:
    cold = Sampling(temperature=0.5, guidance=3.0)
    own = {name: TASKS[name].own(cold) for name in TASKS}
    assert own.pop("v2v") == Sampling(temperature=1.0, guidance=3.0)
    assert set(own.values()) == {cold}


def test_a_picture_is_the_first_frame() -> None:
    assert of_target(Grid(5, 3, 4), "picture") == Grid(1, 3, 4)
    assert of_target(Grid(5, 3, 4), "clip") == Grid(5, 3, 4)


def test_a_new_task_is_one_description() -> None:
    """Nothing of it has to be written down twice."""
    new = Task(name="st2v", title="", target="clip", text="caption", sketch=True, given="first frames", scores=("FVD",))
    assert new.conditions == ("text", "sketch", "partial")
    assert new.routes == ("masked-condition",)
    assert new.guided
