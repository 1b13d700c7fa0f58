"""DINOv2 as a judge of pictures (Oquab et al. 2023): its published weights in torchvision's vision transformer.

Two things are done to the weights, neither of which changes what is computed: the factor of each LayerScale goes into the
layer before it, and positions are resized to the 16×16 patches of 224 px once, by the rule of DINOv2's own code.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

from evaluation import weights
from evaluation.features.exact import exact
from evaluation.features.prepare import prepare
from evaluation.judges.frozen import Judge
from evaluation.protocols import PictureProtocol
from nuwa.files import sha256

PATCH_PX = 14
HEAD_WIDTH = 64
_OFFSET = 0.1  # DINOv2 adds it to the number of patches; its positions are sampled at slightly other places for it


class DINOv2Judgement(NamedTuple):
    """What the network says of b pictures."""

    features: Tensor
    """(b, d) float32, the class token after the last norm."""


class DINOv2(Judge):
    """A DINOv2 under one protocol, frozen: bytes in, float32 out."""

    def __init__(self, network: nn.Module, protocol: PictureProtocol, *, sha256: str) -> None:
        super().__init__(network, name=protocol.network, sha256=sha256)
        self.protocol = protocol

    def forward(self, images: Tensor) -> DINOv2Judgement:
        """Judge pictures (b, 3, h, w) uint8 in 0…255 of any size. ValueError for another dtype or layout."""
        pictures = prepare(images, self.protocol)
        with exact(pictures.device):
            return DINOv2Judgement(self.network(pictures))


def load_dinov2(protocol: PictureProtocol, folder: str | Path | None, device: torch.device | str = "cpu") -> DINOv2:
    """The DINOv2 of ``protocol`` from the weight files in ``folder``.

    MissingWeightsError where the file is not there, ValueError where it is not the one published.
    """
    path = weights.find(protocol.network, folder)
    assert protocol.size_px is not None
    return DINOv2(build(path, protocol.size_px), protocol, sha256=sha256(path)).to(device)


def build(path: str | Path, size_px: int) -> VisionTransformer:
    """torchvision's class for pictures of ``size_px``, with the tensors of the state dict at ``path``."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    width, hidden = state["blocks.0.mlp.fc2.weight"].shape
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    network = VisionTransformer(
        image_size=size_px,
        patch_size=PATCH_PX,
        num_layers=depth,
        num_heads=width // HEAD_WIDTH,
        hidden_dim=width,
        mlp_dim=hidden,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    network.heads = nn.Sequential()
    network.load_state_dict(translate(state, depth, size_px // PATCH_PX))
    return network


def translate(state: dict[str, Tensor], depth: int, patches: int) -> dict[str, Tensor]:
    """DINOv2's tensors under torchvision's names, for ``patches`` × ``patches`` positions."""
    new = {
        "class_token": state["cls_token"],
        "encoder.pos_embedding": resize_positions(state["pos_embed"], patches),
    }
    names = {"patch_embed.proj": "conv_proj", "norm": "encoder.ln"}
    for block in range(depth):
        old, layer = f"blocks.{block}", f"encoder.layers.encoder_layer_{block}"
        names |= {f"{old}.norm1": f"{layer}.ln_1", f"{old}.norm2": f"{layer}.ln_2", f"{old}.mlp.fc1": f"{layer}.mlp.0"}
        for kind in ("weight", "bias"):
            new[f"{layer}.self_attention.in_proj_{kind}"] = state[f"{old}.attn.qkv.{kind}"]
        for linear, scale, there in (
            ("attn.proj", "ls1", "self_attention.out_proj"),
            ("mlp.fc2", "ls2", "mlp.3"),
        ):
            gamma = state[f"{old}.{scale}.gamma"]
            new[f"{layer}.{there}.weight"] = gamma[:, None] * state[f"{old}.{linear}.weight"]
            new[f"{layer}.{there}.bias"] = gamma * state[f"{old}.{linear}.bias"]
    for old, there in names.items():
        for kind in ("weight", "bias"):
            new[f"{there}.{kind}"] = state[f"{old}.{kind}"]
    return new


def resize_positions(positions: Tensor, patches: int) -> Tensor:
    """Positions (1, 1 + g², d) of the class token and of g×g patches, for ``patches`` × ``patches``."""
    own, grid = positions[:, :1], positions[:, 1:]
    side, width = round(grid.shape[1] ** 0.5), grid.shape[2]
    if side == patches:
        return positions
    square = grid.float().reshape(1, side, side, width).permute(0, 3, 1, 2)
    factor = (patches + _OFFSET) / side
    resized = F.interpolate(square, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([own, resized.permute(0, 2, 3, 1).reshape(1, patches**2, width)], dim=1)
