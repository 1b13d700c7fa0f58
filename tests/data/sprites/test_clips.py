"""Clips: pure functions of (version, split, index), whose frames show what their actions say."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nuwa.data.sprites import (
    SPLITS,
    Clips,
    Scenes,
    actions,
    clip_captions,
    draw_clips,
    render,
    render_clip,
    segment,
    segment_clip,
    world,
)
from nuwa.data.sprites.actions import ACTIONS, BLINKS, BOUNCES, GROWS, SHRINKS, SPINS, STAYS
from nuwa.data.sprites.clips import figures
from nuwa.data.sprites.render import cover, label

N = 2000
RING = world.SHAPES.index("ring")
TRIANGLE = world.SHAPES.index("triangle")


def same(one: Clips, other: Clips) -> bool:
    equal = all(np.array_equal(value, vars(other.scenes)[name]) for name, value in vars(one.scenes).items())
    return equal and np.array_equal(one.action, other.action)


@pytest.fixture(scope="module", params=SPLITS)
def clips(request: pytest.FixtureRequest) -> Clips:
    return draw_clips(request.param, np.arange(N))


@pytest.fixture(scope="module")
def alone() -> Clips:
    """Clips of one object."""
    some = draw_clips("train", np.arange(6000))
    return some[some.scenes.num_objects == 1]


def of(clips: Clips, action: int, num: int = 40) -> Clips:
    return clips[np.flatnonzero(clips.label == action)[:num]]


@given(st.sampled_from(SPLITS), st.lists(st.integers(0, 2**40), min_size=1, max_size=8))
def test_a_clip_does_not_depend_on_what_is_drawn_beside_it(split: str, indices: list[int]) -> None:
    together = draw_clips(split, indices)
    for row, index in enumerate(indices):
        assert same(draw_clips(split, [index]), together[row : row + 1])


def test_no_clips() -> None:
    clips = draw_clips("train", [])
    assert (len(clips), clip_captions(clips), clips.label.shape) == (0, [], (0,))


def test_an_unknown_split() -> None:
    with pytest.raises(ValueError, match="unknown sprites split 'trian'; did you mean 'train'"):
        draw_clips("trian", [0])


@pytest.mark.parametrize("split", SPLITS)
def test_another_take_differs_in_what_no_caption_names(split: str) -> None:
    one, other = (draw_clips(split, np.arange(100), take=take) for take in range(2))
    assert clip_captions(one) == clip_captions(other)
    assert np.array_equal(one.action, other.action)
    there = one.action >= 0
    assert (one.scenes.radius[there] != other.scenes.radius[there]).all()
    assert (one.scenes.centre[there] != other.scenes.centre[there]).any(axis=1).all()


def test_slots_that_are_empty(clips: Clips) -> None:
    there = np.arange(world.MAX_OBJECTS) < clips.scenes.num_objects[:, None]
    assert np.array_equal(clips.action >= 0, there)
    for name in ("shape", "colour", "size", "place"):
        assert np.array_equal(vars(clips.scenes)[name] >= 0, there), name
    assert (clips.scenes.radius[~there] == 0).all()
    assert (clips.scenes.centre[~there] == 0).all()


def test_the_main_object_is_larger_than_all_others(clips: Clips) -> None:
    size, place = clips.scenes.size, clips.scenes.place
    assert (size[:, :1] > size[:, 1:]).all()
    rank = np.where(size >= 0, size * 9 + 8 - place, -1)
    assert (np.diff(rank, axis=1) <= 0).all()  # the others by size, then by place


def test_actions_suit_shape_size_and_place(clips: Clips) -> None:
    there, scenes = clips.action >= 0, clips.scenes
    does = clips.action[there]
    assert actions.suits_shape()[scenes.shape[there], does].all()
    assert actions.suits_size()[scenes.size[there], does].all()
    assert actions.suits_place()[scenes.place[there], does].all()


def test_no_two_objects_pass_over_one_place(clips: Clips) -> None:
    passed = actions.cells()[clips.action, clips.scenes.place] & (clips.action >= 0)[..., None]
    assert passed.sum(axis=1).max() == 1


def test_labels_are_even(clips: Clips) -> None:
    assert np.array_equal(clips.label, clips.action[:, 0])
    assert stats.chisquare(np.bincount(clips.label, minlength=len(ACTIONS))).pvalue > 1e-3


@pytest.mark.parametrize("name", ["count", "background"])
def test_attributes_have_their_shares(clips: Clips, name: str) -> None:
    values, shares = {
        "count": (clips.scenes.num_objects - 1, np.array(world.OBJECT_COUNTS)),
        "background": (clips.scenes.background, np.full(4, 0.25)),
    }[name]
    assert stats.chisquare(np.bincount(values, minlength=len(shares)), N * shares).pvalue > 1e-3


@pytest.mark.parametrize("split", SPLITS)
def test_combinations_of_each_split(split: str) -> None:
    clips = draw_clips(split, np.arange(20_000))
    there = clips.action >= 0
    shown = clips.scenes.shape[there], clips.scenes.colour[there], clips.action[there]
    unseen = split == "test-unseen"
    assert (actions.held_out()[shown] == unseen).all()
    if not unseen:  # nor does any clip show what pictures hold out
        assert not world.held_out_pairs()[shown[:2]].any()
    possible = actions.suits_shape()[:, None] & (actions.held_out() == unseen)
    assert len(np.unique(np.stack(shown), axis=1).T) == possible.sum()  # each of them occurs


def test_objects_start_in_their_place_and_close_to_its_middle(clips: Clips) -> None:
    there = clips.action >= 0
    centres, place = clips.scenes.centre[there], clips.scenes.place[there]
    cell = np.floor(centres * 3)
    assert np.array_equal(cell[:, 1] * 3 + cell[:, 0], place)
    away = np.abs(centres - world.place_centres()[place]).max(axis=1)
    assert away.max() < 0.085
    assert (away <= world.PLACE_JITTER + 1e-12).mean() > 0.9


@pytest.mark.parametrize("action", range(10), ids=ACTIONS)
def test_objects_stay_inside_the_picture(alone: Clips, action: int) -> None:
    """Nothing is cut off: what is seen on a canvas of the same scale with room around is all in the picture."""
    clips = of(alone, action, 24)
    scenes = clips.scenes
    roomy = replace(clips, scenes=replace(scenes, centre=0.25 + scenes.centre / 2, radius=scenes.radius / 2))
    shown = figures(clips, np.linspace(0, 0.999, 16))
    wide = figures(roomy, np.linspace(0, 0.999, 16))
    start = np.repeat(roomy.scenes.centre, 16, axis=0)
    wide = replace(wide, centre=start + (shown.centre - np.repeat(scenes.centre, 16, axis=0)) / 2)
    inner, outer = label(shown, 48), label(wide, 96)
    assert np.array_equal(outer[:, 24:72, 24:72], inner)
    assert inner.astype(bool).sum() == outer.astype(bool).sum() > 0


def test_the_first_frame_is_the_picture_of_the_scene(clips: Clips) -> None:
    some = clips[:200]
    assert np.array_equal(render_clip(some, 3, 32)[:, 0], render(some.scenes, 32))
    assert np.array_equal(segment_clip(some, 3, 32)[:, 0], segment(some.scenes, 32))


@pytest.mark.parametrize(("frames", "size_px"), [(1, 8), (5, 32), (7, 33)])
def test_shapes_and_types(frames: int, size_px: int) -> None:
    clips = draw_clips("val", np.arange(3))
    pixels, labels = render_clip(clips, frames, size_px), segment_clip(clips, frames, size_px)
    assert (pixels.shape, pixels.dtype) == ((3, frames, 3, size_px, size_px), np.uint8)
    assert (labels.shape, labels.dtype) == ((3, frames, size_px, size_px), np.uint8)
    assert render_clip(clips[:0], frames, size_px).shape == (0, frames, 3, size_px, size_px)


def test_pixels_do_not_depend_on_the_batch() -> None:
    clips, rows = draw_clips("val", np.arange(60)), np.array([3, 1, 4, 1])
    assert np.array_equal(render_clip(clips[rows], 5, 32), render_clip(clips, 5, 32)[rows])
    assert np.array_equal(segment_clip(clips[rows], 5, 32), segment_clip(clips, 5, 32)[rows])


def test_five_frames_are_every_second_of_ten() -> None:
    clips = draw_clips("val", np.arange(60))
    assert np.array_equal(render_clip(clips, 10, 32)[:, ::2], render_clip(clips, 5, 32))


def test_what_stays_is_the_same_in_every_frame(alone: Clips) -> None:
    pixels = render_clip(of(alone, STAYS), 5, 32)
    assert (pixels == pixels[:, :1]).all()


def area(clips: Clips, frames: int, size_px: int = 128) -> np.ndarray:
    """What the main objects cover, in pixels and parts of them, (b, frames)."""
    rows, coverage = cover(figures(clips, actions.moments(frames)), 0, size_px)
    covered = np.zeros(len(clips) * frames)
    covered[rows] = coverage.sum(axis=(1, 2))
    return covered.reshape(len(clips), frames)


@pytest.mark.parametrize("action", range(10), ids=ACTIONS)
def test_area_changes_as_the_action_says(alone: Clips, action: int) -> None:
    clips, at = of(alone, action, 12), actions.moments(5)
    expected = {GROWS: (1 + 0.6 * at) ** 2, SHRINKS: (1 - 0.55 * at) ** 2, BLINKS: [1, 0, 1, 0, 1]}.get(
        action, np.ones(5)
    )
    areas = area(clips, 5)
    np.testing.assert_allclose(areas / areas[:, :1], np.broadcast_to(expected, areas.shape), atol=0.04)


@pytest.mark.parametrize("action", [0, 1, 2, 3, BOUNCES, STAYS, SPINS, GROWS])
def test_centres_move_as_the_action_says(alone: Clips, action: int) -> None:
    """Centres of mass in the maps; a triangle's lies beside the point around which it turns and from which it grows."""
    clips = of(alone, action, 12)
    clips = clips[clips.scenes.shape[:, 0] != TRIANGLE]
    inside = segment_clip(clips, 5, 128) > 0
    pixel = (np.arange(128) + 0.5) / 128
    mass = inside.sum(axis=(2, 3))
    x, y = (inside.sum(axis=2) @ pixel) / mass, (inside.sum(axis=3) @ pixel) / mass
    direction = actions.DIRECTIONS.get(action, (0, 0))
    up = np.array([0, 1, 0, 1, 0]) if action == BOUNCES else np.zeros(5)
    at = actions.moments(5)
    np.testing.assert_allclose(x - x[:, :1], np.broadcast_to(0.3 * at * direction[0], x.shape), atol=0.006)
    np.testing.assert_allclose(y - y[:, :1], np.broadcast_to(0.3 * at * direction[1] - 0.2 * up, y.shape), atol=0.006)


