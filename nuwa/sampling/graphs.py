"""Decoding on a GPU without a host that starts every kernel: each step is recorded once as a CUDA graph and replayed.

A step of the paper's decoder is more than three hundred small kernels, and to start one takes longer than to run it. All
shapes follow from the plan, and :class:`nuwa.sampling.decode.Drawing` reads and writes tensors that stay where they are, so
a replay is the same work on whatever these tensors hold by then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa.attention import Full
from nuwa.grid import Grid
from nuwa.model.layers import Condition
from nuwa.model.nuwa import Decoder
from nuwa.sampling.decode import Drawing, small_steps
from nuwa.sampling.inputs import Inputs, Sampling
from nuwa.tokenizers.text import TEXT_GRID

Work = Callable[[], None]


class Options(TypedDict, total=False):
    """The optional arguments of :func:`nuwa.sampling.decode`."""

    grid: Grid | None
    unconditional: Sequence[Condition]
    given: Tensor | None
    known: Tensor | None
    one_by_one: bool


class CapturedDecoder:
    """:func:`nuwa.sampling.decode` as CUDA graphs.

    The first call of a kind takes some seconds: it draws once to warm up and then records every step. Later ones replay. Of
    one kind are calls with the same grid, order and cells known in all samples, batch size, sampling but for its seed, and
    conditions of the same shapes; words are padded, so captions of any length are of one kind. Weights that were changed in
    place are read as they are; weights that were replaced make another kind.

    Tokens are those of ``decode`` but for near ties, since padded words may be added up in another order.

    Args:
        decoder: on a GPU, in evaluation mode.
        keep: kinds that are kept, those used last; each holds its caches and what one step needs.

    Raises:
        ValueError: for a decoder that is not on a GPU, or ``keep`` less than 1.
    """

    def __init__(self, decoder: Decoder, *, keep: int = 4) -> None:
        if keep < 1:
            raise ValueError(f"keep: expected at least 1, got {keep}")
        self.decoder, self.keep = decoder, keep
        self.recorder = Recorder(decoder.head.weight.device)
        self._captured: dict[Hashable, _Captured] = {}

    @torch.no_grad()
    def decode(
        self,
        conditions: Sequence[Condition],
        sampling: Sampling,
        sample_indices: Sequence[int],
        **options: Unpack[Options],
    ) -> Tensor:
        """Arguments, tokens and errors of :func:`nuwa.sampling.decode`."""
        inputs = Inputs.of(self.decoder, conditions, sampling, sample_indices, **options)
        inputs = replace(inputs, batches=[[_padded(condition) for condition in batch] for batch in inputs.batches])
        kind = self._kind(inputs)
        with small_steps(), torch.autocast(inputs.tokens.device.type, enabled=False):
            captured = self._captured.pop(kind, None) or _Captured(self.decoder, inputs, self.recorder)
            self._captured[kind] = captured  # the last in line to be dropped
            if len(self._captured) > self.keep:  # recording has waited for the device, so the first is not running
                del self._captured[next(iter(self._captured))]
            captured.draw(inputs)
        return captured.inputs.tokens.clone()

    def _kind(self, inputs: Inputs) -> Hashable:
        """What is fixed in a recording."""
        tensors = tuple(None if each is None else (each.shape, each.dtype) for each in inputs.tensors)
        seen_as = tuple((each.grid, each.spec) for batch in inputs.batches for each in batch)
        weights = tuple(parameter.data_ptr() for parameter in self.decoder.parameters())
        return inputs.plan, replace(inputs.sampling, seed=0), tensors, seen_as, weights


class _Captured:
    """Inputs in a place of their own, and the recordings that read them and draw their tokens."""

    def __init__(self, decoder: Decoder, inputs: Inputs, recorder: Recorder) -> None:
        self.inputs = inputs.clone()
        recorder.warm_up(self._work(Drawing(decoder, self.inputs)))
        self.drawing = Drawing(decoder, self.inputs)  # holds what the recordings share
        self.replays = [recorder.record(each) for each in self._work(self.drawing)]

    def _work(self, drawing: Drawing) -> list[Work]:
        return [drawing.begin, *(partial(drawing.step, step) for step in range(len(self.inputs.plan.cells)))]

    def draw(self, inputs: Inputs) -> None:
        """Draw the tokens of inputs of the same kind into those of this one."""
        for mine, new in zip(self.inputs.tensors, inputs.tensors, strict=True):
            if mine is not None and new is not None:
                mine.copy_(new)
        for replay in self.replays:
            replay()


class Recorder:
    """Records work on a GPU as CUDA graphs that share their memory, so they are replayed in the order of recording."""

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise ValueError(
                f"captured decoding: expected a decoder on a GPU, got one on {device}; call nuwa.sampling.decode, which runs "
                "on every device"
            )
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, works: Iterable[Work]) -> None:
        """Do the work aside, so that what is set up once per kernel and shape is set up before it is recorded."""
        aside = torch.cuda.Stream(self.device)
        aside.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(aside):
            for work in works:
                work()
        torch.cuda.current_stream(self.device).wait_stream(aside)

    def record(self, work: Work) -> Work:
        """What does the work again, on the same tensors. Nothing is computed yet."""
        graph = torch.cuda.CUDAGraph()
        # Another thread may use the GPU meanwhile, as one that loads data does.
        mode = "thread_local"
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode=mode),
        ):
            work()
        return partial(_replay, graph, self.device)


def _replay(graph: torch.cuda.CUDAGraph, device: torch.device) -> None:
    with torch.cuda.device(device):  # a graph is started on the current stream of the current device
        graph.replay()


def _padded(condition: Condition) -> Condition:
    """Words padded to the longest text; other conditions as they are."""
    b, length = condition.memory.shape[:2]
    more = TEXT_GRID.size - length
    if more < 0 or condition.spec != Full() or condition.grid != Grid(length, 1, 1):
        return condition
    valid = torch.ones(b, length, dtype=torch.bool) if condition.valid is None else condition.valid
    return replace(
        condition,
        grid=TEXT_GRID,
        memory=F.pad(condition.memory, (0, 0, 0, more)),
        valid=F.pad(valid.to(condition.memory.device), (0, more)),
    )
