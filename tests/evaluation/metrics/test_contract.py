"""What every registered metric keeps: batches, merging, processes and interruptions do not change its number."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.metrics import METRICS, ProtocolMetric
from nuwa.data.sprites.scenes import draw

Batch = Callable[[slice], dict[str, object]]
N = 200

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning"),
]


def table(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(N, *shape, generator=torch.Generator().manual_seed(seed)) + 1


def scene_batch(part: slice) -> dict[str, object]:
    scenes = draw("val", np.arange(N))
    rows, slots = np.nonzero(scenes.place >= 0)
    truth = {"shape": table(9, 7), "colour": table(9, 8), "size": table(9, 3)}
    for name, logits in truth.items():
        logits[rows, scenes.place[rows, slots], getattr(scenes, name)[rows, slots] + (name == "shape")] += 9
    truth["shape"][..., 0] += 5  # so that most of the empty places are seen as empty
    truth["background"] = table(4) + 9 * torch.eye(4)[torch.from_numpy(scenes.background)]
    seen = SimpleNamespace(**{f"{name}_logits": logits[part] for name, logits in truth.items()})
    return {"judgement": seen, "expected": scenes[part]}


def picture_batch(part: slice) -> dict[str, object]:
    g = torch.Generator().manual_seed(3)
    real = torch.randint(0, 256, (N, 2, 3, 16, 16), dtype=torch.uint8, generator=g)
    noise = torch.randint(0, 40, real.shape, dtype=torch.uint8, generator=g)
    return {"generated": (real // 2 + noise)[part], "real": real[part]}


def map_batch(classes: int) -> Batch:
    def batch(part: slice) -> dict[str, object]:
        g = torch.Generator().manual_seed(4)
        truth = torch.randint(0, classes, (N, 6, 5), generator=g)
        wrong = torch.randint(0, classes, truth.shape, generator=g)
        return {
            "found": torch.where(torch.rand(truth.shape, generator=g) < 0.4, wrong, truth)[part],
            "truth": truth[part],
        }

    return batch


FEEDS: dict[str, list[Batch]] = {
    "fid": [
        lambda part: {"features": table(128)[part], "real": False},
        lambda part: {"features": table(128, seed=1)[part] * 2, "real": True},
    ],
    "is": [lambda part: {"logits": table(48)[part]}],
    "clipsim": [lambda part: {"images": table(16)[part], "texts": table(16, seed=1)[part]}],
    "caption-accuracy": [scene_batch],
    "fvd": [
        lambda part: {"samples": table(400)[part], "real": False},
        lambda part: {"samples": table(400, seed=1)[part] * 2, "real": True},
    ],
    "fid-vid": [
        lambda part: {"samples": table(512)[part], "real": False},
        lambda part: {"samples": table(512, seed=1)[part] * 2, "real": True},
    ],
    "fid-img": [
        lambda part: {"samples": table(3, 128)[part], "real": False},
        lambda part: {"samples": table(3, 128, seed=1)[part] * 2, "real": True},
    ],
    "acc": [
        lambda part: {"samples": table(400)[part], "labels": (torch.arange(N) % 3 + table(400).argmax(1))[part] % 400}
    ],
    "ssim": [picture_batch],
    "psnr": [picture_batch],
    "lpips": [lambda part: {"generated": table(2)[part].abs()}],
    "pa": [map_batch(7)],
    "fwiou": [map_batch(7)],
    "miou": [map_batch(7)],
    "detected-pa": [map_batch(21)],
}


def fed(name: str, edges: list[int], **settings: object) -> ProtocolMetric:
    metric = METRICS[name](**settings)
    for start, stop in itertools.pairwise(edges):
        for batch in FEEDS[name]:
            metric.update(**batch(slice(start, stop)))
    return metric


@pytest.fixture(scope="module", params=METRICS.names())
def whole(request) -> tuple[str, float]:
    """A metric and its number over all samples at once."""
    return request.param, float(fed(request.param, [0, N]).compute())


@pytest.mark.parametrize("edges", [[0, 1, 8, 72, N], [0, 64, 128, 192, N]], ids=str)
def test_batches(whole, edges):
    name, number = whole
    assert float(fed(name, edges).compute()) == pytest.approx(number, rel=1e-9)


def test_merging(whole):
    name, number = whole
    first, second, third = fed(name, [0, 60]), fed(name, [60, 61]), fed(name, [61, 130, N])
    second.merge_state(first)  # torchmetrics puts the state that comes in first
    third.merge_state(second)
    assert float(third.compute()) == pytest.approx(number, rel=1e-9)


def test_two_processes(whole):
    name, number = whole
    other = fed(name, [90, 150, N])
    theirs = iter([torch.cat(s) if isinstance(s, list) else s for s in other.metric_state.values()])
    metric = fed(
        name,
        [0, 30, 90],
        dist_sync_fn=lambda mine, group=None: [mine, next(theirs)],
        distributed_available_fn=lambda: True,
    )
    assert float(metric.compute()) == pytest.approx(number, rel=1e-9)


def test_estimate_goes_with_the_number(whole):
    name, number = whole
    estimate = fed(name, [0, 100, N]).estimates()[0]
    assert estimate.value == pytest.approx(number, rel=1e-9)
    assert estimate.ci95[0] < estimate.value < estimate.ci95[1]
    assert estimate.record.n == estimate.n == N
    assert {type(number) for number in (estimate.value, *estimate.ci95)} == {float}  # NumPy's would print their type
    assert estimate.higher_is_better == METRICS[name].higher_is_better


def test_reset(whole):
    name, number = whole
    metric = fed(name, [0, 50])
    metric.reset()
    with pytest.raises(ValueError, match="got an empty set"):
        metric.compute()
    for batch in FEEDS[name]:
        metric.update(**batch(slice(0, N)))
    assert float(metric.compute()) == pytest.approx(number, rel=1e-9)


def test_interrupted_and_resumed(whole, tmp_path):
    name, number = whole
    first = fed(name, [0, 60, 130])
    first.persistent(True)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = fed(name, [0])
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for batch in FEEDS[name]:
        second.update(**batch(slice(130, N)))
    assert float(second.compute()) == pytest.approx(number, rel=1e-9)
    assert second.estimates()[0].n == N


GLOO = """
import runpy, sys, warnings
import torch.distributed as dist
warnings.simplefilter("ignore")
rank, meeting = int(sys.argv[1]), sys.argv[2]
contract = runpy.run_path(sys.argv[3])
N, METRICS, fed = contract["N"], contract["METRICS"], contract["fed"]
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
for name in METRICS:
    metric = fed(name, [0, 30, 71] if rank == 0 else [71, N])
    number, estimate = float(metric.compute()), metric.estimates()[0]
    alone = float(fed(name, [0, N], sync_on_compute=False).compute())
    print(name, number / alone - 1, estimate.value / number - 1, estimate.n)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_real_processes(tmp_path):
    command = [sys.executable, "-c", GLOO]
    meeting = str(tmp_path / "meeting")
    root = Path(__file__).parents[3]
    workers = [
        subprocess.Popen([*command, str(rank), meeting, __file__], stdout=subprocess.PIPE, text=True, cwd=root)
        for rank in (0, 1)
    ]
    try:
        printed = [worker.communicate(timeout=240)[0].splitlines() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0]
    assert [line.split()[0] for line in printed[0]] == METRICS.names()
    for merged, estimated, n in (line.split()[1:] for lines in printed for line in lines):
        assert abs(float(merged)) < 1e-9
        assert abs(float(estimated)) < 1e-9
        assert int(n) == N