def mirrored(clips: Clips, axis: int) -> Clips:
    """Left and right (axis 0) or top and bottom (axis 1) exchanged."""
    scenes, there = clips.scenes, clips.action >= 0
    centre = scenes.centre.copy()
    centre[..., axis] = np.where(there, 1 - centre[..., axis], 0.0)
    swap = np.arange(len(ACTIONS))
    swap[2 * axis : 2 * axis + 2] = swap[2 * axis : 2 * axis + 2][::-1]
    return Clips(scenes=replace(scenes, centre=centre), action=np.where(there, swap[clips.action], -1))


@pytest.mark.parametrize(("action", "axis"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_mirrored_move_is_the_move_the_other_way(alone: Clips, action: int, axis: int) -> None:
    clips = of(alone, action)
    clips = clips[clips.scenes.shape[:, 0] != TRIANGLE] if axis else clips
    there = render_clip(clips, 5, 32)
    back = np.flip(render_clip(mirrored(clips, axis), 5, 32), axis=-1 - axis)
    assert np.abs(there.astype(int) - back).max() <= 1


@pytest.mark.parametrize("frames", [4, 5, 10])
@pytest.mark.parametrize("size", range(3), ids=world.SIZES)
@pytest.mark.parametrize("shape", ["square", "triangle", "cross", "bar"])
def test_a_spin_shows_in_every_frame(shape: str, size: int, frames: int) -> None:
    clips = object_in_the_middle(world.SHAPES.index(shape), size, [SPINS])
    pixels = render_clip(clips, frames, 32).astype(int)
    assert (np.abs(np.diff(pixels, axis=1)).sum(axis=(2, 3, 4)) > 250).all()


def test_a_spin_is_clockwise() -> None:
    """The right end of a bar goes down, the left one up."""
    clips = object_in_the_middle(world.SHAPES.index("bar"), 2, [SPINS])
    (upright, turned, *_) = segment_clip(clips, 5, 64)[0] > 0  # by 30 degrees
    right, left = slice(38, 50), slice(14, 26)
    assert np.argwhere(turned[:, right])[:, 0].mean() > np.argwhere(upright[:, right])[:, 0].mean() + 3
    assert np.argwhere(turned[:, left])[:, 0].mean() < np.argwhere(upright[:, left])[:, 0].mean() - 3


def object_in_the_middle(shape: int, size: int, does: list[int]) -> Clips:
    """One red object on black at the center, doing each of the actions in turn."""
    b = len(does)

    def first(value: float) -> np.ndarray:
        return np.repeat(np.array([[value, -1, -1]], dtype=np.int64), b, axis=0)

    scenes = Scenes(
        num_objects=np.ones(b, dtype=np.int64),
        shape=first(shape),
        colour=first(0),
        size=first(size),
        place=first(4),
        background=np.full(b, 2),
        centre=np.repeat(np.array([[[0.5, 0.5], [0, 0], [0, 0]]]), b, axis=0),
        radius=np.repeat(np.array([[world.RADIUS[size], 0, 0]]), b, axis=0),
        wording=np.zeros(b, dtype=np.int64),
    )
    action = first(0)
    action[:, 0] = does
    return Clips(scenes=scenes, action=action)


@pytest.mark.parametrize("frames", [4, 5])
@pytest.mark.parametrize("size", range(3), ids=world.SIZES)
@pytest.mark.parametrize("shape", range(6), ids=world.SHAPES)
def test_four_frames_tell_all_actions_apart(shape: int, size: int, frames: int) -> None:
    may = np.flatnonzero(actions.suits_shape()[shape] & actions.suits_size()[size])
    pixels = render_clip(object_in_the_middle(shape, size, may.tolist()), frames, 32).astype(int)
    apart = np.abs(pixels[:, None] - pixels[None]).sum(axis=(3, 4, 5)).max(axis=-1)  # in the frame that tells most
    assert apart[~np.eye(len(may), dtype=bool)].min() > 500


def test_the_background_is_one_in_all_frames(clips: Clips) -> None:
    some = clips[:100]
    pixels, labels = render_clip(some, 5, 64), segment_clip(some, 5, 64)
    ground = world.BACKGROUND_RGB[some.scenes.background].astype(np.uint8)[:, None, :, None, None]
    far = np.ones_like(labels, dtype=bool)
    for dy in (-2, 0, 2):
        for dx in (-2, 0, 2):
            far &= np.roll(labels, (dy, dx), axis=(2, 3)) == 0
    assert ((pixels == ground).all(axis=2) | ~far).all()


@pytest.mark.parametrize("size_px", [32, 64])
def test_maps_show_each_object_where_it_is(alone: Clips, size_px: int) -> None:
    clips = alone[alone.scenes.shape[:, 0] != RING][:200]
    at = actions.moments(5)
    where = clips.scenes.centre[:, 0, None] + actions.offset(at)[clips.label]
    x, y = np.moveaxis(np.floor(where * size_px).astype(int), -1, 0)
    labels = segment_clip(clips, 5, size_px)[np.arange(len(clips))[:, None], np.arange(5), y, x]
    expected = np.where(actions.visible(at)[clips.label], clips.scenes.shape[:, :1] + 1, 0)
    assert np.array_equal(labels, expected)


# python -c "import hashlib; from nuwa.data.sprites import *
# print([hashlib.sha256(render_clip(draw_clips(s, range(16)), 5, 32).tobytes()).hexdigest()[:16] for s in SPLITS])"
GOLDEN = {
    "train": "2d7532ff0b3970b1",
    "val": "db62b089287ce7b5",
    "test-seen": "712ce682b3516353",
    "test-unseen": "0fb8f86c352fcb67",
}


@pytest.mark.parametrize("split", SPLITS)
def test_golden(split: str) -> None:
    pixels = render_clip(draw_clips(split, range(16)), 5, 32)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == GOLDEN[split]
