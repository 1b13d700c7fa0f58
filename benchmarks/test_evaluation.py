"""Scoring beside its peers, on the same pictures and the same random weights, with nothing cached.

The peers are torch-fidelity, torchmetrics' CLIPScore (where transformers is installed: ``pip install transformers``) and
scipy's square root of a matrix. Every round of ours follows one of theirs, so that both have the same machine, and the
ratio of medians stands in ``evaluation.json`` beside the bar it has to keep. On a machine that does nothing else:
``nox -s bench -- --only test_evaluation``. A quick run leaves them out.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image, ImageFilter
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.beside import ROUNDS, Results, side_by_side
from benchmarks.ledger import Ledger
from benchmarks.published import (
    as_openai_clip,
    huggingface_clip,
    save_inception,
    save_pictures,
    taken_for_published,
)
from evaluation.metrics import frechet_distance
from evaluation.scoring.asks import parse
from evaluation.scoring.run import Findings, ReadingOptions, Request, measure

NUM, SIZE_PX, BATCH = 64, 256, 32
RADII = (0, 1, 2, 4, 8)


@dataclass(frozen=True)
class Sets:
    """Two folders of pictures, the captions of the first, and the random Inception."""

    fake: Path
    real: Path
    captions: dict[str, str]
    inception: Path

    @property
    def caption_file(self) -> Path:
        return self.fake.parent / "captions.json"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    root = tmp_path_factory.mktemp("sets")
    captions = save_pictures(root / "fake", NUM, SIZE_PX, 0)
    save_pictures(root / "real", NUM, SIZE_PX, 1)
    found = Sets(root / "fake", root / "real", captions, save_inception(root / "weights"))
    found.caption_file.write_text(json.dumps(captions))
    return found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ours(sets: Sets, metrics: str, device: torch.device) -> Findings:
    """Everything in one pass over each folder, with intervals, nothing kept."""
    request = Request(
        asked=parse(metrics),
        fake=sets.fake,
        real=sets.real,
        weights=sets.inception.parent,
        device=device,
        reading=ReadingOptions(batch=BATCH, cache=None),
        captions=sets.caption_file,
    )
    return measure(request)


class Blurred(torch.utils.data.Dataset[Tensor]):
    """A folder as torch-fidelity takes it, blurred by Pillow."""

    def __init__(self, folder: Path, radius: int) -> None:
        self.paths, self.radius = sorted(folder.iterdir()), radius

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        picture = Image.open(self.paths[index]).convert("RGB")
        if self.radius:
            picture = picture.filter(ImageFilter.GaussianBlur(self.radius))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def torch_fidelity(sets: Sets, radius: int, device: torch.device) -> dict[str, float]:
    """FID and IS of torch-fidelity, nothing cached."""
    from torch_fidelity import calculate_metrics

    found: dict[str, float] = calculate_metrics(
        input1=Blurred(sets.fake, radius),
        input2=Blurred(sets.real, radius),
        cuda=device.type == "cuda",
        batch_size=BATCH,
        isc=True,
        fid=True,
        isc_splits=10,
        feature_extractor_weights_path=str(sets.inception),
        cache=False,
        verbose=False,
    )
    return found


def clip_score(sets: Sets, metric: Any) -> float:
    """torchmetrics' CLIPScore in batches."""
    metric.reset()
    names = sorted(sets.captions)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        pictures = [torch.from_numpy(np.array(Image.open(sets.fake / name))).permute(2, 0, 1) for name in part]
        metric.update(pictures, [sets.captions[name] for name in part])
    return float(metric.compute())


@pytest.fixture(scope="module")
def results() -> dict[str, Results]:
    return {}


@pytest.fixture
def add(results: dict[str, Results], ledger: Ledger) -> Callable[..., None]:
    """Adds a row to the file of this run. A quick run ends here."""
    if ledger.options.quick:
        pytest.skip("left out of a quick run: it takes minutes")
    return results.setdefault("all", Results(ledger, "evaluation", pictures_a_side=NUM, size_px=SIZE_PX)).add


