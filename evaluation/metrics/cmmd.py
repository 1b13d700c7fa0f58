"""CMMD: squared maximum mean discrepancy of CLIP embeddings under a Gaussian kernel (Jayasumana et al. 2024)."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, check_rows
from evaluation.metrics.pictures import TwoSets
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval, resampling_counts
from evaluation.protocols import CMMDProtocol, google_research

_CELLS = 1 << 24  # of a kernel at a time: 128 MiB
FEWEST = 1000  # pictures; the biased estimate is too high by about 1/n of what it can reach


def cmmd(generated: Tensor, real: Tensor, protocol: CMMDProtocol) -> Estimate:
    """CMMD of embeddings (n, d) and (m, d), which are scaled to length 1 first; never below 0.

    ValueError for fewer than two pictures on a side, SmallSampleWarning for fewer than 1,000.
    """
    if min(len(generated), len(real)) < FEWEST:
        warnings.warn(
            f"{protocol.id}: {len(generated):,} generated and {len(real):,} real pictures; the estimate is biased upwards, "
            "compare it only with numbers of the same n",
            SmallSampleWarning,
            stacklevel=2,
        )
    draws = [
        torch.from_numpy(resampling_counts(len(side), protocol.replicates, protocol.interval_seed, stream)).to(
            side.device
        )
        for side, stream in ((generated, "generated"), (real, "reference"))
    ]
    value, *replicates = _mmd2(generated, real, protocol, *(_with_all(each) for each in draws)).tolist()
    return Estimate(
        name="CMMD",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, replicates, low=0.0),
        n=len(generated),
        higher_is_better=False,
        replicates=torch.tensor(replicates, dtype=torch.float64).numpy(),
    )


@METRICS.register("cmmd")
class CMMD(TwoSets[CMMDProtocol]):
    """CMMD of embeddings of OpenAI's CLIP."""

    metric = "cmmd"
    default = google_research.CMMD
    kind = CMMDProtocol
    higher_is_better = False

    def compute(self) -> Tensor:
        """CMMD, () float64."""
        generated, real = self._sides()
        return _mmd2(generated, real, self.protocol, *(torch.ones(1, len(side)) for side in (generated, real)))[0]

    def _estimates(self) -> list[Estimate]:
        return [cmmd(*self._sides(), self.protocol)]


def _with_all(draws: Tensor) -> Tensor:
    """Counts (1 + r, n): every sample once, then the ``draws`` (r, n)."""
    return torch.cat([torch.ones_like(draws[:1]), draws])


def _mmd2(generated: Tensor, real: Tensor, protocol: CMMDProtocol, a: Tensor, b: Tensor) -> Tensor:
    """Biased estimate (r,) float64 where pictures count ``a`` (r, n) and ``b`` (r, m) times."""
    sides = []
    for side, what in ((generated, "generated pictures"), (real, "real pictures")):
        check_set(len(side), what)
        check_rows(side, protocol.width, "embeddings")
        if not bool(side.norm(dim=1).all()):
            raise ValueError(f"embeddings: expected vectors with a direction, got zeros among those of {what}")
        sides.append(F.normalize(side.double(), dim=1))
    x, y = sides
    a, b = (counts.double().to(x.device) / counts.sum(1, keepdim=True).to(x.device) for counts in (a, b))
    terms = [_mean_kernel(*each, protocol.sigma) for each in ((x, x, a, a), (y, y, b, b), (x, y, a, b))]
    return (protocol.scale * (terms[0] + terms[1] - 2 * terms[2])).clamp_min(0)


def _mean_kernel(x: Tensor, y: Tensor, a: Tensor, b: Tensor, sigma: float) -> Tensor:
    """Σ a_i b_j k(x_i, y_j) − 1 (r,) for weights that sum to 1.

    The kernel is all but 1 on the unit sphere at the sigma in use; its distance to 1 keeps the digits.
    """
    total = torch.zeros(len(a), dtype=torch.float64, device=x.device)
    for rows in torch.arange(len(x), device=x.device).split(max(1, _CELLS // len(y))):
        kernel = torch.expm1((x[rows] @ y.T - 1) / sigma**2)  # |x − y|² = 2 − 2 x·y
        total += ((a[:, rows] @ kernel) * b).sum(1)
    return total
