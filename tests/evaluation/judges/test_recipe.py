from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from evaluation.judges import __main__ as command
from evaluation.judges import load_clip_judge, load_image_judge, load_segmenter, load_video_judge, weights
from evaluation.judges.clip import ClipSize
from evaluation.judges.recipe import batches
from evaluation.judges.train_clip import ClipRecipe, train_clip
from evaluation.judges.train_image import ImageRecipe, train_image
from evaluation.judges.train_segmenter import SegmenterRecipe, train_segmenter
from evaluation.judges.train_video import VideoRecipe, train_video

IMAGE = ImageRecipe(pictures=64, steps=3, batch=16, widths=(8, 8), num_features=16)
CLIP = ClipRecipe(
    pictures=64,
    steps=3,
    batch=16,
    size=ClipSize(vision_layers=1, vision_width=64, transformer_layers=1, transformer_width=32),
)
VIDEO = VideoRecipe(pictures=64, steps=3, batch=8, widths=(8, 8, 8), num_features=16, frames=(2, 3))
SEGMENTER = SegmenterRecipe(pictures=64, steps=3, batch=16, widths=(8, 8))
TINY = """
    --threads 1 --measured 256
    --image.pictures 64 --image.steps 2 --image.batch 16 --image.widths 8 8
    --clip.pictures 256 --clip.steps 2 --clip.batch 16 --clip.size.vision-layers 1 --clip.size.transformer-layers 1
    --video.pictures 64 --video.steps 2 --video.batch 8 --video.widths 8 8 8
    --segmenter.pictures 64 --segmenter.steps 2 --segmenter.batch 16 --segmenter.widths 8 8
"""


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("train", "recipe"),
    [(train_image, IMAGE), (train_clip, CLIP), (train_video, VIDEO), (train_segmenter, SEGMENTER)],
    ids=["image", "clip", "video", "segmenter"],
)
def test_judge_is_a_function_of_its_recipe(train, recipe) -> None:
    state = torch.get_rng_state()
    first = train(recipe)[0]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)  # no state from outside leaks in
    assert same(train(recipe)[0], first)
    assert not same(train(replace(recipe, seed=7))[0], first)


def test_command_writes_judges_that_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--out", str(tmp_path), *TINY.split()])
    card = weights.read_card(tmp_path)
    assert card["image"]["sha256"] == load_image_judge(folder=tmp_path).sha256
    assert card["clip"]["sha256"] == load_clip_judge(folder=tmp_path).sha256
    assert card["video"]["sha256"] == load_video_judge(folder=tmp_path).sha256
    assert card["segmenter"]["sha256"] == load_segmenter(folder=tmp_path).sha256
    assert card["image"]["recipe"]["steps"] == 2
    assert all(set(entry["accuracy"]) == {"test-seen", "test-unseen"} for entry in card.values())
    out = capsys.readouterr().out
    assert all(f"{entry['name']}: " in out for entry in card.values())


def test_only_some_are_trained(tmp_path: Path) -> None:
    command.main(["--out", str(tmp_path), "--only", "segmenter, image", *TINY.split()])
    assert list(weights.read_card(tmp_path)) == ["segmenter", "image"]


def test_unknown_judge() -> None:
    with pytest.raises(
        ValueError, match=r"unknown judge 'vidoe'; did you mean 'video'\? \(known: image, clip, video, seg"
    ):
        command.Options(only="image,vidoe")


def test_segmenter_learns_from_halves() -> None:
    with pytest.raises(ValueError, match="batch: expected an even number, half pictures and half frames, got 15"):
        replace(SEGMENTER, batch=15)


def test_shipped_recipes_are_the_defaults() -> None:
    card = weights.read_card()
    recipes = {"image": ImageRecipe(), "clip": ClipRecipe(), "video": VideoRecipe(), "segmenter": SegmenterRecipe()}
    assert set(card) == set(recipes)
    for judge, recipe in recipes.items():
        assert card[judge]["recipe"] == json.loads(json.dumps(asdict(recipe)))


def test_family_has_to_divide() -> None:
    with pytest.raises(ValueError, match="family: expected a divisor of pictures 64 and batch 16, got 3"):
        replace(CLIP, family=3)


def test_batches_are_passes_in_another_order() -> None:
    order = batches(10, 5, torch.Generator().manual_seed(0))
    passes = [torch.cat([next(order), next(order)]) for _ in range(3)]
    assert all(sorted(one.tolist()) == list(range(10)) for one in passes)
    assert not torch.equal(passes[0], passes[1])


def test_batch_larger_than_the_practice() -> None:
    with pytest.raises(ValueError, match="batch: expected at most 4, the number of practice samples, got 5"):
        next(batches(4, 5, torch.Generator()))