def test_fid_and_is(benchmark: BenchmarkFixture, ledger: Ledger, sets: Sets, add: Callable[..., None]) -> None:
    """FID and IS, with their intervals, beside torch-fidelity's without."""
    device = ledger.device
    with taken_for_published(sets.inception):
        expected = torch_fidelity(sets, 0, device)
        fid, inception_score = ours(sets, "fid,is", device).values
        assert fid.value == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
        assert inception_score.value == pytest.approx(expected["inception_score_mean"], rel=1e-4)
        times = side_by_side(
            benchmark,
            ledger.synchronised(lambda: ours(sets, "fid,is", device)),
            lambda: torch_fidelity(sets, 0, device),
        )
    add("FID and IS beside torch-fidelity", **times, bar=1.0)


def test_everything(benchmark: BenchmarkFixture, ledger: Ledger, sets: Sets, add: Callable[..., None]) -> None:
    """FID-0/1/2/4/8, IS and CLIPSIM beside torch-fidelity once for each radius and torchmetrics' CLIPScore."""
    pytest.importorskip("transformers", reason="CLIPScore needs transformers: pip install transformers")
    from torchmetrics.multimodal.clip_score import CLIPScore

    device = ledger.device
    model, processor = huggingface_clip()
    metric = CLIPScore(lambda: (model, processor)).to(device)
    metrics = "fid-k,is,clipsim@random"

    found: dict[str, float] = {}
    expected: dict[str, float] = {}

    def mine() -> None:
        found.update((value.name, value.value) for value in ours(sets, metrics, device).values)

    def theirs() -> None:
        for radius in RADII:
            expected[f"FID-{radius}"] = torch_fidelity(sets, radius, device)["frechet_inception_distance"]
        expected["CLIPSIM"] = clip_score(sets, metric) / 100

    with taken_for_published(sets.inception, as_openai_clip(model).to(device)):
        # A round of both takes minutes, so what the rounds found is compared, and nothing is computed beside them.
        times = side_by_side(benchmark, ledger.synchronised(mine), theirs, rounds=2)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5 if name.startswith("FID") else 1e-3)
    add("FID-0/1/2/4/8, IS and CLIPSIM beside torch-fidelity and torchmetrics", **times, bar=0.8)


@pytest.mark.parametrize("decay", [0.0, 1.0], ids=["flat", "falling"])
def test_frechet_distance(
    benchmark: BenchmarkFixture, ledger: Ledger, add: Callable[..., None], decay: float, request: pytest.FixtureRequest
) -> None:
    """The Fréchet step at d = 2,048 beside scipy's ``sqrtm`` of the product, which the published tools take."""
    g = torch.Generator().manual_seed(0)
    scale = torch.arange(1, 2049, dtype=torch.float64) ** (-decay / 2)  # of the spectrum
    x, y = (factor * torch.randn(6000, 2048, generator=g, dtype=torch.float64) * scale for factor in (1.0, 1.2))
    gaussians = [part.to(ledger.device) for side in (x, y + 0.1) for part in (side.mean(0), side.T.cov())]

    def by_scipy() -> float:
        mu1, sigma1, mu2, sigma2 = (part.cpu().numpy() for part in gaussians)
        root = scipy.linalg.sqrtm(sigma1 @ sigma2).real
        return float(((mu1 - mu2) ** 2).sum() + np.trace(sigma1 + sigma2 - 2 * root))

    assert float(frechet_distance(*gaussians)) == pytest.approx(by_scipy(), rel=1e-6)
    times = side_by_side(benchmark, ledger.synchronised(lambda: frechet_distance(*gaussians)), by_scipy)
    add(f"Fréchet distance at d = 2048 beside sqrtm, {request.node.callspec.id} spectrum", **times, bar=1 / 6)


@pytest.mark.parametrize("metrics", ["fid,is", "fid-k,is"])
def test_pass(benchmark: BenchmarkFixture, ledger: Ledger, sets: Sets, add: Callable[..., None], metrics: str) -> None:
    """Pictures a second and the share of the time spent waiting for data, on a GPU where there is one."""
    with taken_for_published(sets.inception):
        found = benchmark.pedantic(lambda: ours(sets, metrics, ledger.device), rounds=ROUNDS, iterations=1)
    assert found.pace.judged == 2 * NUM
    add(f"a pass for {metrics}", pictures_per_second=found.pace.per_second, waiting=found.pace.waiting, bar=0.1)
