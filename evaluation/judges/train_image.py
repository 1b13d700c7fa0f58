"""The recipe of the image judge: tell what stands at every place, under damage of every strength."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges.board import ABSENT, EMPTY, Board, board, main_class
from evaluation.judges.degrade import Mix
from evaluation.judges.image import PLACE_LOGITS, ImageJudgement, ImageNetwork
from evaluation.judges.practice import practice
from evaluation.judges.recipe import Recipe, batches, damaged, fit, render_bytes


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """Settings behind the shipped image judge."""

    pictures: int = 98_304
    steps: int = 2_000
    batch: int = 256
    learning_rate: float = 4e-3
    widths: tuple[int, int] = (64, 96)
    num_features: int = 128
    mix: Mix = field(default_factory=lambda: Mix(strong_step=90.0))


def train_image(recipe: ImageRecipe) -> tuple[ImageNetwork, float]:
    """The trained network and the seconds its training took."""
    scenes = practice(np.arange(recipe.pictures))
    pictures, truth, main = render_bytes(scenes), board(scenes), main_class(scenes)

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
        return (
            board_loss(places, truth[rows])
            + 0.5 * board_loss(read, truth[rows])
            + F.cross_entropy(said.background_logits.float(), truth.background[rows])
            + F.cross_entropy(said.class_logits.float(), main[rows])
        )

    seconds = fit(loss, learner, recipe, "train image judge")
    return network.eval(), seconds


def board_loss(places: tuple[Tensor, ...], truth: Board) -> Tensor:
    """Nats per picture: the shape at nine places, colour and size where something stands."""
    shape, colour, size = (logits.float().flatten(0, 1) for logits in places)
    stands = (truth.shape != EMPTY).sum(dim=1).float().mean()
    there = F.cross_entropy(shape, truth.shape.flatten()) * 9
    what = F.cross_entropy(colour, truth.colour.flatten(), ignore_index=ABSENT)
    large = F.cross_entropy(size, truth.size.flatten(), ignore_index=ABSENT)
    return there + (what + large) * stands
