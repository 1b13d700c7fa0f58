"""Measures that need a judge of the data's words or classes: made where there is one, named as skipped where there is none.

Judges of sprites know the words, the actions and the shapes of sprites. Of other data published networks know more; they are
used where their file lies in the folder given with ``--weights``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evaluation import judges, weights
from evaluation.metrics import CLIPSIM, ActionAccuracy
from evaluation.metrics.action_accuracy import KINETICS_400, kinetics_labels
from evaluation.protocols import kinetics, sprites
from evaluation.sessions.base import Run
from evaluation.sessions.measures import Measure, beside
from evaluation.sessions.samples import Samples
from evaluation.sessions.splits import Splits

CLASS_NAMES = "class names"  # in the truth of clips of files: what they show, as the dataset calls it


def clipsim(state: Run, data: Splits, judge: judges.ClipJudge) -> list[Measure]:
    """CLIPSIM of the samples whose captions have a word that the judge knows; none where no test caption has."""
    if data.wordless:
        state.skip("CLIPSIM", f"{data.splits[0].dataset.name} has no captions")
        return []
    captions = [caption for split in data.splits for caption in split.test.captions]
    strange = [caption for caption, known in zip(captions, judge.knows(captions), strict=True) if not known]
    if strange:
        what = f"{len(strange)} of {len(captions)} captions, such as {strange[0]!r}"
        state.skip("CLIPSIM", f"the CLIP judge of sprites knows no word of {what}; they are left out of it")
    if len(strange) == len(captions):
        return []

    def feed(metric: Any, samples: Samples) -> None:
        rows = np.flatnonzero(judge.knows(samples.captions)).tolist()
        if rows:
            metric.update(samples.pixels[rows], [samples.captions[row] for row in rows])

    return [Measure(metric=lambda: CLIPSIM(judge=judge), feed=feed)]


def accuracy(state: Run, data: Splits, video_judge: judges.VideoJudge) -> list[Measure]:
    """acc: by the judge of sprites of their actions, by a published network of Kinetics of its classes."""
    if all("labels" in split.test.truth for split in data.splits):
        return [
            beside(
                lambda: ActionAccuracy(sprites.ACC),
                lambda samples: samples.ask(video_judge).class_logits,
                lambda samples: samples.truth["labels"],
                needs=["labels"],
            )
        ]
    tests = [split.test for split in data.splits]
    if not all(CLASS_NAMES in test.truth for test in tests):
        state.skip("acc", "the clips have no classes")
        return []
    names = [name for test in tests for name in test.truth[CLASS_NAMES].tolist()]
    strange = [name for name in names if name not in KINETICS_400]
    network = _kinetics_network(state.options.weights, state.frames)
    if network is None or len(strange) == len(names):
        state.skip("acc", _lacking(state.frames) if network is None else "no class is one of Kinetics-400")
        return []
    if strange:
        what = f"{len(strange)} of {len(names)} clips, such as of {strange[0]!r}"
        state.skip("acc", f"the class of {what} is none of Kinetics-400; they are left out of it")
    from evaluation.features import load_video_judge

    protocol, folder = kinetics.ACC[network], state.options.weights
    assert folder is not None
    judge = load_video_judge(protocol, folder, state.device)

    def feed(metric: Any, samples: Samples) -> None:
        shown = samples.truth[CLASS_NAMES].tolist()
        if rows := [row for row, name in enumerate(shown) if name in KINETICS_400]:
            metric.update(samples.pixels[rows], kinetics_labels([shown[row] for row in rows]))

    return [Measure(metric=lambda: ActionAccuracy(protocol, judge=judge), feed=feed, needs=(CLASS_NAMES,))]


def _kinetics_network(folder: Path | None, frames: int) -> str | None:
    """The first network whose file is in the folder and that can look at clips of so many frames."""
    for name, protocol in kinetics.ACC.items():
        if folder is not None and (folder / weights.WEIGHTS[name].file).is_file() and frames >= protocol.min_frames:
            return name
    return None


def _lacking(frames: int) -> str:
    files = [weights.WEIGHTS[name].file for name, each in kinetics.ACC.items() if frames >= each.min_frames]
    return f"a judge of Kinetics' classes is needed, and --weights names no folder with {' or '.join(files)}"
