"""The recipe of the video judge: tell what starts where and what it does, under damage of every strength."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges.board import ABSENT, board
from evaluation.judges.degrade import Mix
from evaluation.judges.image import PLACE_LOGITS
from evaluation.judges.pictures import SIZE_PX
from evaluation.judges.practice import practice_clips
from evaluation.judges.recipe import Recipe, batches, damaged, fit
from evaluation.judges.train_image import board_loss
from evaluation.judges.video import VideoJudgement, VideoNetwork
from nuwa.data.sprites import Clips, actions, render_clip, world


@dataclass(frozen=True, kw_only=True)
class VideoRecipe(Recipe):
    """Settings behind the shipped video judge."""

    pictures: int = 131_072
    """Practice clips, drawn and rendered as they are needed."""
    steps: int = 1_500
    batch: int = 64
    learning_rate: float = 4e-3
    frames: tuple[int, ...] = (4, 5, 5, 5, 5, 7, 10)
    """Numbers of frames; each batch has one of them."""
    widths: tuple[int, int, int] = (48, 64, 96)
    num_features: int = 128
    mix: Mix = field(default_factory=lambda: Mix(strong_step=90.0))


def train_video(recipe: VideoRecipe) -> tuple[VideoNetwork, float]:
    """The trained network and the seconds its training took."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = VideoNetwork(widths=recipe.widths, num_features=recipe.num_features)
        # Only for training: reading the whole clip from the features keeps more than the main object in them.
        reader = nn.Linear(recipe.num_features, 9 * (sum(PLACE_LOGITS) + len(actions.ACTIONS)))
    learner = nn.ModuleDict({"network": network, "reader": reader})
    generator = torch.Generator().manual_seed(recipe.seed)
    order = batches(recipe.pictures, recipe.batch, generator)

    def loss() -> Tensor:
        clips = practice_clips(next(order).numpy())
        frames = recipe.frames[int(torch.randint(len(recipe.frames), (), generator=generator))]
        pictures = torch.from_numpy(render_clip(clips, frames, SIZE_PX)).flatten(0, 1)
        seen = damaged(pictures, generator, recipe.mix).unflatten(0, (recipe.batch, frames))
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            said: VideoJudgement = network(seen)
            read = reader(said.features).unflatten(1, (9, -1)).split((*PLACE_LOGITS, len(actions.ACTIONS)), dim=-1)
        places = (said.shape_logits, said.colour_logits, said.size_logits, said.action_logits)
        background = torch.from_numpy(clips.scenes.background)
        return (
            clip_loss(places, clips)
            + 0.5 * clip_loss(read, clips)
            + F.cross_entropy(said.main_logits.float(), torch.from_numpy(clips.scenes.place[:, 0]))
            + F.cross_entropy(said.background_logits.float(), background)
            + F.cross_entropy(said.class_logits, torch.from_numpy(clips.label))
        )

    seconds = fit(loss, learner, recipe, "train video judge")
    return network.eval(), seconds


def clip_loss(places: tuple[Tensor, ...], clips: Clips) -> Tensor:
    """Nats per clip: what starts at nine places, and what it does."""
    *looks, action = places
    does = action_board(clips)
    moves = F.cross_entropy(action.float().flatten(0, 1), does.flatten(), ignore_index=ABSENT)
    return board_loss(tuple(looks), board(clips.scenes)) + moves * (does != ABSENT).sum(dim=1).float().mean()


def action_board(clips: Clips) -> Tensor:
    """What the object that starts at each place does, (b, 9) int64, -1 where none starts."""
    does = np.full((len(clips), len(world.PLACES)), ABSENT)
    row, slot = np.nonzero(clips.action >= 0)
    does[row, clips.scenes.place[row, slot]] = clips.action[row, slot]
    return torch.from_numpy(does)
