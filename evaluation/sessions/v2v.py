"""Video prediction: train what is missing, sample, score, and write the record (paper, Table 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation import judges
from evaluation.metrics import FVD, PSNR, SSIM
from evaluation.protocols import pairs, sprites
from evaluation.records import Record
from evaluation.sessions import standard
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.measures import Measure, Measures, beside, two_sets
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import Split
from nuwa.data.sprites.clip_dataset import SpritesClips
from nuwa.system import Nuwa


@dataclass(frozen=True, kw_only=True)
class V2VOptions(standard.SplitOptions):
    """Video prediction: FVD, SSIM of each predicted frame and PSNR, beside repeating the last frame that is given."""

    given: int = 1  # frames at the start of each clip that the model gets
    num: int | None = None  # samples to score of each split; 2048 of sprites and all of files where not given
    out: Path = Path("runs/eval-v2v")  # folder for everything that is made

    def check(self) -> None:
        """ValueError where an option is out of its range."""
        super().check()
        if self.given < 1:
            raise ValueError(f"expected given >= 1 frames, got {self.given}; eval-t2v makes clips of words alone")


NUM = 2048
"""Clips of sprites of each split. What follows a frame is open, so even a perfect predictor has a distance, which falls with
the number of clips: 23.7 for 256, 11.3 for 512, 3.0 for 2048 (the row :data:`OTHER`)."""

OUTCOME = "outcome"
"""Name among the truth of samples of their other outcomes, uint8 (m, t, 3, h, w)."""

OTHER = "same start, other outcome"
"""Row of real clips that begin as those of the split do: a perfect predictor's."""


def run(options: V2VOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state, given = Run.begin("v2v", options), options.given
    if given >= (frames := state.limits.grid.t):
        raise ValueError(f"expected 1 to {frames - 1} given frames of {frames}, got {given}; one has to be predicted")
    data = standard.read(state, usual=NUM)
    data = replace(data, splits=tuple(_with_target(split, given) for split in data.splits))
    scorer = partial(Measures, measures(given, judges.load_video_judge(state.device)), state.device)

    def predict(system: Nuwa, samples: Samples, **how: Any) -> Tensor:
        return system.v2v(samples.pixels[:, :given], **how)

    def repeat(samples: Samples) -> Tensor:
        start = samples.pixels[:, :given]
        return torch.cat([start, start[:, -1:].expand(-1, frames - given, -1, -1, -1)], dim=1)

    way = standard.Way(make=predict, sampling={"given": given})
    baselines = {"repeat the last given frame": repeat}
    if all(OUTCOME in split.test.truth for split in data.splits):
        baselines[OTHER] = lambda samples: samples.truth[OUTCOME]
    return standard.score(state, data, scorer, [way], baselines=baselines)


def measures(given: int, video_judge: judges.VideoJudge) -> list[Measure]:
    """FVD of whole clips; SSIM and PSNR of what follows the given frames, beside what really follows them.

    PSNR is that of one squared error over the set: a frame without any, such as the next one of a clip in which nothing moves,
    would count 100 dB in an average of frames. Other real clips follow other frames and have neither.
    """

    def predicted(samples: Samples) -> Tensor:
        return samples.pixels[:, given:]

    def followed(samples: Samples) -> Tensor:
        real: Tensor = samples.truth["target"][:, given:]
        return real

    return [
        two_sets(lambda: FVD(sprites.FVD), lambda samples: samples.ask(video_judge).features),
        beside(SSIM, predicted, followed, curve=True, needs=["target"]),
        beside(lambda: PSNR(pairs.PSNR_POOLED), predicted, followed, needs=["target"]),
    ]


def _with_target(split: Split, given: int) -> Split:
    test, data = split.test, split.dataset
    truth = {**test.truth, "target": test.pixels}
    if isinstance(data, SpritesClips) and given == 1:  # two frames say what will happen
        truth[OUTCOME] = data.outcomes(slice(None))
    return replace(split, test=replace(test, truth=truth))


SESSIONS.add("v2v", Session(V2VOptions, run))
