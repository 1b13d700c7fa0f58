"""Pictures as a published network takes them: resized and scaled by the rules of the protocol."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.metrics.resize import resize
from evaluation.protocols import PictureProtocol

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def prepare(images: Tensor, protocol: PictureProtocol) -> Tensor:
    """Pictures (b, 3, h, w) uint8 in 0…255 of any size as float32 in the range and size of the network.

    ValueError for another dtype or layout.
    """
    size_px = protocol.size_px or 0
    if protocol.resize == "torch-bilinear" and protocol.normalise == "over-127.5-minus-1":
        # pytorch-fid scales before it resizes; the other way round, features are 7e-5 away from its own
        return 2 * F.interpolate(resize(images, 0, "none") / 255, (size_px, size_px), mode="bilinear") - 1
    return normalise(resize(images, size_px, protocol.resize), protocol)


def normalise(pictures: Tensor, protocol: PictureProtocol) -> Tensor:
    """Floats (b, 3, h, w) in 0…255 in the range the network was trained on."""
    if protocol.normalise == "minus-128-over-128":
        return (pictures - 128) / 128
    if protocol.normalise == "over-127.5-minus-1":
        return 2 * (pictures / 255) - 1
    if protocol.normalise == "imagenet-to-inception":  # torchvision's transform_input
        mean, std = _per_channel(*_IMAGENET, pictures)
        return (pictures / 255) * (std / 0.5) + (mean - 0.5) / 0.5
    if protocol.normalise in ("imagenet", "clip"):
        mean, std = _per_channel(*(_IMAGENET if protocol.normalise == "imagenet" else _CLIP), pictures)
        return (pictures / 255 - mean) / std
    if protocol.normalise == "none":
        return pictures
    raise ValueError(f"{protocol.id}: unknown normalisation {protocol.normalise!r}")


def _per_channel(mean: tuple[float, ...], std: tuple[float, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.tensor(mean, device=like.device).view(3, 1, 1), torch.tensor(std, device=like.device).view(3, 1, 1)
