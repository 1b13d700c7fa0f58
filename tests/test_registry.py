"""Names to parts: no name twice, and a wrong name is answered with the nearest right one."""

from __future__ import annotations

import pytest

from nuwa.registry import Registry, suggest


@pytest.fixture
def shapes() -> Registry[int]:
    registry = Registry[int]("shape")
    registry.add("square", 4)
    registry.add("triangle", 3)
    return registry


def test_parts_come_back_in_order(shapes: Registry[int]) -> None:
    assert shapes.register("line")(2) == 2
    assert shapes.names() == list(shapes) == ["square", "triangle", "line"]
    assert [shapes[name] for name in shapes] == [4, 3, 2]
    assert len(shapes) == 3


def test_a_taken_name_is_refused_and_keeps_its_part(shapes: Registry[int]) -> None:
    with pytest.raises(ValueError, match="shape 'square' is registered already; choose another name"):
        shapes.add("square", 5)
    assert shapes["square"] == 4


@pytest.mark.parametrize(
    ("name", "hint"),
    [("squar", r"; did you mean 'square'\?"), ("trinagle", r"; did you mean 'triangle'\?"), ("x", "")],
)
def test_a_wrong_name_is_answered_with_the_nearest(shapes: Registry[int], name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown shape '{name}'{hint} \(known: square, triangle\)$") as caught:
        shapes[name]
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("name", "there"), [("square", True), ("Square", False), (4, False), (None, False)])
def test_membership(shapes: Registry[int], name: object, there: bool) -> None:
    assert (name in shapes) == there


def test_names_are_a_copy(shapes: Registry[int]) -> None:
    shapes.names().clear()
    assert len(shapes) == 2


def test_nothing_near_gives_no_hint() -> None:
    assert suggest("zebra", []) == suggest("zebra", ["square"]) == ""
