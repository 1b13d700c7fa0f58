from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.judges import load_image_judge, load_video_judge
from evaluation.metrics import EditAccuracy
from evaluation.metrics.edit_accuracy import edit_accuracy, edit_outcomes
from evaluation.protocols import sprites
from nuwa.data.sprites import Clips, Scenes, actions, draw_clip_edits, draw_edits, render, render_clip
from nuwa.data.sprites.edits import CLIP_KINDS, KINDS, PICTURE_KINDS, AnyEdits

N = 200
PICTURES, CLIPS = draw_edits("val", np.arange(N)), draw_clip_edits("val", np.arange(N))
PROTOCOLS = {"pictures": sprites.EDIT_ACCURACY, "clips": sprites.CLIP_EDIT_ACCURACY}
EDITS: dict[str, AnyEdits] = {"pictures": PICTURES, "clips": CLIPS}
ATTRIBUTES = {"shape": 7, "colour": 8, "size": 3, "action": 10}


def oracle(side: Scenes | Clips) -> SimpleNamespace:
    """Logits of a judge that sees exactly what ``side`` shows."""
    scenes = side.scenes if isinstance(side, Clips) else side
    rows, slots = np.nonzero(scenes.place >= 0)
    at = scenes.place[rows, slots]
    truth = {"shape": scenes.shape + 1, "colour": scenes.colour, "size": scenes.size}
    truth["action"] = side.action if isinstance(side, Clips) else np.full_like(scenes.shape, actions.STAYS)
    logits = {}
    for name, width in ATTRIBUTES.items():
        value = np.zeros((len(scenes), 9), dtype=np.int64)
        value[rows, at] = truth[name][rows, slots]
        logits[f"{name}_logits"] = 5.0 * torch.eye(width)[torch.from_numpy(value)]
    logits["background_logits"] = 5.0 * torch.eye(4)[torch.from_numpy(scenes.background)]
    return SimpleNamespace(**logits)


def values(kind: str, judgement: SimpleNamespace) -> dict[str, float]:
    protocol = PROTOCOLS[kind]
    estimates = edit_accuracy(edit_outcomes(judgement, EDITS[kind], protocol), protocol)
    assert all(estimate.protocol == protocol.id for estimate in estimates)
    return {estimate.name: estimate.value for estimate in estimates}


@pytest.mark.parametrize("kind", EDITS)
def test_the_target_is_right_and_the_source_is_wrong(kind: str) -> None:
    edits = EDITS[kind]
    assert set(values(kind, oracle(edits.target)).values()) == {1.0}
    assert set(values(kind, oracle(edits.source)).values()) == {0.0}


@pytest.mark.parametrize(("kind", "kinds"), [("pictures", PICTURE_KINDS), ("clips", CLIP_KINDS)])
def test_each_kind_has_a_number(kind: str, kinds: tuple[str, ...]) -> None:
    protocol = PROTOCOLS[kind]
    first, asked, *each = edit_accuracy(edit_outcomes(oracle(EDITS[kind].target), EDITS[kind], protocol), protocol)
    assert (first.name, asked.name, first.n) == ("edit accuracy", "attribute accuracy", N)
    assert {estimate.name for estimate in each} == {f"edit accuracy, {name}" for name in kinds}
    assert sum(estimate.n for estimate in each) == N
    assert all(0 < estimate.ci95[0] < estimate.ci95[1] == 1.0 for estimate in each)


def test_a_kind_of_which_there_is_one_alone_has_no_number() -> None:
    """It used to take all the others with it."""
    kinds = PICTURES.kind
    few = PICTURES[np.array([*np.flatnonzero(kinds == 0)[:3], np.flatnonzero(kinds == 1)[0]])]
    metric = EditAccuracy()
    metric.update(oracle(few.target), few)
    numbers = {estimate.name: estimate.n for estimate in metric.estimates()}
    assert numbers == {"edit accuracy": 4, "attribute accuracy": 4, f"edit accuracy, {KINDS[0]}": 3}


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_another_attribute_of_the_edited_object_has_to_be_right_too(attribute: str) -> None:
    """Right as asked, but with another colour beside it: the attribute is counted, the edit is not."""
    seen = oracle(CLIPS.target)
    logits = getattr(seen, f"{attribute}_logits").roll(1, dims=-1)
    if attribute == "shape":  # index 0 is nothing
        shapes = seen.shape_logits
        logits = torch.cat([shapes[..., :1], shapes[..., 1:].roll(1, dims=-1)], dim=-1)
    setattr(seen, f"{attribute}_logits", logits)
    result = edit_outcomes(seen, CLIPS, sprites.CLIP_EDIT_ACCURACY)
    kind = CLIPS.kind
    removed = torch.from_numpy(kind == KINDS.index("remove"))
    mine = torch.from_numpy(kind == KINDS.index(attribute))
    assert torch.equal(result.right, removed)
    assert torch.equal(result.asked, ~mine)


