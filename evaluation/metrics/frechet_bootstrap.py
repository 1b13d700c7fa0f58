"""Bootstrap of a Fréchet distance: hundreds of replicates for the price of a few distances.

Every replicate is a true distance of resampled sets, not an approximation around the estimate, which would lose the
spread where two sets are alike. What is saved is work that all replicates share: features are turned once into the few
directions in which they vary, or, with fewer samples than features, into their table of inner products.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.metrics.uncertainty import resampling_counts

_NEGLIGIBLE = 1e-8  # share of the variance in directions that are left out of the replicates


def bootstrap_frechet(
    features: Tensor,
    reference: Tensor,
    *,
    replicates: int,
    seed: int,
    ddof: int = 1,
    resampled: Literal["both", "generated"] = "both",
    rows_per_sample: int = 1,
) -> NDArray[np.float64]:
    """Fréchet distances (replicates,) between resampled ``features`` (n, d) and ``reference`` (m, d).

    ``rows_per_sample`` rows in a row belong to one sample and are drawn together: the frames of a clip.

    Equal seeds draw equal samples, so the replicates of two models with the same n are paired. They lie above the
    distance itself (see ``uncertainty.centred_interval``); their spread is that of the distance, and wider, on the safe
    side, where both sets come from one distribution. Costs about replicates · (n r² + r³) with r the directions in use,
    or replicates · min(n, m)³ where both sets are smaller than d.
    """
    for name, values in (("features", features), ("reference", reference)):
        if values.dim() != 2 or len(values) < 2 or values.shape[1] != features.shape[1]:
            raise ValueError(f"{name}: expected (n, {features.shape[1]}) with n >= 2, got {tuple(values.shape)}")
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity; look at the pictures handed in")
        if len(values) % rows_per_sample:
            raise ValueError(f"{name}: expected samples of {rows_per_sample} rows each, got {len(values)} rows")

    def counts_of(rows: Tensor, stream: str) -> Tensor:
        drawn = resampling_counts(len(rows) // rows_per_sample, replicates, seed, stream)
        return torch.from_numpy(drawn).repeat_interleave(rows_per_sample, 1).to(rows.device)

    x, y = features.double(), reference.double()
    centre = torch.cat([x, y]).mean(0)
    x, y = x - centre, y - centre
    counts = counts_of(x, "generated")
    if resampled == "both":
        reference_counts = counts_of(y, "reference")
    else:
        reference_counts = torch.ones(1, len(y), dtype=torch.float64, device=x.device)
    route = _by_inner_products if max(len(x), len(y)) < x.shape[1] else _by_directions
    return route(x, y, counts, reference_counts, ddof).cpu().numpy()


def _by_directions(x: Tensor, y: Tensor, counts: Tensor, reference_counts: Tensor, ddof: int) -> Tensor:
    """Replicates (r,) in the basis of the directions in which the two sets together vary."""
    together = torch.cat([x, y])
    values, vectors = torch.linalg.eigh(together.T @ together)
    kept = values.cumsum(0) > _NEGLIGIBLE * values.sum()
    x, y = x @ vectors[:, kept], y @ vectors[:, kept]

    def moments(samples: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        n = len(samples)
        mean = weights @ samples / n
        scatter = (samples * weights[:, None]).T @ samples - n * torch.outer(mean, mean)
        return mean, scatter / (n - ddof)

    distances = []
    for replicate, weights in enumerate(counts):
        mu1, sigma1 = moments(x, weights)
        if replicate < len(reference_counts):  # a reference that is not resampled is taken apart once
            mu2, sigma2 = moments(y, reference_counts[replicate])
            half = _half(sigma2)
        cross = torch.linalg.eigvalsh(half.T @ sigma1 @ half).clamp_min(0).sqrt().sum()
        distances.append((mu1 - mu2).square().sum() + sigma1.trace() + sigma2.trace() - 2 * cross)
    return torch.stack(distances).clamp_min(0)


def _half(sigma: Tensor) -> Tensor:
    """L (d, d) with L Lᵀ = ``sigma``, by Cholesky where it has full rank, which is six times faster."""
    half, failed = torch.linalg.cholesky_ex(sigma)
    if not bool(failed):
        return half
    values, vectors = torch.linalg.eigh(sigma)
    return vectors * values.clamp_min(0).sqrt()


def _by_inner_products(x: Tensor, y: Tensor, counts: Tensor, reference_counts: Tensor, ddof: int) -> Tensor:
    """Replicates (r,) from the tables of inner products: tr √(Σ1 Σ2) is the nuclear norm of a table (n, m)."""
    n, m = len(x), len(y)
    own, other, table = x @ x.T, y @ y.T, x @ y.T
    distances = []
    for a, b in zip(counts, reference_counts.expand(len(counts), -1), strict=True):
        # squared lengths and inner product of the two resampled means
        mean1, mean2, both = a @ own @ a / n**2, b @ other @ b / m**2, a @ table @ b / (n * m)
        trace1 = (a @ own.diagonal() - n * mean1) / (n - ddof)
        trace2 = (b @ other.diagonal() - m * mean2) / (m - ddof)
        # centred and weighted, without the samples that were not drawn
        rows, columns = a > 0, b > 0
        centred = (table - (a @ table / n) - (table @ b / m)[:, None] + both)[rows][:, columns]
        weighted = a[rows].sqrt()[:, None] * centred * b[columns].sqrt()
        square = weighted @ weighted.T if len(weighted) <= weighted.shape[1] else weighted.T @ weighted
        cross = torch.linalg.eigvalsh(square).clamp_min(0).sqrt().sum() / ((n - ddof) * (m - ddof)) ** 0.5
        distances.append(mean1 + mean2 - 2 * both + trace1 + trace2 - 2 * cross)
    return torch.stack(distances).clamp_min(0)
