"""What a training keeps in the memory of one GPU, estimated from the sizes of the model before anything is allocated.

Saved activations are counted tensor by tensor as autograd keeps them with fused attention, which keeps queries, keys, values
and results, and no scores; the tests compare them with what autograd really saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nuwa.grid import Grid
from nuwa.model.config import ConditionName, ModelConfig
from nuwa.model.nuwa import NuwaModel

FLOAT, HALF = 4, 2  # bytes of a float32 and a bfloat16
GIB = 2**30
RESERVED_GIB = 2.0
"""What the machine takes beside tensors: CUDA's context, workspaces of its libraries, gaps between allocations."""


@dataclass(frozen=True, kw_only=True)
class States:
    """Bytes of what a training keeps from step to step, on one GPU of so many."""

    weights: float  # float32; every product casts them to bfloat16
    gradients: float
    optimizer: float
    ema: float
    gathered: float  # copies in bfloat16 that the products of a step read

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.ema + self.gathered


def states(model: NuwaModel, optimizer: str, *, gpus: int = 1, sharded: bool = False, ema: bool = True) -> States:
    """What is kept with ``optimizer`` "adam" (two moments) or "muon" (one, for the matrices of the layers).

    ``sharded`` divides it over the GPUs as FSDP2 does: each gathers what stands outside the layers for the whole step, and
    the layer it is at and the next one.
    """
    layers = [*model.encoder.layers, *model.decoder.layers]
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    matrices = sum(p.numel() for layer in layers for p in layer.parameters() if p.ndim == 2)
    count = model.num_parameters
    moments = 2 * count - (matrices if optimizer == "muon" else 0)
    share = gpus if sharded else 1
    gathered = count - sum(sizes) + 2 * max(sizes) if sharded and gpus > 1 else count
    return States(
        weights=FLOAT * count / share,
        gradients=FLOAT * count / share,
        optimizer=FLOAT * moments / share,
        ema=FLOAT * count / share if ema else 0,
        gathered=HALF * gathered,
    )


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Bytes of one sample.

    Attributes:
        saved: what autograd keeps from the forward to the backward pass.
        checkpointed: what it keeps where every layer's inputs are kept alone and the layer is computed again.
        passing: what the backward pass adds at its beginning, the gradient of the logits.
    """

    saved: int
    checkpointed: int
    passing: int

    def peak(self, *, checkpointing: bool) -> int:
        """The most at one time."""
        return (self.checkpointed if checkpointing else self.saved) + self.passing


def activations(
    config: ModelConfig, grid: Grid, conditions: Mapping[ConditionName, Grid], *, mixed: bool = True
) -> Activations:
    """Of a target on ``grid`` with conditions on their grids; ``mixed`` with products in bfloat16, else all in float32."""
    wide, half, d = FLOAT, HALF if mixed else FLOAT, config.d
    once = half * d if mixed else 0  # a second or later product casts the same input again
    statistics = FLOAT * (config.num_heads + 4)  # of softmax and of two norms
    norms, inner = 2 * wide * d, 2 * config.ff_ratio * half * d
    # inputs and results of the maps around attention (q k v, what it gives), then those of the feed-forward
    encoder = norms + 5 * half * d + half * d + inner + statistics
    decoder = encoder + once + 2 * half * d + FLOAT * config.num_heads  # the cross-attention's q and what it gives
    read = sum(each.size for each in conditions.values())
    if len(conditions) > 1:  # what each condition gives, and their sum
        decoder += len(conditions) * half * d + FLOAT * config.num_heads * (len(conditions) - 1)
    memory = read * (once + 2 * half * d)  # keys and values of the conditions, a decoder layer
    s = grid.size
    edges = s * (half * d + (wide + half) * d + 2 * FLOAT)  # the stem, the last norm and the head's input
    edges += read * (wide * d + (0 if mixed else wide * d) + 2 * FLOAT)
    edges += s * FLOAT * config.num_codes  # logarithms of the probabilities
    layers = [read * encoder] * config.encoder_layers + [s * decoder + memory] * config.decoder_layers
    inputs = wide * d * (read * config.encoder_layers + s * config.decoder_layers)
    return Activations(
        saved=edges + sum(layers),
        checkpointed=edges + inputs + max(layers),
        passing=s * FLOAT * config.num_codes,
    )
