"""Edits change one thing, and nothing outside their mask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from nuwa.data.sprites import (
    SPLITS,
    Clips,
    Scenes,
    actions,
    captions,
    clip_captions,
    draw,
    draw_clip_edits,
    draw_clips,
    draw_edits,
    instructions,
    masks,
    render,
    render_clip,
    world,
)
from nuwa.data.sprites.edits import CLIP_KINDS, KINDS, PICTURE_KINDS, AnyEdits, slot_at

N = 1500
Drawing = Callable[..., AnyEdits]
FIELDS = ("shape", "colour", "size", "place", "action")


def scenes_of(side: Scenes | Clips) -> Scenes:
    return side.scenes if isinstance(side, Clips) else side


def frames_of(side: Scenes | Clips, size_px: int) -> NDArray[np.uint8]:
    return render_clip(side, 5, size_px) if isinstance(side, Clips) else render(side, size_px)[:, None]


def bag(side: Scenes | Clips, row: int) -> dict[int, tuple[int, ...]]:
    """Attributes of the objects by where they start."""
    scenes = scenes_of(side)
    action = side.action if isinstance(side, Clips) else np.full_like(scenes.shape, actions.STAYS)
    columns = {name: vars(scenes)[name] for name in FIELDS[:4]} | {"action": action}
    return {
        int(scenes.place[row, i]): tuple(int(columns[name][row, i]) for name in FIELDS)
        for i in range(scenes.num_objects[row])
    }


EVERY = [(drawing, split) for drawing in (draw_edits, draw_clip_edits) for split in SPLITS]


@pytest.fixture(scope="module", params=EVERY, ids=lambda param: f"{param[0].__name__}-{param[1]}")
def edits(request: pytest.FixtureRequest) -> AnyEdits:
    drawing, split = request.param
    return drawing(split, np.arange(N))


@pytest.fixture(scope="module", params=[draw_edits, draw_clip_edits])
def drawing(request: pytest.FixtureRequest) -> Drawing:
    return request.param


@given(
    st.sampled_from([draw_edits, draw_clip_edits]),
    st.sampled_from(SPLITS),
    st.lists(st.integers(0, 2**40), min_size=1, max_size=4),
)
def test_an_edit_does_not_depend_on_what_is_drawn_beside_it(drawing: Drawing, split: str, indices: list[int]) -> None:
    together = drawing(split, indices)
    for row, index in enumerate(indices):
        single = drawing(split, [index])
        assert (single.kind, single.place, single.wording) == (
            together.kind[row],
            together.place[row],
            together.wording[row],
        )
        for side in ("source", "target"):
            mine, theirs = getattr(single, side), getattr(together, side)
            assert bag(mine, 0) == bag(theirs, row)
            for name in ("centre", "radius", "background", "wording"):
                assert np.array_equal(vars(scenes_of(mine))[name][0], vars(scenes_of(theirs))[name][row])


def test_no_edits(drawing: Drawing) -> None:
    edits = drawing("train", [])
    assert (len(edits), instructions(edits), masks(edits, 16).shape) == (0, [], (0, 16, 16))


def test_an_unknown_split(drawing: Drawing) -> None:
    with pytest.raises(ValueError, match="unknown sprites split 'trian'; did you mean 'train'"):
        drawing("trian", [0])


def test_another_take_makes_the_same_edit(drawing: Drawing) -> None:
    one, other = (drawing("val", np.arange(100), take=take) for take in range(2))
    for side in ("source", "target"):
        assert [bag(getattr(one, side), row) for row in range(100)] == [
            bag(getattr(other, side), row) for row in range(100)
        ]
        assert (scenes_of(getattr(one, side)).radius[:, 0] != scenes_of(getattr(other, side)).radius[:, 0]).all()


def test_one_thing_is_changed(edits: AnyEdits) -> None:
    for row in range(N):
        kind, place = KINDS[edits.kind[row]], int(edits.place[row])
        before, after = bag(edits.source, row), bag(edits.target, row)
        grounds = scenes_of(edits.source).background[row], scenes_of(edits.target).background[row]
        assert (grounds[0] != grounds[1]) == (kind == "background") == (place == -1)
        changed = {where for where in before if after.get(where) != before[where]}
        assert set(after) | changed == set(before)  # no object is new
        assert changed == (set() if kind == "background" else {place})
        if kind == "remove":
            assert place not in after
            assert after
        elif kind != "background":
            assert [name for name, a, b in zip(FIELDS, before[place], after[place], strict=True) if a != b] == [kind]


def test_what_is_wanted_is_what_the_target_shows(edits: AnyEdits) -> None:
    for row in range(N):
        wanted = {name: int(values[row]) for name, values in edits.wanted.items()}
        assert wanted.pop("background") == scenes_of(edits.target).background[row]
        shown = bag(edits.target, row).get(int(edits.place[row]), (-1,) * 5)
        expected = dict(zip(FIELDS, shown, strict=True))
        del expected["place"]
        if isinstance(edits.target, Scenes):
            expected["action"] = -1
        assert wanted == expected


def test_jitter_and_wording_are_kept(edits: AnyEdits) -> None:
    source, target = scenes_of(edits.source), scenes_of(edits.target)
    assert np.array_equal(source.wording, target.wording)
    for slot in range(world.MAX_OBJECTS):
        there = target.place[:, slot] >= 0
        was = slot_at(source, target.place[:, slot])[there]
        assert np.array_equal(target.centre[there, slot], source.centre[there, was])
        ratio = target.radius[there, slot] / source.radius[there, was]
        sizes = world.RADIUS[target.size[there, slot]] / world.RADIUS[source.size[there, was]]
        np.testing.assert_allclose(ratio, sizes, rtol=1e-12)


def test_objects_are_in_the_order_of_the_world(edits: AnyEdits) -> None:
    for side in (edits.source, edits.target):
        scenes = scenes_of(side)
        rank = np.where(scenes.size >= 0, scenes.size * 9 + 8 - scenes.place, -1)
        assert (np.diff(rank, axis=1) <= 0).all()
        if isinstance(side, Clips):
            assert (scenes.size[:, :1] > scenes.size[:, 1:]).all()


@pytest.mark.parametrize(("drawing", "kinds"), [(draw_edits, PICTURE_KINDS), (draw_clip_edits, CLIP_KINDS)])
def test_kinds_are_even_but_for_removal(drawing: Drawing, kinds: tuple[str, ...]) -> None:
    """One object alone cannot be removed, so that kind is rarer and the rest is shared by the others."""
    found = np.bincount(drawing("train", np.arange(4000)).kind, minlength=len(KINDS))
    assert {KINDS[i] for i in np.flatnonzero(found)} == set(kinds)
    rare = KINDS.index("remove")
    others = [found[KINDS.index(name)] for name in kinds if name not in ("remove", "size")]
    assert stats.chisquare(others).pvalue > 1e-3
    assert 200 < found[rare] < min(others)


@pytest.mark.parametrize("split", SPLITS)
def test_one_side_is_the_picture_of_the_split(split: str) -> None:
    edits, scenes = draw_edits(split, np.arange(200)), draw(split, np.arange(200))
    removed = edits.kind == KINDS.index("remove")
    pixels = np.where(removed[:, None, None, None], render(edits.source, 32), render(edits.target, 32))
    assert np.array_equal(pixels, render(scenes, 32))


@pytest.mark.parametrize("split", SPLITS)
def test_one_side_is_the_clip_of_the_split(split: str) -> None:
    edits, clips = draw_clip_edits(split, np.arange(200)), draw_clips(split, np.arange(200))
    removed = edits.kind == KINDS.index("remove")
    texts = zip(clip_captions(edits.source), clip_captions(edits.target), removed, strict=True)
    assert [source if gone else target for source, target, gone in texts] == clip_captions(clips)


def test_combinations_are_those_of_the_split(edits: AnyEdits, request: pytest.FixtureRequest) -> None:
    drawing, split = request.node.callspec.params["edits"]
    for side in ("source", "target"):
        scenes = scenes_of(getattr(edits, side))
        there = scenes.shape >= 0
        shown = scenes.shape[there], scenes.colour[there]
        if drawing is draw_edits:
            held_out = world.held_out_pairs()[shown]
        else:
            held_out = actions.held_out()[(*shown, getattr(edits, side).action[there])]
            assert actions.suits_shape()[shown[0], getattr(edits, side).action[there]].all()
        if split != "test-unseen":
            assert not held_out.any()
        elif side == "target":
            assert held_out.all()


def test_clips_keep_inside_and_apart() -> None:
    edits = draw_clip_edits("train", np.arange(N))
    for side in (edits.source, edits.target):
        scenes = side.scenes
        before, after = actions.reach(scenes.shape, side.action, scenes.radius)
        assert ((scenes.centre - before) >= -1e-12).all()
        assert ((scenes.centre + after) <= 1 + 1e-12).all()
        passed = actions.cells()[side.action, scenes.place] & (side.action >= 0)[..., None]
        assert passed.sum(axis=1).max() == 1
        there = side.action >= 0
        assert actions.suits_size()[scenes.size[there], side.action[there]].all()


@pytest.mark.parametrize("size_px", [8, 16, 32, 33, 64])
def test_nothing_changes_outside_the_mask(edits: AnyEdits, size_px: int) -> None:
    some = edits[: 300 if size_px <= 33 else 60]
    mask = masks(some, size_px)
    assert (mask.shape, mask.dtype) == ((len(some), size_px, size_px), np.bool_)
    changed = (frames_of(some.source, size_px) != frames_of(some.target, size_px)).any(axis=(1, 2))
    assert not (changed & ~mask).any()
    assert changed.any(axis=(1, 2)).all()  # something does change


def test_masks_are_no_larger_than_they_have_to_be(edits: AnyEdits) -> None:
    """The box around what changes, and at most three pixels more: the margin, and what shapes leave of their box."""
    some = edits[np.flatnonzero(edits.place >= 0)[:300]]
    changed = (frames_of(some.source, 32) != frames_of(some.target, 32)).any(axis=(1, 2))
    mask = masks(some, 32)
    share = changed.any(axis=1).sum(axis=1) / mask.any(axis=1).sum(axis=1)
    assert np.median(share) > 0.6
    assert mask.mean() < 0.3


def test_background_masks_spare_the_inside_of_objects() -> None:
    edits = draw_edits("train", np.arange(N))
    edits = edits[edits.kind == KINDS.index("background")]
    mask = masks(edits, 64)
    assert 0.02 < 1 - mask.mean() < 0.1
    large = edits.source.size[:, 0] == 2
    assert (~mask[large]).any(axis=(1, 2)).mean() > 0.8


# python -c "import hashlib; from nuwa.data.sprites import *; f = lambda e, c: hashlib.sha256('\n'.join(
# [*instructions(e), *c(e.source), *c(e.target)]).encode() + masks(e, 32).tobytes()).hexdigest()[:16]
# print([f(d(s, range(16)), c) for d, c in ((draw_edits, captions), (draw_clip_edits, clip_captions)) for s in SPLITS])"
GOLDEN = {
    ("pictures", "train"): "abeac586dde2a195",
    ("pictures", "val"): "d8bb0752b30b629f",
    ("pictures", "test-seen"): "c607a4732a5f449f",
    ("pictures", "test-unseen"): "c61c9208108ab814",
    ("clips", "train"): "8713329c35ee1331",
    ("clips", "val"): "9e2c805b23f58fee",
    ("clips", "test-seen"): "2d69a963ac2ca4e5",
    ("clips", "test-unseen"): "cbcb41613d32cad6",
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", ["pictures", "clips"])
def test_golden(kind: str, split: str) -> None:
    drawing, caption = {"pictures": (draw_edits, captions), "clips": (draw_clip_edits, clip_captions)}[kind]
    edits = drawing(split, range(16))
    text = "\n".join([*instructions(edits), *caption(edits.source), *caption(edits.target)])
    digest = hashlib.sha256(text.encode() + masks(edits, 32).tobytes()).hexdigest()[:16]
    assert digest == GOLDEN[kind, split]
