"""Scenes to sentences, in several wordings. Every caption names every attribute of every object and the background."""

from __future__ import annotations

from nuwa import noise
from nuwa.data.sprites import world
from nuwa.data.sprites.scenes import Scenes

SHAPE_WORDS = (
    ("circle", "disc"),
    ("square", "box"),
    ("triangle",),
    ("cross", "plus sign"),
    ("ring", "hoop"),
    ("bar", "stripe"),
)
SIZE_WORDS = (("small", "tiny", "little"), ("medium", "medium-sized"), ("large", "big", "huge"))
PLACE_WORDS = (
    ("at the top left", "in the upper left"),
    ("at the top", "at the top center"),
    ("at the top right", "in the upper right"),
    ("on the left", "at the left side"),
    ("in the center", "in the middle"),
    ("on the right", "at the right side"),
    ("at the bottom left", "in the lower left"),
    ("at the bottom", "at the bottom center"),
    ("at the bottom right", "in the lower right"),
)
OBJECT_FORMS = ("{size} {colour} {shape} {place}", "{colour} {size} {shape} {place}")
SCENE_FORMS = (
    "{objects} on a {background} background",
    "{objects}, {background} background",
    "on a {background} background, {objects}",
    "a {background} picture with {objects}",
)


def captions(scenes: Scenes) -> list[str]:
    """One sentence a scene, lower case, at most 60 byte pairs."""
    return [_caption(scenes, row) for row in range(len(scenes))]


def _caption(scenes: Scenes, row: int) -> str:
    seed = int(scenes.wording[row])
    draws = iter(noise.uniform(seed, range(2 + 4 * world.MAX_OBJECTS)).tolist())

    def pick(words: tuple[str, ...]) -> str:
        return words[int(next(draws) * len(words))]

    form, object_form = pick(SCENE_FORMS), pick(OBJECT_FORMS)
    objects = [
        _article(
            object_form.format(
                size=pick(SIZE_WORDS[scenes.size[row, i]]),
                colour=world.COLOURS[scenes.colour[row, i]],
                shape=pick(SHAPE_WORDS[scenes.shape[row, i]]),
                place=pick(PLACE_WORDS[scenes.place[row, i]]),
            )
        )
        for i in range(scenes.num_objects[row])
    ]
    listed = " and ".join(filter(None, [", ".join(objects[:-1]), objects[-1]]))
    return form.format(objects=listed, background=world.BACKGROUNDS[scenes.background[row]])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
