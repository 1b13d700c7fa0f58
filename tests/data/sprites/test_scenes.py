"""Scenes are a pure function of (version, split, index), and the splits share no held-out combination."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nuwa.data.sprites import SPLITS, Scenes, captions, draw, world

N = 2000


def same(one: Scenes, other: Scenes) -> bool:
    return all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items())


@pytest.fixture(scope="module", params=SPLITS)
def scenes(request: pytest.FixtureRequest) -> Scenes:
    return draw(request.param, np.arange(N))


@given(st.sampled_from(SPLITS), st.lists(st.integers(0, 2**40), min_size=1, max_size=8))
def test_a_scene_does_not_depend_on_what_is_drawn_beside_it(split: str, indices: list[int]) -> None:
    together = draw(split, indices)
    for row, index in enumerate(indices):
        assert same(draw(split, [index]), together[row : row + 1])


@pytest.mark.parametrize("split", SPLITS)
def test_another_take_differs_in_what_no_caption_names(split: str) -> None:
    one, other, third = (draw(split, np.arange(100), take=take) for take in range(3))
    assert captions(one) == captions(other)
    for name in ("shape", "colour", "size", "place", "background"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    there = one.shape >= 0
    assert (one.centre[there] != other.centre[there]).all()
    assert (one.radius[there] != other.radius[there]).all()
    assert not np.isin(third.centre[there], [one.centre[there], other.centre[there]]).any()


def test_slices_and_index_arrays_are_batches(scenes: Scenes) -> None:
    rows = np.array([5, 3, 3, 100])
    assert same(scenes[10:20][2:4], scenes[12:14])
    assert same(scenes[rows][1:2], scenes[3:4])
    assert same(scenes[np.arange(N) == 3], scenes[3:4])
    assert len(scenes[rows]) == 4


def test_splits_are_different_scenes() -> None:
    """Of 200 scenes a split, none shares its places and jitter with the same index of another."""
    centres = np.stack([draw(split, np.arange(200)).centre[:, 0] for split in SPLITS])
    assert len(np.unique(centres.reshape(-1, 2), axis=0)) == 200 * len(SPLITS)


@pytest.mark.parametrize("split", SPLITS)
def test_held_out_pairs_are_in_test_unseen_alone(split: str) -> None:
    scenes = draw(split, np.arange(20_000))
    there = scenes.shape >= 0
    held_out = world.held_out_pairs()[scenes.shape[there], scenes.colour[there]]
    assert held_out.all() if split == "test-unseen" else not held_out.any()
    pairs = np.unique(np.stack([scenes.shape[there], scenes.colour[there]]), axis=1).shape[1]
    assert pairs == (6 if split == "test-unseen" else 42)  # each of them occurs


def test_each_shape_keeps_one_colour_back_and_no_colour_twice_as_often() -> None:
    held_out = world.held_out_pairs()
    assert held_out.shape == (len(world.SHAPES), len(world.COLOURS))
    assert held_out.sum(axis=1).tolist() == [1] * len(world.SHAPES)
    assert held_out.sum(axis=0).max() == 1


def test_objects_fill_their_slots_from_the_front(scenes: Scenes) -> None:
    there = np.arange(world.MAX_OBJECTS) < scenes.num_objects[:, None]
    for name, high in (("shape", 6), ("colour", 8), ("size", 3), ("place", 9)):
        values = getattr(scenes, name)
        assert (values[there] >= 0).all(), name
        assert (values[there] < high).all(), name
        assert (values[~there] == -1).all(), name
    assert (scenes.radius[~there] == 0).all()
    assert (scenes.centre[~there] == 0).all()


def test_the_largest_object_comes_first(scenes: Scenes) -> None:
    """By size, objects of one size by place; the absent ones (-1) fall to the end by themselves."""
    size, place = scenes.size.astype(int), scenes.place
    rank = np.where(size >= 0, size * 9 + 8 - place, -1)
    assert (np.diff(rank, axis=1) <= 0).all()
    larger = size[:, :-1] > size[:, 1:]
    assert (scenes.radius[:, :-1] > scenes.radius[:, 1:])[larger].all()


def test_places_are_distinct_and_objects_stay_in_them(scenes: Scenes) -> None:
    there = scenes.place >= 0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        both = there[:, first] & there[:, second]
        assert (scenes.place[both, first] != scenes.place[both, second]).all()
    centres = scenes.centre[there] * 3
    assert np.array_equal(np.floor(centres[:, 1]) * 3 + np.floor(centres[:, 0]), scenes.place[there])
    assert (np.abs(centres / 3 - world.place_centres()[scenes.place[there]]) <= world.PLACE_JITTER).all()
    assert ((scenes.centre[there] - scenes.radius[there][:, None]) > -0.08).all()  # hardly anything leaves the picture


@pytest.mark.parametrize("name", ["size", "place", "background"])
def test_attributes_are_even(scenes: Scenes, name: str) -> None:
    values = getattr(scenes, name)
    assert stats.chisquare(np.bincount(values[values >= 0])).pvalue > 1e-3


def test_numbers_of_objects_have_their_shares(scenes: Scenes) -> None:
    found = np.bincount(scenes.num_objects, minlength=4)[1:]
    assert stats.chisquare(found, N * np.array(world.OBJECT_COUNTS)).pvalue > 1e-3


@pytest.mark.parametrize(("split", "hint"), [("test", "test-seen"), ("trian", "train"), ("unseen", "test-unseen")])
def test_an_unknown_split_is_answered_with_the_nearest(split: str, hint: str) -> None:
    with pytest.raises(
        ValueError, match=rf"unknown sprites split '{split}'; did you mean '{hint}'\? \(known: train, val"
    ):
        draw(split, [0])
