from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judges.board import ABSENT, EMPTY, board, main_class
from evaluation.judges.practice import CHANGES, identity, join, practice, practice_clips, vary
from nuwa.data.sprites import Scenes, actions, captions, draw, draw_clips, render, world
from nuwa.data.sprites.scenes import reorder, slot_order

SCENES = draw("test-seen", np.arange(512))
MANY = SCENES[SCENES.num_objects > 1]
OBJECT_FIELDS = ("shape", "colour", "size", "place")


def assert_same(first: Scenes, second: Scenes) -> None:
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, vars(second)[name], err_msg=name)


def assert_valid(scenes: Scenes) -> None:
    """What every scene of the sprites world fulfils."""
    present = np.arange(world.MAX_OBJECTS) < scenes.num_objects[:, None]
    limits = dict(zip(OBJECT_FIELDS, (world.SHAPES, world.COLOURS, world.SIZES, world.PLACES), strict=True))
    for name, words in limits.items():
        values = vars(scenes)[name]
        assert (values[~present] == -1).all()
        assert ((values[present] >= 0) & (values[present] < len(words))).all()
    for place in range(len(world.PLACES)):
        assert ((scenes.place == place).sum(axis=1) <= 1).all()
    ratio = scenes.radius[present] / world.RADIUS[scenes.size[present]]
    assert (np.abs(ratio - 1) <= world.RADIUS_JITTER + 1e-9).all()
    offset = scenes.centre[present] - world.place_centres()[scenes.place[present]]
    assert (np.abs(offset) <= world.PLACE_JITTER + 1e-9).all()
    assert_same(reorder(scenes, slot_order(scenes)), scenes)


def test_practice_shows_every_combination() -> None:
    scenes = practice(np.arange(4096))
    assert_valid(scenes)
    assert set(main_class(scenes).tolist()) == set(range(48))


def test_practice_scene_does_not_depend_on_its_batch() -> None:
    assert_same(practice(np.arange(40))[np.array([7, 31])], practice([7, 31]))


@given(st.integers(0, 2**63), st.sampled_from([None, *CHANGES]))
def test_variants_are_valid_scenes(stream: int, change: str | None) -> None:
    scenes = SCENES[:64]
    varied = vary(scenes, stream, change=change)
    assert_valid(varied)
    assert_same(vary(scenes, stream, change=change), varied)
    equal = identity(scenes) == identity(varied)
    swaps = equal & (scenes.num_objects > 1)
    assert (equal == swaps).all()  # only a swap of equal colours changes nothing


@pytest.mark.parametrize("change", ["shape", "colour", "size", "place"])
def test_change_of_an_attribute_changes_that_of_one_object(change: str) -> None:
    varied = vary(MANY, 5, change=change)

    def bag(scenes: Scenes, row: int) -> list[tuple[int, ...]]:
        columns = [vars(scenes)[name][row, : scenes.num_objects[row]].tolist() for name in OBJECT_FIELDS]
        return sorted(zip(*columns, strict=True))

    field = OBJECT_FIELDS.index(change)
    for row in range(len(MANY)):
        (old,) = set(bag(MANY, row)) - set(bag(varied, row))
        (new,) = set(bag(varied, row)) - set(bag(MANY, row))
        assert [i for i in range(4) if old[i] != new[i]] == [field]


def test_change_of_the_background() -> None:
    varied = vary(MANY, 5, change="background")
    assert (varied.background != MANY.background).all()
    np.testing.assert_array_equal(varied.shape, MANY.shape)


def test_swap_keeps_the_colours_and_their_number() -> None:
    varied = vary(MANY, 5, change="swap")
    np.testing.assert_array_equal(np.sort(varied.colour), np.sort(MANY.colour))
    two = MANY.num_objects == 2
    np.testing.assert_array_equal(varied.colour[two, :2], MANY.colour[two, 1::-1])
    np.testing.assert_array_equal(varied.shape, MANY.shape)


def test_drop_leaves_one_object_less() -> None:
    varied = vary(MANY, 5, change="drop")
    np.testing.assert_array_equal(varied.num_objects, MANY.num_objects - 1)


def test_single_object_is_neither_swapped_nor_dropped() -> None:
    single = SCENES[SCENES.num_objects == 1]
    varied = vary(single, 5, change="drop")
    assert (varied.shape[:, 0] != single.shape[:, 0]).all()
    assert (varied.num_objects == 1).all()


def test_variants_keep_the_wording() -> None:
    varied = vary(SCENES, 5, change="background")
    words = [(old.split(), new.split()) for old, new in zip(captions(SCENES), captions(varied), strict=True)]
    assert all(sum(a != b for a, b in zip(old, new, strict=True)) == 1 for old, new in words)


def test_unknown_change() -> None:
    with pytest.raises(ValueError, match=r"expected one of shape, colour, .* got 'weight'"):
        vary(SCENES, 0, change="weight")


def test_identity_is_that_of_the_attributes() -> None:
    rows = [
        (*(vars(SCENES)[name][row].tolist() for name in OBJECT_FIELDS), SCENES.background[row])
        for row in range(len(SCENES))
    ]
    assert len(set(map(str, rows))) == len(np.unique(identity(SCENES)))


def test_join() -> None:
    assert_same(join(SCENES[:3], SCENES[3:8]), SCENES[:8])


def test_board_repeats_the_scenes() -> None:
    boards = board(SCENES)
    assert ((boards.shape != EMPTY).sum(dim=1).numpy() == SCENES.num_objects).all()
    assert ((boards.shape == EMPTY) == (boards.colour == ABSENT)).all()
    row, slot = np.nonzero(SCENES.place >= 0)
    place = SCENES.place[row, slot]
    np.testing.assert_array_equal(boards.shape.numpy()[row, place] - 1, SCENES.shape[row, slot])
    np.testing.assert_array_equal(boards.colour.numpy()[row, place], SCENES.colour[row, slot])
    np.testing.assert_array_equal(boards.size.numpy()[row, place], SCENES.size[row, slot])
    np.testing.assert_array_equal(boards.background.numpy(), SCENES.background)


def test_places_are_where_the_picture_has_ink() -> None:
    single = SCENES[SCENES.num_objects == 1][:64]
    ground = world.BACKGROUND_RGB[single.background][:, :, None, None]
    ink = np.abs(render(single, 33) - ground).sum(axis=1) > 60
    cells = ink.reshape(-1, 3, 11, 3, 11).sum(axis=(2, 4)).reshape(-1, 9)
    np.testing.assert_array_equal(cells.argmax(axis=1), (board(single).shape != EMPTY).int().argmax(dim=1).numpy())


def test_practice_clips_show_every_combination() -> None:
    """Also the ones that no model is trained on; nothing but colours differs from the train split."""
    clips, train = practice_clips(np.arange(20_000)), draw_clips("train", np.arange(20_000))
    there = clips.action >= 0
    shown = np.stack([clips.scenes.shape[there], clips.scenes.colour[there], clips.action[there]])
    assert len(np.unique(shown, axis=1).T) == actions.suits_shape().sum() * len(world.COLOURS)
    np.testing.assert_array_equal(clips.action, train.action)
    for name, values in vars(clips.scenes).items():
        if name != "colour":
            np.testing.assert_array_equal(values, vars(train.scenes)[name])
    assert (clips.scenes.colour[~there] == -1).all()
    first = practice_clips(np.arange(10, 12))
    np.testing.assert_array_equal(first.scenes.colour, clips.scenes.colour[10:12])
