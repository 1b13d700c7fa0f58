"""The video judge: what every object of a clip does, and features for distances between sets of clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.judges import weights
from evaluation.judges.frozen import Judge
from evaluation.judges.image import PLACE_LOGITS
from evaluation.judges.layers import Residual, conv
from evaluation.judges.pictures import prepare
from nuwa.data.sprites import actions, world

NAME = "sprites video judge 1"

MIN_FRAMES = 4
"""The fewest frames in which every action looks different, and the fewest that the judge has learnt from."""

_ACTIONS = len(actions.ACTIONS)
START_LOGITS = (*PLACE_LOGITS, _ACTIONS, 1)
"""Logits of a place: shape (0 is nothing), colour, size, action, being the main object."""


@dataclass(frozen=True, kw_only=True)
class VideoJudgement:
    """What the judge says of b clips, float32. Objects are spoken of at the place where they start, in raster order."""

    features: Tensor
    """(b, 128), at least 0; they hold the whole clip and are what Fréchet distances compare."""
    class_logits: Tensor
    """(b, 10) what the main object does, index into ``actions.ACTIONS``; logarithms of chances."""
    shape_logits: Tensor
    """(b, 9, 7) index 0: nothing starts here; index 1 + i: shape i of the world."""
    colour_logits: Tensor
    """(b, 9, 8) of what starts here; without meaning where nothing does."""
    size_logits: Tensor
    """(b, 9, 3) likewise."""
    action_logits: Tensor
    """(b, 9, 10) likewise."""
    main_logits: Tensor
    """(b, 9) where the main object, the largest at the start, starts."""
    background_logits: Tensor
    """(b, 4)."""


class VideoNetwork(nn.Module):
    """A small residual network: clips (b, t, 3, 32, 32) in [-1, 1] to what starts at the 3×3 places and what it does.

    Frames go through two-dimensional layers, then time is mixed, and what is left of it is the first frame, the mean and
    the maximum, so that clips of any length can be judged. What the main object does is the action at each place, weighted
    by the chance that the main object starts there.
    """

    def __init__(self, *, widths: tuple[int, int, int] = (48, 64, 96), num_features: int = 128) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.frame = nn.Sequential(nn.PixelUnshuffle(2), *conv(12, fine, 3, padding=1), Residual(fine))
        self.motion = nn.Sequential(
            nn.Conv3d(fine, middle, 3, stride=(1, 2, 2), padding=1, bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(),
            ResidualInTime(middle),
        )
        self.board = nn.Sequential(*conv(3 * middle, coarse, 4, stride=2))  # 8×8 cells to the nine places
        self.place = nn.Conv2d(coarse, sum(START_LOGITS), 1)
        self.neck = nn.Sequential(
            nn.Flatten(), nn.Linear(9 * coarse, num_features, bias=False), nn.BatchNorm1d(num_features), nn.ReLU()
        )
        self.background = nn.Linear(num_features, len(world.BACKGROUNDS))

    def forward(self, clips: Tensor) -> VideoJudgement:
        """Judge float clips (b, t, 3, 32, 32) in [-1, 1]."""
        frames = self.frame(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        moving = self.motion(frames.transpose(1, 2))  # (b, c, t, 8, 8)
        board = self.board(torch.cat([moving[:, :, 0], moving.mean(dim=2), moving.amax(dim=2)], dim=1))
        shape, colour, size, action, main = self.place(board).flatten(2).transpose(1, 2).split(START_LOGITS, dim=-1)
        features = self.neck(board)
        return VideoJudgement(
            features=features,
            class_logits=(F.log_softmax(main.float(), dim=1) + F.log_softmax(action.float(), dim=-1)).logsumexp(dim=1),
            shape_logits=shape,
            colour_logits=colour,
            size_logits=size,
            action_logits=action,
            main_logits=main[..., 0],
            background_logits=self.background(features),
        )


class ResidualInTime(nn.Module):
    """Convolutions over rows and columns, then over frames, twice, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for kernel, padding in (((1, 3, 3), (0, 1, 1)), ((3, 1, 1), (1, 0, 0))) * 2:
            layers += [nn.Conv3d(width, width, kernel, padding=padding, bias=False), nn.BatchNorm3d(width), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, t, h, w) to the same."""
        return torch.relu(x + self.body(x))


class VideoJudge(Judge):
    """The trained video network, frozen: bytes in, float32 out."""

    network: VideoNetwork

    def __init__(self, network: VideoNetwork, *, sha256: str) -> None:
        super().__init__(network, name=NAME, sha256=sha256)

    @torch.no_grad()
    def forward(self, clips: Tensor) -> VideoJudgement:
        """Judge clips (b, t, 3, h, w) uint8 in 0…255 of any size, with four frames or more.

        The judge has learnt from clips of 4 to 10 frames. ValueError for another dtype or layout, or for fewer frames.
        """
        if isinstance(clips, Tensor) and (clips.dim() != 5 or clips.shape[1] < MIN_FRAMES):
            raise ValueError(f"clips: expected (b, t, 3, h, w) with t >= {MIN_FRAMES}, got {tuple(clips.shape)}")
        frames = prepare(clips.flatten(0, 1) if isinstance(clips, Tensor) else clips)
        with torch.autocast(frames.device.type, enabled=False):
            said: VideoJudgement = self.network(frames.unflatten(0, clips.shape[:2]))
        return said


def load_video_judge(device: torch.device | str = "cpu", *, folder: Path = weights.FOLDER) -> VideoJudge:
    """The shipped video judge on ``device``. ValueError where its weight file is not the one in ``judges.json``."""
    stored = weights.load("video", folder)
    network = VideoNetwork(**stored.header["config"])
    network.load_state_dict(stored.tensors)
    return VideoJudge(network, sha256=stored.sha256).to(device)
