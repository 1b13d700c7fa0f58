"""Captions of clips and instructions say all there is to say: a parser written apart from them reads everything back."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nuwa.data.sprites import SPLITS, clip_captions, draw_clip_edits, draw_clips, draw_edits, instructions, world
from nuwa.data.sprites.edits import KINDS, AnyEdits
from nuwa.tokenizers.text import TextTokenizer

PLACES = {
    "at the top left|in the upper left": 0,
    "at the top center|at the top": 1,
    "at the top right|in the upper right": 2,
    "on the left|at the left side": 3,
    "in the center|in the middle": 4,
    "on the right|at the right side": 5,
    "at the bottom left|in the lower left": 6,
    "at the bottom center|at the bottom": 7,
    "at the bottom right|in the lower right": 8,
}
SHAPES = {"circle|disc": 0, "square|box": 1, "triangle": 2, "cross|plus sign": 3, "ring|hoop": 4, "bar|stripe": 5}
SIZES = {"small|tiny|little": 0, "medium-sized|medium": 1, "large|big|huge": 2}
ACTIONS = {
    "moves left|moves to the left|goes left": 0,
    "moves right|moves to the right|goes right": 1,
    "moves upwards|moves up|goes up": 2,
    "moves downwards|moves down|goes down": 3,
    "grows|gets bigger|becomes larger": 4,
    "shrinks|gets smaller|becomes smaller": 5,
    "spins|turns around|rotates": 6,
    "bounces|hops|jumps up and down": 7,
    "blinks|flickers|flashes": 8,
    "stands still|stays|does not move": 9,
}


def any_of(words: dict[str, int]) -> str:
    return f"({'|'.join(words)})"


COLOUR = f"({'|'.join(world.COLOURS)})"
BACKGROUND = f"({'|'.join(world.BACKGROUNDS)})"
NOUN = rf"{COLOUR} {any_of(SHAPES)} {any_of(PLACES)}"
OBJECT = re.compile(
    rf"\ban? (?:{any_of(SIZES)} {COLOUR}|{COLOUR} {any_of(SIZES)}) {any_of(SHAPES)} {any_of(PLACES)} {any_of(ACTIONS)}"
)
WHOLE = [rf"{BACKGROUND} background", rf"^a {BACKGROUND} clip in which"]


def meaning(text: str, words: dict[str, int]) -> int:
    return next(value for options, value in words.items() if text in options.split("|"))


def parse(caption: str) -> tuple[int, list[tuple[int, int, int, int, int]]]:
    """Background, and (size, colour, shape, place, action) of the objects in the order of the caption."""
    (background,) = [found for form in WHOLE for found in re.findall(form, caption)]
    objects = []
    for size, colour, second_colour, second_size, shape, place, action in OBJECT.findall(caption):
        objects.append(
            (
                meaning(size or second_size, SIZES),
                world.COLOURS.index(colour or second_colour),
                meaning(shape, SHAPES),
                meaning(place, PLACES),
                meaning(action, ACTIONS),
            )
        )
    return world.BACKGROUNDS.index(background), objects


@pytest.mark.parametrize("split", SPLITS)
def test_every_attribute_and_action_can_be_read_back(split: str) -> None:
    clips = draw_clips(split, np.arange(1500))
    scenes = clips.scenes
    columns = (scenes.size, scenes.colour, scenes.shape, scenes.place, clips.action)
    for row, caption in enumerate(clip_captions(clips)):
        objects = [tuple(int(column[row, i]) for column in columns) for i in range(scenes.num_objects[row])]
        assert parse(caption) == (scenes.background[row], objects), caption


@pytest.mark.parametrize("words", [ACTIONS, SHAPES, SIZES, PLACES], ids=["actions", "shapes", "sizes", "places"])
def test_all_wordings_occur(words: dict[str, int]) -> None:
    text = "\n".join(clip_captions(draw_clips("train", np.arange(3000))))
    assert [each for options in words for each in options.split("|") if each not in text] == []


@pytest.mark.parametrize("split", SPLITS)
def test_captions_are_short_and_lower_case(split: str) -> None:
    texts = clip_captions(draw_clips(split, np.arange(3000)))
    batch = TextTokenizer.from_captions(texts).encode(texts)
    assert int(batch.valid.sum(dim=1).max()) - 2 <= 60  # <start> and <end> are no words
    assert all(text == text.lower() == text.strip() for text in texts)
    assert len({text.split(" ")[0] for text in texts}) > 1  # not one form alone


ASKED = {
    "colour": rf"make the {NOUN} {COLOUR}|change the colour of the {NOUN} to {COLOUR}|paint the {NOUN} {COLOUR}",
    "shape": rf"(?:replace|turn|change) the {NOUN} (?:with|into|to) an? {any_of(SHAPES)}",
    "size": rf"(?:make the {NOUN}|change the size of the {NOUN} to|the {NOUN} should be) {any_of(SIZES)}",
    "remove": rf"(?:remove|delete|take away) the {NOUN}",
    "background": rf"(?:make the background|change the background to|put it on a) {BACKGROUND}(?: background)?",
    "action": rf"(?:now the|change it so that the|the) {NOUN} {any_of(ACTIONS)}(?: instead)?",
}
NEW = {"shape": SHAPES, "size": SIZES, "action": ACTIONS}


@pytest.mark.parametrize("draw", [draw_edits, draw_clip_edits])
def test_instructions_can_be_read_back(draw) -> None:
    edits: AnyEdits = draw("val", np.arange(1500))
    for row, text in enumerate(instructions(edits)):
        kind = KINDS[edits.kind[row]]
        match = re.fullmatch(ASKED[kind], text)
        assert match, text
        said = [group for group in match.groups() if group]
        if kind == "background":
            assert world.BACKGROUNDS.index(said[0]) == edits.wanted["background"][row]
            continue
        colour, shape, place, *new = said
        source = edits.source if hasattr(edits.source, "place") else edits.source.scenes
        slot = source.place[row].tolist().index(meaning(place, PLACES))
        assert meaning(place, PLACES) == edits.place[row]
        assert (world.COLOURS.index(colour), meaning(shape, SHAPES)) == (
            source.colour[row, slot],
            source.shape[row, slot],
        )
        if kind == "colour":
            assert world.COLOURS.index(new[0]) == edits.wanted["colour"][row]
        elif kind != "remove":
            assert meaning(new[0], NEW[kind]) == edits.wanted[kind][row]


@pytest.mark.parametrize("draw", [draw_edits, draw_clip_edits])
def test_instructions_are_short_and_lower_case(draw) -> None:
    texts = instructions(draw("train", np.arange(3000)))
    batch = TextTokenizer.from_captions(texts).encode(texts)
    assert int(batch.valid.sum(dim=1).max()) - 2 <= 30
    assert all(text == text.lower() == text.strip() for text in texts)


# python -c "from nuwa.data.sprites import *; print(clip_captions(draw_clips('val', range(3))))"
def test_golden_captions() -> None:
    assert clip_captions(draw_clips("val", range(3))) == [
        "on a navy background, a medium pink triangle at the top gets bigger and a small cyan hoop at the bottom center "
        "moves to the right",
        "a grey clip in which a little cyan cross in the lower right does not move",
        "a black clip in which a huge orange plus sign on the left goes up, a medium-sized pink box at the top gets smaller "
        "and a small purple circle at the bottom right goes left",
    ]


# python -c "from nuwa.data.sprites import *; print(instructions(draw_clip_edits('val', range(3))))"
def test_golden_instructions() -> None:
    assert instructions(draw_clip_edits("val", range(3))) == [
        "the cyan ring at the bottom goes right instead",
        "change it so that the cyan plus sign in the lower right stays",
        "make the blue plus sign on the left orange",
    ]
