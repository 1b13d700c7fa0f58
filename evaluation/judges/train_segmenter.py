"""The recipe of the segmenter: the class of every pixel of pictures and of frames of clips, under damage of every strength."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judges.degrade import Mix
from evaluation.judges.pictures import SIZE_PX
from evaluation.judges.practice import practice, practice_clips
from evaluation.judges.recipe import Recipe, batches, damaged, fit
from evaluation.judges.segmenter import SegmenterNetwork
from nuwa.data.sprites.clips import figures
from nuwa.data.sprites.render import label, paint, still


@dataclass(frozen=True, kw_only=True)
class SegmenterRecipe(Recipe):
    """Settings behind the shipped segmenter."""

    pictures: int = 131_072
    """Practice scenes and as many practice clips, drawn and rendered as they are needed."""
    steps: int = 2_000
    batch: int = 128
    """Half of it pictures, half of it frames of clips at a moment drawn for the batch."""
    learning_rate: float = 4e-3
    widths: tuple[int, int] = (64, 96)
    mix: Mix = field(default_factory=lambda: Mix(strong_step=90.0))

    def __post_init__(self) -> None:
        if self.batch % 2:
            raise ValueError(f"batch: expected an even number, half pictures and half frames, got {self.batch}")


def train_segmenter(recipe: SegmenterRecipe) -> tuple[SegmenterNetwork, float]:
    """The trained network and the seconds its training took."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = SegmenterNetwork(widths=recipe.widths).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(recipe.seed)
    order = batches(recipe.pictures, recipe.batch // 2, generator)

    def loss() -> Tensor:
        rows = next(order).numpy()
        moment = np.array([float(torch.rand((), generator=generator))])
        shown = (still(practice(rows)), figures(practice_clips(rows), moment))
        pictures = torch.from_numpy(np.concatenate([paint(each, SIZE_PX) for each in shown]))
        classes = torch.from_numpy(np.concatenate([label(each, SIZE_PX) for each in shown])).long()
        seen = damaged(pictures, generator, recipe.mix)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            logits = network(seen)
        return F.cross_entropy(logits.float(), classes)

    seconds = fit(loss, network, recipe, "train segmenter")
    return network.eval(), seconds
