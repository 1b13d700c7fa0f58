from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.judges import VideoJudge, load_video_judge
from evaluation.judges.degrade import blur, quantise_blocks
from evaluation.judges.measure_clips import measure_video
from evaluation.judges.train_video import action_board
from evaluation.metrics.caption_accuracy import outcomes
from evaluation.metrics.frechet import distance_of_features
from evaluation.protocols import sprites
from nuwa.data.sprites import Clips, actions, draw_clips, render_clip
from nuwa.data.sprites.actions import ACTIONS, STAYS

COUNT = 256
CLIPS = draw_clips("test-seen", np.arange(COUNT))
PIXELS = torch.from_numpy(render_clip(CLIPS, 5, 32))
LABELS = torch.from_numpy(CLIPS.label)
SHAPES = {
    "features": (128,),
    "class_logits": (10,),
    "shape_logits": (9, 7),
    "colour_logits": (9, 8),
    "size_logits": (9, 3),
    "action_logits": (9, 10),
    "main_logits": (9,),
    "background_logits": (4,),
}


@pytest.fixture(scope="module")
def judge() -> VideoJudge:
    return load_video_judge()


def acc(judge: VideoJudge, pixels: Tensor, labels: Tensor = LABELS) -> float:
    return (judge(pixels).class_logits.argmax(dim=1) == labels).double().mean().item()


def test_answers(judge: VideoJudge) -> None:
    said = vars(judge(PIXELS[:5]))
    assert {name: tuple(values.shape[1:]) for name, values in said.items()} == SHAPES
    assert {values.dtype for values in said.values()} == {torch.float32}
    assert not any(values.requires_grad for values in said.values())
    torch.testing.assert_close(said["class_logits"].exp().sum(dim=1), torch.ones(5))  # chances


@pytest.mark.parametrize("split", ["test-seen", "test-unseen"])
def test_real_clips_are_told_right(judge: VideoJudge, split: str) -> None:
    scores = measure_video(judge, split, COUNT)
    assert min(scores[name] for name in ("place", "shape", "colour", "size", "background")) >= 0.98
    assert min(scores[name] for name in ("acc", "acc_1", "acc_2", "acc_3", "action")) >= 0.99


@pytest.mark.parametrize("frames", [4, 6, 8, 10])
def test_clips_of_other_lengths(judge: VideoJudge, frames: int) -> None:
    assert acc(judge, torch.from_numpy(render_clip(CLIPS, frames, 32))) >= 0.98


def test_longer_clips_than_it_has_learnt_from(judge: VideoJudge) -> None:
    assert acc(judge, torch.from_numpy(render_clip(CLIPS, 16, 32))) >= 0.9


def test_scenes_at_the_start_are_told_right(judge: VideoJudge) -> None:
    """The answer serves caption accuracy as the image judge's does."""
    assert outcomes(judge(PIXELS), CLIPS.scenes, sprites.CAPTION_ACCURACY).right.double().mean() >= 0.95


@pytest.mark.parametrize("name", SHAPES)
def test_answer_does_not_depend_on_the_batch(judge: VideoJudge, name: str) -> None:
    together = getattr(judge(PIXELS[:17]), name)
    single = torch.cat([getattr(judge(clip[None]), name) for clip in PIXELS[:17]])
    assert (together - single).abs().max() <= 1e-5 * together.abs().max()


def test_same_answer_each_time(judge: VideoJudge) -> None:
    assert torch.equal(judge(PIXELS[:32]).features, load_video_judge()(PIXELS[:32]).features)


def test_judge_does_not_learn(judge: VideoJudge) -> None:
    holder = torch.nn.Sequential(judge).train()
    assert not any(module.training for module in judge.modules())
    assert not any(parameter.requires_grad for parameter in holder.parameters())


def test_autocast_around_the_judge_changes_nothing(judge: VideoJudge) -> None:
    plain = judge(PIXELS[:4]).features
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(judge(PIXELS[:4]).features, plain)


@pytest.mark.parametrize("size_px", [24, 64, 100])
def test_other_sizes(judge: VideoJudge, size_px: int) -> None:
    assert acc(judge, torch.from_numpy(render_clip(CLIPS[:128], 5, size_px)), LABELS[:128]) >= 0.95


