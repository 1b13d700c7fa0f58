"""acc: does a classifier of clips see the action that the caption names (T2V, TFGAN, NÜWA's Table 2)?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.video import R3D_18_Weights

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, check_rows, gather
from evaluation.metrics.clip_metric import ClipMetric
from evaluation.metrics.uncertainty import bootstrap_means, wilson_interval
from evaluation.protocols import ActionAccuracyProtocol, kinetics
from nuwa.registry import suggest

KINETICS_400: tuple[str, ...] = tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])
"""Names of the classes in the order of the logits, alphabetical, the same for all networks here."""


def kinetics_labels(names: Sequence[str]) -> Tensor:
    """Labels (b,) int64 of class names like ``"abseiling"``. ValueError, with the nearest name, for an unknown one."""
    for name in names:
        if name not in KINETICS_400:
            raise ValueError(f"Kinetics-400 has no class {name!r}{suggest(name, list(KINETICS_400))}")
    return torch.tensor([KINETICS_400.index(name) for name in names], dtype=torch.int64)


def right_actions(logits: Tensor, labels: Tensor, protocol: ActionAccuracyProtocol) -> Tensor:
    """Whether the likeliest class of logits (b, v), among those of the protocol, is the label (b,) int64; (b,) bool."""
    check_rows(logits, protocol.num_classes, "class logits")
    if labels.shape != logits.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"labels: expected ({len(logits)},) int64, one for each clip, got {tuple(labels.shape)} {labels.dtype}"
        )
    among = torch.arange(protocol.num_classes) if protocol.classes is None else torch.tensor(protocol.classes)
    labels, among = labels.to(logits.device), among.to(logits.device)
    if len(unknown := labels[~torch.isin(labels, among)]):
        raise ValueError(
            f"{protocol.id}: expected labels among {protocol.class_set}, got {unknown.unique().tolist()}; leave those clips "
            "out and say so"
        )
    return among[logits[:, among].argmax(1)] == labels


def action_accuracy(right: NDArray[np.bool_], protocol: ActionAccuracyProtocol) -> Estimate:
    """Share of clips (n,) that are right, in 0…1, with Wilson's interval."""
    check_set(len(right), "clips")
    share = float(right.mean())
    return Estimate(
        name="acc",
        protocol=protocol.id,
        value=share,
        ci95=wilson_interval(share, len(right)),
        n=len(right),
        higher_is_better=True,
        replicates=bootstrap_means(right, protocol.replicates, protocol.interval_seed),
    )


@METRICS.register("acc")
class ActionAccuracy(ClipMetric[ActionAccuracyProtocol]):
    """acc over clips, or a network's class logits, and the labels of their captions; keeps one outcome a clip."""

    metric = "acc"
    default = kinetics.ACC["r3d-18"]
    kind = ActionAccuracyProtocol
    higher_is_better = True
    right: list[Tensor]

    def __init__(self, protocol: ActionAccuracyProtocol | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_rows("right", dtype=torch.bool)

    def update(self, samples: Tensor, labels: Tensor) -> None:
        """Add clips (b, t, 3, h, w), or the network's class logits (b, v), and their labels (b,) int64."""
        logits = self._read(samples, "class_logits")
        self.right.append(right_actions(logits, labels, self.protocol))

    def compute(self) -> Tensor:
        """Share of clips that are right, () float64."""
        right = gather(self.right)
        check_set(len(right), "clips")
        return right.double().mean()

    def _estimates(self) -> list[Estimate]:
        return [action_accuracy(gather(self.right).bool().cpu().numpy(), self.protocol)]
