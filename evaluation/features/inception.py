"""The two Inceptions behind published FIDs: TensorFlow's of 2015 in its PyTorch port, and torchvision's of ImageNet.

Weights come from the user's folder (``evaluation/weights.py``). How pictures are resized and scaled is the protocol's,
so one network serves several protocols.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import inception_v3

from evaluation import weights
from evaluation.features.folding import fold
from evaluation.metrics.resize import resize
from evaluation.protocols import FIDProtocol
from nuwa.files import sha256

FID_INCEPTION = "inception-fid"
IMAGENET_INCEPTION = "inception-imagenet"

_LAYERS = {  # up to the 2,048 features after pooling, by the names of each implementation
    FID_INCEPTION: "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 MaxPool_1 Conv2d_3b_1x1 Conv2d_4a_3x3 MaxPool_2 Mixed_5b "
    "Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c AvgPool",
    IMAGENET_INCEPTION: "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 "
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c avgpool",
}


@dataclass(frozen=True, kw_only=True)
class InceptionJudgement:
    """What the network says of b pictures, float32."""

    features: Tensor
    """(b, 2048), after pooling."""
    class_logits: Tensor
    """(b, 1008), or (b, 1000) of ImageNet; without the bias of the last layer, as Inception Scores are made."""


class InceptionJudge(nn.Module):
    """An Inception under one protocol, frozen: it takes bytes and computes in float32, without TF32 or autocast."""

    def __init__(self, network: nn.Module, protocol: FIDProtocol, *, digest: str) -> None:
        super().__init__()
        if protocol.network not in _LAYERS or protocol.size_px is None:
            raise ValueError(f"{protocol.id}: expected a network of {', '.join(_LAYERS)}, got {protocol.network!r}")
        self.network = fold(network).requires_grad_(False)
        self.protocol = protocol
        self.size_px = protocol.size_px
        self.sha256 = digest
        self.train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode: a judge does not learn, even inside a model that does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> InceptionJudgement:
        """Judge pictures (b, 3, h, w) uint8 in 0…255 of any size. ValueError for another dtype or layout."""
        x = normalise(resize(images, self.size_px, self.protocol.resize), self.protocol)
        with (
            torch.autocast(x.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            for name in _LAYERS[self.protocol.network].split():
                x = self.network.get_submodule(name)(x)
            features = x.flatten(1)
            logits = nn.functional.linear(features, self.network.get_parameter("fc.weight"))
        return InceptionJudgement(features=features, class_logits=logits)


def load_inception_judge(
    protocol: FIDProtocol, folder: str | Path, device: torch.device | str = "cpu"
) -> InceptionJudge:
    """The network of ``protocol`` from the weight files in ``folder``.

    MissingWeightsError where the file is not there, ValueError where it is not the one published.
    """
    path = weights.find(protocol.network, folder)
    return InceptionJudge(build(protocol.network, path), protocol, digest=sha256(path)).to(device)


def build(network: str, path: str | Path) -> nn.Module:
    """The network called ``network`` with the tensors of the file at ``path``, in the published format."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if network == IMAGENET_INCEPTION:
        module = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=False)
        module.load_state_dict(state)
        return module
    # torch-fidelity loads a path as a full pickle; what it gets here are the tensors read above
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return FeatureExtractorInceptionV3(network, ["2048", "logits_unbiased"], feature_extractor_weights_path=stream)


def normalise(pictures: Tensor, protocol: FIDProtocol) -> Tensor:
    """Floats (b, 3, h, w) in 0…255 in the range the network was trained on."""
    if protocol.normalise == "minus-128-over-128":
        return (pictures - 128) / 128
    if protocol.normalise == "over-127.5-minus-1":
        return 2 * (pictures / 255) - 1
    if protocol.normalise == "imagenet-to-inception":  # torchvision's transform_input
        mean, std = (torch.tensor(v, device=pictures.device).view(3, 1, 1) for v in (_MEAN, _STD))
        return (pictures / 255) * (std / 0.5) + (mean - 0.5) / 0.5
    if protocol.normalise == "none":
        return pictures
    raise ValueError(f"{protocol.id}: unknown normalisation {protocol.normalise!r}")


_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
