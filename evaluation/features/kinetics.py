"""torchvision's Kinetics-400 networks, taken apart into features and the last layer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from nuwa.registry import suggest

LAST_LAYERS = {  # name of the weight file in our registry: torchvision's name, its last layer
    "r3d-18": ("r3d_18", "fc"),
    "mc3-18": ("mc3_18", "fc"),
    "r2plus1d-18": ("r2plus1d_18", "fc"),
    "s3d": ("s3d", "classifier"),
    "mvit-v2-s": ("mvit_v2_s", "head"),
    "swin3d-t": ("swin3d_t", "head"),
}


class KineticsNetwork(nn.Module):
    """One of the networks of ``LAST_LAYERS`` with random weights."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if name not in LAST_LAYERS:
            known = list(LAST_LAYERS)
            raise ValueError(f"unknown video network {name!r}{suggest(name, known)} (known: {', '.join(known)})")
        model, self.last = LAST_LAYERS[name]
        self.trunk = get_model(model, weights=None)
        self.head = self.trunk.get_submodule(self.last)
        setattr(self.trunk, self.last, nn.Identity())

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (b, 3, t, h, w) to features (b, d), averaged over space and time, and logits (b, 400)."""
        features: Tensor = self.trunk(clips)
        # S3D's last layer is a convolution of 1×1×1 before the average, which may as well come after it
        flat = not any(isinstance(layer, nn.Conv3d) for layer in self.head.modules())
        logits: Tensor = self.head(features if flat else features[:, :, None, None, None])
        return features, logits.flatten(1)

    def load_published(self, path: str | Path) -> None:
        """Take the tensors of torchvision's file at ``path``."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        place = f"{self.last}."
        self.load_state_dict(
            {
                f"head.{name.removeprefix(place)}" if name.startswith(place) else f"trunk.{name}": tensor
                for name, tensor in state.items()
            }
        )
