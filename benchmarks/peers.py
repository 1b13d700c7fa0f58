"""What others offer for the same work, where it is installed; whatever cannot run says why.

Their patterns are not ours, so only time and memory are compared. nuwa-pytorch sees the past octant of the window: causality
is by axis there. NATTEN shifts its window inward at borders and is causal by axis as well.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ledger import installed
from benchmarks.limits import too_long, too_much_memory
from benchmarks.problems import DecoderSizes, Heads
from nuwa.grid import Grid

WINDOW = 3
NUWA_PYTORCH = "nuwa-pytorch"
NATTEN = "NATTEN"


class _Twice(nn.Module):
    """Stands in for a projection to keys and values: hands its input out as both."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, x), dim=-1)


def sparse_3dna(grid: Grid, heads: Heads, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The 3D attention module of nuwa-pytorch, causal, its projections taken out: (b, 1 + s, n·k) to the same shape."""
    from nuwa_pytorch.nuwa_pytorch import Sparse3DNA

    module = Sparse3DNA(
        dim=heads.num_heads * heads.head_width,
        video_shape=grid.shape,
        kernel_size=WINDOW,
        heads=heads.num_heads,
        dim_head=heads.head_width,
        causal=True,
    )
    module.to_q, module.to_kv, module.to_out = nn.Identity(), _Twice(), nn.Identity()
    made: Callable[[Tensor], Tensor] = module.to(device, dtype)
    return made


def why_not_installed() -> str | None:
    """None where nuwa-pytorch is installed, otherwise how it gets there."""
    if installed(NUWA_PYTORCH) is None:
        return "not installed; it is in the dependency group 'peers', which nox -s bench installs"
    return None


def why_not_sparse_3dna(
    grid: Grid, heads: Heads, device: torch.device, backward: bool, patience_s: float
) -> str | None:
    """None where nuwa-pytorch is installed and has a chance, otherwise the reason."""
    if (reason := why_not_installed()) is not None:
        return reason
    if grid.h != grid.w:
        return "its frames are square"
    if device.type == "cuda":
        return None
    # Keys and values are unfolded into the 27 cells of the window and a begin token, and copied twice on the way.
    unfolded = 2 * (WINDOW**3 + 1) * 4 * heads.batch * grid.size * heads.num_heads * heads.head_width
    seconds = unfolded / 1e9 * (4 if backward else 1)
    return too_much_memory(unfolded * (4 if backward else 2)) or too_long(seconds, patience_s)


def generator(grid: Grid, sizes: DecoderSizes, device: torch.device) -> Callable[[], Any]:
    """``generate`` of nuwa-pytorch for one caption of 77 words, unguided, random weights, on a square grid.

    Codes come out: the decoding of its VQ-GAN is taken out, which is no part of ours either.
    """
    from nuwa_pytorch import NUWA, VQGanVAE

    layers = 3
    size_px = grid.h * 2**layers
    vae = VQGanVAE(
        dim=16, image_size=size_px, num_layers=layers, vq_codebook_size=sizes.num_codes, use_vgg_and_gan=False
    )
    model = NUWA(
        vae=vae,
        dim=sizes.d,
        max_video_frames=grid.t,
        text_max_seq_len=77,
        text_num_tokens=1000,
        text_enc_depth=1,
        enc_reversible=True,  # its plain encoder does not take its own arguments
        dec_depth=sizes.layers,
        dec_heads=sizes.num_heads,
        dec_dim_head=sizes.d // sizes.num_heads,
        sparse_3dna_kernel_size=WINDOW,
    ).to(device)
    model.vae.decode = lambda codes: codes
    text = torch.arange(1, 78, device=device)[None]

    def generate() -> Any:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            return model.generate(text=text, num_frames=grid.t, cond_scale=1.0)

    return generate


def natten(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``na3d`` of NATTEN, causal on every axis, on (b, t, h, w, n, k)."""
    from natten.functional import na3d

    window = tuple(min(WINDOW, length) for length in q.shape[1:4])
    out: Tensor = na3d(q, k, v, kernel_size=window, is_causal=True)
    return out


def why_not_natten(grid: Grid, device: torch.device, backward: bool) -> str | None:
    """None where NATTEN is installed with its kernels, or runs forward through FlexAttention; otherwise the reason."""
    if installed("natten") is None:
        return "not installed; it is built against the PyTorch at hand: pip install natten --no-build-isolation"
    if min(grid.shape) == 1 and device.type == "cpu":
        return "its CPU route takes no axis of one cell"
    if device.type == "cpu" and backward:
        return "on a CPU it runs through FlexAttention, which has no backward pass there"
    return None
