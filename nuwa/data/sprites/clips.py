"""Clips: scenes in which every object does something. Clip i of a split is a pure function of (version, split, i)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise
from nuwa.data.sprites import actions, world
from nuwa.data.sprites.render import Figures, label, paint
from nuwa.data.sprites.scenes import Scenes, check_split, reorder, slot_order

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Clips:
    """A batch of b clips: the scenes they start with, and what each object does.

    The main object, the first, is larger than all others when the clip starts. Places are those at the start.
    """

    scenes: Scenes
    action: Ints  # (b, 3) index into actions.ACTIONS, -1 where there is no object

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, item: slice | Ints | Bools) -> Clips:
        """Some of the clips; ``item`` is a slice or an index array."""
        return Clips(scenes=self.scenes[item], action=self.action[item])

    @property
    def label(self) -> Ints:
        """What the main object does (b,), the class of acc."""
        return self.action[:, 0]


def draw_clips(split: str, indices: ArrayLike, *, take: int = 0) -> Clips:
    """Clips of the given sample indices (whole numbers >= 0). ValueError for an unknown split.

    Actions of main objects are equally frequent. Objects pass over places of their own, keep inside the picture from the
    first moment to the last, and show no combination of :func:`actions.held_out` unless the split is ``test-unseen``,
    where they show no other. Another ``take`` has the same caption, as for pictures.
    """
    check_split(split)
    index = np.asarray(indices, dtype=np.int64)
    row, slots = index[:, None], np.arange(world.MAX_OBJECTS)

    def uniform(name: str, *counters: ArrayLike, take: int = 0) -> Floats:
        return noise.uniform(_stream(split, name) + take, *counters)

    num_objects = 1 + np.searchsorted(np.cumsum(world.OBJECT_COUNTS)[:-1], uniform("count", index), side="right")
    there = slots < num_objects[:, None]
    shift = uniform("shift", row[..., None], slots[:, None], np.arange(2), take=take) * 2 - 1
    stretch = uniform("stretch", row, slots, take=take) * 2 - 1
    chosen = _choose(split, index, num_objects)
    objects = {name: np.where(there, values, -1) for name, values in chosen.items()}
    action, place, size = objects.pop("action"), chosen["place"], chosen["size"]
    scenes = Scenes(
        **objects,
        num_objects=num_objects,
        background=noise.integers(_stream(split, "background"), len(world.BACKGROUNDS), index),
        centre=np.where(there[..., None], world.place_centres()[place] + world.PLACE_JITTER * shift, 0.0),
        radius=np.where(there, world.RADIUS[size] * (1 + world.RADIUS_JITTER * stretch), 0.0),
        wording=noise.bits(_stream(split, "wording"), index).view(np.int64),
    )
    return keep_inside(in_order(Clips(scenes=scenes, action=action)))


def _choose(split: str, index: Ints, num_objects: Ints) -> dict[str, Ints]:
    """Attributes and actions (b, 3) of three objects, slot by slot; those of slots that stay empty mean nothing."""
    b, rows, sizes = len(index), np.arange(len(index)), np.arange(len(world.SIZES))
    chosen = {name: np.zeros((b, world.MAX_OBJECTS), dtype=np.int64) for name in ("action", "size", "place")}
    pair = np.zeros((b, world.MAX_OBJECTS), dtype=np.int64)
    action, size, place = chosen.values()
    passed = np.zeros((b, len(world.PLACES)), dtype=bool)
    for slot in range(world.MAX_OBJECTS):

        def any_of(allowed: Bools, name: str, slot: int = slot) -> Ints:
            """One of the k columns (b,) that are allowed (b, k), all alike."""
            chance = noise.uniform(_stream(split, name), index[:, None], slot, np.arange(allowed.shape[1]))
            return np.where(allowed, chance, -1.0).argmax(axis=1)

        free = ~clashes(passed)
        possible = free.sum(axis=2) > 0
        if slot == 0:  # the main object: any action, and a size that leaves room for smaller ones
            action[:, 0] = any_of(possible, "action")
            fits = actions.suits_size()[:, action[:, 0]].T
            size[:, 0] = any_of(fits & ((num_objects == 1)[:, None] | (sizes > 0)), "size")
        else:
            size[:, slot] = any_of(sizes < size[:, :1], "size")
            action[:, slot] = any_of(possible & actions.suits_size()[size[:, slot]], "action")
        place[:, slot] = any_of(free[rows, action[:, slot]], "place")
        passed |= actions.cells()[action[:, slot], place[:, slot]]
        pair[:, slot] = any_of(combinations(split).reshape(-1, len(actions.ACTIONS))[:, action[:, slot]].T, "pair")
    shape, colour = np.divmod(pair, len(world.COLOURS))
    return chosen | {"shape": shape, "colour": colour}


def _stream(split: str, name: str) -> int:
    return noise.key("sprites", world.VERSION, split, f"clip {name}")


def combinations(split: str) -> Bools:
    """Combinations (6, 8, 10) of shape, colour and action that the objects of a split show."""
    missing = actions.held_out()
    return missing if split == "test-unseen" else actions.suits_shape()[:, None] & ~missing


def clashes(passed: Bools) -> Bools:
    """Actions and starts (b, 10, 9) that leave the board or pass over a place that is taken, ``passed`` (b, 9)."""
    cells = actions.cells()
    taken = (passed.astype(np.int64) @ cells.reshape(-1, len(world.PLACES)).T).reshape(-1, *cells.shape[:2]) > 0
    return taken | ~actions.suits_place().T


def in_order(clips: Clips) -> Clips:
    """The same clips with their objects from the largest to the smallest, then by place."""
    order = slot_order(clips.scenes)
    return Clips(scenes=reorder(clips.scenes, order), action=np.take_along_axis(clips.action, order, axis=1))


def keep_inside(clips: Clips, *others: Clips) -> Clips:
    """The same clips with starts shifted as little as keeps every object inside the picture from first to last.

    With ``others``, clips of the same objects at the same slots, the starts suit all of them.
    """
    reaches = [actions.reach(each.scenes.shape, each.action, each.scenes.radius) for each in (clips, *others)]
    low = np.max([before for before, _ in reaches], axis=0)
    high = 1 - np.max([after for _, after in reaches], axis=0)
    there = (clips.scenes.shape >= 0)[..., None]
    centre = np.where(there, np.clip(clips.scenes.centre, low, high), 0.0)
    return replace(clips, scenes=replace(clips.scenes, centre=centre))


def render_clip(clips: Clips, frames: int, size_px: int) -> NDArray[np.uint8]:
    """Frames (b, frames, 3, size_px, size_px) uint8 RGB in 0…255; the first is the picture of the scene.

    ValueError for fewer than one frame.
    """
    painted = paint(figures(clips, actions.moments(frames)), size_px)
    return painted.reshape(len(clips), frames, *painted.shape[1:])


def segment_clip(clips: Clips, frames: int, size_px: int) -> NDArray[np.uint8]:
    """Segmentation maps (b, frames, size_px, size_px) uint8, as :func:`nuwa.data.sprites.segment`, per frame.

    An object has no pixels while a blink hides it. ValueError for fewer than one frame.
    """
    labelled = label(figures(clips, actions.moments(frames)), size_px)
    return labelled.reshape(len(clips), frames, size_px, size_px)


def figures(clips: Clips, at: Floats) -> Figures:
    """What is to be seen at the moments ``at`` (t,) in [0, 1]: b · t pictures, those of a clip together."""
    scenes, action = clips.scenes, clips.action
    there = scenes.shape >= 0

    def now(table: NDArray) -> NDArray:
        """By action and moment (10, t, …) to clips and moments (b, t, 3, …)."""
        return np.moveaxis(table[action], 2, 1)

    shape = np.where(now(actions.visible(at)), scenes.shape[:, None], -1)
    centre = np.where(there[:, None, :, None], scenes.centre[:, None] + now(actions.offset(at)), 0.0)
    return Figures(
        shape=shape.reshape(-1, world.MAX_OBJECTS),
        colour=np.repeat(scenes.colour, len(at), axis=0),
        centre=centre.reshape(-1, world.MAX_OBJECTS, 2),
        radius=(scenes.radius[:, None] * now(actions.scale(at))).reshape(-1, world.MAX_OBJECTS),
        background=np.repeat(scenes.background, len(at)),
        angle=now(actions.angle(at)).reshape(-1, world.MAX_OBJECTS),
    )
