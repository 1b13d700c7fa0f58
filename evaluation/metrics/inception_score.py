"""Inception Score: exp E KL(p(y|x) ‖ p(y)) over splits of the pictures (Salimans et al. 2016)."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, gather
from evaluation.metrics.pictures import PictureMetric
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval, resampling_counts
from evaluation.protocols import InceptionScoreProtocol, sprites


class SortedWarning(UserWarning):
    """Pictures come in an order that decides their score."""


_TRIALS = 5  # mixed orders that the order of arrival is compared with
_NOTABLE = 1.1  # times the score as it is


def split_scores(logits: Tensor, protocol: InceptionScoreProtocol) -> NDArray[np.float64]:
    """Score of each split (splits,) of class logits (n, v), in 1…v."""
    return np.array([_score(part) for part in _splits(logits, protocol)])


def inception_score(logits: Tensor, protocol: InceptionScoreProtocol) -> Estimate:
    """Mean score over splits of class logits (n, v), in 1…v.

    The bootstrap resamples within each split. ValueError for fewer samples than splits, SmallSampleWarning for fewer
    samples in a split than classes, SortedWarning where the protocol takes the samples as they come and they come sorted.
    """
    parts = _splits(logits, protocol)
    scores = split_scores(logits, protocol)
    replicates = np.mean([_resampled(part, protocol, f"split {i}") for i, part in enumerate(parts)], axis=0)
    value = float(scores.mean())
    if len(logits) // len(parts) < protocol.classes:
        warnings.warn(
            f"{protocol.id}: {len(logits)} pictures in {len(parts)} splits for {protocol.classes} classes; the "
            "score grows with n, compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=2,
        )
    _warn_if_sorted(logits, value, protocol)
    return Estimate(
        name="IS",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=1.0, high=float(protocol.classes)),
        n=len(logits),
        higher_is_better=True,
        replicates=replicates,
    )


@METRICS.register("is")
class InceptionScore(PictureMetric[InceptionScoreProtocol]):
    """Inception Score of generated pictures; keeps their class logits, 4 bytes a class, as the splits need the whole set."""

    metric = "is"
    default = sprites.INCEPTION_SCORE
    kind = InceptionScoreProtocol
    higher_is_better = True
    logits: list[Tensor]

    def __init__(self, protocol: InceptionScoreProtocol | str | None = None, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self.add_rows("logits", self.protocol.classes)

    def update(self, images: Tensor) -> None:
        """Add pictures (b, 3, h, w), or their class logits (b, v); they are kept as float32."""
        self.logits.append(self._read(images, "class_logits", self.protocol.classes, "class logits").float())

    def compute(self) -> Tensor:
        """Mean score over splits, () float64."""
        return torch.tensor(split_scores(gather(self.logits), self.protocol).mean(), dtype=torch.float64)

    def _estimates(self) -> list[Estimate]:
        return [inception_score(gather(self.logits), self.protocol)]


def too_few(n: int, protocol: InceptionScoreProtocol) -> str | None:
    """Why ``n`` pictures give no score, or None: every split needs two."""
    least = 2 if protocol.split_rule == "blocks" else 2 * protocol.splits
    if n >= least:
        return None
    return f"{protocol.id}: expected at least {least} pictures for {protocol.splits} splits, got {n}"


def _splits(logits: Tensor, protocol: InceptionScoreProtocol) -> list[Tensor]:
    n = len(logits)
    check_set(n)
    if reason := too_few(n, protocol):
        raise ValueError(reason)
    if protocol.shuffle:
        logits = logits[_permutation(n, protocol).to(logits.device)]
    return [logits[start:stop].double() for start, stop in itertools.pairwise(protocol.edges(n))]


def _permutation(n: int, protocol: InceptionScoreProtocol) -> Tensor:
    if protocol.shuffled_by == "torch":
        return torch.randperm(n, generator=torch.Generator().manual_seed(protocol.seed))
    return torch.from_numpy(np.random.RandomState(protocol.seed).permutation(n))  # its stream is frozen


def _warn_if_sorted(logits: Tensor, value: float, protocol: InceptionScoreProtocol) -> None:
    if protocol.shuffle or len(protocol.edges(len(logits))) == 2:
        return
    orders = [np.random.RandomState(seed).permutation(len(logits)) for seed in range(_TRIALS)]
    mixed = [split_scores(logits[torch.from_numpy(order).to(logits.device)], protocol).mean() for order in orders]
    if min(mixed) > _NOTABLE * value:
        warnings.warn(
            f"{protocol.id}: the pictures seem to come sorted by class; in this order they score {value:.2f}, mixed "
            f"{np.mean(mixed):.2f}; mix them before they are handed in",
            SortedWarning,
            stacklevel=3,
        )


def _score(logits: Tensor) -> float:
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    divergence = (p * log_p).sum(1).mean() - torch.xlogy(p.mean(0), p.mean(0)).sum()
    return float(divergence.exp())


def _resampled(logits: Tensor, protocol: InceptionScoreProtocol, stream: str) -> NDArray[np.float64]:
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    n = len(p)
    counts = torch.from_numpy(resampling_counts(n, protocol.replicates, protocol.interval_seed, stream)).to(p.device)
    certainty = counts @ (p * log_p).sum(1) / n
    marginal = counts @ p / n
    return (certainty - torch.xlogy(marginal, marginal).sum(1)).exp().cpu().numpy()
