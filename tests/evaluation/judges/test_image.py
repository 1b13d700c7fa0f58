from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.judges import ImageJudge, load_image_judge
from evaluation.judges.degrade import blur, quantise_blocks
from evaluation.judges.measure import measure_image
from evaluation.judges.pictures import prepare
from evaluation.metrics.caption_accuracy import outcomes
from evaluation.protocols import sprites
from nuwa.data.sprites import draw, render

COUNT = 256
SCENES = draw("test-seen", np.arange(COUNT))
PICTURES = torch.from_numpy(render(SCENES, 32))
SHAPES = {
    "features": (128,),
    "class_logits": (48,),
    "shape_logits": (9, 7),
    "colour_logits": (9, 8),
    "size_logits": (9, 3),
    "background_logits": (4,),
}


@pytest.fixture(scope="module")
def judge() -> ImageJudge:
    return load_image_judge()


def right(judge: ImageJudge, pictures: Tensor) -> float:
    return outcomes(judge(pictures), SCENES, sprites.CAPTION_ACCURACY).right.double().mean().item()


def test_answers(judge: ImageJudge) -> None:
    said = vars(judge(PICTURES[:5]))
    assert {name: tuple(values.shape[1:]) for name, values in said.items()} == SHAPES
    assert {values.dtype for values in said.values()} == {torch.float32}
    assert not any(values.requires_grad for values in said.values())


@pytest.mark.parametrize("split", ["test-seen", "test-unseen"])
def test_real_pictures_are_told_right(judge: ImageJudge, split: str) -> None:
    scores = measure_image(judge, split, COUNT)
    assert min(scores[name] for name in ("place", "shape", "colour", "size", "background")) >= 0.99
    assert scores["all_1"] >= 0.98
    assert scores["all"] >= 0.97


@pytest.mark.parametrize("name", SHAPES)
def test_answer_does_not_depend_on_the_batch(judge: ImageJudge, name: str) -> None:
    together = getattr(judge(PICTURES[:33]), name)
    apart = torch.cat([getattr(judge(part), name) for part in PICTURES[:33].split(7)])
    single = torch.cat([getattr(judge(picture[None]), name) for picture in PICTURES[:33]])
    scale = together.abs().max()
    assert (together - apart).abs().max() <= 1e-5 * scale
    assert (together - single).abs().max() <= 1e-5 * scale


def test_same_answer_each_time(judge: ImageJudge) -> None:
    assert torch.equal(judge(PICTURES).features, load_image_judge()(PICTURES).features)


def test_judge_does_not_learn(judge: ImageJudge) -> None:
    holder = torch.nn.Sequential(judge).train()
    assert not any(module.training for module in judge.modules())
    assert not any(parameter.requires_grad for parameter in holder.parameters())


def test_autocast_around_the_judge_changes_nothing(judge: ImageJudge) -> None:
    plain = judge(PICTURES[:8]).features
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(judge(PICTURES[:8]).features, plain)


@pytest.mark.parametrize("size_px", [24, 64, 96, 100])
def test_other_sizes(judge: ImageJudge, size_px: int) -> None:
    assert right(judge, torch.from_numpy(render(SCENES, size_px))) >= 0.9


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarged_pictures_are_brought_back(factor: int) -> None:
    large = PICTURES[:8].repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    # The filter reaches a little over the edges of an area, so the pictures are not quite the same.
    assert (prepare(large) - prepare(PICTURES[:8])).abs().mean() < 0.03


def test_prepared_pictures_are_bytes_over_the_range_one() -> None:
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2).repeat(1, 3, 32, 16)
    assert prepare(levels).unique().tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("damage", "bar"),
    [
        (lambda levels: blur(levels, 0.6), 0.95),
        (lambda levels: quantise_blocks(levels, 4, 15.0), 0.95),
        (lambda levels: quantise_blocks(levels, 8, 15.0), 0.95),
        (lambda levels: levels * 0.95 + 8, 0.95),
        (lambda levels: levels + 8 * torch.randn(levels.shape, generator=torch.Generator().manual_seed(0)), 0.95),
    ],
    ids=["blur", "blocks of 4", "blocks of 8", "colour", "noise"],
)
def test_slight_damage_is_forgiven(judge: ImageJudge, damage, bar: float) -> None:
    assert right(judge, damage(PICTURES.float()).round().clamp(0, 255).to(torch.uint8)) >= bar


@pytest.mark.parametrize("sigma_px", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
def test_confidence_is_the_share_of_right_answers(judge: ImageJudge, sigma_px: float) -> None:
    pictures = blur(PICTURES.float(), sigma_px).round().to(torch.uint8) if sigma_px else PICTURES
    place = torch.from_numpy(SCENES.place[:, :1])
    chances = judge(pictures).shape_logits.softmax(dim=-1)[..., 1:]
    confidence = chances.amax(dim=-1).gather(1, place).mean().item()
    shape = chances.argmax(dim=-1).gather(1, place)[:, 0]
    right = (shape == torch.from_numpy(SCENES.shape[:, 0])).float().mean().item()
    assert confidence == pytest.approx(right, abs=0.15)
    assert confidence > 0.97 if sigma_px <= 1 else confidence < 0.9


def test_empty_board_is_empty(judge: ImageJudge) -> None:
    grounds = torch.from_numpy(sprites_grounds())
    said = judge(grounds)
    assert (said.shape_logits.argmax(dim=-1) == 0).all()
    assert said.background_logits.argmax(dim=-1).tolist() == [0, 1, 2, 3]


def sprites_grounds() -> np.ndarray:
    from nuwa.data.sprites import world

    return np.broadcast_to(world.BACKGROUND_RGB.astype(np.uint8)[:, :, None, None], (4, 3, 32, 32)).copy()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PICTURES.float() / 255, r"expected uint8 in 0…255, got torch\.float32"),
        (PICTURES.long(), r"expected uint8 in 0…255, got torch\.int64"),
        (PICTURES.permute(0, 2, 3, 1), "channels last"),
        (PICTURES[0], "add the batch axis"),
        (PICTURES[:, :1], "expected 3 channels"),
        (PICTURES[:0], "at least one picture"),
        (PICTURES.numpy(), "expected a tensor, got ndarray"),
    ],
)
def test_wrong_use(judge: ImageJudge, images, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(images)
