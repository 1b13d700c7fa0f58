"""Scenes to sentences, in several wordings. Every caption names every attribute of every object and the background."""

from __future__ import annotations

from nuwa import noise
from nuwa.data.sprites import world
from nuwa.data.sprites.clips import Clips
from nuwa.data.sprites.scenes import Ints, Scenes

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

ACTION_WORDS = (
    ("moves left", "moves to the left", "goes left"),
    ("moves right", "moves to the right", "goes right"),
    ("moves up", "goes up", "moves upwards"),
    ("moves down", "goes down", "moves downwards"),
    ("grows", "gets bigger", "becomes larger"),
    ("shrinks", "gets smaller", "becomes smaller"),
    ("spins", "turns around", "rotates"),
    ("bounces", "hops", "jumps up and down"),
    ("blinks", "flickers", "flashes"),
    ("stays", "stands still", "does not move"),
)
CLIP_FORMS = (*SCENE_FORMS[:3], "a {background} clip in which {objects}")


def captions(scenes: Scenes) -> list[str]:
    """One sentence a scene, lower case, at most 60 byte pairs."""
    return [_caption(scenes, row, SCENE_FORMS) for row in range(len(scenes))]


def clip_captions(clips: Clips) -> list[str]:
    """One sentence a clip with what each object does, lower case, at most 60 byte pairs; places are those at the start."""
    return [_caption(clips.scenes, row, CLIP_FORMS, clips.action[row]) for row in range(len(clips))]


def _caption(scenes: Scenes, row: int, forms: tuple[str, ...], action: Ints | None = None) -> str:
    seed = int(scenes.wording[row])
    draws = iter(noise.uniform(seed, range(2 + 4 * world.MAX_OBJECTS)).tolist())

    def pick(words: tuple[str, ...]) -> str:
        return words[int(next(draws) * len(words))]

    form, object_form = pick(forms), pick(OBJECT_FORMS)
    objects = []
    for i in range(scenes.num_objects[row]):
        noun = object_form.format(
            size=pick(SIZE_WORDS[scenes.size[row, i]]),
            colour=world.COLOURS[scenes.colour[row, i]],
            shape=pick(SHAPE_WORDS[scenes.shape[row, i]]),
            place=pick(PLACE_WORDS[scenes.place[row, i]]),
        )
        objects.append(with_article(noun if action is None else f"{noun} {pick(ACTION_WORDS[action[i]])}"))
    listed = " and ".join(filter(None, [", ".join(objects[:-1]), objects[-1]]))
    return form.format(objects=listed, background=world.BACKGROUNDS[scenes.background[row]])


def with_article(noun: str) -> str:
    """``noun`` after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
