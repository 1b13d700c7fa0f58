"""``torch.compile`` for training: the work that every cell does alone, fused, with attention between as it is.

A layer normalises, adds, casts and bends between its matrix products; on a GPU these passes over memory, one after another,
take as long as the products themselves. Compiled region by region, all layers of a kind share two graphs, which take seconds
to make, where the whole model as one graph would take minutes; and attention stays the backend's own.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from nuwa.attention.whole import compile_whole
from nuwa.model.layers import Layer


def compile_layers(layers: Iterable[nn.Module]) -> None:
    """Compile the segments of the layers, in place; parameters and their names stay. Results differ by rounding."""
    for layer in layers:
        assert isinstance(layer, Layer)
        for name in layer.SEGMENTS:
            setattr(layer, name, compile_whole(getattr(layer, name)))
