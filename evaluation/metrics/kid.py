"""KID: squared maximum mean discrepancy of features under a polynomial kernel (Bińkowski et al. 2018)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, check_rows
from evaluation.metrics.pictures import TwoSets
from evaluation.metrics.uncertainty import SmallSampleWarning, centred_interval, resampling_counts
from evaluation.protocols import KIDProtocol, sprites

FEWEST = 1000  # pictures in a subset of every published KID


def kid(generated: Tensor, real: Tensor, protocol: KIDProtocol) -> Estimate:
    """Mean over subsets of features (n, d) and (m, d); below 0 where the sets are alike.

    The bootstrap draws pictures again and keeps the subsets: a picture drawn twice counts twice wherever it is. ValueError
    for fewer pictures than a subset, where the protocol does not shrink it; SmallSampleWarning for subsets below 1,000.
    """
    size = subset_size(len(generated), len(real), protocol)
    if size < FEWEST:
        warnings.warn(
            f"{protocol.id}: subsets of {size} pictures, where published ones hold {FEWEST:,}; the number is not biased by "
            "it, but its spread grows",
            SmallSampleWarning,
            stacklevel=2,
        )
    for side in (generated, real):
        check_rows(side, protocol.width, "features")
    x, y = generated.double(), real.double()
    draws = [
        torch.from_numpy(resampling_counts(len(side), protocol.replicates, protocol.interval_seed, stream)).to(x.device)
        for side, stream in ((x, "generated"), (y, "reference"))
    ]
    ones = torch.ones(1, size, dtype=torch.float64, device=x.device)
    values, replicates = [], []
    for rows, columns in subsets(len(x), len(y), protocol):
        kernels = _kernels(x[rows], y[columns], protocol)
        values.append(_mmd2(*kernels, ones, ones))
        replicates.append(_mmd2(*kernels, draws[0][:, rows], draws[1][:, columns]))
    value = float(torch.stack(values).mean())
    spread = torch.stack(replicates).mean(0).cpu().numpy()
    return Estimate(
        name="KID",
        protocol=protocol.id,
        value=value,
        ci95=centred_interval(value, spread),
        n=len(generated),
        higher_is_better=False,
        replicates=spread,
    )


def polynomial_mmd2(x: Tensor, y: Tensor, protocol: KIDProtocol) -> Tensor:
    """Unbiased squared MMD () float64 of features (n, d) and (m, d): of one subset, or of everything."""
    x, y = x.double(), y.double()
    weights = (torch.ones(1, len(side), dtype=torch.float64, device=side.device) for side in (x, y))
    return _mmd2(*_kernels(x, y, protocol), *weights)[0]


def subset_size(n: int, m: int, protocol: KIDProtocol) -> int:
    """Pictures a side of a subset of ``n`` and ``m``. ValueError for too few."""
    check_set(n, "generated pictures")
    check_set(m, "real pictures")
    if min(n, m) >= protocol.subset_size:
        return protocol.subset_size
    if protocol.fewer == "refuse":
        raise ValueError(
            f"{protocol.id}: expected at least {protocol.subset_size:,} pictures a side for its subsets, got {n:,} and "
            f"{m:,}; the subsets of 'clean' and 'sg2ada' shrink to the smaller side"
        )
    return min(n, m)


def subsets(n: int, m: int, protocol: KIDProtocol) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of generated and of real pictures in each subset, as the tool of the protocol draws them."""
    size = subset_size(n, m, protocol)
    if size == n == m:  # all of them, in whichever order
        yield torch.arange(n), torch.arange(m)
    elif protocol.drawn_by == "torch":
        generator = torch.Generator().manual_seed(protocol.seed)
        for _ in range(protocol.subsets):
            real = torch.randperm(m, generator=generator)[:size]
            yield torch.randperm(n, generator=generator)[:size], real
    else:
        random = np.random.RandomState(protocol.seed)  # its stream is frozen
        for _ in range(protocol.subsets):
            generated = random.choice(n, size, replace=False)
            yield torch.from_numpy(generated), torch.from_numpy(random.choice(m, size, replace=False))


@METRICS.register("kid")
class KID(TwoSets[KIDProtocol]):
    """Kernel Inception Distance; below 0 where the sets are alike."""

    metric = "kid"
    default = sprites.KID
    kind = KIDProtocol
    higher_is_better = False

    def compute(self) -> Tensor:
        """Mean over subsets, () float64."""
        generated, real = (side.double() for side in self._sides())
        found = [
            polynomial_mmd2(generated[rows], real[columns], self.protocol)
            for rows, columns in subsets(len(generated), len(real), self.protocol)
        ]
        return torch.stack(found).mean()

    def _estimates(self) -> list[Estimate]:
        return [kid(*self._sides(), self.protocol)]


def _kernels(x: Tensor, y: Tensor, protocol: KIDProtocol) -> tuple[Tensor, Tensor, Tensor]:
    return tuple((a @ b.T / x.shape[1] + protocol.offset) ** protocol.degree for a, b in ((x, x), (y, y), (x, y)))  # type: ignore[return-value]


def _mmd2(xx: Tensor, yy: Tensor, xy: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Unbiased squared MMD (r,) where picture i counts ``a`` (r, n) and ``b`` (r, m) times; none is paired with itself."""
    return _within(xx, a) + _within(yy, b) - 2 * ((a @ xy) * b).sum(1) / (a.sum(1) * b.sum(1))


def _within(kernel: Tensor, counts: Tensor) -> Tensor:
    squares = counts.square()
    pairs = counts.sum(1).square() - squares.sum(1)
    return (((counts @ kernel) * counts).sum(1) - squares @ kernel.diagonal()) / pairs
