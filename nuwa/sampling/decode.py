"""Exact diagonal decoding: all cells whose dependencies are met are computed and drawn together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nuwa.grid import Grid
from nuwa.model.layers import Condition
from nuwa.model.nuwa import Decoder
from nuwa.sampling.branch import Branch, by_steps
from nuwa.sampling.filters import guide, invert_cdf, probabilities
from nuwa.sampling.inputs import Inputs, Sampling


@torch.no_grad()
def decode(
    decoder: Decoder,
    conditions: Sequence[Condition],
    sampling: Sampling,
    sample_indices: Sequence[int],
    *,
    grid: Grid | None = None,
    unconditional: Sequence[Condition] = (),
    given: Tensor | None = None,
    known: Tensor | None = None,
    one_by_one: bool = False,
) -> Tensor:
    """Draw tokens (b, s) int64 on ``grid``, or on the decoder's largest where it is None.

    Args:
        decoder: in evaluation mode.
        conditions: what to generate from, batch b.
        sampling: temperature, filters, guidance and seed.
        sample_indices: b whole numbers >= 0; a sample's tokens depend on its index, not on its place in a batch.
        grid: of the target; any that fits into the decoder's largest.
        unconditional: the same conditions emptied or left out, for guidance other than 1.
        given: tokens (b, s) int64 of which those at ``known`` are kept and the others drawn.
        known: bool (s,), or (b, s) where every sample has cells of its own. Cells that are known in all samples are
            prefilled together.
        one_by_one: draw a single cell at a time, in raster order; the tokens are the same.

    Raises:
        ValueError: guidance without ``unconditional``, ``given`` without ``known``, either of another shape, or a grid that
            does not fit.
    """
    inputs = Inputs.of(
        decoder, conditions, sampling, sample_indices,
        grid=grid, unconditional=unconditional, given=given, known=known, one_by_one=one_by_one,
    )  # fmt: skip
    batches = [[_without_idle_mask(condition) for condition in batch] for batch in inputs.batches]
    drawing = Drawing(decoder, replace(inputs, batches=batches))
    with small_steps():
        drawing.begin()
        for step in range(len(inputs.plan.cells)):
            drawing.step(step)
    return inputs.tokens


def _without_idle_mask(condition: Condition) -> Condition:
    """Without padding there is nothing to mask; asked once, not in every step and layer."""
    idle = condition.valid is not None and bool(condition.valid.all())
    return replace(condition, valid=None) if idle else condition


@contextmanager
def small_steps() -> Iterator[None]:
    """How many small steps of different shapes are computed.

    Inference mode keeps account of less than the absence of gradients alone. cuDNN's attention, which PyTorch prefers on new
    GPUs, compiles a plan for every shape that it has not met, and the steps of a clip have two hundred.
    """
    kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with torch.inference_mode(), sdpa_kernel(kernels):
        yield


class Drawing:
    """Samples that are being drawn, step after step.

    ``begin`` and ``step`` are functions of tensors that stay where they are, and nothing in them waits for the device or
    comes from the host, so that a GPU can record them once and replay them (:mod:`nuwa.sampling.graphs`).
    """

    def __init__(self, decoder: Decoder, inputs: Inputs) -> None:
        self.decoder, self.inputs = decoder, inputs

    def begin(self) -> None:
        """Compute what all steps share: that of weights and conditions alone."""
        plan, b = self.inputs.plan, len(self.inputs.tokens)
        self.branches = [Branch(self.decoder, batch, b, plan) for batch in self.inputs.batches]
        self.uniform = by_steps(self.inputs.uniform, plan.drawn, dim=1)
        self.kept = None if self.inputs.kept is None else by_steps(self.inputs.kept, plan.drawn, dim=1)

    def step(self, step: int) -> None:
        """Compute the cells of a step and draw those that are not given; steps go in their order."""
        inputs, sampling = self.inputs, self.inputs.sampling
        tokens, drawn, new = inputs.tokens, inputs.plan.drawn[step], inputs.plan.new[step]
        logits = [branch.step(tokens, step) for branch in self.branches]
        if len(drawn) == 0:
            return
        chosen, *emptied = logits if new is None else [each.index_select(1, new) for each in logits]
        if sampling.guided:
            chosen = guide(chosen, emptied[0], sampling.guidance)
        p = probabilities(chosen, temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
        codes = invert_cdf(p, self.uniform[step])
        if self.kept is not None:
            codes = torch.where(self.kept[step], tokens.index_select(1, drawn), codes)
        tokens.index_copy_(1, drawn, codes)
