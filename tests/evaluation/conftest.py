"""Networks with random weights in the formats of the published files, pictures that tell them apart, a small checkpoint."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation import weights
from evaluation.judges.clip import clip_model
from evaluation.protocols import Protocol
from evaluation.weights import WeightFile
from nuwa.files import sha256
from nuwa.presets import PRESETS
from nuwa.registry import Registry
from nuwa.training.on_sprites import sprites_data
from nuwa.training.prepare import prepare

CLIPS = {  # image resolution, patch, embedding: those of the published ones, the rest is small
    "clip-vit-b-32": (224, 32, 512),
    "clip-vit-b-16": (224, 16, 512),
    "clip-vit-l-14": (224, 14, 768),
    "clip-vit-l-14-336": (336, 14, 768),
}


def smooth_pictures(b: int, h: int, w: int, seed: int = 0) -> Tensor:
    """Pictures (b, 3, h, w) uint8 of large soft shapes under some noise: unlike noise alone, each is another."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(b, 3, 4, 4, generator=g)
    fine = F.interpolate(coarse, (h, w), mode="bicubic") + 0.1 * torch.randn(b, 3, h, w, generator=g)
    return (fine.clamp(0, 1) * 255).round().to(torch.uint8)


@pytest.fixture(scope="session")
def make_pictures() -> Callable[..., Tensor]:
    return smooth_pictures


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for weight files; the fixtures below put them there."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def fid_inception(weights_folder: Path) -> Path:
    """``pt_inception-2015-12-05-6726825d.pth``, but random."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("random", ["2048"], feature_extractor_weights_path="none")
    path = weights_folder / weights.WEIGHTS["inception-fid"].file
    torch.save(randomise(network, smooth_pictures(4, 96, 80, seed=9)), path)
    return path


@pytest.fixture(scope="session")
def imagenet_inception(weights_folder: Path) -> Path:
    """``inception_v3_google-1a9a5a14.pth``, but random."""
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, aux_logits=True, init_weights=False)
    path = weights_folder / weights.WEIGHTS["inception-imagenet"].file
    torch.save(randomise(network, smooth_pictures(2, 299, 299, seed=9) / 255), path)
    return path


def randomise(network: nn.Module, pictures: Tensor) -> dict[str, Tensor]:
    """A state dict of random kernels, normalised on ``pictures``: all features alive, and no larger than published ones."""
    g = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() > 1:
            parameter.copy_(torch.randn(parameter.shape, generator=g) * (2 / parameter[0].numel()) ** 0.5)
    network.get_parameter("fc.weight").mul_(3)  # classes that are told apart
    for module in network.modules():
        module.training = True
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # what is seen last is what is kept
    network(pictures)
    for last in ("1x1", "3x3_2a", "3x3_2b", "3x3dbl_3a", "3x3dbl_3b", "_pool"):  # whose outputs are the features
        network.get_parameter(f"Mixed_7c.branch{last}.bn.weight").mul_(0.4)
    return network.eval().state_dict()


@pytest.fixture(scope="session")
def clips(weights_folder: Path) -> dict[str, Path]:
    """OpenAI's archives, but small and random: TorchScript, half precision, sizes as extra tensors."""
    paths = {}
    for name, (resolution, patch, width) in CLIPS.items():
        torch.manual_seed(len(paths))
        network = clip_model().CLIP(width, resolution, 2, 64, patch, 77, 49408, 64, 1, 2)
        nn.init.normal_(network.positional_embedding, std=0.5)  # so that the order of words counts
        clip_model().convert_weights(network)
        for size in ("context_length", "vocab_size"):
            value = getattr(network, size)
            delattr(network, size)
            network.register_buffer(size, torch.tensor(value))
        network.register_buffer("input_resolution", torch.tensor(resolution))
        example = torch.zeros(1, 3, resolution, resolution), torch.zeros(1, 77, dtype=torch.int64)
        paths[name] = weights_folder / weights.WEIGHTS[name].file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing is deprecated, and warns of constants
            torch.jit.trace(network.eval(), example).save(str(paths[name]))
    return paths


@pytest.fixture(scope="session")
def dinov2(weights_folder: Path) -> Path:
    """``dinov2_vitl14_pretrain.pth``, but small and random."""
    width, hidden, g = 128, 256, torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + 37 * 37, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
    }
    for block in range(2):
        shapes |= {
            f"blocks.{block}.{name}": shape
            for name, shape in {
                "norm1.weight": (width,),
                "norm1.bias": (width,),
                "attn.qkv.weight": (3 * width, width),
                "attn.qkv.bias": (3 * width,),
                "attn.proj.weight": (width, width),
                "attn.proj.bias": (width,),
                "ls1.gamma": (width,),
                "norm2.weight": (width,),
                "norm2.bias": (width,),
                "mlp.fc1.weight": (hidden, width),
                "mlp.fc1.bias": (hidden,),
                "mlp.fc2.weight": (width, hidden),
                "mlp.fc2.bias": (width,),
                "ls2.gamma": (width,),
            }.items()
        }
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    state = {name: torch.randn(shape, generator=g) for name, shape in shapes.items()}
    for name, tensor in state.items():
        if tensor.dim() > 1 and name.endswith("weight"):
            tensor *= tensor[0].numel() ** -0.5
    path = weights_folder / weights.WEIGHTS["dinov2-vitl14"].file
    torch.save(state, path)
    return path


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Call it with paths of random files: the registry then takes them for the ones published."""

    def accept(*paths: Path) -> None:
        random = {path.name: path for path in paths}
        known = Registry[WeightFile]("weight file")
        for name in weights.WEIGHTS:
            entry = weights.WEIGHTS[name]
            if entry.file in random:
                entry = dataclasses.replace(entry, size_bytes=None, sha256=sha256(random[entry.file]))
            known.add(name, entry)
        monkeypatch.setattr(weights, "WEIGHTS", known)

    return accept


@pytest.fixture(scope="session")
def of_random_weights() -> Callable[..., Any]:
    """``of_random_weights(protocol, path, **changes)``: the protocol of the file at ``path`` in place of the published one."""

    def change(protocol: Protocol, path: Path, **changes: Any) -> Any:
        return dataclasses.replace(protocol, weights_sha256=sha256(path), **changes)

    return change


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model of the preset ``smoke``: real in every part, all tasks, and too short to mean anything."""
    preset, folder = PRESETS["smoke"](), tmp_path_factory.mktemp("smoke")
    size_px = preset.tokenizer.model.size_px
    data = sprites_data(size_px, preset.frames, num_held_out=16, num_captions=2000)
    prepare(preset, data, folder / "training", torch.device("cpu")).save_pretrained(folder / "checkpoint")
    return folder / "checkpoint"
