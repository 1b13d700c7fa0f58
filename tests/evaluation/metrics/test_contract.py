"""What every registered metric keeps: batches, merging, processes and interruptions do not change its number."""

import itertools
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from evaluation.metrics import METRICS, ProtocolMetric
from nuwa.data.sprites import Scenes, draw, draw_edits

Batch = Callable[[slice], dict[str, object]]
N = 200

pytestmark = [
    pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning"),
    pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning"),
]


def table(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(N, *shape, generator=torch.Generator().manual_seed(seed)) + 1


def sight(scenes: Scenes, part: slice) -> SimpleNamespace:
    """What a judge with doubts says of the scenes."""
    rows, slots = np.nonzero(scenes.place >= 0)
    truth = {"shape": table(9, 7), "colour": table(9, 8), "size": table(9, 3)}
    for name, logits in truth.items():
        logits[rows, scenes.place[rows, slots], getattr(scenes, name)[rows, slots] + (name == "shape")] += 9
    truth["shape"][..., 0] += 5  # so that most of the empty places are seen as empty
    truth["background"] = table(4) + 9 * torch.eye(4)[torch.from_numpy(scenes.background)]
    return SimpleNamespace(**{f"{name}_logits": logits[part] for name, logits in truth.items()})


def scene_batch(part: slice) -> dict[str, object]:
    scenes = draw("val", np.arange(N))
    return {"judgement": sight(scenes, part), "expected": scenes[part]}


def edit_batch(part: slice) -> dict[str, object]:
    edits = draw_edits("val", np.arange(N))
    return {"judgement": sight(edits.target, part), "edits": edits[part]}


def picture_batch(part: slice) -> dict[str, object]:
    g = torch.Generator().manual_seed(3)
    real = torch.randint(0, 256, (N, 2, 3, 16, 16), dtype=torch.uint8, generator=g)
    noise = torch.randint(0, 40, real.shape, dtype=torch.uint8, generator=g)
    return {"generated": (real // 2 + noise)[part], "real": real[part]}


def region_batch(part: slice, *, given: bool = False) -> dict[str, object]:
    """Pictures with a region of their own; what was given is changed in it in two of three."""
    pictures = {name: value[:, 0] for name, value in picture_batch(slice(0, N)).items()}
    region = torch.rand(N, 16, 16, generator=torch.Generator().manual_seed(5)) < 0.3
    if not given:
        return {name: value[part] for name, value in (pictures | {"region": region}).items()}
    kept = (region & (torch.arange(N) % 3 == 0)[:, None, None])[:, None]
    generated = torch.where(kept, pictures["real"], pictures["generated"])
    return {"generated": generated[part], "given": pictures["real"][part], "region": region[part]}


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


def two_sets(width: int) -> list[Batch]:
    return [
        lambda part: {"images": table(width)[part], "real": False},
        lambda part: {"images": 1.3 * table(width, seed=1)[part] - 0.3, "real": True},
    ]


def overlapping() -> list[Batch]:
    """Two sets of which some, and not all, lie in the manifold of the other."""
    return [
        lambda part: {"images": F.pad(table(3), (0, 125))[part], "real": False},
        lambda part: {"images": F.pad(table(3, seed=1) + 1, (0, 125))[part], "real": True},
    ]


def captions(part: slice) -> dict[str, object]:
    said = table(16, seed=1)
    return {"images": (table(16) + said)[part], "texts": said[part]}


FEEDS: dict[str, list[Batch]] = {
    "fid": two_sets(128),
    "clip-fid": two_sets(512),
    "fd-dinov2": two_sets(1024),
    "kid": two_sets(128),
    "prdc": overlapping(),
    "fd-infinity": two_sets(128),
    "cmmd": two_sets(768),
    "is": [lambda part: {"images": table(48)[part]}],
    "clipsim": [captions],
    "clipscore": [captions],
    "rm": [
        lambda part: captions(part) | {"real": False},
        lambda part: {**captions(part), "texts": table(16, seed=2)[part], "real": True},
    ],
    "caption-accuracy": [scene_batch],
    "edit-accuracy": [edit_batch],
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
    "masked-ssim": [region_batch],
    "unchanged": [lambda part: region_batch(part, given=True)],
    "lpips": [lambda part: {"generated": table(2)[part].abs()}],
    "codebook": [lambda part: {"tokens": (3 * table(1, 4, 4)).long().clamp(0, 19)[part]}],
    "pa": [map_batch(7)],
    "fwiou": [map_batch(7)],
    "miou": [map_batch(7)],
    "detected-pa": [map_batch(21)],
    "detected-fwiou": [map_batch(21)],
    "detected-miou": [map_batch(21)],
}


SETTINGS: dict[str, dict[str, object]] = {"codebook": {"num_codes": 24}}  # what has no default


def fed(name: str, edges: list[int], **settings: object) -> ProtocolMetric:
    metric = METRICS[name](**SETTINGS.get(name, {}), **settings)
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


@pytest.mark.parametrize("first", [0, 1], ids=["the first", "the second"])
def test_a_process_without_samples(whole, first):
    name, number = whole
    parts = [None, fed(name, [0, N])]
    mine, other = parts[first], parts[1 - first]

    def sent(metric: ProtocolMetric) -> list[torch.Tensor]:
        caught: list[torch.Tensor] = []
        metric.sync(lambda state, group=None: caught.append(state) or [state], distributed_available=lambda: True)
        metric.unsync()
        return caught

    theirs = iter(sent(fed(name, [0]) if other is None else other))

    def exchange(state: torch.Tensor, group: object = None) -> list[torch.Tensor]:
        theirs_now = next(theirs)
        assert state.dim() == theirs_now.dim()  # what torch.distributed asks for
        assert state.dtype == theirs_now.dtype
        return [state, theirs_now] if first == 1 else [theirs_now, state]

    settings = {"dist_sync_fn": exchange, "distributed_available_fn": lambda: True}
    metric = fed(name, [0] if mine is None else [0, N], **settings)
    assert float(metric.compute()) == pytest.approx(number, rel=1e-9)


def test_interrupted_and_resumed(whole, tmp_path):
    name, number = whole
    torch.save(fed(name, [0, 30, 90]).state_dict(), tmp_path / "state.pt")
    metric = fed(name, [0])
    metric.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for batch in FEEDS[name]:
        metric.update(**batch(slice(90, N)))
    assert float(metric.compute()) == pytest.approx(number, rel=1e-12)
    assert metric.estimates()[0].value == pytest.approx(number, rel=1e-9)


def test_resumed_when_all_was_done(whole):
    name, number = whole
    metric = fed(name, [0])
    metric.load_state_dict(fed(name, [0, N]).state_dict())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The ``compute`` method")
        assert float(metric.compute()) == pytest.approx(number, rel=1e-12)


def test_what_was_computed_before_a_state_was_loaded_is_forgotten(whole):
    name, number = whole
    metric = fed(name, [0, 60])
    metric.compute()
    metric.load_state_dict(fed(name, [0, N]).state_dict())
    assert float(metric.compute()) == pytest.approx(number, rel=1e-12)


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


GLOO = """
import importlib.util, sys, warnings, torch.distributed as dist
warnings.simplefilter("ignore")
rank, meeting, contract = int(sys.argv[1]), sys.argv[2], sys.argv[3]
spec = importlib.util.spec_from_file_location("contract", contract)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
for name in module.METRICS:
    alone = module.fed(name, [0, module.N], sync_on_compute=False)
    number = float(alone.compute())
    for split in (0, 37, 150):  # the first process has none, few, most
        mine = [0, split] if rank == 0 else [split, 170, module.N]
        metric = module.fed(name, mine) if mine[1] else module.fed(name, [0])
        estimate = metric.estimates()[0]
        print(name, split, float(metric.compute()) / number - 1, estimate.value / number - 1, estimate.n)
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a busy machine the imports of two processes alone take minutes
def test_two_real_processes(tmp_path):
    command = [sys.executable, "-c", GLOO]
    meeting = str(tmp_path / "meeting")
    root = Path(__file__).parents[3]
    workers = [
        subprocess.Popen([*command, str(rank), meeting, __file__], stdout=subprocess.PIPE, text=True, cwd=root)
        for rank in (0, 1)
    ]
    try:
        printed = [worker.communicate(timeout=800)[0].splitlines() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(printed[0]) == len(printed[1]) == 3 * len(METRICS)
    for name, split, merged, estimated, n in (line.split() for lines in printed for line in lines):
        assert abs(float(merged)) < 1e-9, (name, split)
        assert abs(float(estimated)) < 1e-9, (name, split)
        assert int(n) == N
