"""Edits to the sentences that ask for them, in several wordings."""

from __future__ import annotations

import numpy as np

from nuwa import noise
from nuwa.data.sprites import world
from nuwa.data.sprites.captions import ACTION_WORDS, PLACE_WORDS, SHAPE_WORDS, SIZE_WORDS, with_article
from nuwa.data.sprites.clips import Clips
from nuwa.data.sprites.edits import KINDS, AnyEdits, slot_at

FORMS = {
    "colour": ("make the {object} {new}", "change the colour of the {object} to {new}", "paint the {object} {new}"),
    "shape": ("replace the {object} with {new}", "turn the {object} into {new}", "change the {object} to {new}"),
    "size": ("make the {object} {new}", "change the size of the {object} to {new}", "the {object} should be {new}"),
    "remove": ("remove the {object}", "delete the {object}", "take away the {object}"),
    "background": ("make the background {new}", "change the background to {new}", "put it on a {new} background"),
    "action": ("now the {object} {new}", "change it so that the {object} {new}", "the {object} {new} instead"),
}


def instructions(edits: AnyEdits) -> list[str]:
    """One sentence an edit, lower case, at most 30 byte pairs; the object is named as it is before the edit."""
    scenes = edits.source.scenes if isinstance(edits.source, Clips) else edits.source
    slots = slot_at(scenes, edits.place)
    wanted = edits.wanted
    return [
        _instruction(
            KINDS[edits.kind[row]],
            {name: int(values[row]) for name, values in wanted.items()},
            (int(scenes.colour[row, slot]), int(scenes.shape[row, slot]), int(scenes.place[row, slot])),
            int(edits.wording[row]),
        )
        for row, slot in enumerate(slots)
    ]


def _instruction(kind: str, wanted: dict[str, int], named: tuple[int, int, int], seed: int) -> str:
    draws = iter(noise.uniform(seed, np.arange(4)).tolist())

    def pick(words: tuple[str, ...]) -> str:
        return words[int(next(draws) * len(words))]

    form = pick(FORMS[kind])
    if kind == "background":
        return form.format(new=world.BACKGROUNDS[wanted["background"]])
    colour, shape, place = named
    words = f"{world.COLOURS[colour]} {pick(SHAPE_WORDS[shape])} {pick(PLACE_WORDS[place])}"
    new = {
        "colour": lambda: world.COLOURS[wanted["colour"]],
        "shape": lambda: with_article(pick(SHAPE_WORDS[wanted["shape"]])),
        "size": lambda: pick(SIZE_WORDS[wanted["size"]]),
        "remove": lambda: "",
        "action": lambda: pick(ACTION_WORDS[wanted["action"]]),
    }[kind]()
    return form.format(object=words, new=new)
