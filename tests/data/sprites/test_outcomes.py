"""Outcomes: the same starts, and actions as the world would have drawn them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nuwa.data.sprites import SPLITS, Clips, actions, draw_clips, draw_outcomes, render_clip, world
from nuwa.data.sprites.actions import ACTIONS, GROWS
from nuwa.data.sprites.clips import combinations

N = 8000
Pair = tuple[Clips, Clips]


@pytest.fixture(scope="module", params=SPLITS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Clips and their outcomes."""
    clips = draw_clips(request.param, np.arange(N))
    return clips, draw_outcomes(clips, request.param, np.arange(N))


def test_outcomes_begin_with_the_same_frame_and_go_on_otherwise(pair: Pair) -> None:
    shown, others = (render_clip(each[:300], 5, 32) for each in pair)
    np.testing.assert_array_equal(shown[:, 0], others[:, 0])
    assert (shown[:, 1:] != others[:, 1:]).any(axis=(1, 2, 3, 4)).mean() > 0.5


@pytest.mark.parametrize("slot", range(world.MAX_OBJECTS))
def test_outcomes_are_distributed_as_clips_are(pair: Pair, slot: int) -> None:
    """An action with what is seen of its object: the weights of the chances are those of the world."""
    for name in ("size", "place", "shape"):
        tables = []
        for clips in pair:
            there = clips.scenes.shape[:, slot] >= 0
            seen = getattr(clips.scenes, name)[there, slot]
            tables.append(np.bincount(seen * len(ACTIONS) + clips.action[there, slot], minlength=9 * len(ACTIONS)))
        one, other = np.array(tables)
        enough = one + other >= 10
        # Both share their starts, so they are closer than independent sets are; the test is on the safe side.
        assert stats.chi2_contingency(np.stack([one, other])[:, enough]).pvalue > 1e-4, name
        assert (other[one + other >= 40] > 0).all(), name


def test_sizes_count_as_much_as_the_world_lets_them() -> None:
    """A size that few others can have with an action speaks for it: a weak sign, which takes many clips to see."""
    number = np.arange(40_000)
    clips = draw_clips("train", number)
    tables = [
        np.bincount(each.scenes.size[:, 0] * len(ACTIONS) + each.label, minlength=3 * len(ACTIONS))
        for each in (clips, draw_outcomes(clips, "train", number))
    ]
    table = np.array(tables)
    assert stats.chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue > 1e-4


def test_outcomes_are_clips_of_the_split(request: pytest.FixtureRequest, pair: Pair) -> None:
    _, others = pair
    split, scenes = request.node.callspec.params["pair"], others.scenes
    passed = np.zeros((N, len(world.PLACES)), dtype=int)
    for slot in range(world.MAX_OBJECTS):
        there = scenes.shape[:, slot] >= 0
        does = others.action[there, slot]
        assert (others.action[~there, slot] == -1).all()
        assert combinations(split)[scenes.shape[there, slot], scenes.colour[there, slot], does].all()
        assert actions.suits_size()[scenes.size[there, slot], does].all()
        passed[there] += actions.cells()[does, scenes.place[there, slot]]
        before, after = actions.reach(scenes.shape[there, slot], does, scenes.radius[there, slot])
        centre = scenes.centre[there, slot]
        assert (centre >= before).all()
        assert (centre <= 1 - after).all()
    assert passed.max() == 1  # no two objects pass over the same place


def test_a_start_that_an_action_pushed_gives_it_away() -> None:
    """Only what is going to grow is moved so far away from the edge."""
    clips = draw_clips("train", np.arange(N))
    others = draw_outcomes(clips, "train", np.arange(N))
    first = clips.scenes.centre[:, 0]
    before, after = actions.reach(clips.scenes.shape[:, 0], np.full(N, GROWS), clips.scenes.radius[:, 0])
    pushed = ((first == before) | (first == 1 - after)).any(axis=1) & (clips.label == GROWS)
    assert pushed.sum() > 100
    assert (others.label[pushed] == GROWS).all()
    assert 0.05 < (others.label == clips.label)[clips.label != GROWS].mean() < 0.5


def test_an_outcome_depends_on_its_own_index_and_on_the_seed_alone() -> None:
    clips = draw_clips("val", np.arange(40))
    whole = draw_outcomes(clips, "val", np.arange(40)).action
    part = draw_outcomes(clips[10:20], "val", np.arange(10, 20)).action
    np.testing.assert_array_equal(part, whole[10:20])
    assert (draw_outcomes(clips, "val", np.arange(40), seed=1).action != whole).any()


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="unknown sprites split 'tets'"):
        draw_outcomes(draw_clips("val", [0]), "tets", [0])
