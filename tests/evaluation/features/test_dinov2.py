"""DINOv2 with random weights in the published format, against its forward pass written out."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation.features import load_judge
from evaluation.features.dinov2 import resize_positions
from evaluation.features.prepare import prepare
from evaluation.metrics import FDDINOv2
from evaluation.protocols import dgm, edm2
from evaluation.weights import MissingWeightsError


@pytest.fixture
def judge(dinov2, registry):
    registry(dinov2)
    return load_judge(dgm.FD_DINOV2, dinov2.parent)


def forward(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """dinov2/models/vision_transformer.py in float64: pre-norm blocks, LayerScale, exact GELU, the class token."""
    state = {name: tensor.double() for name, tensor in state.items()}
    d = state["cls_token"].shape[-1]

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (d,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    x = F.conv2d(x.double(), state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    x = torch.cat([state["cls_token"].expand(len(x), 1, d), x.flatten(2).transpose(1, 2)], 1)
    square = state["pos_embed"][:, 1:].float().reshape(1, 37, 37, d).permute(0, 3, 1, 2)
    grid = F.interpolate(square, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic").permute(0, 2, 3, 1)
    x = x + torch.cat([state["pos_embed"][:, :1], grid.reshape(1, 256, d).double()], 1)
    for block in (f"blocks.{i}" for i in range(2)):
        b, s, _ = x.shape
        q, k, v = (
            linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").view(b, s, 3, d // 64, 64).permute(2, 0, 3, 1, 4)
        )
        seen = ((q @ k.mT) * 64**-0.5).softmax(-1) @ v
        x = x + state[f"{block}.ls1.gamma"] * linear(seen.transpose(1, 2).reshape(b, s, d), f"{block}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1"))
        x = x + state[f"{block}.ls2.gamma"] * linear(hidden, f"{block}.mlp.fc2")
    return norm(x, "norm")[:, 0]


@pytest.mark.parametrize("protocol", [dgm.FD_DINOV2, edm2.FD_DINOV2], ids=lambda p: p.family)
def test_it_is_the_forward_pass_written_out(dinov2, registry, make_pictures, protocol):
    registry(dinov2)
    pictures = make_pictures(3, 96, 80)
    ours = load_judge(protocol, dinov2.parent)(pictures).features
    expected = forward(torch.load(dinov2, weights_only=True), prepare(pictures, protocol))
    torch.testing.assert_close(ours.double(), expected, rtol=0, atol=1e-4)
    assert float(ours.std(0).mean()) > 0.01


def test_pictures_are_prepared_as_by_dgm_eval(make_pictures):
    """torchvision's Resize((224, 224), BICUBIC), ToTensor and Normalize, on Pillow's pictures, wider than high."""
    from torchvision import transforms

    theirs = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    pictures = make_pictures(2, 80, 96)
    expected = torch.stack([theirs(Image.fromarray(picture.permute(1, 2, 0).numpy())) for picture in pictures])
    torch.testing.assert_close(prepare(pictures, dgm.FD_DINOV2), expected, rtol=0, atol=1e-5)


def test_the_two_protocols_are_almost_the_same(make_pictures):
    """EDM2's claim: torch's bicubic in place of Pillow's gives almost the same numbers."""
    pictures = make_pictures(2, 300, 260)
    one, two = prepare(pictures, dgm.FD_DINOV2), prepare(pictures, edm2.FD_DINOV2)
    assert 0 < float((one - two).abs().mean()) < 0.02


def test_positions_of_their_own_size_stay():
    positions = torch.randn(1, 1 + 16 * 16, 8)
    assert resize_positions(positions, 16) is positions


def test_positions_are_sampled_at_their_offset_places():
    """A ramp over 37 places is read at (i + ½)·37 / 16.1 − ½; without the offset the last of these would be 0.12 and more away.

    torch's cubic kernel does not keep a ramp quite straight.
    """
    ramp = torch.arange(37.0).repeat(37, 1)[None, ..., None]
    positions = torch.cat([torch.zeros(1, 1, 1), ramp.reshape(1, 37 * 37, 1)], 1)
    row = resize_positions(positions, 16)[0, 1:17, 0]
    expected = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    torch.testing.assert_close(row[8:-2], expected[8:-2], rtol=0, atol=0.06)


@pytest.mark.filterwarnings("ignore::evaluation.metrics.uncertainty.SmallSampleWarning")
def test_it_scores_pictures(dinov2, judge, of_random_weights, make_pictures):
    protocol = of_random_weights(dgm.FD_DINOV2, dinov2, width=128, replicates=3)
    metric = FDDINOv2(protocol, judge=judge)
    metric.update(make_pictures(5, 40, 50, seed=0), real=False)
    metric.update(make_pictures(5, 40, 50, seed=1), real=True)
    estimate = metric.estimates()[0]
    assert (estimate.name, estimate.protocol) == ("FD-DINOv2", "fd-dinov2@dgm-1")
    assert estimate.value > 0


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(MissingWeightsError, match=r"dinov2_vitl14_pretrain\.pth .*1,217,586,395 bytes"):
        load_judge(dataclasses.replace(dgm.FD_DINOV2), tmp_path)
