"""Pictures handed to a metric are checked at the door: the usual mistakes change a score without raising an error."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def as_bytes(images: Tensor, quantise: Literal["round", "truncate"] = "round") -> Tensor:
    """Pictures (b, 3, h, w) as uint8 in 0…255.

    Takes uint8 in 0…255 as it is and floats in [0, 1], which are rounded to the nearest grey level (or cut, where a
    protocol says so). ValueError for anything else: another layout, other ranges, NaN, an empty batch.
    """
    if not isinstance(images, Tensor):
        raise ValueError(f"images: expected a tensor, got {type(images).__name__}; use torch.from_numpy")
    _check_layout(images)
    if images.dtype == torch.uint8:
        _check_bytes(images)
        return images
    if not images.is_floating_point():
        raise ValueError(f"images: expected uint8 or floats, got {images.dtype}; convert with .to(torch.uint8)")
    _check_floats(images)
    levels = images * 255
    return (levels.round() if quantise == "round" else levels).to(torch.uint8)


def check_set(count: int, what: str = "pictures") -> None:
    """ValueError for sets that have no spread: an empty one or a single sample."""
    if count < 2:
        got = "an empty set" if count == 0 else "one"
        raise ValueError(f"{what}: expected at least 2, got {got}; a score of a set needs more samples")


def _check_layout(images: Tensor) -> None:
    shape = tuple(images.shape)
    if images.dim() == 3:
        raise ValueError(f"images: expected (b, 3, h, w), got {shape}; add the batch axis with images[None]")
    if images.dim() == 5:
        raise ValueError(f"images: expected (b, 3, h, w), got {shape}; flatten clips to frames with .flatten(0, 1)")
    if images.dim() != 4:
        raise ValueError(f"images: expected (b, 3, h, w), got {shape}")
    if images.numel() == 0:
        raise ValueError(f"images: expected at least one picture, got the empty shape {shape}")
    if shape[1] != 3 and shape[3] == 3:
        raise ValueError(f"images: expected (b, 3, h, w), got {shape} with channels last; use .permute(0, 3, 1, 2)")
    if shape[1] != 3:
        raise ValueError(f"images: expected 3 channels (RGB), got {shape[1]}; convert grey or alpha pictures first")


def _check_bytes(images: Tensor) -> None:
    # A picture whose brightest level is 1 of 255 is a float picture cast to uint8; an all-black one may be real.
    if int(images.max()) == 1:
        raise ValueError("images: expected uint8 in 0…255, got only 0 and 1; multiply by 255 before the cast to uint8")


def _check_floats(images: Tensor) -> None:
    low, high = (float(value) for value in images.aminmax())
    if not (low > -float("inf") and high < float("inf")):  # false for NaN too
        raise ValueError("images: expected finite floats in [0, 1], got NaN or infinity; look at the decoder's output")
    if low < 0:
        raise ValueError(f"images: expected floats in [0, 1], got {low:.3g}…{high:.3g}; use (images + 1) / 2 and clamp")
    if high > 1:
        raise ValueError(f"images: expected floats in [0, 1], got {low:.3g}…{high:.3g}; divide by 255 or pass uint8")
