import dataclasses

import pytest
import torch
from scipy.stats import binomtest
from stand_ins import TinyVideoNetwork, moving_clips

from evaluation.metrics import ActionAccuracy
from evaluation.metrics.action_accuracy import KINETICS_400, kinetics_labels, right_actions
from evaluation.protocols import kinetics

FEW = dataclasses.replace(kinetics.ACC["r3d-18"], num_classes=4, weights_sha256=None)


def test_the_likeliest_class_is_compared():
    logits = torch.tensor([[0.0, 3, 1, 2], [5, 0, 0, 0], [0, 0, 1, 2]])
    assert right_actions(logits, torch.tensor([1, 1, 3]), FEW).tolist() == [True, False, True]


def test_only_classes_of_the_subset_are_choices():
    logits = torch.tensor([[9.0, 3, 1, 2], [9, 0, 0, 1]])
    protocol = FEW.among("two", (1, 3))
    assert right_actions(logits, torch.tensor([1, 1]), protocol).tolist() == [True, False]


@pytest.mark.parametrize(("right", "n"), [(7, 10), (0, 12), (30, 30)])
def test_second_opinion_scipy_wilson(right, n):
    metric = ActionAccuracy(FEW)
    metric.update(torch.eye(4)[torch.zeros(n, dtype=torch.long)], (torch.arange(n) >= right).long())
    estimate = metric.estimates()[0]
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    assert estimate.value == float(metric.compute()) == pytest.approx(right / n)
    assert estimate.ci95 == pytest.approx((low, high))
    assert (estimate.name, estimate.protocol, estimate.n) == ("acc", "acc@r3d-18-1", n)


def test_fed_with_clips():
    network, clips = TinyVideoNetwork(classes=4), moving_clips(6)
    metric = ActionAccuracy(FEW, judge=network)
    labels = network(clips).class_logits.argmax(1)
    labels[0] = (labels[0] + 1) % 4
    metric.update(clips, labels)
    assert float(metric.compute()) == pytest.approx(5 / 6)


def test_labels_by_name():
    assert len(KINETICS_400) == 400
    assert list(KINETICS_400) == sorted(KINETICS_400)  # DeepMind's order, which I3D's logits have
    assert kinetics_labels(["abseiling", "zumba"]).tolist() == [0, 399]
    with pytest.raises(ValueError, match="Kinetics-400 has no class 'golf driven'; did you mean 'golf driving'"):
        kinetics_labels(["golf driven"])


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 4), torch.tensor([0, 4]), r"expected labels among all 400 of Kinetics, got \[4\]"),
        (torch.zeros(2, 4), torch.tensor([0, -1]), r"got \[-1\]"),
        (torch.zeros(2, 4), torch.tensor([0]), r"labels: expected \(2,\) int64, one for each clip, got \(1,\)"),
        (torch.zeros(2, 4), torch.tensor([0.0, 1]), r"got \(2,\) torch.float32"),
        (torch.zeros(2, 5), torch.tensor([0, 1]), r"class logits: expected \(b, 4\)"),
        (torch.full((2, 4), torch.nan), torch.tensor([0, 1]), "NaN or infinity"),
    ],
)
def test_wrong_use_is_caught(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        ActionAccuracy(FEW).update(logits, labels)


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
@pytest.mark.parametrize(("n", "message"), [(0, "clips: expected at least 2, got an empty set"), (1, "got one")])
def test_too_few_clips(n, message):
    metric = ActionAccuracy(FEW)
    if n:
        metric.update(torch.zeros(n, 4), torch.zeros(n, dtype=torch.long))
    with pytest.raises(ValueError, match=message):
        metric.compute()
    with pytest.raises(ValueError, match=message):
        metric.estimates()
