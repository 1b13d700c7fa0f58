"""How a tokenizer uses its codebook on a test set: the share of codes in use, and their perplexity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evaluation.images import check_set
from evaluation.metrics.base import METRICS, Estimate, ProtocolMetric, gather
from evaluation.metrics.uncertainty import Interval, centred_interval, resampling_counts, wilson_interval
from evaluation.protocols import CodebookProtocol, tokenizers
from nuwa.tokenizers.quantize import Usage


def codebook_usage(tokens: Tensor, num_codes: int, protocol: CodebookProtocol = tokenizers.CODEBOOK) -> list[Estimate]:
    """Share of codes in use and perplexity of tokens (m, ...) int64 of m samples. ValueError for fewer than two samples.

    Both depend on the number of tokens: fewer use fewer codes.
    """
    check_set(len(tokens))
    found, flat = Usage.of(tokens, num_codes), tokens.flatten(1).cpu().numpy()
    shares, perplexities = _replicates(flat, num_codes, protocol)
    return [
        _estimate("codebook usage", found.share, distinct_interval(flat, num_codes), shares, len(tokens), protocol),
        _estimate(
            "codebook perplexity",
            found.perplexity,
            centred_interval(found.perplexity, perplexities, low=1.0, high=float(num_codes)),
            perplexities,
            len(tokens),
            protocol,
        ),
    ]


def distinct_interval(tokens: NDArray[np.int64], num_codes: int) -> Interval:
    """95% interval of the share of codes that n samples like those of the tokens (n, s) use.

    Wilson's interval with the codes as trials, of which fewer count where the jackknife over samples says that the number of
    codes varies more (the rule of Korn and Graubard 1998; the jackknife errs on the safe side, Efron and Stein 1981). A
    bootstrap would not do: a sample drawn again repeats others, so each replicate uses fewer codes than the samples do.
    """
    n = len(tokens)
    used = np.zeros((n, num_codes), dtype=bool)
    used[np.repeat(np.arange(n), tokens.shape[1]), tokens.ravel()] = True
    samples_with = used.sum(axis=0)
    share = float((samples_with > 0).mean())
    lost = used[:, samples_with == 1].sum(axis=1)  # codes that would be gone without the sample
    variance = (n - 1) / n * float(np.square(lost - lost.mean()).sum()) / num_codes**2
    effective = share * (1 - share) / variance if variance > 0 and share < 1 else float(num_codes)
    return wilson_interval(share, min(effective, float(num_codes)))


@METRICS.register("codebook")
class CodebookUsage(ProtocolMetric[CodebookProtocol]):
    """Share of a tokenizer's codes in use, over the tokens of samples; ``estimates`` adds their perplexity."""

    higher_is_better = True
    tokens: list[Tensor]
    length: Tensor

    def __init__(self, num_codes: int, protocol: CodebookProtocol = tokenizers.CODEBOOK, **settings: Any) -> None:
        """``num_codes`` is the size of the codebook."""
        super().__init__(protocol, **settings)
        self.num_codes = num_codes
        self.add_rows("tokens", dtype=torch.int64)
        self.add_state("length", torch.tensor(0), dist_reduce_fx="max")

    def update(self, tokens: Tensor) -> None:
        """Add the tokens (b, t, h, w) int64 of b samples. ValueError for another number a sample than before."""
        length = tokens[0].numel()
        if int(self.length) not in (0, length):
            raise ValueError(
                f"{self.protocol.id}: expected {int(self.length)} tokens a sample as before, got {length}; score grids of "
                "one size"
            )
        self.length = torch.full_like(self.length, length)
        self.tokens.append(tokens.flatten().to(self.device))

    def compute(self) -> Tensor:
        """Share of codes in use, () float64."""
        return torch.tensor(self._estimates()[0].value, dtype=torch.float64)

    def _estimates(self) -> list[Estimate]:
        tokens = gather(self.tokens).long()
        return codebook_usage(tokens.unflatten(0, (-1, max(int(self.length), 1))), self.num_codes, self.protocol)


def _replicates(
    tokens: NDArray[np.int64], num_codes: int, protocol: CodebookProtocol
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bootstrap replicates (r,) of the share and of the perplexity of tokens (n, s)."""
    shares, perplexities = [], []
    for counts in resampling_counts(len(tokens), protocol.replicates, protocol.interval_seed):
        used = np.bincount(tokens.ravel(), np.repeat(counts, tokens.shape[1]), num_codes) / tokens.size
        present = used[used > 0]
        shares.append(len(present) / num_codes)
        perplexities.append(np.exp(-(present * np.log(present)).sum()))
    return np.array(shares), np.array(perplexities)


def _estimate(
    name: str, value: float, ci95: Interval, replicates: NDArray[np.float64], n: int, protocol: CodebookProtocol
) -> Estimate:
    return Estimate(
        name=name,
        protocol=protocol.id,
        value=value,
        ci95=ci95,
        n=n,
        higher_is_better=True,
        replicates=replicates,
    )
