"""Stand-ins for published weights: the publishers' file formats with numbers of our own, and a tiny network for clips."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from evaluation import weights
from evaluation.weights import WeightFile
from nuwa.files import sha256
from nuwa.registry import Registry


def publish(patch: pytest.MonkeyPatch, folder: Path, **files: Callable[[Path], object]) -> None:
    """Write the files of some entries of the registry and let it take them for the ones published."""
    known = Registry[WeightFile]("weight file")
    for name in weights.WEIGHTS:
        entry = weights.WEIGHTS[name]
        if (write := files.get(name.replace("-", "_"))) is not None:
            write(folder / entry.file)
            entry = dataclasses.replace(entry, size_bytes=None, sha256=sha256(folder / entry.file))
        known.add(name, entry)
    patch.setattr(weights, "WEIGHTS", known)


def waves(network: nn.Module) -> dict[str, Tensor]:
    """A state dict of sine waves, equal on every machine, that keeps activations of order one."""
    state = {}
    for index, (name, tensor) in enumerate(network.state_dict().items()):
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * (1.1 + 0.01 * index)).view(tensor.shape)
        if tensor.dim() > 1:
            state[name] = wave * 2 / tensor[0].numel() ** 0.5
        elif name.endswith("running_var"):
            state[name] = 1 + wave / 2
        elif name.endswith(("bias", "running_mean")):
            state[name] = wave / 10
        else:
            state[name] = tensor.double()
        state[name] = state[name].to(tensor.dtype)
    return state


class ScriptedI3D(nn.Module):
    """A network with the call of ``i3d_torchscript.pt``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 400, (3, 5, 5), stride=(2, 4, 4))

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = False, return_features: bool = False) -> Tensor:
        if resize:
            b, c, t, h, w = x.shape
            frames = x.transpose(1, 2).reshape(b * t, c, h, w).float()
            frames = torch.nn.functional.interpolate(frames, [24, 24], mode="bilinear", align_corners=False)
            x = frames.reshape(b, t, c, 24, 24).transpose(1, 2)
        if rescale:
            x = 2.0 * x / 255.0 - 1.0
        logits = self.conv(x).clamp_min(0.0).mean((2, 3, 4))
        return logits if return_features else logits.softmax(1)


def save_scripted(path: Path) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.script(ScriptedI3D()), str(path))


class TinyVideoNetwork(nn.Module):
    """Fixed random convolutions over space and time: what an untrained network can tell of clips of bytes."""

    def __init__(self, width: int = 32, classes: int = 400) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.conv = nn.Conv3d(3, width // 2, (3, 5, 5), bias=False)
        self.conv.weight.data = torch.randn(self.conv.weight.shape, generator=g) / 15
        self.requires_grad_(False)
        self.head = torch.randn(width, classes, generator=g) / width**0.5
        self.seen = 0

    def forward(self, clips: Tensor) -> SimpleNamespace:
        assert clips.dtype == torch.uint8
        self.seen += len(clips)
        maps = torch.relu(self.conv((clips.float() / 127.5 - 1).transpose(1, 2))).flatten(2)
        features = torch.cat([maps.mean(2), maps.std(2)], 1)
        return SimpleNamespace(features=features, class_logits=features @ self.head)


def moving_clips(n: int, t: int = 16, size: int = 32, seed: int = 0) -> Tensor:
    """Clips (n, t, 3, size, size) uint8 of a bright disc that drifts over a textured ground."""
    g = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    place, drift = torch.rand(n, 1, 2, generator=g) * size, torch.randn(n, 1, 2, generator=g)
    centre = (place + drift * torch.arange(t)[None, :, None]) % size
    distance = (rows - centre[..., 0, None, None]).square() + (columns - centre[..., 1, None, None]).square()
    disc = (distance < (size / 5) ** 2)[:, :, None].float() * torch.rand(n, 1, 3, 1, 1, generator=g)
    ground = torch.rand(n, 1, 3, size // 4, size // 4, generator=g).repeat_interleave(4, 3).repeat_interleave(4, 4)
    return ((0.6 * disc + 0.4 * ground) * 255).to(torch.uint8)
