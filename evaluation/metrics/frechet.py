"""Fréchet distance between Gaussians, |μ1 − μ2|² + tr Σ1 + tr Σ2 − 2 tr √(Σ1 Σ2) (Dowson and Landau 1982).

No matrix square root of the product is taken: with Σ = L Lᵀ, tr √(Σ1 Σ2) is the nuclear norm of L1ᵀ L2. Singular values
are real and not negative, so the distance is never complex, negative or NaN, also where covariances have no full rank.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LARGE = 256  # below, singular values cost nothing
_EXACT = 1e-9  # relative; the bound is far above what rounding really does


def frechet_distance(mu1: Tensor, sigma1: Tensor, mu2: Tensor, sigma2: Tensor) -> Tensor:
    """Distance () float64, >= 0, of two Gaussians with means (d,) and covariances (d, d).

    ValueError for unequal widths, NaN, and covariances that are not symmetric or have negative eigenvalues.
    """
    mu1, mu2, sigma1, sigma2 = (value.double() for value in (mu1, mu2, sigma1, sigma2))
    if mu1.dim() != 1 or mu1.shape != mu2.shape:
        raise ValueError(f"means: expected two of shape (d,), got {tuple(mu1.shape)} and {tuple(mu2.shape)}")
    return from_factors(mu1, factor(sigma1, len(mu1)), mu2, factor(sigma2, len(mu2)))


def distance_of_features(features1: Tensor, features2: Tensor, ddof: int = 1) -> Tensor:
    """Distance () float64 of two sets of features (n, d)."""
    return from_factors(*factor_of_features(features1, ddof), *factor_of_features(features2, ddof))


def factor_of_features(features: Tensor, ddof: int = 1) -> tuple[Tensor, Tensor]:
    """Mean (d,) of features (n, d) and a factor (d, r) of their covariance, float64.

    With fewer samples than features, the centred samples themselves are the factor, so a d of 2,048 costs no more than n
    does.
    """
    if features.dim() != 2 or len(features) < 2:
        raise ValueError(f"features: expected (n, d) with n >= 2, got {tuple(features.shape)}")
    mean = features.double().mean(0)
    centred = (features.double() - mean) / (len(features) - ddof) ** 0.5
    return mean, centred.T if len(features) < len(mean) else factor(centred.T @ centred, len(mean))


def from_factors(mu1: Tensor, factor1: Tensor, mu2: Tensor, factor2: Tensor) -> Tensor:
    """Distance () float64 from means (d,) and factors (d, r) of the covariances, Σ = L Lᵀ, all float64."""
    if not all(bool(torch.isfinite(value).all()) for value in (mu1, factor1, mu2, factor2)):
        raise ValueError("expected finite means and covariances, got NaN or infinity; look at the features first")
    cross = nuclear_norm(factor1.T @ factor2)
    distance = (mu1 - mu2).square().sum() + factor1.square().sum() + factor2.square().sum() - 2 * cross
    return distance.clamp_min(0)  # rounding can leave −1e-16 of the traces


def nuclear_norm(cross: Tensor) -> Tensor:
    """Sum of the singular values () of ``cross`` (r, s).

    Roots of the eigenvalues of its square come five times faster than singular values, but what rounding does to an
    eigenvalue counts for more the smaller its root is. So they are taken only where the sum of these errors is nothing.
    """
    if min(cross.shape) >= _LARGE:
        square = cross @ cross.T if cross.shape[0] <= cross.shape[1] else cross.T @ cross
        roots = torch.linalg.eigvalsh(square).clamp_min(0).sqrt()
        error = torch.finfo(torch.float64).eps * roots[-1].square() * (0.5 / roots).sum()
        if bool(error <= _EXACT * roots.sum()):
            return roots.sum()
    return torch.linalg.svdvals(cross).sum()


def factor(sigma: Tensor, width: int) -> Tensor:
    """L (d, r) float64 with L Lᵀ = ``sigma`` (d, d), r its numerical rank. ValueError unless it is a covariance."""
    if sigma.shape != (width, width):
        raise ValueError(f"covariance: expected ({width}, {width}) to go with the mean, got {tuple(sigma.shape)}")
    if not bool(torch.isfinite(sigma).all()):
        raise ValueError("expected a finite covariance, got NaN or infinity; look at the features first")
    scale = float(sigma.abs().max())
    if float((sigma - sigma.T).abs().max()) > 1e-6 * scale:
        raise ValueError("covariance: expected a symmetric matrix; pass Σ and not a factor of it")
    sigma = (sigma + sigma.T) / 2
    half, failed = torch.linalg.cholesky_ex(sigma)
    if not bool(failed) and float(half.diagonal().min()) > 1e-6 * float(half.diagonal().max()):  # clearly of full rank
        return half
    values, vectors = torch.linalg.eigh(sigma)
    if float(values[0]) < -1e-5 * scale:
        raise ValueError(f"covariance: expected no negative eigenvalue, got {float(values[0]):.3g}; pass Σ of features")
    # Below this an eigenvalue is rounding error, and the root would make 1e-8 out of 1e-16, once for each of d.
    kept = values > width * torch.finfo(torch.float64).eps * values[-1]
    return vectors[:, kept] * values[kept].sqrt()
