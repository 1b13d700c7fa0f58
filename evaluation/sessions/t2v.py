"""Text to video: train what is missing, sample, score, and write the record (paper, Table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from evaluation import judges
from evaluation.metrics import ActionAccuracy, FIDImg, FIDVid
from evaluation.metrics.action_accuracy import action_accuracy
from evaluation.metrics.base import gather
from evaluation.protocols import sprites
from evaluation.records import MetricValue, Record
from evaluation.sessions import judged, standard
from evaluation.sessions.base import SESSIONS, Run, Session
from evaluation.sessions.measures import Measure, Measures, two_sets
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import Splits

GROUPS = ("one object", "2–3 objects")


@dataclass(frozen=True, kw_only=True)
class T2VOptions(standard.SplitOptions):
    """Text to video: FID-img, FID-vid, CLIPSIM and acc, beside the rows of the paper's Table 2."""

    out: Path = Path("runs/eval-t2v")  # folder for everything that is made


class ClipScorer(Measures):
    """Measures of clips, with accuracies of their own for clips of one object and of more where that is known."""

    def __init__(self, measures: Sequence[Measure], device: Any = "cpu") -> None:
        super().__init__(measures, device)
        self._counts: list[torch.Tensor] = []

    def update(self, samples: Samples, *, real: bool) -> None:
        """Feed every metric."""
        super().update(samples, real=real)
        if "num_objects" in samples.truth:
            self._counts.append(samples.truth["num_objects"])

    def parts(self) -> Mapping[str, Sequence[MetricValue]]:
        """acc by the number of objects."""
        accuracy = next((each for each in self.metrics if isinstance(each, ActionAccuracy)), None)
        if accuracy is None or not self._counts or not len(right := gather(accuracy.right)):
            return {}
        several = torch.cat(self._counts) > 1
        masks = {name: several == (number == 1) for number, name in enumerate(GROUPS)}
        return {
            name: [action_accuracy(right[mask].cpu().numpy(), accuracy.protocol).record]
            for name, mask in masks.items()
            if int(mask.sum()) > 1
        }


def run(options: T2VOptions) -> Record:
    """Run the session and leave ``record.json``, ``samples/``, ``generated/`` and ``training/`` in ``options.out``."""
    state = Run.begin("t2v", options)
    data = standard.read(state)
    clip_judge = judges.load_clip_judge(state.device)
    state.note_long(clip_judge.tokenizer, [caption for split in data.splits for caption in split.test.captions])
    scorer = partial(ClipScorer, measures(state, data, clip_judge), state.device)
    captions = standard.Way(make=lambda system, samples, **how: system.t2v(samples.captions, **how))
    return standard.score(state, data, scorer, [captions])


def measures(state: Run, data: Splits, clip_judge: judges.ClipJudge) -> list[Measure]:
    """The paper's four; acc and CLIPSIM need a judge that knows the data.

    FVD would be FID-vid once more: under ``sprites-1`` the two are the same distance.
    """
    video_judge, image_judge = judges.load_video_judge(state.device), judges.load_image_judge(state.device)
    return [
        *judged.accuracy(state, data, video_judge),
        two_sets(lambda: FIDImg(judge=image_judge), lambda samples: samples.pixels),
        two_sets(lambda: FIDVid(sprites.FID_VID), lambda samples: samples.ask(video_judge).features),
        *judged.clipsim(state, data, clip_judge),
    ]


SESSIONS.add("t2v", Session(T2VOptions, run))