def test_only_the_edited_object_counts() -> None:
    """What stands elsewhere may be wrong: other metrics look at it."""
    seen = oracle(PICTURES.target)
    wrong = oracle(PICTURES.source)
    here = torch.from_numpy(PICTURES.place)[:, None] == torch.arange(9)
    for name in ("shape", "colour", "size"):
        logits = getattr(seen, f"{name}_logits")
        setattr(seen, f"{name}_logits", torch.where(here[..., None], logits, logits.roll(1, dims=-1)))
    objects = PICTURES.place >= 0
    right = edit_outcomes(seen, PICTURES, sprites.EDIT_ACCURACY).right.numpy()
    assert right[objects].all()
    seen.background_logits = wrong.background_logits
    right = edit_outcomes(seen, PICTURES, sprites.EDIT_ACCURACY).right.numpy()
    assert right[objects].all()
    assert not right[~objects].any()


@pytest.mark.parametrize("split", ["test-seen", "test-unseen"])
def test_the_shipped_image_judge_confirms_real_edits(split: str) -> None:
    edits, judge, metric = draw_edits(split, np.arange(N)), load_image_judge(), EditAccuracy()
    metric.update(judge(torch.from_numpy(render(edits.target, 32))), edits)
    assert metric.compute() >= 0.98
    metric.reset()
    metric.update(judge(torch.from_numpy(render(edits.source, 32))), edits)
    assert metric.compute() <= 0.02


@pytest.mark.parametrize("split", ["test-seen", "test-unseen"])
def test_the_shipped_video_judge_confirms_real_edits(split: str) -> None:
    edits, judge, metric = (
        draw_clip_edits(split, np.arange(N)),
        load_video_judge(),
        EditAccuracy(sprites.CLIP_EDIT_ACCURACY),
    )
    metric.update(judge(torch.from_numpy(render_clip(edits.target, 5, 32))), edits)
    assert metric.compute() >= 0.97
    metric.reset()
    metric.update(judge(torch.from_numpy(render_clip(edits.source, 5, 32))), edits)
    assert metric.compute() <= 0.02


@pytest.mark.parametrize(("kind", "other"), [("pictures", "clips"), ("clips", "pictures")])
def test_clips_and_pictures_have_protocols_of_their_own(kind: str, other: str) -> None:
    with pytest.raises(
        ValueError, match=rf"expected edits of {other}, got edits of {kind}; sprites\.EDIT_ACCURACY is for"
    ):
        edit_outcomes(oracle(EDITS[kind].target), EDITS[kind], PROTOCOLS[other])


def test_a_judge_that_sees_no_actions() -> None:
    seen = oracle(CLIPS.target)
    del seen.action_logits
    with pytest.raises(
        ValueError, match=r"action_logits: expected \(200, 9, 10\) for 200 clips, got none; ask the video"
    ):
        edit_outcomes(seen, CLIPS, sprites.CLIP_EDIT_ACCURACY)


def test_actions_that_are_no_numbers() -> None:
    seen = oracle(CLIPS.target)
    seen.action_logits[3] = float("nan")
    with pytest.raises(ValueError, match="action_logits: expected finite numbers, got NaN"):
        edit_outcomes(seen, CLIPS, sprites.CLIP_EDIT_ACCURACY)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_no_edits() -> None:
    with pytest.raises(ValueError, match="edits: expected at least 2, got an empty set"):
        EditAccuracy().compute()
