import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex

from evaluation.metrics import DetectedPixelAccuracy, FrequencyWeightedIoU, MeanIoU, PixelAccuracy
from evaluation.metrics.segmentation import confusion_matrices, marginals, score
from evaluation.metrics.uncertainty import resampling_counts
from evaluation.protocols import segments

KINDS = {"pa": PixelAccuracy, "fwiou": FrequencyWeightedIoU, "miou": MeanIoU}


def of(classes: int, metric: str = "pa", ignore_index: int | None = None, **changes):
    base = segments.PA["sprites-1"]
    return dataclasses.replace(
        base, metric=metric, classes=classes, ignore_index=ignore_index, replicates=50, **changes
    )


def fed(name: str, found: torch.Tensor, truth: torch.Tensor, **constants):
    classes = constants.pop("classes", 3)
    metric = KINDS[name](of(classes, name, **constants))
    metric.update(found, truth)
    return metric


# rows are true classes, columns found ones; two maps whose matrices are added before anything is divided
FIRST, SECOND = [[3, 1, 0], [0, 2, 0], [2, 0, 0]], [[0, 0, 1], [0, 0, 0], [1, 1, 7]]


def maps(matrix: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    cells = [(i, j) for i, row in enumerate(matrix) for j, number in enumerate(row) for _ in range(number)]
    truth, found = torch.tensor(cells).T
    return found.view(1, 2, -1), truth.view(1, 2, -1)


def by_hand(found: torch.Tensor, truth: torch.Tensor, name: str, classes: int) -> float:
    """The definitions of Long et al. (2015), written with loops."""
    n = np.zeros((classes, classes))
    for i, j in zip(truth.flatten().tolist(), found.flatten().tolist(), strict=True):
        n[i, j] += 1
    t = n.sum(1)
    iou = [n[i, i] / (t[i] + n[:, i].sum() - n[i, i]) if t[i] else 0.0 for i in range(classes)]
    return {
        "pa": np.trace(n) / t.sum(),
        "fwiou": sum(t[i] * iou[i] for i in range(classes)) / t.sum(),
        "miou": sum(iou) / (t > 0).sum(),
    }[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # the sum is [[3, 1, 1], [0, 2, 0], [3, 1, 7]]: t = 5, 2, 11; found 6, 4, 8; IoU 3/8, 2/4, 7/12
        ("pa", 12 / 18),
        ("fwiou", (5 * 3 / 8 + 2 * 2 / 4 + 11 * 7 / 12) / 18),
        ("miou", (3 / 8 + 2 / 4 + 7 / 12) / 3),
    ],
)
def test_three_by_three_by_hand(name, expected):
    metric = KINDS[name](of(3, name))
    for matrix in (FIRST, SECOND):
        metric.update(*maps(matrix))
    assert metric.confusion.tolist() == (np.array(FIRST) + np.array(SECOND)).tolist()
    assert metric.confusion.dtype == torch.int64
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-15)
    single = [float(score(marginals(confusion_matrices(*maps(m), of(3)))[0], name)) for m in (FIRST, SECOND)]
    assert np.mean(single) != pytest.approx(expected, rel=1e-3)  # an average of scores is another number


def random_maps(n: int = 30, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (n, 6, 5), generator=g)
    wrong = torch.randint(0, classes, truth.shape, generator=g)
    return torch.where(torch.rand(truth.shape, generator=g) < 0.4, wrong, truth), truth


@settings(max_examples=40)
@given(seed=st.integers(0, 9999), n=st.integers(2, 6), classes=st.integers(2, 6), name=st.sampled_from(sorted(KINDS)))
def test_definitions(seed, n, classes, name):
    found, truth = random_maps(n, classes, seed)
    truth[truth == 1] = 0  # a class that the truth does not hold
    assert float(fed(name, found, truth, classes=classes).compute()) == pytest.approx(
        by_hand(found, truth, name, classes)
    )


def test_second_opinion_torchmetrics():
    found, truth = random_maps()
    metric = fed("pa", found, truth, classes=4)
    assert torch.equal(metric.confusion, MulticlassConfusionMatrix(4)(found, truth))
    accuracy, jaccard = MulticlassAccuracy(4, average="micro"), MulticlassJaccardIndex(4, average="macro")
    weighted = MulticlassJaccardIndex(4, average="weighted")
    assert float(metric.compute()) == pytest.approx(float(accuracy(found, truth)))
    assert float(fed("miou", found, truth, classes=4).compute()) == pytest.approx(float(jaccard(found, truth)))
    assert float(fed("fwiou", found, truth, classes=4).compute()) == pytest.approx(float(weighted(found, truth)))


