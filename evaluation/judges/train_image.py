"""The recipe of the image judge: tell what stands at every place, under damage of every strength.

Some practice pictures are halfway between two scenes that differ in one shape. There both shapes are equally right, so
the judge learns to doubt what is neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges.board import ABSENT, EMPTY, Board, board, main_class
from evaluation.judges.image import PLACE_LOGITS, ImageJudgement, ImageNetwork
from evaluation.judges.practice import join, practice, vary
from evaluation.judges.recipe import Recipe, batches, damaged, fit, render_bytes
from nuwa import noise


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Settings behind the shipped image judge."""

    pictures: int = 98_304
    steps: int = 2_000
    batch: int = 256
    learning_rate: float = 4e-3
    halfway: float = 0.1
    """Share of practice pictures that lie halfway between two shapes."""
    widths: tuple[int, int] = (64, 96)
    num_features: int = 128


def train_image(recipe: ImageRecipe) -> tuple[ImageNetwork, float]:
    """The trained network and the seconds its training took."""
    scenes = practice(np.arange(recipe.pictures))
    twins = vary(scenes[: int(recipe.halfway * recipe.pictures)], noise.key("judges", "halfway"), change="shape")
    twins = join(twins, scenes[len(twins) :])
    pictures = halfway(render_bytes(scenes), render_bytes(twins))
    truths = [(board(either), main_class(either)) for either in (scenes, twins)]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = ImageNetwork(widths=recipe.widths, num_features=recipe.num_features)
        # Only for training: reading the whole board from the features keeps more than the main object in them.
        reader = nn.Linear(recipe.num_features, 9 * sum(PLACE_LOGITS))
    learner = nn.ModuleDict({"network": network, "reader": reader}).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(recipe.seed)
    order = batches(len(scenes), recipe.batch, generator)

    def loss() -> Tensor:
        rows = next(order)
        seen = damaged(pictures[rows], generator, recipe.mix)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            said: ImageJudgement = network(seen)
            read = reader(said.features).unflatten(1, (9, -1)).split(PLACE_LOGITS, dim=-1)
        places = (said.shape_logits, said.colour_logits, said.size_logits)
        losses = [
            board_loss(places, truth[rows])
            + 0.5 * board_loss(read, truth[rows])
            + F.cross_entropy(said.background_logits.float(), truth.background[rows])
            + F.cross_entropy(said.class_logits.float(), main[rows])
            for truth, main in truths
        ]
        return torch.stack(losses).mean()

    seconds = fit(loss, learner, recipe, "train image judge")
    return network.eval(), seconds


def halfway(first: Tensor, second: Tensor) -> Tensor:
    """The mean of two batches of bytes, rounded; equal pictures stay as they are."""
    return ((first.to(torch.int16) + second + 1) // 2).to(torch.uint8)


def board_loss(places: tuple[Tensor, ...], truth: Board) -> Tensor:
    """Nats per picture: the shape at nine places, colour and size where something stands."""
    shape, colour, size = (logits.float().flatten(0, 1) for logits in places)
    stands = (truth.shape != EMPTY).sum(dim=1).float().mean()
    there = F.cross_entropy(shape, truth.shape.flatten()) * 9
    what = F.cross_entropy(colour, truth.colour.flatten(), ignore_index=ABSENT)
    large = F.cross_entropy(size, truth.size.flatten(), ignore_index=ABSENT)
    return there + (what + large) * stands