@pytest.mark.parametrize(
    "damage",
    [
        lambda levels: blur(levels, 1.0),
        lambda levels: quantise_blocks(levels, 4, 30.0),
        lambda levels: quantise_blocks(levels, 8, 30.0),
        lambda levels: levels * 0.95 + 8,
        lambda levels: levels + 12 * torch.randn(levels.shape, generator=torch.Generator().manual_seed(0)),
        lambda levels: levels + 8 * torch.randn((len(levels), 3, 1, 1), generator=torch.Generator().manual_seed(0)),
    ],
    ids=["blur", "blocks of 4", "blocks of 8", "colour", "noise", "flicker"],
)
def test_slight_damage_is_forgiven(judge: VideoJudge, damage) -> None:
    levels = damage(PIXELS.flatten(0, 1).float()).round().clamp(0, 255)
    assert acc(judge, levels.to(torch.uint8).view_as(PIXELS)) >= 0.98


@pytest.mark.parametrize("sigma_px", [0.0, 1.0, 2.0, 3.0, 5.0])
def test_confidence_is_the_share_of_right_answers(judge: VideoJudge, sigma_px: float) -> None:
    levels = PIXELS.flatten(0, 1).float()
    pixels = (blur(levels, sigma_px).round() if sigma_px else levels).to(torch.uint8).view_as(PIXELS)
    chances = judge(pixels).class_logits.exp()
    right = (chances.argmax(dim=1) == LABELS).float().mean().item()
    assert chances.amax(dim=1).mean().item() == pytest.approx(right, abs=0.1)


def test_a_frozen_clip_stays(judge: VideoJudge) -> None:
    """What an object looks like, and where it stands, does not tell what it does."""
    frozen = PIXELS[:, :1].expand_as(PIXELS).contiguous()
    assert acc(judge, frozen, torch.full_like(LABELS, STAYS)) >= 0.99


def test_a_clip_played_backwards_moves_the_other_way(judge: VideoJudge) -> None:
    moves = LABELS < 4
    back = torch.tensor([1, 0, 3, 2])[LABELS[moves]]
    assert acc(judge, PIXELS[moves].flip(1), back) >= 0.85


def swapped(clips: Clips) -> Clips:
    """The actions of the first two objects exchanged."""
    action = clips.action.copy()
    action[:, :2] = action[:, 1::-1]
    return Clips(scenes=clips.scenes, action=action)


def test_each_object_is_told_by_where_it_starts(judge: VideoJudge) -> None:
    """The label is the main object's, whoever else moves."""
    clips = swapped(CLIPS[CLIPS.scenes.num_objects == 2])
    there = clips.action >= 0
    possible = (
        np.where(there, actions.suits_shape()[clips.scenes.shape, clips.action], True)
        & np.where(there, actions.suits_place()[clips.scenes.place, clips.action], True)
        & np.where(there, actions.suits_size()[clips.scenes.size, clips.action], True)
    ).all(axis=1)
    clips = clips[possible]
    said = judge(torch.from_numpy(render_clip(clips, 5, 32)))
    does = action_board(clips)
    assert len(clips) > 10
    assert (said.action_logits.argmax(dim=-1) == does)[does >= 0].double().mean() >= 0.95
    assert (said.class_logits.argmax(dim=1) == torch.from_numpy(clips.label)).double().mean() >= 0.9


def test_distances_grow_with_damage(judge: VideoJudge) -> None:
    """Sanity of FVD: another take of the same clips is near, and the less motion, the further away."""
    real = judge(PIXELS).features
    again = judge(torch.from_numpy(render_clip(draw_clips("test-seen", np.arange(COUNT), take=1), 5, 32))).features
    floor = float(distance_of_features(again, real))
    distances = []
    for kept in (5, 4, 3, 2, 1):  # frames until the clip freezes
        frozen = PIXELS[:, [min(frame, kept - 1) for frame in range(5)]]
        distances.append(float(distance_of_features(judge(frozen).features, real)))
    assert distances == sorted(distances)
    assert distances[2] > floor
    assert distances[-1] > 10 * floor


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (PIXELS.float() / 255, r"expected uint8 in 0…255, got torch\.float32"),
        (PIXELS.permute(0, 1, 3, 4, 2), "channels last"),
        (PIXELS[0], r"expected \(b, t, 3, h, w\) with t >= 4, got \(5, 3, 32, 32\)"),
        (PIXELS[:, :3], r"expected \(b, t, 3, h, w\) with t >= 4, got \(256, 3, 3, 32, 32\)"),
        (PIXELS[:, :, :1], "expected 3 channels"),
        (PIXELS[:0], "at least one picture"),
        (PIXELS.numpy(), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_use(judge: VideoJudge, clips, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(clips)


@pytest.mark.parametrize("action", range(10), ids=ACTIONS)
def test_every_action_is_known(judge: VideoJudge, action: int) -> None:
    mine = LABELS.eq(action)
    assert acc(judge, PIXELS[mine], LABELS[mine]) >= 0.95