@pytest.mark.parametrize("name", KINDS)
def test_ignored_pixels_leave_both_counts(name):
    found, truth = random_maps()
    hidden = torch.rand(truth.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    marked = torch.where(hidden, 255, truth)
    metric = fed(name, torch.where(hidden, 77, found), marked, classes=4, ignore_index=255)
    assert float(metric.compute()) == pytest.approx(by_hand(found[~hidden], truth[~hidden], name, 4))
    assert int(metric.confusion.sum()) == int((~hidden).sum())


@pytest.mark.parametrize("name", KINDS)
def test_replicates_are_scores_of_resampled_maps(name):
    found, truth = random_maps(12)
    estimate = fed(name, found, truth, classes=4).estimates()[0]
    counts = resampling_counts(12, 50, 2020).astype(int)
    for replicate in (0, 49):
        rows = np.repeat(np.arange(12), counts[replicate])
        assert estimate.replicates[replicate] == pytest.approx(by_hand(found[rows], truth[rows], name, 4))
    assert estimate.ci95[0] < estimate.value < estimate.ci95[1]
    assert estimate.n == 12
    assert estimate.name == {"pa": "PA", "fwiou": "FWIoU", "miou": "mIoU"}[name]


def test_perfect_maps():
    _, truth = random_maps()
    for name in KINDS:
        estimate = fed(name, truth, truth, classes=4).estimates()[0]
        assert (estimate.value, estimate.ci95) == (1.0, (1.0, 1.0))


def test_maps_of_clips_are_one_sample_a_clip():
    found, truth = random_maps(12)
    clips = fed("pa", found.unflatten(0, (4, 3)), truth.unflatten(0, (4, 3)), classes=4)
    assert float(clips.compute()) == float(fed("pa", found, truth, classes=4).compute())
    assert clips.estimates()[0].n == 4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64], ids=str)
def test_any_integers(dtype):
    found, truth = random_maps()
    assert float(fed("pa", found.to(dtype), truth, classes=4).compute()) == pytest.approx(
        by_hand(found, truth, "pa", 4)
    )


def test_detected_pa_is_pa_in_the_classes_of_its_segmenter():
    found, truth = random_maps(classes=21)
    metric = DetectedPixelAccuracy()
    metric.update(found, truth)
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.protocol) == ("Detected PA", "detected-pa@deeplabv3-resnet50-voc-1")
    assert estimate.value == pytest.approx(by_hand(found, truth, "pa", 21))


MAP = torch.zeros(2, 4, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        (
            MAP,
            MAP + 3,
            r"expected true classes in 0…2 \(background.*got \[3\]; map the labels, or name an ignore_index",
        ),
        (MAP - 1, MAP, r"expected found classes in 0…2 .*got \[-1\]"),
        (MAP + 255, MAP, r"got \[255\]"),
        (MAP.float(), MAP, "expected found classes as integers, got torch.float32"),
        (MAP, MAP.bool(), "expected true classes as integers, got torch.bool"),
        (MAP, MAP[:1], r"of equal shape, got \(2, 4, 4\) and \(1, 4, 4\)"),
        (MAP, MAP[..., :2], "resize by nearest neighbour"),
        (torch.zeros(2, 3, 5, 4, 4), MAP, "take the argmax of logits"),
        (MAP[0], MAP[0], r"expected two maps \(b, h, w\) or \(b, t, h, w\)"),
        (MAP[:0], MAP[:0], r"got \(0, 4, 4\)"),
    ],
)
def test_wrong_use_is_caught(found, truth, message):
    with pytest.raises(ValueError, match=message):
        fed("pa", found, truth)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
@pytest.mark.parametrize(("n", "message"), [(0, "maps: expected at least 2, got an empty set"), (1, "got one")])
def test_too_few_maps(n, message):
    metric = PixelAccuracy(of(3))
    if n:
        metric.update(MAP[:n], MAP[:n])
    for use in (metric.compute, metric.estimates):
        with pytest.raises(ValueError, match=message):
            use()


def test_nothing_but_ignored_pixels():
    metric = fed("pa", MAP, MAP + 255, ignore_index=255)
    with pytest.raises(ValueError, match="expected pixels to count, got only ignored ones"):
        metric.compute()
