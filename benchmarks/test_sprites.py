"""Clips of sprites: how many a second one core draws, renders, maps and puts into words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nuwa.data.sprites import Clips, clip_captions, draw_clips, render, render_clip, segment_clip

CLIPS = 512
STEPS: dict[str, Callable[[Clips], object]] = {
    "drawn": lambda clips: draw_clips("train", np.arange(len(clips))),
    "rendered": lambda clips: render_clip(clips, 5, 32),
    "mapped": lambda clips: segment_clip(clips, 5, 32),
    "in words": clip_captions,
}


@pytest.mark.parametrize("step", STEPS)
def test_clips(benchmark: BenchmarkFixture, step: str) -> None:
    """5 frames of 32 px."""
    benchmark.group = f"{CLIPS} clips of sprites"
    clips = draw_clips("train", np.arange(CLIPS))
    assert np.array_equal(render_clip(clips[:8], 5, 32)[:, 0], render(clips[:8].scenes, 32))
    benchmark(STEPS[step], clips)
