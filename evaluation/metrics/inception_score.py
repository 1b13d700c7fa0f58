"""Inception Score: exp E KL(p(y|x) ‖ p(y)) over splits of the pictures (Salimans et al. 2016)."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, check_rows, gather
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval, resampling_counts
from evaluation.protocols import InceptionScoreProtocol, sprites


def split_scores(logits: Tensor, protocol: InceptionScoreProtocol) -> NDArray[np.float64]:
    """Score of each split (splits,) of class logits (n, v), in 1…v."""
    return np.array([_score(part) for part in _splits(logits, protocol)])


def inception_score(logits: Tensor, protocol: InceptionScoreProtocol) -> Estimate:
    """Mean score over splits of class logits (n, v), in 1…v.

    The bootstrap resamples within each split. ValueError for fewer samples than splits, SmallSampleWarning for fewer
    samples in a split than classes.
    """
    scores = split_scores(logits, protocol)
    replicates = np.mean(
        [_resampled(part, protocol, f"split {i}") for i, part in enumerate(_splits(logits, protocol))], axis=0
    )
    value = float(scores.mean())
    if len(logits) // protocol.splits < protocol.classes:
        warnings.warn(
            f"{protocol.id}: {len(logits)} pictures in {protocol.splits} splits for {protocol.classes} classes; the "
            "score grows with n, compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=2,
        )
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
class InceptionScore(ProtocolMetric[InceptionScoreProtocol]):
    """Inception Score over class logits (b, v); keeps the logits, as the splits need the whole set."""

    higher_is_better = True
    logits: list[Tensor]

    def __init__(self, protocol: InceptionScoreProtocol = sprites.INCEPTION_SCORE, **settings: object) -> None:
        super().__init__(protocol, **settings)
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor) -> None:
        """Add class logits (b, v)."""
        check_rows(logits, self.protocol.classes, "class logits")
        self.logits.append(logits.detach())

    def compute(self) -> Tensor:
        """Mean score over splits, () float64."""
        return torch.tensor(split_scores(gather(self.logits), self.protocol).mean(), dtype=torch.float64)

    def _estimates(self) -> list[Estimate]:
        return [inception_score(gather(self.logits), self.protocol)]


def too_few(n: int, protocol: InceptionScoreProtocol) -> str | None:
    """Why ``n`` pictures give no score, or None: every split needs two."""
    least = 2 * protocol.splits
    if n >= least:
        return None
    return f"{protocol.id}: expected at least {least} pictures for {protocol.splits} splits, got {n}"


def _splits(logits: Tensor, protocol: InceptionScoreProtocol) -> list[Tensor]:
    n = len(logits)
    check_set(n)
    if reason := too_few(n, protocol):
        raise ValueError(reason)
    if protocol.shuffle:  # RandomState, whose stream NumPy has frozen, as torch-fidelity does
        logits = logits[torch.from_numpy(np.random.RandomState(protocol.seed).permutation(n)).to(logits.device)]
    edges = [i * n // protocol.splits for i in range(protocol.splits + 1)]
    return [logits[start:stop].double() for start, stop in itertools.pairwise(edges)]


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
