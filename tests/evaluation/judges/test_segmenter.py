from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.judges import Segmenter, load_segmenter
from evaluation.judges.degrade import blur, quantise_blocks
from evaluation.judges.measure_clips import measure_segmenter
from nuwa.data.sprites import draw, draw_clips, render, render_clip, segment, segment_clip, world

SCENES = draw("test-seen", np.arange(256))
PICTURES = torch.from_numpy(render(SCENES, 32))
TRUTH = torch.from_numpy(segment(SCENES, 32)).long()


@pytest.fixture(scope="module")
def judge() -> Segmenter:
    return load_segmenter()


def pa(judge: Segmenter, pictures: Tensor, truth: Tensor = TRUTH) -> float:
    return (judge(pictures) == truth).double().mean().item()


def test_answers(judge: Segmenter) -> None:
    classes, logits = judge(PICTURES[:5]), judge.logits(PICTURES[:5])
    assert (classes.shape, classes.dtype) == ((5, 32, 32), torch.int64)
    assert (logits.shape, logits.dtype) == ((5, 7, 32, 32), torch.float32)
    assert torch.equal(logits.argmax(dim=1), classes)
    assert not logits.requires_grad


@pytest.mark.parametrize("split", ["test-seen", "test-unseen"])
def test_real_pictures_and_frames_are_told_right(judge: Segmenter, split: str) -> None:
    scores = measure_segmenter(judge, split, 256)
    assert min(scores["pa_pictures"], scores["pa_frames"]) >= 0.99
    assert min(scores["miou_pictures"], scores["miou_frames"]) >= 0.93


def test_objects_too_are_told_right(judge: Segmenter) -> None:
    """Most pixels are background, so the share over the others is what tells."""
    objects = TRUTH > 0
    assert (judge(PICTURES) == TRUTH)[objects].double().mean() >= 0.97


@pytest.mark.parametrize("shape", range(6), ids=world.SHAPES)
def test_shapes_are_told_apart(judge: Segmenter, shape: int) -> None:
    rows = torch.from_numpy((SCENES.num_objects == 1) & (SCENES.shape[:, 0] == shape))
    found = torch.stack([torch.bincount(each[each > 0], minlength=7) for each in judge(PICTURES[rows])])
    assert (found.argmax(dim=1) == shape + 1).double().mean() >= 0.99


def test_answer_does_not_depend_on_the_batch(judge: Segmenter) -> None:
    together = judge.logits(PICTURES[:17])
    single = torch.cat([judge.logits(picture[None]) for picture in PICTURES[:17]])
    assert (together - single).abs().max() <= 1e-5 * together.abs().max()


def test_same_answer_each_time(judge: Segmenter) -> None:
    assert torch.equal(judge.logits(PICTURES[:32]), load_segmenter().logits(PICTURES[:32]))


def test_judge_does_not_learn(judge: Segmenter) -> None:
    holder = torch.nn.Sequential(judge).train()
    assert not any(module.training for module in judge.modules())
    assert not any(parameter.requires_grad for parameter in holder.parameters())


def test_autocast_around_the_judge_changes_nothing(judge: Segmenter) -> None:
    plain = judge.logits(PICTURES[:4])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(judge.logits(PICTURES[:4]), plain)


@pytest.mark.parametrize("size_px", [24, 64, 100])
def test_maps_have_the_size_of_the_pictures(judge: Segmenter, size_px: int) -> None:
    some = SCENES[:128]
    pictures, truth = (torch.from_numpy(f(some, size_px)) for f in (render, segment))
    assert judge(pictures).shape == truth.shape
    assert pa(judge, pictures, truth) >= 0.97


@pytest.mark.parametrize(
    "damage",
    [
        lambda levels: blur(levels, 0.8),
        lambda levels: quantise_blocks(levels, 4, 20.0),
        lambda levels: quantise_blocks(levels, 8, 20.0),
        lambda levels: levels * 0.95 + 8,
        lambda levels: levels + 10 * torch.randn(levels.shape, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["blur", "blocks of 4", "blocks of 8", "colour", "noise"],
)
def test_slight_damage_is_forgiven(judge: Segmenter, damage) -> None:
    assert pa(judge, damage(PICTURES.float()).round().clamp(0, 255).to(torch.uint8)) >= 0.98


def test_an_empty_picture_is_background(judge: Segmenter) -> None:
    grounds = torch.from_numpy(world.BACKGROUND_RGB.astype(np.uint8))[:, :, None, None].expand(4, 3, 32, 32)
    assert (judge(grounds.contiguous()) == 0).all()


def test_blinks_leave_no_object(judge: Segmenter) -> None:
    """In frames in which everything is gone the segmenter finds nothing."""
    clips = draw_clips("test-seen", np.arange(400))
    clips = clips[(clips.label == 8) & (clips.scenes.num_objects == 1)]
    pixels, truth = (torch.from_numpy(f(clips, 5, 32)).flatten(0, 1) for f in (render_clip, segment_clip))
    gone = (truth == 0).all(dim=(1, 2))
    assert 0 < gone.sum() < len(gone)
    assert (judge(pixels[gone]) == 0).double().mean() >= 0.999


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PICTURES.float() / 255, r"expected uint8 in 0…255, got torch\.float32"),
        (PICTURES.permute(0, 2, 3, 1), "channels last"),
        (PICTURES[0], "add the batch axis"),
        (PICTURES[:0], "at least one picture"),
        (PICTURES.numpy(), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_use(judge: Segmenter, images, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(images)
