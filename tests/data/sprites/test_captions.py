"""Captions say all there is to say: a parser written apart from them reads every scene back."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nuwa.data.sprites import SPLITS, captions, draw, world
from nuwa.tokenizers.text import TextTokenizer

SHAPES = {"circle disc": 0, "square box": 1, "triangle": 2, "cross plus": 3, "ring hoop": 4, "bar stripe": 5}
SIZES = {"small tiny little": 0, "medium medium-sized": 1, "large big huge": 2}
ROWS, COLUMNS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}, {"left": 0, "right": 2}
BACKGROUND = re.compile(r"(?:on a|,|^a) (white|grey|black|navy) (?:background|picture)")
OBJECT = re.compile(r"\ban? (\S+) (\S+) (plus sign|\S+) ((?:at|in|on) the [a-z ]+?)(?=,| and an? | on a |$)")


def meaning(word: str, table: dict[str, int]) -> int | None:
    return next((value for words, value in table.items() if word in words.split()), None)


def place(phrase: str) -> int:
    words = phrase.split()
    row = next((ROWS[word] for word in words if word in ROWS), 1)
    return 3 * row + next((COLUMNS[word] for word in words if word in COLUMNS), 1)


def parse(caption: str) -> tuple[int, list[tuple[int | None, int, int | None, int]]]:
    """Background, and (size, colour, shape, place) of the objects in the order of the caption."""
    (background,) = BACKGROUND.findall(caption)
    objects = []
    for first, second, shape, where in OBJECT.findall(caption):
        size, colour = (first, second) if second in world.COLOURS else (second, first)
        shape_index = meaning(shape.split()[0], SHAPES)
        objects.append((meaning(size, SIZES), world.COLOURS.index(colour), shape_index, place(where)))
    return world.BACKGROUNDS.index(background), objects


@pytest.mark.parametrize("split", SPLITS)
def test_every_attribute_can_be_read_back(split: str) -> None:
    scenes = draw(split, np.arange(1500))
    columns = (scenes.size, scenes.colour, scenes.shape, scenes.place)
    for row, caption in enumerate(captions(scenes)):
        objects = [tuple(int(column[row, i]) for column in columns) for i in range(scenes.num_objects[row])]
        assert parse(caption) == (scenes.background[row], objects), caption


def test_all_wordings_occur() -> None:
    text = "\n".join(captions(draw("train", np.arange(3000))))
    words = ["disc", "box", "plus sign", "hoop", "stripe", "tiny", "little", "medium-sized", "huge", "in the middle"]
    words += ["at the top center", "in the lower right", "a navy picture with", ", black background", "and an orange"]
    assert [word for word in words if word not in text] == []
    assert re.search(r"\ba (orange|[aeiou])", text) is None  # "an orange", never "a orange"


@pytest.mark.parametrize("split", SPLITS)
def test_captions_are_short_and_lower_case(split: str) -> None:
    texts = captions(draw(split, np.arange(3000)))
    batch = TextTokenizer.from_captions(texts).encode(texts)
    assert int(batch.valid.sum(dim=1).max()) - 2 <= 60  # <start> and <end> are no words
    assert batch.truncated == ()
    assert all(text == text.lower() == text.strip() for text in texts)


def test_a_caption_does_not_depend_on_what_is_beside_it() -> None:
    scenes = draw("val", np.arange(50))
    together = captions(scenes)
    assert [captions(scenes[row : row + 1])[0] for row in range(50)] == together
    assert captions(scenes[::-1]) == together[::-1]


# python -c "from nuwa.data.sprites import *; print(captions(draw('val', range(3))))"
def test_golden() -> None:
    assert captions(draw("val", range(3))) == [
        "a purple medium square on the right and an orange tiny hoop at the top center, black background",
        "a little pink disc at the bottom on a navy background",
        "on a navy background, a red small bar at the top right and a purple little cross in the lower left",
    ]
