"""Video networks as judges of clips under one protocol: FVD, FID-vid and acc read their answers.

Weights come from the user's folder (``evaluation/weights.py``). How clips are resized and scaled is the protocol's, so one
network serves several protocols.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluation import weights
from evaluation.clips import as_clip_bytes, check_frames
from evaluation.features.clip_pixels import prepare
from evaluation.features.exact import exact
from evaluation.features.i3d import load_i3d
from evaluation.features.kinetics import KineticsNetwork
from evaluation.features.published import PublishedJudge
from evaluation.protocols import ClipProtocol
from nuwa.files import sha256

I3D_TORCHSCRIPT = "i3d-torchscript"
I3D_STATE_DICT = "i3d-kinetics-400"


@dataclass(frozen=True, kw_only=True)
class VideoJudgement:
    """What the network says of b clips, float32."""

    features: Tensor
    """(b, d), what the protocol reads: pooled features, or the logits themselves."""
    class_logits: Tensor
    """(b, 400), of Kinetics-400 in alphabetical order."""


class VideoJudge(PublishedJudge[ClipProtocol]):
    """A video network under one protocol, frozen: it takes bytes and computes in float32, without TF32 or autocast.

    ``network`` takes prepared clips (b, 3, t, h, w) and gives pooled features (b, d) and class logits (b, v).
    """

    def forward(self, clips: Tensor) -> VideoJudgement:
        """Judge clips (b, t, 3, h, w), uint8 or floats in [0, 1], of any size.

        ValueError for another layout or range, and for clips that are not as long as the protocol says.
        """
        clips = as_clip_bytes(clips, self.protocol.quantise)
        check_frames(clips.shape[1], self.protocol)
        with exact(clips.device):
            pooled, logits = self.network(prepare(clips, self.protocol))
        return VideoJudgement(features=logits if self.protocol.read == "logits" else pooled, class_logits=logits)


class TorchScriptI3D(nn.Module):
    """``i3d_torchscript.pt``, TF-Hub's I3D as StyleGAN-V publishes it; all it gives are 400 logits."""

    def __init__(self, script: nn.Module, *, resize: bool) -> None:
        super().__init__()
        self.script = script
        self.resize = resize

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (b, 3, t, 224, 224) in [-1, 1], or bytes of any size where the file is to resize and scale them itself."""
        logits: Tensor = self.script(clips, rescale=self.resize, resize=self.resize, return_features=True)
        if logits.dim() != 2:
            raise ValueError(f"i3d_torchscript.pt: expected 224×224 pixels, got {tuple(clips.shape[3:])}; resize first")
        return logits, logits


def load_video_judge(protocol: ClipProtocol, folder: str | Path, device: torch.device | str = "cpu") -> VideoJudge:
    """The network of ``protocol`` from the weight files in ``folder``.

    MissingWeightsError where the file is not there, ValueError where it is not the one published.
    """
    path = weights.find(protocol.network, folder)
    return VideoJudge(build(protocol, path), protocol, digest=sha256(path)).to(device)


def build(protocol: ClipProtocol, path: str | Path) -> nn.Module:
    """The network of ``protocol`` with the tensors of the file at ``path``, in the published format."""
    if protocol.network == I3D_TORCHSCRIPT:
        with warnings.catch_warnings():  # deprecated, but the file is published in no other form
            warnings.simplefilter("ignore", FutureWarning)
            script = torch.jit.load(str(path), map_location="cpu")
        return TorchScriptI3D(script, resize=protocol.resize == "inside-network")
    if protocol.network == I3D_STATE_DICT:
        return load_i3d(path)
    network = KineticsNetwork(protocol.network)
    network.load_published(path)
    return network
