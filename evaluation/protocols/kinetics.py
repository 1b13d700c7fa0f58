"""FID-vid and acc on networks trained on Kinetics-400: torchvision's and I3D, the network always in the id.

Papers seldom say which network they used (TFGAN: a 3D network; vid2vid: I3D or ResNeXt; DisCo: a ResNet-50), so a number is
compared only with numbers of the same id. Preparation is the one published with the weights.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from evaluation.protocols import videogpt
from evaluation.protocols.base import register
from evaluation.protocols.clip_kinds import ActionAccuracyProtocol, ClipDistanceProtocol, ClipProtocol

_KINETICS = {"mean": (0.43216, 0.394666, 0.37645), "std": (0.22803, 0.22145, 0.216989)}
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_MVIT = {"mean": (0.45, 0.45, 0.45), "std": (0.225, 0.225, 0.225)}


def _torchvision(
    sha256: str,
    width: int,
    resize_px: tuple[int, ...],
    size_px: int,
    colours: dict[str, Any],
    min_frames: int,
    frames: int | None = None,
) -> dict[str, Any]:
    return {
        "weights_sha256": sha256,
        "width": width,
        "layer": f"{width} features before the last layer",
        "size_px": size_px,
        "resize": "torchvision",
        "resize_px": resize_px,
        "normalise": "mean-std",
        "min_frames": min_frames,
        "frames": frames,
        "source": "torchvision, weights KINETICS400_V1 with their own transforms",
        **colours,
    }


_I3D = {
    **{name: value for name, value in asdict(videogpt.FVD).items() if name in ClipProtocol.__dataclass_fields__},
    "width": 1024,
    "layer": "1024 features before the last layer, averaged over time",
    "quantise": "round",
    "frames": None,
    "source": "I3D of TF-Hub (Carreira and Zisserman 2017) in the port of VideoGPT; the I3D variant of vid2vid's VFID",
}

NETWORKS: dict[str, dict[str, Any]] = {
    "r3d-18": _torchvision("b3b3357e", 512, (128, 171), 112, _KINETICS, min_frames=2),
    "mc3-18": _torchvision("a90a0ba3", 512, (128, 171), 112, _KINETICS, min_frames=2),
    "r2plus1d-18": _torchvision("91a641e6", 512, (128, 171), 112, _KINETICS, min_frames=2),
    "s3d": _torchvision("d76dad2f", 1024, (256, 256), 224, _KINETICS, min_frames=14),
    "mvit-v2-s": _torchvision("ae3be167", 768, (256,), 224, _MVIT, min_frames=16, frames=16),
    "swin3d-t": _torchvision("7615ae03", 768, (256,), 224, _IMAGENET, min_frames=2),
    "i3d-kinetics-400": _I3D,
}
"""Constants of each network under the name of its weight file."""


def _common(name: str) -> dict[str, Any]:
    family = name.removesuffix("-kinetics-400")
    return {**NETWORKS[name], "network": name, "family": f"{family}-1", "interval_seed": 2020}


def _distance(name: str) -> ClipDistanceProtocol:
    return ClipDistanceProtocol(**{**_common(name), "metric": "fid-vid", "read": "pooled", "replicates": 100})


def _accuracy(name: str) -> ActionAccuracyProtocol:
    constants = {**_common(name), "metric": "acc", "read": "logits", "replicates": 1000, "layer": "400 class logits"}
    del constants["width"]
    return ActionAccuracyProtocol(**constants)


FID_VID = {name: register(_distance(name)) for name in NETWORKS}
ACC = {name: register(_accuracy(name)) for name in NETWORKS}
