"""FVDs that others have published, from the published file: they need ``--weights FOLDER`` with ``i3d_torchscript.pt``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.features import VideoJudge, load_video_judge
from evaluation.metrics import FVD
from evaluation.protocols import ClipDistanceProtocol, google
from evaluation.weights import MissingWeightsError

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
]

# common_metrics_on_video_quality, 8 clips of 64×64, black against white, by number of frames
PREFIXES = {10: 569.23, 11: 486.36, 13: 146.37, 16: 152.92, 20: 338.42, 25: 314.48, 30: 151.25648496845326}


@pytest.fixture(scope="module")
def folder(request) -> Path:
    return Path(request.config.getoption("--weights"))


def judge(protocol: ClipDistanceProtocol, folder: Path) -> VideoJudge:
    try:
        return load_video_judge(protocol, folder)
    except MissingWeightsError as error:
        pytest.skip(str(error))


def black_and_white(protocol: ClipDistanceProtocol, folder: Path, clips: int) -> float:
    fvd = FVD(judge=judge(protocol, folder))
    assert protocol.frames is not None
    black = torch.zeros(1, protocol.frames, 3, 64, 64, dtype=torch.uint8)
    for _ in range(clips):
        fvd.update(black, real=False)
        fvd.update(black + 255, real=True)
    return float(fvd.compute())


@pytest.mark.parametrize("frames", PREFIXES)
def test_common_metrics_on_video_quality(folder, frames):
    found = black_and_white(google.FVD.of_frames(frames), folder, 8)
    assert found == pytest.approx(PREFIXES[frames], abs=1)


def test_the_example_of_the_original(folder):
    found = black_and_white(google.FVD_15F, folder, 16)
    assert found == pytest.approx(134.24, abs=1)  # "about 131" in TensorFlow


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fvd_comparison(folder):
    network = judge(google.FVD, folder).network
    fvd = FVD(google.FVD)
    for seed, real in ((1, False), (2, True)):
        stream = np.random.RandomState(seed)
        for _ in range(32):  # four by four, the same numbers as rand(128, 16, 224, 224, 3)
            values = torch.from_numpy(stream.rand(4, 16, 224, 224, 3).astype(np.float32))
            with torch.no_grad():
                _, logits = network(values.permute(0, 4, 1, 2, 3))
            fvd.update(logits, real=real)
    assert float(fvd.compute()) == pytest.approx(10.138084766713924, abs=1e-3)
