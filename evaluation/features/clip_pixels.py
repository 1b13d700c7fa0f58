"""How clips become what a video network takes: the resize, crop and range rules behind published FVDs, as pure functions."""

from __future__ import annotations

import math
import typing

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import center_crop, resize

from evaluation.metrics.resize import tf1_bilinear
from evaluation.protocols import ClipProtocol
from evaluation.protocols.clip_kinds import ClipNormalise, ClipResize


def prepare(clips: Tensor, protocol: ClipProtocol) -> Tensor:
    """Clips (b, t, 3, h, w) uint8 as (b, 3, t, size_px, size_px) float32, or bytes where the network prepares them itself.

    ValueError for another dtype, layout or rule.
    """
    if clips.dtype != torch.uint8 or clips.dim() != 5:
        raise ValueError(
            f"clips: expected uint8 (b, t, 3, h, w), got {clips.dtype} {tuple(clips.shape)}; use as_clip_bytes"
        )
    frames = clips.flatten(0, 1)
    if protocol.stored_px is not None:
        frames = stored(frames, protocol.stored_px)
    frames = normalise(_resized(frames, protocol), protocol)
    return frames.unflatten(0, clips.shape[:2]).transpose(1, 2)


def stored(frames: Tensor, size_px: int) -> Tensor:
    """Frames (b, 3, h, w) uint8 as content-debiased-fvd's loader keeps them: a square of ``size_px``, uint8.

    The shorter side is resized with antialias on values in [0, 1], the centre is cropped, and levels are cut, not rounded.
    """
    small = F.interpolate(frames.float() / 255, _shorter_side(frames, size_px), mode="bilinear", antialias=True)
    return (_centre(small, size_px) * 255).clamp(0, 255).to(torch.uint8)


def normalise(frames: Tensor, protocol: ClipProtocol) -> Tensor:
    """Frames (b, 3, h, w) in 0…255 in the range the network was trained on."""
    if protocol.normalise == "none":
        return frames
    if protocol.normalise == "over-127.5-minus-1":
        return 2 * frames / 255 - 1
    if protocol.normalise == "mean-std":
        mean, std = (torch.tensor(v, device=frames.device).view(3, 1, 1) for v in (protocol.mean, protocol.std))
        return (frames / 255 - mean) / std
    known = ", ".join(typing.get_args(ClipNormalise))
    raise ValueError(f"{protocol.id}: unknown range {protocol.normalise!r}; expected one of {known}")


def _resized(frames: Tensor, protocol: ClipProtocol) -> Tensor:
    rule, size_px = protocol.resize, protocol.size_px
    if rule == "inside-network":
        return frames
    if rule == "none":
        return frames if protocol.normalise == "none" else frames.float()
    if size_px is None:
        raise ValueError(f"{protocol.id}: expected a size_px with the resize rule {rule!r}, got none")
    if rule == "tf1-bilinear":
        return tf1_bilinear(frames.float(), size_px)
    if rule == "torch-bilinear":
        return F.interpolate(frames.float(), (size_px, size_px), mode="bilinear")
    if rule == "torch-bilinear-crop":
        return _centre(F.interpolate(frames.float(), _shorter_side(frames, size_px), mode="bilinear"), size_px)
    if rule == "torchvision" and protocol.resize_px is not None:
        return center_crop(resize(frames, list(protocol.resize_px), antialias=False), [size_px, size_px]).float()
    known = ", ".join(typing.get_args(ClipResize))
    raise ValueError(f"{protocol.id}: unknown resize rule {rule!r}; expected one of {known}")


def _shorter_side(frames: Tensor, size_px: int) -> tuple[int, int]:
    """Height and width that bring the shorter side of ``frames`` to ``size_px``, rounded up as VideoGPT does."""
    h, w = frames.shape[-2:]
    scale = size_px / min(h, w)
    return (size_px, math.ceil(w * scale)) if h < w else (math.ceil(h * scale), size_px)


def _centre(frames: Tensor, size_px: int) -> Tensor:
    top, left = ((length - size_px) // 2 for length in frames.shape[-2:])
    return frames[..., top : top + size_px, left : left + size_px]
