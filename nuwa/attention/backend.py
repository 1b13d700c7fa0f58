"""What a backend is: a way to compute the one attention that :mod:`nuwa.attention.masks` defines.

A backend says whether it can run a problem and, if not, why. Nothing falls back in silence: a backend asked for by name
runs or the call fails with the reason, and what ``auto`` chooses can be read with :func:`nuwa.attention.choice.choose`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from nuwa.attention.masks import check_causal
from nuwa.attention.spec import ATTENTION, AttentionSpec
from nuwa.grid import Grid

TRITON = find_spec("triton") is not None
"""Whether Triton is installed: asked once, since torch.compile cannot follow the question."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything but the numbers of one attention call: what a backend needs to know to say whether it can run.

    Attributes:
        spec: the variant.
        grid: the queries' grid.
        kv_grid: the keys' grid; equal to ``grid`` for self attention.
        causal: raster-causal; one grid only.
        key_mask: whether a mask of valid keys comes with the call.
        device: device type, ``"cpu"`` or ``"cuda"``.
        dtype: of queries, keys and values.
        head_width: k.
        grad: whether a backward pass will be asked for.
    """

    spec: AttentionSpec
    grid: Grid
    kv_grid: Grid
    causal: bool = False
    key_mask: bool = False
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    head_width: int = 64
    grad: bool = True

    @classmethod
    def of(
        cls,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        spec: AttentionSpec,
        grid: Grid,
        kv_grid: Grid | None,
        causal: bool,
        key_mask: Tensor | None,
    ) -> Problem:
        """The problem these tensors pose, arguments as in :func:`attend`. ValueError where they do not fit."""
        if not isinstance(spec, AttentionSpec):
            raise ValueError(
                f"spec: expected an attention spec such as Nearby3D(), got {spec!r}; "
                f"make one by name with ATTENTION[name](), names: {', '.join(ATTENTION)}"
            )
        keys_grid = check_causal(grid, kv_grid, causal)
        for what, x in (("queries", q), ("keys", k), ("values", v)):
            if x.dim() != 4:
                raise ValueError(f"{what}: expected (b, n, s, k), got shape {tuple(x.shape)}; split the heads first")
            if x.dtype != q.dtype or x.device != q.device or not x.is_floating_point():
                raise ValueError(
                    f"{what}: expected a floating dtype and device equal to the queries' {q.dtype} on {q.device}, "
                    f"got {x.dtype} on {x.device}; convert one of them"
                )
            if (x.shape[0], x.shape[1], x.shape[3]) != (q.shape[0], q.shape[1], q.shape[3]):
                raise ValueError(
                    f"{what}: expected batch, heads and head width of the queries {tuple(q.shape)}, got "
                    f"{tuple(x.shape)}; project queries, keys and values to equal heads"
                )
        grid.check(q.shape[2], "queries")
        keys_grid.check(k.shape[2], "keys")
        keys_grid.check(v.shape[2], "values")
        if key_mask is not None and (
            key_mask.dtype != torch.bool
            or key_mask.device != k.device
            or tuple(key_mask.shape) != (k.shape[0], k.shape[2])
        ):
            raise ValueError(
                f"key_mask: expected bool (b, s_kv) = {(k.shape[0], k.shape[2])} on {k.device}, got {key_mask.dtype} "
                f"{tuple(key_mask.shape)} on {key_mask.device}; True marks a key that may be seen"
            )
        return cls(
            spec=spec,
            grid=grid,
            kv_grid=keys_grid,
            causal=causal,
            key_mask=key_mask is not None,
            device=q.device.type,
            dtype=q.dtype,
            head_width=q.shape[-1],
            grad=torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v)),
        )

    @property
    def scale(self) -> float:
        """Factor on the scores, 1/sqrt(k)."""
        return float(self.head_width) ** -0.5


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to compute attention.

    Attributes:
        run: ``(q, k, v, problem, key_mask) -> (b, n, s_q, k)`` for a problem it accepts.
        why_not: None where it can run the problem, otherwise the reason in a few words.
    """

    run: Callable[[Tensor, Tensor, Tensor, Problem, Tensor | None], Tensor]
    why_not: Callable[[Problem], str | None] = lambda _: None
