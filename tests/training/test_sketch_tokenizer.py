"""Measures of maps by hand and against another library; weights of classes."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchmetrics.functional.segmentation import mean_iou

from nuwa.training.sketch_tokenizer import class_weights, confusion_matrix, frequency_weighted_iou, pixel_accuracy

from .stages import sketch_stage

EXPECTED = torch.tensor([[0, 0, 0, 0], [1, 1, 2, 2]])
FOUND = torch.tensor([[0, 0, 0, 1], [1, 1, 2, 0]])


def test_by_hand() -> None:
    confusion = confusion_matrix(FOUND, EXPECTED, 3)
    assert confusion.tolist() == [[3, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert pixel_accuracy(confusion) == 6 / 8
    assert frequency_weighted_iou(confusion) == pytest.approx(4 / 8 * 3 / 5 + 2 / 8 * 2 / 3 + 2 / 8 * 1 / 2)


def test_a_second_opinion() -> None:
    found, expected = torch.randint(5, (2, 3, 16, 16))
    confusion = confusion_matrix(found, expected, 5)
    assert torch.equal(confusion, multiclass_confusion_matrix(found, expected, 5))
    iou = mean_iou(found.view(1, -1), expected.view(1, -1), 5, per_class=True, input_format="index")[0].double()
    share = torch.bincount(expected.flatten(), minlength=5).double() / expected.numel()
    assert frequency_weighted_iou(confusion) == pytest.approx(float((iou * share).sum()), abs=1e-6)


def test_a_class_that_is_nowhere_counts_nothing() -> None:
    confusion = confusion_matrix(torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64), 3)
    assert pixel_accuracy(confusion) == frequency_weighted_iou(confusion) == 1


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_rare_classes_weigh_more(balance: float) -> None:
    maps = torch.tensor([0] * 12 + [1] * 3 + [2])
    weights = class_weights(maps, 3, balance).double()
    assert (weights * torch.tensor([12, 3, 1])).sum() == pytest.approx(16)
    assert weights[1] / weights[0] == pytest.approx(4**balance)
    assert weights[2] / weights[1] == pytest.approx(3**balance)


def test_a_class_that_never_occurs_has_a_finite_weight() -> None:
    assert class_weights(torch.zeros(10, dtype=torch.uint8), 3, 1.0).isfinite().all()


def test_the_loss_is_weighted() -> None:
    balanced, plain = sketch_stage(class_balance=1.0), sketch_stage(class_balance=0.0)
    assert torch.equal(plain.weights, torch.ones(7))
    assert balanced.weights[0] < 0.5 < 1 < balanced.weights[1:].min()
    x = plain.model.one_hot(torch.zeros(1, 4, 4, dtype=torch.uint8))
    y = torch.randn(1, 7, 4, 4)
    torch.testing.assert_close(plain.reconstruction(y, x)[0], balanced.reconstruction(y, x)[0])  # of one class alone
    x = plain.model.one_hot(torch.arange(16, dtype=torch.uint8).remainder(2).view(1, 4, 4))
    assert not torch.allclose(plain.reconstruction(y, x)[0], balanced.reconstruction(y, x)[0])
