"""The kinds of protocol for what compares two sets of pictures by their features, beside the Fréchet distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.protocols.kinds import PictureProtocol


@dataclass(frozen=True, kw_only=True)
class KIDProtocol(PictureProtocol):
    """Kernel Inception Distance: unbiased squared MMD under (x·y / d + offset)^degree (Bińkowski et al. 2018).

    The mean over ``subsets`` of ``subset_size`` pictures a side, drawn without replacement.
    """

    metric: str = "kid"
    width: int
    subsets: int = 100
    subset_size: int = 1000
    fewer: Literal["refuse", "shrink"] = "refuse"
    """What becomes of a side with fewer pictures than a subset: an error, or subsets of all of the smaller side."""
    degree: int = 3
    offset: float = 1.0
    drawn_by: Literal["numpy", "torch"] = "numpy"
    """``RandomState(seed).choice``, generated pictures first, or ``torch.randperm`` of a generator, real ones first."""
    seed: int = 2020


@dataclass(frozen=True, kw_only=True)
class PRDCProtocol(PictureProtocol):
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A set's manifold are the balls around its samples that reach to the ``neighbours``-th nearest other one.
    """

    metric: str = "prdc"
    width: int
    neighbours: int = 3
    border: Literal["inside", "outside"] = "inside"
    """Whether a point at exactly the radius lies in the ball."""
    most: int | None = None
    """Pictures a side that are compared; of more, so many are drawn."""
    seed: int = 2020


@dataclass(frozen=True, kw_only=True)
class FDInfinityProtocol(PictureProtocol):
    """FD∞: Fréchet distances of ever more generated pictures, their line in 1/n followed to 0 (Chong and Forsyth 2020).

    ``points`` distances at n spread evenly from the smallest to all, each of pictures drawn without replacement, to all
    real ones.
    """

    metric: str = "fd-infinity"
    width: int
    ddof: Literal[0, 1] = 1
    points: int = 15
    smallest: int = 5000
    fewer: Literal["refuse", "shrink"] = "refuse"
    """What becomes of no more than ``smallest`` pictures: an error, or a start at a tenth of them."""
    seed: int = 2020


@dataclass(frozen=True, kw_only=True)
class CMMDProtocol(PictureProtocol):
    """Squared MMD, its biased estimate, of unit embeddings under exp(−|x − y|² / 2σ²), times ``scale`` (Jayasumana 2024)."""

    metric: str = "cmmd"
    width: int
    sigma: float = 10.0
    scale: float = 1000.0
