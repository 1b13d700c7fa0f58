"""Attention over grids of tokens: four variants, one definition, several backends.

``ATTENTION`` holds the variants, ``mask`` defines them, ``attend`` computes them and ``BACKENDS`` says how.
"""

from nuwa.attention.attend import attend
from nuwa.attention.backend import Backend, Problem
from nuwa.attention.choice import BACKENDS, choose
from nuwa.attention.cost import Cost, cost
from nuwa.attention.masks import dependencies, mask, neighbours
from nuwa.attention.spec import (
    ATTENTION,
    AttentionSpec,
    Axial3D,
    Block3D,
    Full,
    Nearby3D,
    Pattern,
    axial_in_turn,
    over_layers,
)

__all__ = [
    "ATTENTION",
    "BACKENDS",
    "AttentionSpec",
    "Axial3D",
    "Backend",
    "Block3D",
    "Cost",
    "Full",
    "Nearby3D",
    "Pattern",
    "Problem",
    "attend",
    "axial_in_turn",
    "choose",
    "cost",
    "dependencies",
    "mask",
    "neighbours",
    "over_layers",
]
