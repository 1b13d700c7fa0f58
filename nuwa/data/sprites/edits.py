"""Edits: a picture or a clip, one thing to change in it, and what comes out. A pure function of (version, split, i)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nuwa import noise
from nuwa.data.sprites import actions, world
from nuwa.data.sprites.clips import Clips, clashes, combinations, draw_clips, in_order, keep_inside
from nuwa.data.sprites.render import cover, still
from nuwa.data.sprites.scenes import Scenes, draw

KINDS = ("colour", "shape", "size", "remove", "background", "action")
PICTURE_KINDS = KINDS[:5]
CLIP_KINDS = (*KINDS[:4], "action")
MARGIN = 1 / 32  # around what an edit changes, in sides of the picture

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
T = TypeVar("T", Scenes, Clips)


@dataclass(frozen=True, kw_only=True)
class Edits(Generic[T]):
    """A batch of b edits of pictures (scenes) or of clips.

    Source and target agree in everything but what is edited, the jitter and the wording of the caption among it.
    """

    source: T
    target: T
    kind: Ints  # (b,) index into KINDS
    place: Ints  # (b,) where the edited object starts, raster index of the board; -1 for the background
    wording: Ints  # (b,) 64-bit seed of the instruction's wording

    def __len__(self) -> int:
        return len(self.kind)

    def __getitem__(self, item: slice | Ints | Bools) -> Edits[T]:
        """Some of the edits; ``item`` is a slice or an index array."""
        return Edits(**{name: value[item] for name, value in vars(self).items()})

    @property
    def wanted(self) -> dict[str, Ints]:
        """Shape, colour, size and action (b,) of the edited object afterwards, and the background.

        -1 where an object was removed or the background is edited, and for the actions of pictures. To be read at
        :attr:`place`; what a judge has to confirm.
        """
        scenes = _scenes(self.target)
        slot = slot_at(scenes, self.place)

        def of(values: Ints) -> Ints:
            return np.where(slot < 0, -1, np.take_along_axis(values, slot[:, None], axis=1)[:, 0])

        action = self.target.action if isinstance(self.target, Clips) else np.full_like(scenes.shape, -1)
        found = {"shape": scenes.shape, "colour": scenes.colour, "size": scenes.size, "action": action}
        return {name: of(values) for name, values in found.items()} | {"background": scenes.background}


AnyEdits = Edits[Scenes] | Edits[Clips]


def draw_edits(split: str, indices: ArrayLike, *, take: int = 0) -> Edits[Scenes]:
    """Edits of pictures, by sample indices (whole numbers >= 0). ValueError for an unknown split.

    Picture i of the split is the target, or the source where an object is removed. Neither side shows a combination of
    shape and colour that the split does not show, but the sources of ``test-unseen`` may show any.
    """
    index = np.asarray(indices, dtype=np.int64)
    scenes = draw(split, index, take=take)
    still = Clips(scenes=scenes, action=np.where(scenes.shape >= 0, actions.STAYS, -1))
    shown = np.repeat(~world.held_out_pairs()[..., None], len(actions.ACTIONS), axis=-1)
    edits = _edit(still, split, index, shown | (split == "test-unseen"), clip=False)
    sides = {"source": edits.source.scenes, "target": edits.target.scenes}
    return Edits(**sides, kind=edits.kind, place=edits.place, wording=edits.wording)


def draw_clip_edits(split: str, indices: ArrayLike, *, take: int = 0) -> Edits[Clips]:
    """Edits of clips, as :func:`draw_edits`; the combinations are those of shape, colour and action.

    Starts are shifted a little where source and target need another one to keep inside the picture.
    """
    index = np.asarray(indices, dtype=np.int64)
    clips = draw_clips(split, index, take=take)
    anything = actions.suits_shape()[:, None] & (split == "test-unseen")
    return _edit(clips, split, index, combinations(split) | anything, clip=True)


def masks(edits: AnyEdits, size_px: int) -> Bools:
    """Where pixels may change, (b, size_px, size_px); outside it source and target are equal, in all frames of a clip.

    The box around everything that the edited object covers before and after the edit, from the first moment to the last;
    for the background, all but the inside of objects. A margin of :data:`MARGIN`, at least a pixel, is added.
    """
    margin = max(MARGIN, 1 / size_px)
    low = np.full((len(edits), 2), np.inf)
    high = -low
    for side in (edits.source, edits.target):
        scenes = _scenes(side)
        slot = slot_at(scenes, edits.place)[:, None]
        action = side.action if isinstance(side, Clips) else np.full_like(scenes.shape, actions.STAYS)
        there = slot >= 0
        before, after = actions.reach(scenes.shape, action, scenes.radius)
        edges = [np.take_along_axis(each, slot[..., None], axis=1)[:, 0] for each in (scenes.centre, before, after)]
        low = np.where(there, np.minimum(low, edges[0] - edges[1] - margin), low)
        high = np.where(there, np.maximum(high, edges[0] + edges[2] + margin), high)
    pixel = np.arange(size_px) / size_px
    inside = (pixel + 1 / size_px > low[..., None]) & (pixel < high[..., None])  # (b, 2, size_px)
    mask = inside[:, 1, :, None] & inside[:, 0, None, :]
    ground = np.flatnonzero(edits.place < 0)
    mask[ground] = ~_interior(_scenes(edits.source)[ground], size_px, int(np.ceil(margin * size_px)))
    return mask


def slot_at(scenes: Scenes, place: Ints) -> Ints:
    """Slot (b,) of the object at ``place`` (b,), -1 where none stands there."""
    found = (scenes.place == place[:, None]) & (scenes.shape >= 0)
    return np.where(found.any(axis=1), found.argmax(axis=1), -1)


def _edit(clips: Clips, split: str, index: Ints, shown: Bools, *, clip: bool) -> Edits[Clips]:
    stream = noise.key("sprites", world.VERSION, split, "clip edit" if clip else "edit")
    kinds = CLIP_KINDS if clip else PICTURE_KINDS
    options = [_alternatives(clips, kind, shown, clip=clip) for kind in kinds]
    possible = np.stack([each.any(axis=(1, 2)) for each in options], axis=1)
    chosen = np.where(possible, noise.uniform(stream, index[:, None], 0, np.arange(len(kinds))), -1.0).argmax(axis=1)
    slot, value = np.zeros_like(index), np.zeros_like(index)
    for number, allowed in enumerate(options):
        mine = np.flatnonzero(chosen == number)
        flat = allowed[mine].reshape(len(mine), world.MAX_OBJECTS * allowed.shape[2])
        wish = noise.uniform(stream, index[mine, None], 1, np.arange(flat.shape[1]))
        slot[mine], value[mine] = np.divmod(np.where(flat, wish, -1.0).argmax(axis=1), allowed.shape[2])
    kind = np.array([KINDS.index(name) for name in kinds])[chosen]
    ground = kind == KINDS.index("background")
    place = np.where(ground, -1, np.take_along_axis(clips.scenes.place, slot[:, None], axis=1)[:, 0])
    other = _changed(clips, kind, slot, value)
    if clip:
        clips, other = keep_inside(clips, other), keep_inside(other, clips)
    removed = kind == KINDS.index("remove")
    sides = [_where(removed, *pair) for pair in ((clips, in_order(other)), (in_order(other), clips))]
    wording = noise.bits(stream, index, 2).view(np.int64)
    return Edits(source=sides[0], target=sides[1], kind=kind, place=place, wording=wording)


def _alternatives(clips: Clips, kind: str, shown: Bools, *, clip: bool) -> Bools:
    """What could be different: (b, 3, k) for the objects of each slot and the k values of the attribute."""
    scenes, action = clips.scenes, clips.action
    shape, colour, size = scenes.shape, scenes.colour, scenes.size
    there = (shape >= 0)[..., None]
    if kind == "background":
        free = np.arange(len(world.BACKGROUNDS)) != scenes.background[:, None]
        return free[:, None] & (np.arange(world.MAX_OBJECTS) == 0)[:, None]
    if kind == "remove":
        stays_clear = np.ones_like(shape, dtype=bool)
        if clip:  # the next largest becomes the main object
            stays_clear[:, 0] = (scenes.num_objects == 2) | (size[:, 1] > size[:, 2])
        return there & (stays_clear & (scenes.num_objects > 1)[:, None])[..., None]
    if kind == "colour":
        return there & (np.arange(len(world.COLOURS)) != colour[..., None]) & shown.transpose(0, 2, 1)[shape, action]
    if kind == "shape":
        fits = actions.suits_shape().T[action]
        return (
            there & fits & (np.arange(len(world.SHAPES)) != shape[..., None]) & shown.transpose(1, 2, 0)[colour, action]
        )
    if kind == "size":
        sizes = np.arange(len(world.SIZES))
        fits = there & actions.suits_size().T[action] & (sizes != size[..., None])
        if clip:
            fits[:, 0] &= sizes > size[:, 1:].max(axis=1, keepdims=True)
            fits[:, 1:] &= sizes < size[:, :1, None]
        return fits
    cells = np.where(there, actions.cells()[action, scenes.place], False)  # (b, 3, 9)
    others = cells.any(axis=1, keepdims=True) & ~cells  # no two objects share a place
    clear = ~clashes(others.reshape(-1, len(world.PLACES))).reshape(*shape.shape, *actions.cells().shape[:2])
    fits = np.take_along_axis(clear, scenes.place[..., None, None], axis=3)[..., 0] & actions.suits_size()[size]
    return there & fits & (np.arange(len(actions.ACTIONS)) != action[..., None]) & shown[shape, colour]


def _changed(clips: Clips, kind: Ints, slot: Ints, value: Ints) -> Clips:
    """The same clips with one thing changed in each, objects at the same slots."""
    scenes = clips.scenes
    now = {name: array.copy() for name, array in (vars(scenes) | {"action": clips.action}).items()}

    def chosen(name: str) -> Ints:
        return np.flatnonzero(kind == KINDS.index(name))

    for name in ("colour", "shape", "size", "action"):
        rows = chosen(name)
        now[name][rows, slot[rows]] = value[rows]
    rows = chosen("size")
    now["radius"][rows, slot[rows]] *= world.RADIUS[value[rows]] / world.RADIUS[scenes.size[rows, slot[rows]]]
    rows = chosen("background")
    now["background"][rows] = value[rows]
    rows = chosen("remove")
    for name in ("shape", "colour", "size", "place", "action"):
        now[name][rows, slot[rows]] = -1
    for name in ("centre", "radius"):
        now[name][rows, slot[rows]] = 0.0
    now["num_objects"][rows] -= 1
    action = now.pop("action")
    return Clips(scenes=replace(scenes, **now), action=action)


def _where(rows: Bools, yes: Clips, no: Clips) -> Clips:
    """The clips of ``yes`` at ``rows`` (b,), those of ``no`` elsewhere."""

    def pick(one: NDArray, other: NDArray) -> NDArray:
        return np.where(rows.reshape(-1, *[1] * (one.ndim - 1)), one, other)

    scenes = Scenes(**{name: pick(value, vars(no.scenes)[name]) for name, value in vars(yes.scenes).items()})
    return Clips(scenes=scenes, action=pick(yes.action, no.action))


def _scenes(side: Scenes | Clips) -> Scenes:
    return side.scenes if isinstance(side, Clips) else side


def _interior(scenes: Scenes, size_px: int, margin_px: int) -> Bools:
    """Pixels (b, size_px, size_px) deeper inside an object than the margin, and as far from the border of the picture."""
    deep = np.zeros((len(scenes), size_px, size_px), dtype=bool)
    around = 2 * margin_px + 1
    for slot in range(world.MAX_OBJECTS):
        rows, coverage = cover(still(scenes), slot, size_px)
        padded = np.pad(coverage >= 0.5, ((0, 0), (margin_px,) * 2, (margin_px,) * 2))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (around, around), axis=(1, 2))
        deep[rows] |= windows.all(axis=(3, 4))
    return deep
