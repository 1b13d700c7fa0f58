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
from evaluation.features.exact import exact
from evaluation.features.folding import fold
from evaluation.features.prepare import prepare
from evaluation.protocols import PictureProtocol
from nuwa.files import sha256

FID_INCEPTION = "inception-fid"
IMAGENET_INCEPTION = "inception-imagenet"
SMALLEST_PX = 75  # where a protocol does not resize: less vanishes in the network
WITH_BIAS = "1000 logits"  # the one protocol that reads them with the bias of the last layer

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
    """(b, 1008), or (b, 1000) of ImageNet; without the bias of the last layer, as Inception Scores are made, unless the
    protocol reads them with it."""


class InceptionJudge(nn.Module):
    """An Inception under one protocol, frozen: it takes bytes and computes in float32, without TF32 or autocast."""

    def __init__(self, network: nn.Module, protocol: PictureProtocol, *, digest: str) -> None:
        super().__init__()
        if protocol.network not in _LAYERS:
            raise ValueError(f"{protocol.id}: expected a network of {', '.join(_LAYERS)}, got {protocol.network!r}")
        self.network = fold(network).requires_grad_(False)
        self.protocol = protocol
        self.sha256 = digest
        self.train(False)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode: a judge does not learn, even inside a model that does."""
        return super().train(False)

    def forward(self, images: Tensor) -> InceptionJudgement:
        """Judge pictures (b, 3, h, w) uint8 in 0…255 of any size. ValueError for another dtype or layout."""
        x = prepare(images, self.protocol)
        if min(x.shape[2:]) < SMALLEST_PX:
            got = f"{x.shape[2]}×{x.shape[3]}"
            raise ValueError(
                f"{self.protocol.id}: expected pictures of at least {SMALLEST_PX} px, got {got}; resize them"
            )
        with exact(x.device):
            for name in _LAYERS[self.protocol.network].split():
                x = self.network.get_submodule(name)(x)
            features = x.flatten(1)
            bias = self.network.get_parameter("fc.bias") if self.protocol.layer == WITH_BIAS else None
            logits = nn.functional.linear(features, self.network.get_parameter("fc.weight"), bias)
        return InceptionJudgement(features=features, class_logits=logits)


def load_inception_judge(
    protocol: PictureProtocol, folder: str | Path | None, device: torch.device | str = "cpu"
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
