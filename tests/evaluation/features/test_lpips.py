"""LPIPS with the published channel weights, which torchmetrics ships, on random backbones in torchvision's format."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torchmetrics.functional.image.lpips as theirs
from stand_ins import publish
from torchvision.models import alexnet

from evaluation import weights
from evaluation.features import load_lpips
from evaluation.features.lpips import AlexNet, lpips_from
from evaluation.metrics import LPIPS
from evaluation.protocols import PROTOCOLS, pairs
from evaluation.weights import MissingWeightsError
from nuwa.files import sha256
from nuwa.tokenizers.perceptual import VGGNet

SHIPPED = Path(theirs.__file__).parent / "lpips_models"
KINDS = {"alex": (pairs.LPIPS_ALEX, AlexNet), "vgg": (pairs.LPIPS_VGG, VGGNet)}


def pictures(seed: int, size: int = 64) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8, generator=g)


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """Our network and torchmetrics', with one backbone."""
    protocol, backbone = KINDS[request.param]
    torch.manual_seed(0)
    features = backbone().features
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    linear = torch.load(SHIPPED / f"{request.param}.pth", map_location="cpu", weights_only=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theirs, "_get_tv_model_features", lambda net, pretrained: features)
        return protocol, lpips_from(protocol, state, linear), theirs._LPIPS(net=request.param)


def test_second_opinion_torchmetrics(both, monkeypatch):
    _, ours, other = both
    # it adds 1e-8 under the root of a length; lpips itself, whose numbers are published, 1e-10 to the length
    monkeypatch.setattr(theirs, "_normalize_tensor", lambda maps: maps / (maps.norm(dim=1, keepdim=True) + 1e-10))
    x, y = (pictures(seed).float() / 127.5 - 1 for seed in (0, 1))
    with torch.no_grad():
        found, expected = ours(x, y), other(x, y).flatten()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert expected.min() > 1e-4


def test_equal_pictures_have_no_distance(both):
    _, ours, _ = both
    x = pictures(0).float() / 127.5 - 1
    assert ours(x, x).abs().max() == 0


@pytest.mark.parametrize("name", KINDS)
def test_channel_weights_are_the_published_ones(name):
    assert sha256(SHIPPED / f"{name}.pth") == weights.WEIGHTS[f"lpips-{name}"].sha256


def test_from_the_users_folder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    state = AlexNet().state_dict()
    files = {
        "alexnet_imagenet": lambda path: torch.save(state, path),
        "lpips_alex": lambda path: path.write_bytes((SHIPPED / "alex.pth").read_bytes()),
    }
    publish(monkeypatch, tmp_path, **files)
    judge = load_lpips(pairs.LPIPS_ALEX, tmp_path)
    linear = torch.load(SHIPPED / "alex.pth", map_location="cpu", weights_only=True)
    x, y = (pictures(seed) for seed in (0, 1))
    expected = lpips_from(pairs.LPIPS_ALEX, state, linear)(x.float() / 127.5 - 1, y.float() / 127.5 - 1)
    torch.testing.assert_close(judge(x, y), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="needs a protocol of its own"):
        LPIPS(judge=judge)


def test_both_missing_files_are_said(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"(?s)vgg16-397923af\.pth.*vgg\.pth \(lpips-vgg"):
        load_lpips(PROTOCOLS["lpips@vgg-1"], tmp_path)


def test_another_backbone_is_refused():
    linear = torch.load(SHIPPED / "vgg.pth", map_location="cpu", weights_only=True)
    with pytest.raises(ValueError, match="expected vgg16-imagenet or alexnet-imagenet, got 'none'"):
        lpips_from(dataclasses.replace(pairs.LPIPS_VGG, network="none"), {}, linear)


def test_alexnet_is_torchvisions():
    ours, whole = AlexNet(), alexnet(weights=None).eval()
    ours.load_state_dict({name: value for name, value in whole.state_dict().items() if name.startswith("features.")})
    x = pictures(0).float() / 127.5 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(ours(x)[-1], whole.features[:12](((x + 1) / 2 - mean) / std))
