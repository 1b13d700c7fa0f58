"""Metrics of clips as the scorer of a table give what they give by themselves, each judge asked once a batch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluation import judges
from evaluation.metrics import CLIPSIM, FVD, SSIM, ActionAccuracy, FIDVid
from evaluation.protocols import sprites
from evaluation.records import MetricValue
from evaluation.sessions import Run, Samples, SessionOptions, Table
from evaluation.sessions.measures import Measures, beside, two_sets
from nuwa.data.sprites.clip_dataset import SpritesClips

NUM, FRAMES = 24, 4

pytestmark = pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")


def clips(take: int, num: int = NUM) -> Samples:
    data = SpritesClips("test-seen", num, FRAMES, take=take)
    pixels = data.clips(slice(None))
    return Samples(
        pixels=pixels,
        ids=data.ids,
        captions=data.captions,
        truth={"labels": data.labels, "target": pixels.flip(0)},
    )


class Counting:
    """A judge that counts how often it is asked."""

    def __init__(self, judge: Any) -> None:
        self.judge, self.asked = judge, Counter[str]()

    def __call__(self, pixels: torch.Tensor) -> Any:
        self.asked["clips"] += len(pixels)
        return self.judge(pixels)


@pytest.fixture(scope="module")
def video_judge() -> judges.VideoJudge:
    return judges.load_video_judge()


@pytest.fixture(scope="module")
def clip_judge() -> judges.ClipJudge:
    return judges.load_clip_judge()


@pytest.fixture
def state(tmp_path: Path) -> Run:
    return Run.begin("t2v", SessionOptions(preset="smoke", device="cpu", out=tmp_path))


def values(state: Run, row: str) -> dict[str, MetricValue]:
    (found,) = [each for each in state.rows if each.name == row]
    return {metric.name: metric for metric in found.metrics}


def test_a_table_of_clips(state: Run, video_judge: judges.VideoJudge, clip_judge: judges.ClipJudge) -> None:
    counting = Counting(video_judge)
    measures = [
        two_sets(lambda: FVD(sprites.FVD), lambda samples: samples.ask(counting).features),
        two_sets(lambda: FIDVid(sprites.FID_VID), lambda samples: samples.ask(counting).features),
        beside(
            lambda: ActionAccuracy(sprites.ACC),
            lambda samples: samples.ask(counting).class_logits,
            lambda samples: samples.truth["labels"],
        ),
        beside(lambda: CLIPSIM(judge=clip_judge), lambda samples: samples.pixels, lambda samples: samples.captions),
        beside(SSIM, lambda samples: samples.pixels, lambda samples: samples.truth["target"], curve=True),
    ]
    reference, model = clips(0), clips(1)
    table = Table(state, lambda: Measures(measures), reference, batch=10)
    table.add("NÜWA", "model", model, sampling={"k": 1})
    table.add("same", "real", reference)
    assert counting.asked["clips"] == 3 * NUM  # the reference is judged once, whatever the number of rows

    alone = FVD(sprites.FVD)
    alone.update(video_judge(reference.pixels).features, real=True)
    alone.update(video_judge(model.pixels).features, real=False)
    found = values(state, "NÜWA")
    assert found["FVD"].value == pytest.approx(float(alone.compute()), rel=1e-6)
    assert found["FVD"].value == found["FID-vid"].value
    assert values(state, "same")["FVD"].value == pytest.approx(0, abs=1e-3)
    said = video_judge(model.pixels).class_logits.argmax(dim=1)
    assert found["acc"].value == (said == model.truth["labels"]).double().mean()
    assert 0.5 < found["CLIPSIM"].value <= 1
    frames = [found[f"SSIM, frame {number + 1}"].value for number in range(FRAMES)]
    assert found["SSIM"].value == pytest.approx(np.mean(frames))
    assert {metric.n for metric in found.values()} == {NUM}


def test_what_so_few_clips_do_not_allow_is_named(state: Run, video_judge: judges.VideoJudge) -> None:
    measures = [two_sets(lambda: FVD(sprites.FVD), lambda samples: samples.ask(video_judge).features)]
    table = Table(state, lambda: Measures(measures), clips(0))
    table.add("one clip", "model", clips(1, num=1))
    assert not values(state, "one clip")
    assert [each.id for each in state.skipped] == ["fvd@sprites-1 of one clip"]
    assert "at least 2" in state.skipped[0].reason
