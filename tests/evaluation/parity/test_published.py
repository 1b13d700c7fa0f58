"""Numbers that the reference tools publish, with the published weights: ``pytest --weights FOLDER``.

Beside the weight files, ``FOLDER/datasets`` holds what was scored: ``cifar-10-batches-py`` (torchvision's layout),
``clipscore/example`` and ``cmmd-pytorch`` (checkouts of jmhessel/clipscore and sayakpaul/cmmd-pytorch). A test whose files
are not there skips and says where they belong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from evaluation import (
    CLIPFID,
    CLIPSIM,
    CMMD,
    FID,
    KID,
    PRDC,
    CLIPScore,
    FDDINOv2,
    InceptionScore,
    MissingWeightsError,
    weights,
)
from evaluation.metrics.inception_score import split_scores
from evaluation.metrics.pictures import PictureMetric
from evaluation.protocols import openai_clip

pytestmark = [
    pytest.mark.weights,
    pytest.mark.timeout(6 * 3600),  # 50,000 pictures without a GPU
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SEED = 2020  # of torch-fidelity's tests


@pytest.fixture
def make(pytestconfig: pytest.Config) -> Callable[..., PictureMetric]:
    """``make(FID, "ttur")``: the metric with the published network, or a skip that says what is missing."""
    folder = Path(pytestconfig.getoption("--weights"))

    def metric(kind: type[PictureMetric], protocol: object) -> PictureMetric:
        made = kind(protocol=protocol, weights=folder)
        try:
            weights.find(made.protocol.network, folder)
        except MissingWeightsError as error:
            pytest.skip(str(error))
        return made.to(DEVICE)

    return metric


def dataset(pytestconfig: pytest.Config, name: str, source: str) -> Path:
    path = Path(pytestconfig.getoption("--weights")) / "datasets" / name
    if not path.exists():
        pytest.skip(f"needs {source} in {path}")
    return path


@pytest.fixture
def cifar(pytestconfig: pytest.Config) -> Callable[[bool], NDArray[np.uint8]]:
    """``cifar(train)``: all pictures (n, 32, 32, 3) of a split."""
    from torchvision.datasets import CIFAR10

    path = dataset(
        pytestconfig, "cifar-10-batches-py", "CIFAR-10 as https://www.cs.toronto.edu/~kriz/cifar.html packs it"
    )
    return lambda train: CIFAR10(path.parent, train=train, download=False).data


def some(pictures: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """torch-fidelity's ``util_dump_dataset_as_images.py -l number``, in the order of the file names."""
    return pictures[np.sort(np.random.RandomState(SEED).choice(len(pictures), number, replace=False))]


def feed(metric: PictureMetric, pictures: NDArray[np.uint8], *captions: list[str], real: bool | None = None) -> None:
    side = {} if real is None else {"real": real}
    for part in torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).split(64):
        metric.update(part.contiguous().to(DEVICE), *captions, **side)


def files(folder: Path) -> Tensor:
    pictures = [np.array(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def test_fid_of_cifar(make, cifar):
    metric = make(FID, "ttur")
    feed(metric, some(cifar(True), 5000), real=False)
    feed(metric, some(cifar(False), 5000), real=True)
    assert float(metric.compute()) == pytest.approx(10.3233274, abs=1e-4)


def test_inception_score_of_some_of_cifar(make, cifar):
    metric = make(InceptionScore, "ttur")
    feed(metric, some(cifar(True), 100))
    assert float(metric.compute()) == pytest.approx(4.51089784587268, abs=1e-4)


def test_inception_score_of_cifar(make, cifar):
    metric = make(InceptionScore, "ttur")
    feed(metric, cifar(True))
    scores = split_scores(torch.cat(metric.logits), metric.protocol)
    assert scores.mean() == pytest.approx(11.23678, abs=1e-3)
    assert scores.std(ddof=metric.protocol.ddof) == pytest.approx(0.09514061, abs=1e-3)


def test_kid_of_cifar_against_noise(make, cifar):
    """The noise is drawn picture by picture in the order of the choice, and bytes wrap around."""
    metric = make(KID, "ttur")
    test = cifar(False)
    random = np.random.RandomState(SEED)
    noisy = {}
    for row in random.choice(len(test), 5000, replace=False):
        picture = test[row].astype(np.float32)
        picture += random.randn(*picture.shape) * 64
        noisy[row] = picture.astype(np.int64).astype(np.uint8)
    feed(metric, some(cifar(True), 5000), real=False)  # its first input
    feed(metric, np.stack([noisy[row] for row in sorted(noisy)]), real=True)
    assert float(metric.compute()) == pytest.approx(0.4718520, abs=1e-5)


def test_clip_fid_of_cifar(make, cifar):
    """It resizes to 224 px by Pillow's bicubic before it writes the files, as the protocol does."""
    metric = make(CLIPFID, "clean")
    feed(metric, some(cifar(True), 5000), real=False)
    feed(metric, some(cifar(False), 5000), real=True)
    assert float(metric.compute()) == pytest.approx(0.492375, abs=1e-4)


@pytest.mark.parametrize("kind", [FDDINOv2, PRDC])
def test_dgm_eval_of_cifar(make, cifar, kind):
    """``python -m dgm_eval CIFAR10:train CIFAR10:test --model dinov2 --nsample 512``."""
    metric = make(kind, "dgm")
    for train in (True, False):
        pictures = cifar(train)
        rows = np.random.RandomState(13579).choice(len(pictures), 512, replace=False)
        feed(metric, pictures[np.sort(rows)], real=train)
    if kind is FDDINOv2:
        assert float(metric.compute()) == pytest.approx(862.53745, rel=1e-3)  # float32 on a GPU, TF32 unknown
        return
    found = {each.name: each.value for each in metric.estimates()}
    expected = {"precision": 0.90430, "recall": 0.91797, "density": 0.97969, "coverage": 0.94141}
    assert found == pytest.approx(expected, abs=0.005)  # two pictures of 512


def test_cmmd_of_its_sample_folders(make, pytestconfig):
    metric = make(CMMD, "google-research")
    folder = dataset(pytestconfig, "cmmd-pytorch", "a checkout of https://github.com/sayakpaul/cmmd-pytorch")
    for name, real in (("generated_images", False), ("reference_images", True)):
        pictures = files(folder / name).to(DEVICE)
        for _ in range(2):  # one picture a side is no set; twice the same has the same distance
            metric.update(pictures, real=real)
    assert float(metric.compute()) == pytest.approx(7.696, abs=5e-3)


@pytest.mark.parametrize(("captions", "expected"), [("good", 0.8584), ("bad", 0.7153)])
def test_clipscore_of_its_example(make, pytestconfig, captions, expected):
    metric = make(CLIPScore, "hessel")
    folder = dataset(pytestconfig, "clipscore/example", "a checkout of https://github.com/jmhessel/clipscore")
    texts = json.loads((folder / f"{captions}_captions.json").read_text(encoding="utf-8"))
    for path in sorted((folder / "images").iterdir()):
        picture = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None].to(DEVICE)
        metric.update(picture, [texts[path.stem]])
    assert float(metric.compute()) == pytest.approx(expected, abs=2e-3)  # half precision there


def test_clipsim_of_torchmetrics_example(make):
    metric = make(CLIPSIM, openai_clip.CLIPSIM_B16)
    picture = (
        torch.randint(255, (1, 3, 224, 224), generator=torch.Generator().manual_seed(42)).to(torch.uint8).to(DEVICE)
    )
    metric.update(picture, ["a photo of a cat"])
    assert 100 * float(torch.cat(metric.similarities)) == pytest.approx(24.4260, abs=0.02)
