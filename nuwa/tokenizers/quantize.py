"""The codebook: vectors to the nearest of v codes, and the care that keeps all codes in use.

Codes and vectors are l2-normalised and narrow (LlamaGen, arXiv 2406.06525: width 8, both sides normalised), start from
k-means over encoder outputs, follow them as a moving average (VQ-VAE, arXiv 1711.00937, appendix A.1), and restart from a
random vector of the batch when hardly anything chooses them (Jukebox, arXiv 2005.00341).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOGETHER = 32  # scores among which the highest is found at once
_NOTHING = 1e-12  # length of a sum below which it has no direction


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What the codebook makes of vectors (b, c, h, w)."""

    vectors: Tensor  # (b, c, h, w) the codes, with the straight-through gradient of the input
    unit: Tensor  # (b, c, h, w) the normalised input
    indices: Tensor  # (b, h, w) int64 in 0…v-1
    commitment: Tensor  # () mean squared distance from the normalised input to its code


class Codes(nn.Module, abc.ABC):
    """v codes of width c, of which every vector chooses one."""

    codes: Tensor

    def __init__(self, num_codes: int, width: int, codes: Tensor) -> None:
        super().__init__()
        self.num_codes, self.width = num_codes, width
        self.register_buffer("codes", codes)

    @abc.abstractmethod
    def nearest(self, x: Tensor) -> Tensor:
        """Indices (b, h, w) int64 of the codes of vectors (b, c, h, w) float; changes nothing in any mode."""

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (b, c, h, w) of indices (b, h, w) int64. ValueError for an index outside the codebook."""
        if indices.numel() and (indices.min() < 0 or indices.max() >= self.num_codes):
            raise ValueError(
                f"codes: expected indices in 0…{self.num_codes - 1}, got {int(indices.min())}…{int(indices.max())}; "
                "the tokens come from another tokenizer"
            )
        return self.codes[indices].movedim(-1, 1)


class Codebook(Codes):
    """v codes of width c on the unit sphere, which follow the vectors that choose them while they are trained."""

    weight: Tensor  # moving count of choices of each code
    total: Tensor  # moving sum of the vectors that chose each code

    def __init__(self, num_codes: int, width: int, *, decay: float = 0.99, restart_below: float = 0.1) -> None:
        super().__init__(num_codes, width, F.normalize(torch.randn(num_codes, width), dim=-1))
        self.decay, self.restart_below = decay, restart_below
        self.register_buffer("weight", torch.ones(num_codes))
        self.register_buffer("total", self.codes.clone())

    def forward(self, x: Tensor) -> Quantized:
        """Quantise vectors (b, c, h, w) float; the codes follow them in :meth:`follow`."""
        unit = F.normalize(x.float(), dim=1)
        indices = self.nearest(unit)
        codes = self.codes[indices].movedim(-1, 1)
        return Quantized(
            vectors=unit + (codes - unit).detach(),
            unit=unit,
            indices=indices,
            commitment=F.mse_loss(unit, codes) * self.width,
        )

    @torch.no_grad()
    def nearest(self, x: Tensor) -> Tensor:
        """Indices (b, h, w) int64 of the codes nearest to vectors (b, c, h, w) float; changes nothing in any mode."""
        b, _, h, w = x.shape
        return _nearest(_rows(F.normalize(x.float(), dim=1)), self.codes).view(b, h, w)

    @torch.no_grad()
    def start_from(self, x: Tensor, *, iterations: int = 20) -> None:
        """Set the codes by spherical k-means over vectors (b, c, h, w) or (m, c); m is best several times v."""
        flat = F.normalize((_rows(x) if x.ndim == 4 else x).float(), dim=-1)
        order = torch.randperm(len(flat), device=flat.device)
        codes = flat[order[torch.arange(self.num_codes, device=flat.device) % len(flat)]]
        for _ in range(iterations):
            chosen = _nearest(flat, codes)
            count = torch.bincount(chosen, minlength=self.num_codes)
            codes = F.normalize(torch.zeros_like(codes).index_add_(0, chosen, flat), dim=-1)
            empty = count == 0
            codes[empty] = flat[torch.randint(len(flat), (int(empty.sum()),), device=flat.device)]
        share = torch.bincount(_nearest(flat, codes), minlength=self.num_codes) / len(flat)
        self.codes.copy_(codes)
        self.weight.copy_(share * self.num_codes)
        self.total.copy_(codes * self.weight[:, None])

    @torch.no_grad()
    def choices(self, quantized: Quantized) -> Tensor:
        """Which codes were chosen and by what: (v, 1 + c), counts and sums of vectors. Those of parts of a batch add up."""
        flat, indices = _rows(quantized.unit), quantized.indices.flatten()
        count = torch.bincount(indices, minlength=self.num_codes).float()
        return torch.cat([count[:, None], torch.zeros_like(self.total).index_add_(0, indices, flat)], dim=1)

    @torch.no_grad()
    def follow(self, choices: Tensor) -> None:
        """Let the codes follow the vectors of one training step, by the :meth:`choices` (v, 1 + c) of all its parts."""
        # Counts are relative to an even share (1.0), so that `restart_below` does not depend on the batch.
        even = float(choices[:, 0].sum()) / self.num_codes
        self.weight.lerp_(choices[:, 0] / even, 1 - self.decay)
        self.total.lerp_(choices[:, 1:] / even, 1 - self.decay)
        length = self.total.norm(dim=-1, keepdim=True)
        # A code that nothing ever chose has no direction to follow and stays where it is.
        self.codes.copy_(torch.where(length > _NOTHING, self.total / length.clamp_min(_NOTHING), self.codes))

    @torch.no_grad()
    def restart(self, x: Tensor) -> int:
        """Move codes that are chosen less than ``restart_below`` of an even share onto random vectors of x.

        x is (b, c, h, w) or (m, c), as in :meth:`start_from`. Returns how many were moved.
        """
        dead = torch.nonzero(self.weight < self.restart_below).flatten()
        if len(dead):
            flat = F.normalize((_rows(x) if x.ndim == 4 else x).float(), dim=-1)
            # Where the codes explain a vector badly a new one helps most.
            distance = (1 - (flat @ self.codes.T).amax(dim=-1)).clamp_min(1e-8)
            picked = torch.multinomial(distance, len(dead), replacement=len(dead) > len(flat))
            self.codes[dead] = flat[picked]
            self.weight[dead] = 1.0
            self.total[dead] = flat[picked]
        return len(dead)


def _rows(x: Tensor) -> Tensor:
    """Vectors (b, c, h, w) as (b·h·w, c)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _nearest(vectors: Tensor, codes: Tensor) -> Tensor:
    """Index (m,) of the code (v, c) nearest to each of the unit vectors (m, c), in blocks that bound the memory."""
    # In bfloat16, which training may run in, some vectors would be given to another code than in sampling.
    with torch.autocast(vectors.device.type, enabled=False):
        return torch.cat([highest(block @ codes.T) for block in vectors.split(16384)])


def highest(scores: Tensor) -> Tensor:
    """``argmax`` (m,) of scores (m, v): the first place of the highest score of a row.

    On a CPU PyTorch's looks at one number after the other; the highest of a few together is found in one go.
    """
    m, v = scores.shape
    if v % TOGETHER:
        return scores.argmax(dim=-1)
    parts = scores.view(m, v // TOGETHER, TOGETHER)
    part = parts.amax(dim=-1).argmax(dim=-1)
    return part * TOGETHER + parts[torch.arange(m, device=scores.device), part].argmax(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How a set of tokens uses its codebook."""

    share: float  # of codes chosen at least once
    perplexity: float  # exp of the entropy of the choices, 1…v

    @classmethod
    def of(cls, indices: Tensor, num_codes: int) -> Usage:
        """Usage over all of ``indices`` (any shape, int64)."""
        share = torch.bincount(indices.flatten(), minlength=num_codes).double() / max(indices.numel(), 1)
        entropy = -torch.special.xlogy(share, share).sum()
        return cls(share=float((share > 0).double().mean()), perplexity=float(entropy.exp()))
